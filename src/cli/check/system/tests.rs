//! A machine that is made up, and what is found on it.

use super::*;
use crate::config::load;
use std::io;

/// A machine with a few files; a directory exists when something is in it.
struct Machine(&'static str);

impl Files for Machine {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        match path {
            "/c" => Ok(self.0.into()),
            "/etc/passwd" => Ok("root:x:0:0::/root:/bin/sh\nwww:x:33:33::/:/bin/sh\n".into()),
            "/etc/group" => Ok("root:x:0:\nwww:x:33:\n".into()),
            _ => Err(ErrorKind::NotFound.into()),
        }
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        match dir {
            "/bin" => Ok(vec!["sh".into()]),
            "/sys/class/net" => Ok(vec!["lo".into()]),
            "/venv/bin" if self.0.contains("# venv") => Ok(vec!["circus-plugin".into()]),
            "/w" | "/w/sub" => Ok(vec!["run".into()]),
            "/secret" | "/secret/bin" => Err(ErrorKind::PermissionDenied.into()),
            _ => Err(ErrorKind::NotFound.into()),
        }
    }
}

#[test]
fn a_message_quotes_a_value_with_a_bound() {
    for value in [
        format!("(?P<{0}>a)(?P<{0}>b)", "n".repeat(5000)),
        "x".repeat(5000),
        "/".to_string() + &"x/".repeat(2500),
        "9".repeat(5000),
    ] {
        let lines = "cmd = |executable = |working_dir = |env_file = |virtualenv = |uid = |gid = |hooks.after_start = |stop_command = \
            |stdout_stream.class = SyslogStream\nstdout_stream.address = |ready = exec:|ready = log:|ready = log:(|health = exec:|stdout_stream.filename = |sandbox = read-only ";
        for line in lines.split('|') {
            let cmd = if line == "cmd = " { "" } else { "cmd = sh\n" };
            let rest = "[env:a]\nPATH = V\n[socket:s]\npath = V\n[circus]\npidfile = V\n\
                [plugin:p]\nuse = circus.plugins.watchdog.WatchDog\nwatchers_regex = (V\nmsg_regex = V";
            let text = format!("[watcher:a]\n{cmd}{line}V\n{rest}").replace('V', &value);
            for found in found(text.leak()) {
                assert!(found.len() < 1000, "{} bytes: {found:.200}", found.len());
            }
        }
    }
}

fn found(text: &'static str) -> Vec<String> {
    let machine = Machine(text);
    let config = load("/c", &machine, &Names::new(), "/w").config.unwrap();
    let show = |f: &Finding| format!("{} {} {}", f.origin.line, f.severity.word(), f.message);
    let environ = Names::from_iter([("PATH".to_string(), "/bin:/venv/bin".to_string())]);
    let around = Around { environ: &environ, cwd: "/w", default_path: DEFAULT_PATH, ids: (0, 0) };
    check(&config, &machine, around).iter().map(show).collect()
}

#[test]
fn what_is_there_is_not_reported() {
    let cases = [
        "[watcher:a]\ncmd = sh -c x\nuid = www\ngid = 33",
        "[watcher:a]\ncmd = ./run\nworking_dir = sub\nhooks.after_stop = sub/run\nhooks_uid = www",
        "[watcher:a]\ncmd = sub/run",
        "[watcher:a]\ncmd = x\nshell = 1",
        "[watcher:a]\ncmd = sh\nhooks.after_stop = sub/run x, true\nhooks.after_reap = module.function",
        "[watcher:a]\ncmd = /secret/bin/x\nworking_dir = /secret",
        "[watcher:a]\ncmd = $(circus.env.X) y\nuid = $(circus.env.X)\nworking_dir = /$(circus.wid)",
        "[watcher:a]\ncmd = sh\nstdout_stream.filename = x.log\nstderr_stream.filename = /x.log",
        "[circus]\nlogoutput = syslog:///dev/log\npidfile = run.pid\nendpoint_owner = root",
        "[circus]\nendpoint = ipc:///w/c.sock\npubsub_endpoint = sub/p.sock",
        "[circus]\nendpoint = tcp://127.0.0.1:5555\npubsub_endpoint = @name",
        "[circus]\nendpoint = none\npubsub_endpoint =",
        "[socket:a]\npath = /w/x",
        "[socket:a]\ninterface = lo",
        "[watcher:a]\ncmd = ls\nenv_file = run",
        "[watcher:a]\ncmd = sh\nenv_file = -none",
        "[plugin:a]\ncmd = sh -c x\nuid = www",
        "[plugin:a]\nuse = my.Plugin\n# venv",
    ];
    for text in cases {
        assert_eq!(found(text), [""; 0], "{text}");
    }
}

#[test]
fn what_is_missing_is_reported() {
    let cases = [
        ("[watcher:a]\ncmd = sh\nuid = nobody", "3 error there is no user `nobody` in /etc/passwd"),
        ("[watcher:a]\ncmd = sh\ngid = staff", "3 error there is no group `staff` in /etc/group"),
        ("[watcher:a]\ncmd = sh\nuid = 99", "3 warning no user in /etc/passwd has the number 99"),
        ("[watcher:a]\ncmd = sh\nworking_dir = none", "3 error the directory `/w/none` does not exist"),
        (
            "[watcher:a]\ncmd = ls\n[env:a]\nPATH = /bin",
            "2 error there is no program `ls` in the PATH of the processes (/bin)",
        ),
        ("[watcher:a]\ncmd = ./no", "2 error there is no program `/w/./no`"),
        ("[watcher:a]\ncmd = sh\nhooks.after_stop = ./no x", "3 error there is no program `/w/./no`"),
        (
            "[watcher:a]\ncmd = /bin/sh\nhooks.after_stop = none\n[env:a]\nPATH = /sub",
            "3 error there is no program `none` in the PATH of circus (/bin:/venv/bin)",
        ),
        ("[watcher:a]\ncmd = sh\nhooks_uid = me", "3 error there is no user `me` in /etc/passwd"),
        ("[watcher:a]\ncmd = sh\nstop_command = ./no x", "3 error there is no program `/w/./no`"),
        (
            "[watcher:a]\ncmd = sh\nstdout_stream.filename = log/x",
            "3 error the directory `/w/log` does not exist",
        ),
        (
            "[watcher:a]\ncmd = sh\nstdout_stream.class = SyslogStream\nstdout_stream.address = 1.2.3.4:70000",
            "4 error address = 1.2.3.4:70000: the port is not a number up to 65535",
        ),
        ("[watcher:a]\ncmd = sh\nhealth = exec:./no x", "3 error there is no program `/w/./no`"),
        ("[watcher:a]\ncmd = sh\nready = log:[x", "3 error `ready = log:[x`: a [ is never closed"),
        ("[watcher:a]\ncmd = sh\nenv_file = none", "3 error there is no `/w/none`"),
        ("[watcher:a]\ncmd = sh\ncopy_env = 1\nvirtualenv = none", "4 error there is no `/w/none/lib`"),
        ("[circus]\npidfile = /run/x/y", "2 error the directory `/run/x` does not exist"),
        ("[circus]\nendpoint = ipc:///run/x/y", "2 error the directory `/run/x` does not exist"),
        ("[circus]\npubsub_endpoint = no/y", "2 error the directory `/w/no` does not exist"),
        (
            "[circus]\npubsub_endpoint = udp://x:1",
            "2 error the endpoint udp://x:1 is none of ipc://PATH, unix://PATH, PATH, @NAME, tcp://HOST:PORT",
        ),
        ("[socket:a]\ninterface = nodev", "2 error there is no network interface `nodev`"),
        ("[socket:a]\npath = /w/s\nowner = me", "3 error there is no user `me` in /etc/passwd"),
        ("[socket:a]\npath = /w/s\ngroup = us", "3 error there is no group `us` in /etc/group"),
        ("[circus]\nendpoint_owner = me", "2 error there is no user `me` in /etc/passwd"),
        ("[access]\nlook = user:root user:me", "2 error there is no user `me` in /etc/passwd"),
        ("[access]\noperate = user:root w, group:us", "2 error there is no group `us` in /etc/group"),
        (
            "[plugin:a]\nuse = my.Plugin",
            "2 error `my.Plugin` is a Python class, and circus-plugin, which runs it, is not in the PATH of \
             circus: pip install circus, or write `cmd = PROGRAM`",
        ),
        (
            "[plugin:a]\ncmd = ls",
            "2 error there is no program `ls` in the PATH of the processes (/bin:/venv/bin)",
        ),
        ("[plugin:a]\ncmd = sh\nuid = nobody", "3 error there is no user `nobody` in /etc/passwd"),
        ("[socket:a]\npath = /run/x/y", "2 error the directory `/run/x` does not exist"),
    ];
    for (text, wanted) in cases {
        assert_eq!(found(text), [wanted], "{text}");
    }
    let (dir, program) =
        ("3 error the directory `/w/none` does not exist", "2 error there is no program `/bin/no`");
    assert_eq!(found("[watcher:a]\ncmd = /bin/no\nworking_dir = none"), [dir, program]);
    for cmd in ["./run", "run\n[env:a]\nPATH = .:/bin"] {
        let text = format!("[watcher:a]\nworking_dir = none\ncmd = {cmd}");
        assert_eq!(found(text.leak()), [dir.replacen('3', "2", 1)]);
    }
}
