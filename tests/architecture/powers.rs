//! What can do harm, and where it stands: each verb by the calls that do it, and the only files that may make them.
//! Whoever else wants it done asks these, by types that make the wrong thing hard. Below `src/sys` are the calls themselves.

use super::{File, files, module, root, source};

/// A verb.
struct Power {
    verb: &'static str,
    /// The ends of paths that do it, such as `fs::rename`; one that begins with a dot is a method.
    calls: &'static [&'static str],
    /// The files that may.
    files: &'static [&'static str],
}

/// What is typed at the prompt is kept in a file of whoever types it, by a program with no other rights than theirs.
const HISTORY: &str = "cli/ctl/prompt/history.rs";

const POWERS: &[Power] = &[
    Power {
        verb: "send a signal",
        calls: &["signal::kill", "kill_group", "kill_whole", "kill_everybody", ".send_signal"],
        files: &["host/kill.rs"],
    },
    Power { verb: "reap a child", calls: &["wait::reap"], files: &["host/reap.rs", "host/init.rs"] },
    Power { verb: "make a process", calls: &["Spawner", "process::Command"], files: &["host/child.rs"] },
    // `ctl --ssh` becomes ssh.
    Power { verb: "become a program", calls: &["process::exec", "CommandExt"], files: &["cli/ctl/ssh.rs"] },
    Power {
        verb: "go into the background",
        calls: &["daemonize::daemonize"],
        files: &["reactor/startup.rs"],
    },
    Power {
        verb: "bind a socket",
        calls: &[
            "socket::bind",
            "TcpListener::bind",
            "UnixListener::bind",
            "UnixListener::bind_addr",
            "UnixDatagram::bind",
            "UnixDatagram::bind_addr",
            "UnixDatagram::unbound",
            "UdpSocket::bind",
        ],
        files: &["host/listen.rs"],
    },
    Power {
        verb: "create a file or open one for writing",
        calls: &[
            "OpenOptions",
            "File::options",
            "File::create",
            "File::create_new",
            "fs::write",
            "fs::copy",
            "fs::create_dir",
            "fs::create_dir_all",
            "fs::hard_link",
            "fs::symlink",
            "DirBuilder",
            "sys::directory",
        ],
        files: &["host/files.rs", "host/files/own.rs", "host/cgroup.rs", HISTORY],
    },
    Power {
        verb: "remove or rename a file",
        calls: &["fs::remove_file", "fs::remove_dir", "fs::remove_dir_all", "fs::rename"],
        files: &["host/files.rs", "host/files/own.rs", "host/cgroup.rs", HISTORY],
    },
    Power {
        verb: "change the owner or the mode of a file",
        calls: &[
            "fchown",
            "fs::chown",
            "fs::lchown",
            "fs::set_permissions",
            ".set_permissions",
            "directory::give",
        ],
        files: &["host/files.rs", "host/files/own.rs"],
    },
    Power { verb: "enter a cgroup", calls: &["join(\"cgroup.procs"], files: &["host/cgroup.rs"] },
];

/// Those who read the bytes of strangers, which name none of the rooms in which the powers stand.
const STRANGERS: &[&str] = &[
    "config/",
    "control/",
    "parts/clients/client.rs",
    "parts/notify_socket.rs",
    "parts/plugins/observer.rs",
    "parts/probes.rs",
    "reactor/tcp_client.rs",
];
const ROOMS: &[&str] = &[
    "host::cgroup",
    "host::child",
    "host::files",
    "host::init",
    "host::kill",
    "host::leftovers",
    "host::listen",
    "host::orphans",
    "host::state_file",
];

/// Whether these parts stand one behind the other in a path.
fn holds(path: &[String], call: &str) -> bool {
    let parts: Vec<&str> = call.split("::").collect();
    path.windows(parts.len()).any(|window| window == parts)
}

/// What a file does outside of its tests: the verbs by their number.
fn uses(file: &File, power: &Power) -> Vec<String> {
    let code = file.source.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let names = source::names(code, &module(&file.path));
    let tokens = source::tokens(code);
    let mut found = Vec::new();
    for call in power.calls {
        if let Some(method) = call.strip_prefix('.') {
            found.extend(
                tokens
                    .windows(2)
                    .filter(|pair| pair[0].text == "." && pair[1].text == method)
                    .map(|pair| format!("{}: {call}", pair[0].line)),
            );
        } else if call.contains('"') {
            let lines = code.lines().enumerate().filter(|(_, line)| !line.trim().starts_with("//"));
            found.extend(
                lines.filter(|(_, line)| line.contains(call)).map(|(n, _)| format!("{}: {call}", n + 1)),
            );
        } else {
            let paths = names.paths.iter().filter(|path| !path.test && holds(&path.parts, call));
            found.extend(paths.map(|path| format!("{}: {call}", path.line)));
        }
    }
    found
}

#[test]
fn what_can_do_harm_stands_in_one_place() {
    let is_test = |file: &File| file.path.ends_with("tests.rs") || file.path.contains("/tests/");
    let mut files = files(&root().join("src")).unwrap();
    files.retain(|file| !file.path.starts_with("sys/") && !is_test(file));
    let mut wrong = Vec::new();
    for power in POWERS {
        for file in &files {
            let found = uses(file, power);
            match power.files.contains(&file.path.as_str()) {
                true if found.is_empty() => {
                    wrong.push(format!("src/{} does not {} any more: take it off", file.path, power.verb));
                }
                false => wrong.extend(
                    found.iter().map(|what| format!("src/{}:{what}: it may not {}", file.path, power.verb)),
                ),
                true => {}
            }
        }
        let gone = power.files.iter().filter(|path| files.iter().all(|file| file.path != **path));
        wrong.extend(gone.map(|path| format!("there is no src/{path}")));
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn who_reads_the_bytes_of_strangers_has_no_power() {
    let files = files(&root().join("src")).unwrap();
    let mut wrong = Vec::new();
    for stranger in STRANGERS {
        let mut those = files.iter().filter(|file| file.path.starts_with(stranger)).peekable();
        assert!(those.peek().is_some(), "there is no src/{stranger}");
        for file in those {
            let names = source::names(&file.source, &module(&file.path));
            let rooms = names.paths.iter().filter(|path| ROOMS.iter().any(|room| holds(&path.parts, room)));
            wrong.extend(rooms.map(|path| format!("src/{}:{}: {}", file.path, path.line, path.text())));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn a_power_is_seen_however_it_is_called() {
    let power =
        &Power { verb: "x", calls: &["fs::rename", ".send_signal", "join(\"cgroup.procs"], files: &[] };
    let found = |source: &str| uses(&File { path: "a.rs".into(), source: source.into() }, power).len();
    assert_eq!(found("use std::fs;\nfn f() { fs::rename(a, b) }"), 1);
    assert_eq!(found("use std::fs::{self, rename as r};\nfn f() { r(a, b); x.send_signal(9) }"), 2);
    assert_eq!(
        found(
            "fn f() { a.rename(b) } // fs::rename\n// \"cgroup.procs\"\nfn g() { d.join(\"cgroup.procs\") }"
        ),
        1
    );
    assert_eq!(found("\n#[cfg(test)]\nmod tests { fn f() { std::fs::rename(a, b) } }"), 0);
}
