//! What a person sees at the terminal while circus stops: how many processes have ended, and which one is being waited
//! for. It is one line of the terminal that is written over, and only where the log goes there too.

use crate::control::overview;
use crate::control::plain::cut;
use crate::reactor::part::{Cx, Part};
use crate::sys::terminal::columns;
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

impl Part for ShutdownProgress {
    fn deadline(&mut self) -> Option<Instant> {
        self.begun.map(|(_, next)| next)
    }

    fn halt(&mut self, cx: &mut Cx<'_>) {
        if self.begun.is_some() {
            cx.log.show("");
        }
    }

    /// Shows how far the end has come, if it is time.
    fn end_turn(&mut self, cx: &mut Cx<'_>) {
        if !cx.arbiter.is_ending() || !cx.log.is_terminal() {
            return;
        }
        let mut left = Vec::new();
        for watcher in cx.arbiter.watchers() {
            left.extend(watcher.processes().map(|process| (watcher.config.name.as_str(), process)));
        }
        let (all, next) = *self.begun.get_or_insert((left.len(), cx.now + FIRST));
        if next > cx.now {
            return;
        }
        self.begun = Some((all, cx.now + PAUSE));
        if let Some((name, process)) = left.iter().min_by_key(|(_, process)| process.kill_at()) {
            let kill_in = process.kill_at().map(|at| at.since(cx.time()));
            let gone = all.saturating_sub(left.len());
            let ids = (process.pid.into(), process.wid.into());
            let line = overview::waiting_for(columns(), (gone, all), name, ids, kill_in);
            cx.log.show(cut(&line, columns()));
        }
    }
}
