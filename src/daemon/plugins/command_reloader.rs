//! CommandReloader: restarts a watcher when its program has changed, or the script that its interpreter runs.
//!
//! The program is the file that a spawn would execute now. A change counts when the file has stayed as it is from one
//! look to the next, so that one which is still being written is left alone. The state at the first look is the one
//! to compare with.

use super::builtin::{Builtin, Input, Notice, Pace, Stamp, What, Wish, World};
use crate::arbiter::Level;
use crate::arbiter::time::Time;
use crate::config::builtin::Settings;
use crate::sorted::Sorted;
use std::path::PathBuf;

/// The plugin.
pub struct CommandReloader {
    pace: Pace,
    watchers: Sorted<String, Files>,
}

/// The files of a watcher's command.
#[derive(Default)]
struct Files {
    paths: Vec<PathBuf>,
    /// Where they are is to be found out anew.
    stale: bool,
    /// How they were when the processes started.
    used: Vec<Option<Stamp>>,
    /// How they were at the last look.
    seen: Vec<Option<Stamp>>,
}

impl CommandReloader {
    /// The plugin with these options.
    pub fn new(settings: &Settings<'_>) -> CommandReloader {
        CommandReloader { pace: Pace::new(settings), watchers: Sorted::new() }
    }

    fn look(&mut self, world: &dyn World, wishes: &mut Vec<Wish>) {
        let active: Vec<String> =
            world.watchers().into_iter().filter(|(_, active)| *active).map(|(name, _)| name).collect();
        self.watchers.retain(|name, _| active.contains(name));
        for name in active {
            let fresh = || Files { stale: true, ..Files::default() };
            let files = self.watchers.get_or_insert_with(name.clone(), fresh);
            if let Some(path) = files.look(&name, world) {
                let text = format!("{name}: {} has changed, restarting", path.display());
                wishes.push(Wish::Log(Level::Info, text));
                wishes.push(Wish::Restart(name));
            }
        }
    }
}

impl Files {
    /// The file that has changed, if one has.
    fn look(&mut self, name: &str, world: &dyn World) -> Option<&PathBuf> {
        let paths = if std::mem::take(&mut self.stale) { world.command(name) } else { self.paths.clone() };
        let now: Vec<Option<Stamp>> = paths.iter().map(|path| world.stamp(path)).collect();
        if paths != self.paths {
            (self.paths, self.used, self.seen) = (paths, now.clone(), now);
            return None;
        }
        let settled = now == self.seen && now.iter().all(Option::is_some);
        self.seen = now;
        if !settled || self.seen == self.used {
            return None;
        }
        let changed = self.used.iter().zip(&self.seen).position(|(used, seen)| used != seen);
        self.used.clone_from(&self.seen);
        self.paths.get(changed?)
    }
}

impl Builtin for CommandReloader {
    fn handle(&mut self, now: Time, input: Input<'_>, world: &mut dyn World, wishes: &mut Vec<Wish>) {
        match input {
            Input::Begin | Input::Due => {
                self.pace.wind(now);
                self.look(world, wishes);
            }
            Input::Event(Notice { watcher, what: What::Spawned(_), .. }) => {
                self.watchers.get_mut(watcher).into_iter().for_each(|files| files.stale = true)
            }
            _ => {}
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.pace.next()
    }
}

#[cfg(test)]
mod tests {
    use super::super::builtin::tests::{Fake, Play};
    use super::*;
    use crate::config::model;

    fn play() -> Play {
        let mut world = Fake::default();
        world.processes.insert("web".into(), vec![1]);
        world.processes.insert("stopped".into(), vec![]);
        world.commands.insert("web".into(), vec!["/bin/sh".into(), "/srv/run".into()]);
        world.stamps.insert("/bin/sh".into(), [1; 5]);
        world.stamps.insert("/srv/run".into(), [2; 5]);
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
            play.world.stamps.insert("/srv/run".into(), [size; 5]);
            assert_eq!(play.pass(1.0), [], "it is still being written");
        }
        let wishes = play.pass(1.0);
        assert!(
            matches!(&wishes[..], [Wish::Log(_, text), _] if text == "web: /srv/run has changed, restarting")
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
        play.world.stamps.insert("/srv/run".into(), [9; 5]);
        assert_eq!(restarts(&play.pass(5.0)), 1);
    }

    #[test]
    fn another_command_is_another_file() {
        let mut play = play();
        play.world.stamps.insert("/srv/other".into(), [7; 5]);
        play.world.commands.insert("web".into(), vec!["/srv/other".into()]);
        assert_eq!(play.pass(5.0), []);
        play.event("web", "spawn", What::Spawned(2));
        assert_eq!(play.pass(5.0), []);
        play.world.stamps.insert("/srv/other".into(), [8; 5]);
        assert_eq!(restarts(&play.pass(5.0)), 1);
    }

    #[test]
    fn a_spawn_does_not_hide_a_change_from_the_others() {
        let mut play = play();
        play.world.stamps.insert("/srv/run".into(), [3; 5]);
        play.event("web", "spawn", What::Spawned(2));
        assert_eq!(restarts(&play.pass(5.0)), 1);
    }
}
