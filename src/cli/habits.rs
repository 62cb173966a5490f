//! What somebody may have meant by a command that circus does not have: words of other supervisors and of the shell,
//! and slips of the finger.

use crate::config::check::suggest::nearest;
use crate::control::commands::COMMANDS;

/// Words that people type, and the command that does it here.
const HABITS: &[(&str, &str)] = &[
    ("add-program create", "add NAME CMD..."),
    ("attach fg follow journal log logtail maintail output", "tail NAME --follow"),
    ("avail info ls services", "status"),
    ("config show", "options NAME"),
    ("conf configtest test-config validate", "circus check CONFIG"),
    ("condrestart force-restart try-restart", "restart NAME"),
    ("daemon-reload rehash reload-config reread update", "reloadconfig"),
    ("delete remove unload", "rm NAME"),
    ("disable enable", "autostart = False or True in the configuration, then reloadconfig"),
    ("down", "stop NAME"),
    ("explain describe reason", "why NAME"),
    ("events monitor watch", "listen"),
    ("exit halt poweroff shutdown stop-all terminate", "quit"),
    ("force-reload graceful once phased-restart rolling-restart", "reload NAME"),
    ("hup usr1 usr2 term", "signal NAME SIGNAL"),
    ("is-active health healthcheck", "status --check"),
    ("launch run up", "start NAME"),
    ("mem memory cpu usage", "stats"),
    ("pid pids", "list NAME"),
    ("ps", "status, or stats for the processes"),
    ("publish rollout release", "deploy NAME"),
    ("reopen rotate", "logs rotate, or logs reopen"),
    ("scale", "set NAME numprocesses NUMBER, or incr and decr"),
    ("sockets", "listsockets"),
    ("top htop", "circus top"),
    ("revert undo", "rollback NAME"),
];

/// A phrase that says what a word may have meant as a command of `circus ctl`.
pub fn meant(word: &str) -> Option<String> {
    let habit =
        HABITS.iter().find(|(words, _)| words.split(' ').any(|known| known.eq_ignore_ascii_case(word)));
    let names = || COMMANDS.iter().map(|command| command.name);
    let mut longer = names().filter(|name| name.len() < 2 * word.len() && name.starts_with(word));
    let near = || longer.next().or_else(|| nearest(word, &mut names()));
    habit.map(|(_, command)| *command).or_else(near).map(|command| format!("did you mean {command}?"))
}

/// The command that somebody gave to circus itself, be it one of `circus ctl`, where there is no file of this name.
pub fn misplaced(word: &str) -> Option<String> {
    if let Some(near) = nearest(word, &mut super::COMMANDS.into_iter()) {
        return Some(format!("did you mean circus {near}?"));
    }
    if COMMANDS.iter().any(|command| command.name == word) {
        return Some(format!("did you mean circus ctl {word}?"));
    }
    let (_, command) = HABITS.iter().find(|(words, _)| words.split(' ').any(|known| known == word))?;
    let ctl = if command.starts_with("circus") { "" } else { "circus ctl " };
    Some(format!("did you mean {ctl}{command}?"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::commands::find;

    #[test]
    fn habits_and_slips_get_the_likely_command() {
        for (word, command) in [
            ("ps", "status, or stats for the processes"),
            ("SHUTDOWN", "quit"),
            ("daemon-reload", "reloadconfig"),
            ("statu", "status"),
            ("strat", "start"),
            ("reloadconf", "reloadconfig"),
        ] {
            assert_eq!(meant(word), Some(format!("did you mean {command}?")), "{word}");
        }
        assert_eq!(meant("frobnicate"), None);
        assert_eq!(misplaced("status").as_deref(), Some("did you mean circus ctl status?"));
        assert_eq!(
            misplaced("ps").as_deref(),
            Some("did you mean circus ctl status, or stats for the processes?")
        );
        assert_eq!(misplaced("statu"), None);
        assert_eq!(misplaced("chek").as_deref(), Some("did you mean circus check?"));
    }

    #[test]
    fn no_habit_is_a_command_or_stands_twice() {
        let words: Vec<&str> = HABITS.iter().flat_map(|(words, _)| words.split(' ')).collect();
        for (place, word) in words.iter().enumerate() {
            assert!(find(word).is_none(), "{word} is a command");
            assert!(!words[..place].contains(word), "{word} stands twice");
        }
    }
}
