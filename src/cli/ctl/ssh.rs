//! `--ssh`: the same command, run by ssh on another host. Standard input and output pass through.

use super::args::Invocation;
use crate::config::text;
use crate::control::shell;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Becomes ssh; the answer says why that did not work.
pub fn run(host: &str, invocation: &Invocation) -> String {
    let (host, port) = split(host);
    if host.is_empty() || host.starts_with('-') {
        return format!("--ssh {host}: that is no USER@HOST");
    }
    let mut ssh = Command::new("ssh");
    if let Some(port) = port {
        ssh.args(["-p", port]);
    }
    if let Some(file) = &invocation.options.ssh_keyfile {
        ssh.arg("-i").arg(os(file));
    }
    let error = ssh.arg(host).arg(os(&remote(invocation))).exec();
    format!("cannot run ssh: {}", super::client::words(&error))
}

fn os(text: &str) -> OsString {
    OsString::from_vec(text::to_bytes(text).into_owned())
}

/// `HOST:PORT` in two; an IPv6 address has more than one colon and no port.
fn split(host: &str) -> (&str, Option<&str>) {
    match host.split_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            (name, Some(port))
        }
        _ => (host, None),
    }
}

/// The command line for the shell on the other side.
fn remote(invocation: &Invocation) -> String {
    let options = &invocation.options;
    let mut words = vec!["circus".to_string(), "ctl".into()];
    let mut option =
        |name: &str, value: Option<&String>| words.extend(value.map(|value| format!("--{name}={value}")));
    option("endpoint", options.endpoint.as_ref());
    option("timeout", options.timeout.map(|timeout| timeout.as_secs_f64().to_string()).as_ref());
    words.extend(options.json.then(|| "--json".into()));
    words.extend(options.prettify.then(|| "--prettify".into()));
    words.push(invocation.command.name.into());
    words.extend(invocation.args.flags.iter().map(|(name, value)| match value {
        Some(value) => format!("--{name}={value}"),
        None => format!("--{name}"),
    }));
    words.push("--".into());
    words.extend(invocation.args.words.iter().cloned());
    shell::join(words.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::super::args::{Parsed, parse};
    use super::*;

    #[test]
    fn the_remote_shell_gets_every_word_whole() {
        let args = ["--timeout", "2", "--json", "add", "web", "sh -c 'x; y'", "$HOME", "--start", "-v"];
        let Ok(Parsed::Run(invocation)) = parse(args.map(str::to_string).to_vec()) else { panic!() };
        let expected =
            r#"circus ctl --timeout=2 --json add --start -- web 'sh -c '"'"'x; y'"'"'' '$HOME' -v"#;
        assert_eq!(remote(&invocation), expected);
    }

    #[test]
    fn a_host_may_have_a_port() {
        assert_eq!(split("me@host:22"), ("me@host", Some("22")));
        assert_eq!(split("me@host"), ("me@host", None));
        assert_eq!(split("::1"), ("::1", None));
    }
}
