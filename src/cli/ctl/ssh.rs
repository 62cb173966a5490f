//! `--ssh`: the same command, or the prompt, run by ssh on another host. Standard input and output pass through.

use super::args::{Invocation, Options};
use crate::config::{number, text};
use crate::control::shell;
use crate::sys::process;
use std::ffi::CString;

/// Becomes ssh; the answer says why that did not work. Without an invocation the prompt is meant, for which ssh
/// makes a terminal on the other side if there is one here.
pub fn run(host: &str, options: &Options, invocation: Option<&Invocation>) -> String {
    let (host, port) = split(host);
    if host.is_empty() || host.starts_with('-') {
        return format!("--ssh {host}: that is no USER@HOST");
    }
    let mut ssh = vec!["ssh"];
    ssh.extend(port.iter().flat_map(|port| ["-p", port]));
    ssh.extend(invocation.is_none().then_some("-t"));
    ssh.extend(options.ssh_keyfile.iter().flat_map(|file| ["-i", file]));
    let remote = remote(options, invocation);
    ssh.extend([host, &remote]);
    // Arguments of a program hold no null character, and what is made of them here neither.
    let ssh: Vec<CString> =
        ssh.iter().filter_map(|word| CString::new(text::to_bytes(word).into_owned()).ok()).collect();
    format!("cannot run ssh: {}", super::client::words(&process::exec(&ssh)))
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
fn remote(options: &Options, invocation: Option<&Invocation>) -> String {
    let mut words = vec!["circus".to_string(), "ctl".into()];
    let mut option =
        |name: &str, value: Option<&String>| words.extend(value.map(|value| format!("--{name}={value}")));
    option("endpoint", options.endpoint.as_ref());
    option("timeout", options.timeout.map(|timeout| number::fixed(timeout.as_secs_f64(), 3)).as_ref());
    words.extend(options.json.then(|| "--json".into()));
    words.extend(options.prettify.then(|| "--prettify".into()));
    if let Some(invocation) = invocation {
        words.push(invocation.command.name.into());
        words.extend(behind(invocation));
    }
    shell::join(words.iter().map(String::as_str))
}

/// What stands behind the command.
fn behind(invocation: &Invocation) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    words.extend(invocation.args.flags.iter().map(|(name, value)| match value {
        Some(value) => format!("--{name}={value}"),
        None => format!("--{name}"),
    }));
    words.push("--".into());
    words.extend(invocation.args.words.iter().cloned());
    words
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
            r#"circus ctl --timeout=2.000 --json add --start -- web 'sh -c '"'"'x; y'"'"'' '$HOME' -v"#;
        assert_eq!(remote(&invocation.options, Some(&invocation)), expected);
        assert_eq!(remote(&invocation.options, None), "circus ctl --timeout=2.000 --json");
    }

    #[test]
    fn a_host_may_have_a_port() {
        assert_eq!(split("me@host:22"), ("me@host", Some("22")));
        assert_eq!(split("me@host"), ("me@host", None));
        assert_eq!(split("::1"), ("::1", None));
    }
}
