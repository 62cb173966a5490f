//! CommandReloader: restarts a watcher when its program has changed, or the script that its interpreter runs.
//!
//! The program is the file that a spawn would execute now. A change counts when the file has stayed as it is from one
//! look to the next, so that one which is still being written is left alone. The state at the first look is the one
//! to compare with.

use super::builtin::{Builtin, Input, Notice, Pace, Stamp, What, Wishes, World};
use crate::arbiter::Level;
use crate::arbiter::time::Time;
use crate::config::builtin::Settings;
use std::path::PathBuf;

/// The plugin.
pub struct CommandReloader {
    pace: Pace,
    /// Sorted by name.
    commands: Vec<Command>,
}

/// What the processes of a watcher are made of.
#[derive(Default)]
struct Command {
    watcher: String,
    files: Vec<PathBuf>,
    /// Where the files are is to be found out anew.
    stale: bool,
    /// How the files were when the processes started.
    used: Option<Stamp>,
    /// How they were at the last look.
    seen: Option<Stamp>,
}

impl CommandReloader {
    /// The plugin with these options.
    pub fn new(settings: &Settings<'_>) -> CommandReloader {
        CommandReloader { pace: Pace::new(settings), commands: Vec::new() }
    }

    fn look(&mut self, world: &dyn World, wishes: &mut Wishes) {
        for watcher in world.watchers() {
            let at = self.place(&watcher);
            if world.processes(&watcher).is_none_or(|pids| pids.is_empty()) {
                self.forget(&watcher);
                continue;
            }
            if self.commands.get(at).is_none_or(|command| command.watcher != watcher) {
                self.commands.insert(at, Command { watcher, stale: true, ..Command::default() });
            }
            let Some(command) = self.commands.get_mut(at) else { continue };
            if command.has_changed(world) {
                let watcher = &command.watcher;
                wishes.log(Level::Info, format_args!("{watcher}: its program has changed, restarting"));
                wishes.restart(watcher);
            }
        }
    }

    /// Where the command of a watcher is, or would be.
    #[inline(never)]
    fn place(&self, watcher: &str) -> usize {
        self.commands.partition_point(|command| command.watcher.as_str() < watcher)
    }

    #[inline(never)]
    fn forget(&mut self, watcher: &str) {
        self.commands.retain(|command| command.watcher != watcher);
    }
}

impl Command {
    fn has_changed(&mut self, world: &dyn World) -> bool {
        let files = if std::mem::take(&mut self.stale) { world.command(&self.watcher) } else { Vec::new() };
        let moved = !files.is_empty() && files != self.files;
        if moved {
            self.files = files;
        }
        let now = world.stamp(&self.files);
        let settled = now == self.seen;
        self.seen = now;
        if moved {
            self.used = now;
        }
        // A file that is missing is about to be replaced.
        let changed = settled && now.is_some() && now != self.used;
        if changed {
            self.used = now;
        }
        changed
    }
}

impl Builtin for CommandReloader {
    fn handle(&mut self, now: Time, input: Input<'_>, world: &mut dyn World, wishes: &mut Wishes) {
        match input {
            Input::Begin | Input::Due => {
                self.pace.wind(now);
                self.look(world, wishes);
            }
            Input::Event(Notice { watcher, what: What::Spawned(_), .. }) => {
                let at = self.place(watcher);
                let command = self.commands.get_mut(at).filter(|command| command.watcher == watcher);
                command.into_iter().for_each(|command| command.stale = true)
            }
            Input::Event(Notice { watcher, what: What::Removed, .. }) => self.forget(watcher),
            _ => {}
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.pace.next()
    }
}

#[cfg(test)]
mod tests {
    use super::super::builtin::Wish;
    use super::super::builtin::tests::{Fake, Play};
    use super::*;
    use crate::config::model;

    fn play() -> Play {
        let mut world = Fake::default();
        world.processes.insert("web".into(), vec![1]);
        world.processes.insert("stopped".into(), vec![]);
        world.commands.insert("web".into(), vec!["/bin/sh".into(), "/srv/run".into()]);
        world.stamps.insert("/bin/sh".into(), 100);
        world.stamps.insert("/srv/run".into(), 2);
        Play::begin(model::Builtin::CommandReloader, &[], world).0
    }

    fn restarts(wishes: &[Wish]) -> usize {
        wishes.iter().filter(|wish| **wish == Wish::Restart("web".into())).count()
    }

    #[test]
    fn a_change_restarts_once_when_it_is_over() {
        let mut play = play();
        assert_eq!(play.pass(5.0), [], "the first look never does");
        for size in 3..6 {
            play.world.stamps.insert("/srv/run".into(), size);
            assert_eq!(play.pass(1.0), [], "it is still being written");
        }
        let wishes = play.pass(1.0);
        assert!(
            matches!(&wishes[..], [Wish::Log(_, text), _] if text == "web: its program has changed, restarting")
        );
        assert_eq!((restarts(&wishes), play.pass(5.0)), (1, vec![]));
    }

    #[test]
    fn a_file_that_is_missing_for_a_while_is_no_change() {
        let mut play = play();
        let before = play.world.stamps.remove("/srv/run".as_ref() as &std::path::Path);
        assert_eq!(play.pass(5.0), []);
        play.world.stamps.insert("/srv/run".into(), before.unwrap());
        assert_eq!(play.pass(5.0), []);
        play.world.stamps.insert("/srv/run".into(), 9);
        assert_eq!(restarts(&play.pass(5.0)), 1);
    }

    #[test]
    fn another_command_is_another_file() {
        let mut play = play();
        play.world.stamps.insert("/srv/other".into(), 7);
        play.world.commands.insert("web".into(), vec!["/srv/other".into()]);
        assert_eq!(play.pass(5.0), []);
        play.event("web", "spawn", What::Spawned(2));
        assert_eq!(play.pass(5.0), []);
        play.world.stamps.insert("/srv/other".into(), 8);
        assert_eq!(restarts(&play.pass(5.0)), 1);
    }

    #[test]
    fn a_spawn_does_not_hide_a_change_from_the_others() {
        let mut play = play();
        play.world.stamps.insert("/srv/run".into(), 3);
        play.event("web", "spawn", What::Spawned(2));
        assert_eq!(restarts(&play.pass(5.0)), 1);
    }
}
