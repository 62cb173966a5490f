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
    let mut words = vec!["ssh".to_string()];
    let mut add = |texts: &[&str]| texts.iter().for_each(|text| words.push(text.to_string()));
    if let Some(port) = port {
        add(&["-p", port]);
    }
    if let Some(file) = &options.ssh_keyfile {
        add(&["-i", file]);
    }
    if invocation.is_none() {
        add(&["-t"]);
    }
    add(&[host, &remote(options, invocation)]);
    let mut ssh = Vec::new();
    for word in words {
        // Arguments of a program hold no null character, and what is made of them here neither.
        ssh.extend(CString::new(text::to_bytes(&word).into_owned()).ok());
    }
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
    let mut line = "circus ctl".to_string();
    let mut add = |option: &str, value: Option<&str>| {
        let word = value.map_or_else(|| format!("--{option}"), |value| format!("--{option}={value}"));
        line += " ";
        line += &shell::quote(&word);
    };
    if let Some(endpoint) = &options.endpoint {
        add("endpoint", Some(endpoint));
    }
    if let Some(timeout) = options.timeout {
        add("timeout", Some(&number::fixed(timeout.as_secs_f64(), 3)));
    }
    if options.json {
        add("json", None);
    }
    if options.prettify {
        add("prettify", None);
    }
    let Some(invocation) = invocation else { return line };
    let args = &invocation.args;
    // Our own options stand before the command, for whom those behind it may be words.
    let mut behind = String::new();
    for (name, value) in &args.flags {
        let word = value.as_ref().map_or_else(|| format!("--{name}"), |value| format!("--{name}={value}"));
        behind += &format!(" {}", shell::quote(&word));
    }
    let words = shell::join(args.words.iter().map(String::as_str));
    format!("{line} {}{behind} -- {words}", invocation.command.name)
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
