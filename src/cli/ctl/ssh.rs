//! `--ssh`: the same command, or the prompt, run by ssh on another host. Standard input and output pass through.

use super::args::Invocation;
use crate::config::text;
use crate::control::args::CliArgs;
use crate::control::shell;
use crate::sys::process;
use std::ffi::CString;

/// Becomes ssh; the answer says why that did not work. Without an invocation the prompt is meant, for which ssh
/// makes a terminal on the other side if there is one here.
pub fn run(host: &str, options: &CliArgs, invocation: Option<&Invocation>) -> String {
    let (host, port) = split(host);
    if host.is_empty() || host.starts_with('-') {
        return format!("--ssh {host}: that is no USER@HOST");
    }
    let remote = remote(options, invocation);
    let mut words = vec!["ssh"];
    words.extend(port.into_iter().flat_map(|port| ["-p", port]));
    words.extend(options.value("ssh_keyfile").into_iter().flat_map(|file| ["-i", file]));
    words.extend(invocation.is_none().then_some("-t"));
    words.extend([host, &remote]);
    // Arguments of a program hold no null character, and what is made of them here neither.
    let words: Vec<_> =
        words.iter().filter_map(|word| CString::new(text::to_bytes(word).into_owned()).ok()).collect();
    format!("cannot run ssh: {}", super::client::words(&process::exec(&words)))
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

/// The command line for the shell on the other side. Our own options stand before the command, for whom those behind
/// it may be words.
fn remote(options: &CliArgs, invocation: Option<&Invocation>) -> String {
    let typed = |args: &CliArgs| {
        let flags = args.flags.iter().filter(|(name, _)| !name.starts_with("ssh"));
        let word = |(name, value): &(&str, Option<String>)| {
            let value = value.as_ref().map(|value| format!("={value}")).unwrap_or_default();
            format!(" {}", shell::quote(&format!("--{name}{value}")))
        };
        flags.map(word).collect::<String>()
    };
    let line = format!("circus ctl{}", typed(options));
    let Some(Invocation { command, args, .. }) = invocation else { return line };
    let words = shell::join(args.words.iter().map(String::as_str));
    format!("{line} {}{} -- {words}", command.name, typed(args))
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
        assert_eq!(remote(&invocation.options, Some(&invocation)), expected);
        assert_eq!(remote(&invocation.options, None), "circus ctl --timeout=2 --json");
    }

    #[test]
    fn a_host_may_have_a_port() {
        assert_eq!(split("me@host:22"), ("me@host", Some("22")));
        assert_eq!(split("me@host"), ("me@host", None));
        assert_eq!(split("::1"), ("::1", None));
    }
}
