//! What a person sees at the terminal while circus stops: how many processes have ended, and which one is being waited
//! for. It is one line of the terminal that is written over, and only where the log goes there too. And the end itself.

use crate::arbiter::process::{Phase, Process};
use crate::control::overview;
use crate::host::pidfile::PidFile;
use crate::parts::clients::listeners::Listeners;
use crate::parts::notify_socket::Notices;
use crate::parts::sockets::Sockets;
use crate::reactor::eventloop::Daemon;
use crate::sys::keyboard::columns;
use std::time::{Duration, Instant};

/// A stop that takes no longer needs no line.
const FIRST: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_secs(1);

/// The line and when it is next due.
#[derive(Default)]
pub struct ShutdownProgress {
    /// How many processes there were at first, and when the line is due.
    begun: Option<(usize, Instant)>,
}

impl ShutdownProgress {
    /// When the line is due.
    pub fn next(&self) -> Option<Instant> {
        self.begun.map(|(_, next)| next)
    }
}

impl Daemon {
    /// Gives everything back that a next start may want to have, and only then tells those that wait for the end.
    pub(crate) fn end(mut self, pidfile: Option<PidFile>) {
        let waiters = self.core.arbiter.take_end_waiters();
        let mut clients = std::mem::take(&mut self.parts.clients);
        clients.listeners = Listeners::default();
        self.parts.sockets = Sockets::default();
        self.parts.notices = Notices::default();
        drop(pidfile);
        self.core.log.info(format_args!("circus has ended"));
        drop(self);
        clients.tell_of_the_end(waiters);
    }

    /// Shows how far the end has come, if it is time.
    pub(crate) fn show_farewell(&mut self) {
        if !self.core.arbiter.is_ending() || !self.core.log.is_terminal() {
            return;
        }
        let left: Vec<(&str, &Process)> = self
            .core
            .arbiter
            .watchers()
            .flat_map(|w| w.processes().map(|process| (w.config.name.as_str(), process)))
            .collect();
        let (all, next) = *self.shutdown_progress.begun.get_or_insert((left.len(), self.core.now + FIRST));
        if next > self.core.now {
            return;
        }
        let kill_at = |process: &Process| match process.phase() {
            Phase::Asked { kill_at, .. } => Some(kill_at),
            Phase::Running | Phase::Killed { .. } | Phase::Dead { .. } => None,
        };
        let now = self.core.time();
        let line = left.iter().min_by_key(|(_, process)| kill_at(process)).map(|(name, process)| {
            let kill_in = kill_at(process).map(|at| at.since(now));
            let gone = all.saturating_sub(left.len());
            overview::waiting_for(
                columns(),
                (gone, all),
                name,
                (process.pid.into(), process.wid.into()),
                kill_in,
            )
        });
        self.shutdown_progress.begun = Some((all, self.core.now + PAUSE));
        if let Some(line) = line {
            self.core.log.show(&line);
        }
    }
}
