//! The names of the hooks, and what the text of one means.

use super::options::watcher;

/// A moment at which a program of the user is asked or told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Whether the watcher may start.
    BeforeStart,
    /// Whether the watcher that has started stays.
    AfterStart,
    /// Whether a process may be spawned.
    BeforeSpawn,
    /// Whether a new process stays.
    AfterSpawn,
    /// The processes are about to be stopped.
    BeforeStop,
    /// The processes have stopped.
    AfterStop,
    /// Whether a signal may be sent.
    BeforeSignal,
    /// A signal was sent.
    AfterSignal,
    /// A process has ended and is about to be reaped.
    BeforeReap,
    /// A process was reaped.
    AfterReap,
    /// What to add to the statistics of a process.
    ExtendedStats,
    /// No hook, but run like one: the option `stop_command`.
    StopCommand,
    /// Likewise: the option `reload_command`.
    ReloadCommand,
    /// Likewise, though it need not be a command: the question of the option `ready`.
    Ready,
    /// Likewise: that of the option `health`.
    Health,
}

/// The names of all hooks, in the order of [`Hook`]; its commands stand behind them.
pub const NAMES: [&str; 11] = [
    "before_start",
    "after_start",
    "before_spawn",
    "after_spawn",
    "before_stop",
    "after_stop",
    "before_signal",
    "after_signal",
    "before_reap",
    "after_reap",
    "extended_stats",
];

impl Hook {
    /// Its name, as it stands behind `hooks.`; that of the option for a command.
    pub fn name(self) -> &'static str {
        match self {
            Hook::StopCommand => watcher::stop_command,
            Hook::ReloadCommand => watcher::reload_command,
            Hook::Ready => watcher::ready,
            Hook::Health => watcher::health,
            hook => NAMES.get(hook as usize).copied().unwrap_or_default(),
        }
    }

    /// Whether it is the command of an option: a command line in any case, whose failure is never ignored.
    pub fn is_command(self) -> bool {
        matches!(self, Hook::StopCommand | Hook::ReloadCommand) || self.is_probe()
    }

    /// Whether it is a question about how a process does its work, asked again and again.
    pub fn is_probe(self) -> bool {
        matches!(self, Hook::Ready | Hook::Health)
    }
}

/// Whether a hook is the name of a Python function, `package.module.function` or `module:function`, and no command
/// line.
pub fn is_python(command: &str) -> bool {
    let is_identifier = |part: &str| {
        let letter = |b: u8| b == b'_' || b.is_ascii_alphanumeric() || !b.is_ascii();
        part.bytes().all(letter) && !part.starts_with(|c: char| c.is_ascii_digit()) && !part.is_empty()
    };
    let (module, function) = command.split_once(':').unwrap_or((command, "_"));
    command.contains(['.', ':']) && is_identifier(function) && module.split('.').all(is_identifier)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_the_order_of_the_hooks() {
        assert_eq!(Hook::BeforeStart.name(), "before_start");
        assert_eq!(Hook::AfterSignal.name(), "after_signal");
        assert_eq!(Hook::ExtendedStats.name(), NAMES[10]);
        assert!(Hook::StopCommand.is_command() && !NAMES.contains(&Hook::StopCommand.name()));
    }

    #[test]
    fn a_dotted_name_is_pythons_and_anything_else_a_command() {
        for name in ["hooks.before", "a.b_1.C", "mod:fn", "a.b:fn", "_x.y", "sch\u{f6}n.x"] {
            assert!(is_python(name), "{name}");
        }
        for command in [
            "",
            "true",
            "/bin/true",
            "./x.sh",
            "x.y z",
            "a..b",
            ".a",
            "a.",
            "a:b:c",
            "a:b.c",
            "1.x",
            "a.2b",
            ":f",
            "m:",
        ] {
            assert!(!is_python(command), "{command}");
        }
    }
}
