//! CommandReloader: restarts a watcher when its program has changed, or the script that its interpreter runs.
//!
//! The program is the file that a spawn executes; how it is then is what later looks are compared with. A change counts
//! when the file has stayed as it is from one look to the next, so that one which is still being written is left alone.

use super::builtin::{Builtin, Input};
use super::world::{Stamp, World};
use crate::arbiter::{Level, Published};
use crate::sorted::Sorted;
use std::path::PathBuf;

/// The plugin.
#[derive(Default)]
pub struct CommandReloader {
    /// By the names of the watchers.
    commands: Sorted<String, Command>,
}

/// What the processes of a watcher are made of.
struct Command {
    files: Vec<PathBuf>,
    /// How the files were when the processes started.
    used: Option<Stamp>,
    /// How they were at the last look.
    seen: Option<Stamp>,
}

impl CommandReloader {
    /// All processes of a watcher are made of what is there now, unless there are older ones that have to be compared
    /// with how it was.
    fn note(&mut self, watcher: &str, older: bool, world: &dyn World) {
        if world.config(watcher).is_none_or(|config| config.plugin.is_some()) {
            return;
        }
        let files = world.command(watcher);
        if older && self.commands.get(watcher).is_some_and(|command| command.files == files) {
            return;
        }
        let now = world.stamp(&files);
        self.commands.insert(watcher.into(), Command { files, used: now, seen: now });
    }

    fn look(&mut self, world: &mut dyn World) {
        for (watcher, command) in self.commands.iter_mut() {
            let runs = world.processes(watcher).is_some_and(|pids| !pids.is_empty());
            let now = world.stamp(&command.files);
            let settled = std::mem::replace(&mut command.seen, now) == now;
            // A file that is missing is about to be replaced.
            if runs && settled && now.is_some() && now != command.used {
                command.used = now;
                world.log(Level::Info, format_args!("{watcher}: its program has changed, restarting"));
                world.restart(watcher);
            }
        }
    }
}

impl Builtin for CommandReloader {
    fn handle(&mut self, input: Input<'_>, world: &mut dyn World) {
        match input {
            Input::Begin => world.watchers().iter().for_each(|watcher| self.note(watcher, false, world)),
            Input::Due => self.look(world),
            Input::Event(watcher, Published::Spawn { .. }) => {
                let older = world.processes(watcher).is_some_and(|pids| pids.len() > 1);
                self.note(watcher, older, world);
            }
            Input::Event(watcher, Published::Reload) => self.note(watcher, false, world),
            Input::Event(watcher, Published::Remove) => {
                self.commands.remove(watcher);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::builtin::tests::{Fake, Play, Wish};
    use super::*;
    use crate::config::{WatcherConfig, model};

    fn play() -> Play {
        let mut world = Fake::default();
        world.processes.insert("web".into(), vec![1]);
        world.processes.insert("stopped".into(), vec![]);
        world.configs.insert("web".into(), WatcherConfig::default());
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
        play.spawned("web", 2);
        assert_eq!(play.pass(5.0), []);
        play.world.stamps.insert("/srv/other".into(), 8);
        assert_eq!(restarts(&play.pass(5.0)), 1);
    }

    #[test]
    fn a_spawn_does_not_hide_a_change_from_the_others() {
        let mut play = play();
        play.world.processes.insert("web".into(), vec![1, 2]);
        play.world.stamps.insert("/srv/run".into(), 3);
        play.spawned("web", 2);
        assert_eq!(restarts(&play.pass(5.0)), 1);
    }

    #[test]
    fn processes_that_are_all_new_have_seen_the_change() {
        let mut play = play();
        play.world.stamps.insert("/srv/run".into(), 3);
        play.spawned("web", 1);
        play.world.processes.insert("web".into(), vec![1, 2]);
        assert_eq!(play.pass(5.0), []);
        play.world.stamps.insert("/srv/run".into(), 4);
        play.event("web", Published::Reload);
        assert_eq!(play.pass(5.0), []);
        play.world.processes.insert("web".into(), vec![]);
        play.world.stamps.insert("/srv/run".into(), 5);
        assert_eq!(play.pass(5.0), [], "nothing runs");
        play.event("web", Published::Remove);
        play.world.processes.insert("web".into(), vec![1]);
        assert_eq!(play.pass(5.0), []);
    }
}
