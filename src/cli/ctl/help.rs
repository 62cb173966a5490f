//! The help of `circus ctl`, made from the command table.

use super::args::OPTIONS;
use crate::control::args::Flag;
use crate::control::commands::{COMMANDS, Command};

/// How the program is called, as Circus says it.
pub const USAGE: &str = "usage: circusctl [options] command [args]";

/// The help on one command, or on all.
pub fn text(command: Option<&Command>) -> String {
    match command {
        Some(command) => one(command),
        None => all(),
    }
}

/// The most bytes of the options in a line of usage.
const LONGEST_FLAGS: usize = 60;

/// How a command is called.
pub fn usage(command: &Command) -> String {
    let flags: String = command.flags().map(|flag| format!("[{}] ", typed(flag))).collect();
    // They are listed below, one a line.
    let flags = if flags.len() > LONGEST_FLAGS { "[OPTION...] ".into() } else { flags };
    let line = format!("usage: circusctl {} {flags}{}", command.name, command.usage());
    line.trim_end().to_string()
}

fn one(command: &Command) -> String {
    let mut lines = vec![usage(command), String::new(), sentence(command.summary)];
    wrap(command.detail, &mut lines);
    if command.flags().next().is_some() {
        lines.extend([String::new(), "Options:".into()]);
        lines.extend(command.flags().map(described));
    }
    lines.join("\n")
}

fn all() -> String {
    let mut lines: Vec<String> = vec![USAGE.into(), String::new(), "Controls a circus daemon.".into()];
    lines.extend([String::new(), "Options:".into()]);
    lines.extend(OPTIONS.iter().map(described));
    lines.extend([String::new(), "Commands:".into()]);
    lines.extend(COMMANDS.iter().map(|command| format!("  {:<14}{}", command.name, command.summary)));
    lines.extend([String::new(), "See --help COMMAND for one of them.".into()]);
    lines.join("\n")
}

/// `--name VALUE`.
fn typed(flag: &Flag) -> String {
    match flag.value {
        Some(value) => format!("--{} {value}", flag.name),
        None => format!("--{}", flag.name),
    }
}

fn described(flag: &Flag) -> String {
    format!("  {:<28}{}", typed(flag), flag.help)
}

fn sentence(summary: &str) -> String {
    let mut sentence = summary.to_string() + ".";
    if let Some(first) = sentence.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    sentence
}

/// Breaks a paragraph into lines of at most 78 columns.
fn wrap(text: &str, lines: &mut Vec<String>) {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.len() + 1 + word.len() > 78 {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += word;
    }
    lines.push(line);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::commands::find;

    #[test]
    fn help_has_every_command_and_its_options() {
        let all = all();
        for command in COMMANDS {
            assert!(all.contains(&format!("\n  {:<14}{}", command.name, command.summary)));
            let one = one(command);
            assert!(command.flags().all(|flag| one.contains(flag.help)), "{one}");
            assert!(one.lines().all(|line| line.len() <= 100), "{one}");
        }
        let kill = find("kill").map(usage);
        let expected =
            "usage: circusctl kill [--signum SIGNAL] [--graceful_timeout SECONDS] [--waiting] NAME... [PID]";
        assert_eq!(kill.as_deref(), Some(expected));
    }
}
