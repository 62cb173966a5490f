//! Sinks and the targets that they share: who opens a place, who uses it, and when it goes.

use super::destination::{Destination, Place};
use super::file::Rotation;
use super::format::Lines;
use super::outputs::{Plan, expanded};
use super::{CHUNK, Log, Streams};
use crate::arbiter::WatcherId;
use crate::config::{Channel, WatcherConfig};
use crate::parts::log::Level;
use crate::reactor::part::Writer;
use crate::sys::user;
use std::time::Instant;

/// Whose output a sink takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The watcher.
    pub watcher: WatcherId,
    /// Which of its outputs.
    pub channel: Channel,
    /// Of which process; 0: of all.
    pub wid: u32,
}

/// What one stream of a watcher asks for.
pub(super) struct Sink {
    /// The number of its target.
    pub(super) target: u32,
    /// How many pipes feed it.
    pub(super) pipes: i32,
    /// It goes with its last pipe: it is that of one process, or its watcher has stopped.
    pub(super) passing: bool,
    /// What is put around its lines, and whether lines without an end have to wait for it.
    pub(super) format: Option<Box<Lines>>,
    pub(super) records: bool,
    rotation: Rotation,
}

/// One place, shared by all sinks that name it.
pub(super) struct Target {
    pub(super) destination: Destination,
    sinks: i32,
    /// How many pipes lead here.
    pub(super) pipes: i32,
    /// Who wrote last, and by which of its outputs, if the line has no end then.
    open_line: Option<(i32, Channel)>,
    /// How many bytes are read at once for it.
    pub(super) chunk: u32,
    /// How large its file was when that was looked at.
    pub(super) size: u64,
}

impl Target {
    pub(super) fn new(destination: Destination) -> Self {
        Target { destination, sinks: 0, pipes: 0, open_line: None, chunk: CHUNK as u32, size: 0 }
    }

    /// Writes bytes of one output of a process. `last`: an unfinished line at their end stays unfinished.
    pub(super) fn write(
        &mut self,
        format: Option<&mut Lines>,
        writer: &Writer,
        bytes: &[u8],
        last: bool,
        scratch: &mut Vec<u8>,
        now: Instant,
    ) {
        let Some(final_byte) = bytes.last() else { return };
        // Somebody else may have ended it meanwhile.
        let open = self.destination.open_line.get();
        let own = (writer.pid, writer.channel);
        let within = open && self.open_line == Some(own);
        if open && !within {
            self.destination.write(b"\n", now);
        }
        let within = match format {
            None => {
                self.destination.write(bytes, now);
                *final_byte != b'\n'
            }
            #[cfg(not(feature = "logs"))]
            Some(_) => last && scratch.is_empty(), // there is none
            #[cfg(feature = "logs")]
            Some(lines) => {
                let write = &mut |piece: &[u8]| self.destination.write(piece, now);
                lines.write(writer.pid, bytes, within, last, scratch, write)
            }
        };
        self.open_line = within.then_some(own);
    }
}

impl Streams {
    /// The sink of an output is there: it is opened when it is first needed.
    ///
    /// # Errors
    /// As [`Self::lead`].
    pub(super) fn want(
        &mut self,
        owner: Owner,
        config: &WatcherConfig,
        now: Instant,
        log: &mut Log,
    ) -> Result<(), String> {
        match self.sinks.get_mut(&owner) {
            Some(sink) => sink.passing = owner.wid != 0,
            None => self.lead(owner, config, now, log)?,
        }
        Ok(())
    }

    /// Leads an output to where the options of its watcher want it: to a new sink, or live, so that the pipes of the old
    /// one go on into the new place. On an error nothing changes.
    ///
    /// # Errors
    /// A sentence that says why that cannot be.
    pub(super) fn lead(
        &mut self,
        owner: Owner,
        config: &WatcherConfig,
        now: Instant,
        log: &mut Log,
    ) -> Result<(), String> {
        let Some(stream) = expanded(config, owner.channel, owner.wid) else { return Ok(()) };
        let key = owner.channel.key();
        let named = |why: String| format!("{key}: {why}");
        let plan = Plan::of(&stream).map_err(named)?;
        for warning in &plan.warnings {
            log.warning(format_args!("{} {key}: {warning}", config.name));
        }
        let user = || config.options.uid.as_deref().and_then(|name| user::uid_of(name).ok().flatten());
        let target = match self.find_target(&plan.place) {
            Some(target) => target,
            None => {
                let user = user().unwrap_or_else(user::current_uid);
                self.open_target(&plan.place, user, now, log).map_err(named)?
            }
        };
        let terminal = self.targets.get(target).is_some_and(|target| target.destination.is_terminal());
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let format = Lines::of(&stream, &config.name, owner, &plan.place, terminal && !no_color);
        self.settle(target, log);
        let old = self.sinks.get(&owner);
        let (pipes, passing) = old.map_or((0, owner.wid != 0), |old| (old.pipes, old.passing));
        let old = self.sinks.insert(
            owner,
            Sink { target, pipes, passing, format, records: plan.records, rotation: plan.rotation },
        );
        self.count(target, 1, pipes);
        if let Some(old) = old {
            self.count(old.target, -1, -pipes);
            self.forget_target(old.target, now, log);
        }
        Ok(())
    }

    /// The target of a place that is in use under this name.
    fn find_target(&self, place: &Place) -> Option<u32> {
        self.targets.iter().find(|(_, target)| target.destination.place == *place).map(|(id, _)| id)
    }

    /// Opens a place. A file that is in use under another name is found by what was opened, so that nobody comes to a
    /// file by a link that may not be followed.
    fn open_target(&mut self, place: &Place, user: u32, now: Instant, log: &Log) -> Result<u32, String> {
        let mut destination = Destination::open(place, user, now)?;
        if let Some(id) = destination.file().and_then(|file| file.id())
            && let Some((same, _)) = self.targets.iter().find(|(_, target)| target.destination.is_file(id))
        {
            return Ok(same);
        }
        self.targets.iter().for_each(|(_, target)| destination.watch_lines_of(&target.destination));
        destination.watch_lines_of(&log.destination);
        (self.opened, self.uncounted) = (true, true);
        if let Place::Path(path) = place
            && self.cap > 0
        {
            self.written.insert((**path).into(), user);
        }
        Ok(self.targets.insert(Target::new(destination)))
    }

    /// The log has another place from now on.
    pub fn watch_lines_of(&mut self, log: &Log) {
        for id in self.targets.ids() {
            if let Some(target) = self.targets.get_mut(id) {
                target.destination.watch_lines_of(&log.destination);
            }
        }
    }

    /// Counts sinks and pipes of a target, and lets it rotate as its sinks ask for.
    pub(super) fn count(&mut self, id: u32, sinks: i32, pipes: i32) {
        let Some(target) = self.targets.get_mut(id) else { return };
        target.sinks += sinks;
        target.pipes += pipes;
        if sinks != 0
            && let Some(file) = target.destination.file()
        {
            let wishes = self.sinks.values().filter(|sink| sink.target == id).map(|sink| sink.rotation);
            file.set_rotation(wishes.fold(Rotation::default(), Rotation::with));
            target.chunk = file.chunk(CHUNK) as u32;
        }
    }

    /// The owners of a watcher's sinks.
    pub(super) fn owners(&self, watcher: WatcherId) -> Vec<Owner> {
        self.sinks.keys().filter(|owner| owner.watcher == watcher).copied().collect()
    }

    /// Nobody will attach to a sink any more. It goes with its last pipe, its file with its last sink.
    pub(super) fn release(&mut self, owner: &Owner, now: Instant, log: &mut Log) {
        if let Some(sink) = self.sinks.get_mut(owner) {
            sink.passing = true;
            self.forget_sink(owner, now, log);
        }
    }

    /// Drops a sink that nobody uses any more.
    pub(super) fn forget_sink(&mut self, owner: &Owner, now: Instant, log: &mut Log) {
        if self.sinks.get(owner).is_some_and(|sink| sink.passing && sink.pipes == 0)
            && let Some(sink) = self.sinks.remove(owner)
        {
            self.count(sink.target, -1, 0);
            self.forget_target(sink.target, now, log);
        }
    }

    /// Closes a place that nobody uses any more, unless output waits there for better times. Circus's own outputs
    /// stay: they may have something to say yet.
    pub(super) fn forget_target(&mut self, id: u32, now: Instant, log: &mut Log) {
        let Some(target) = self.targets.get(id) else { return };
        if target.sinks > 0 || matches!(target.destination.place, Place::Stdout | Place::Stderr) {
            return;
        }
        if !target.destination.is_worth_waiting(now) {
            self.drop_target(id, now, log);
        }
    }

    /// Closes a place, with a last try to write what could not be written.
    pub(super) fn drop_target(&mut self, id: u32, now: Instant, log: &mut Log) {
        if let Some(target) = self.targets.get_mut(id) {
            target.destination.flush(now);
        }
        self.settle(id, log);
        let Some(target) = self.targets.remove(id) else { return };
        self.uncounted = true;
        self.size -= target.size;
        let (held, place) = (target.destination.held(), &target.destination.place);
        if held > 0 {
            log.log(Level::Warning, format_args!("the last {held} bytes of output for {place} are lost"));
        }
    }
}
