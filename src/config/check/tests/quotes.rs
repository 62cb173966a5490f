//! Whatever stands in a file, a message about it can be read.

use super::*;
use crate::config::options;

fn all_findings(text: &str) -> Vec<Finding> {
    let loaded = load("/c", &Memory::new(&[("/c", text)]), &Names::new(), "/");
    let more = loaded.config.iter().flat_map(|config| check(config, "/run/circus/circus.sock"));
    loaded.findings.iter().cloned().chain(more).collect()
}

/// Values of some 5,000 characters.
fn long_values() -> Vec<String> {
    let many = |one: &dyn Fn(usize) -> String| -> String { (0..200).map(one).collect() };
    let repeated = ["x", "1", "/", "a ", "\u{e9}"].map(|word| word.repeat(5000 / word.len()));
    let begun = ["tcp:", "http://", "log:(", "exec:'", "syslog://", "TERM "]
        .map(|begin| begin.to_string() + &"x".repeat(5000));
    let listed = [
        many(&|n| format!("$(circus.env.a_variable_{n}) ")),
        many(&|n| format!("$(circus.sockets.a_socket_{n}),")),
        many(&|n| format!("a-word-of-a-list-{n} ")),
        many(&|n| format!("a-word-of-a-list-{n},")),
        many(&|n| format!("127.0.0.1:{n}99999 ")),
    ];
    [&repeated[..], &begun, &listed].concat()
}

#[test]
fn a_message_quotes_a_value_with_a_bound() {
    let long = "x".repeat(5000);
    let mut texts =
        vec![format!("[env]\n{long} = ${long}\nA = {}\n[watcher:w]\ncmd = x", long_values().join("$"))];
    for value in long_values() {
        let mut line = |section: &str, key: &str| texts.push(format!("[{section}\n{key} = {value}\n"));
        options::CIRCUS.iter().for_each(|row| line("watcher:w]\ncmd = x\n[circus]", row.key));
        options::SOCKET.iter().for_each(|row| line("socket:s]\nport = 0", row.key));
        options::WATCHER.iter().for_each(|row| line("watcher:w]", row.key));
        options::STREAM
            .iter()
            .for_each(|row| line("watcher:w]\ncmd = x", &format!("stdout_stream.{}", row.key)));
        for key in ["use", "cmd", "priority", "x", "loop_rate", "max_cpu", "watcher"] {
            line("plugin:p]", key);
            line("plugin:p]\nuse = circus.plugins.flapping.Flapping", key);
        }
        for key in ["rlimit_nofile", "rlimit_x", "hooks.x", "cgroup.x", "nonsense", &long] {
            line("watcher:w]\ncmd = x", key);
        }
        let sections = ["", "watcher:", "env:", "socket:", "plugin:"]
            .map(|kind| format!("[{kind}{value}]\n{value} = {value}\n"));
        texts.extend(sections);
        texts.push(value);
    }
    for text in texts {
        for Finding { message, .. } in all_findings(&text) {
            assert!(message.len() < 1000, "{} bytes: {message:.300}", message.len());
        }
    }
}

#[test]
fn a_message_names_a_file_with_a_bound() {
    let name = format!("/{}\n.ini", "d/".repeat(2500));
    let main = format!(
        "[circus]\ninclude = /{}*.ini\n[watcher:a]\ncmd = x\n[watcher:A]\ncmd = y\n",
        "d/".repeat(2500)
    );
    let more = "[watcher:b]\ncmd = x\n[watcher:b]\ncmd = y\n[watcher:A]\ncmd = y\n";
    let files = Memory::new(&[("/c", &main), (&name, more), (&name.replace(".ini", "2.ini"), more)]);
    let loaded = load("/c", &files, &Names::new(), "/");
    assert!(loaded.findings.len() > 2, "{:?}", loaded.findings);
    for Finding { message, .. } in loaded.findings {
        assert!(message.len() < 1000 && !message.contains('\n'), "{} bytes: {message:.300}", message.len());
    }
}
