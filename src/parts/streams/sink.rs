//! Sinks and the targets that they share: who opens a place, who uses it, and when it goes.

use super::destination::Destination;
use super::file::Rotation;
use super::format::{Format, Room};
use super::{CHUNK, Log, Place, Plan, SinkId, StreamConfig, Streams};
use crate::arbiter::WatcherId;
use crate::config::Channel;
use crate::parts::log::Level;
use crate::reactor::part::Writer;
use std::io;
use std::os::fd::AsFd;
use std::time::Instant;

/// How many bytes of lines that get something around them are written at once.
const PIECE: usize = 64 * 1024;

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

/// Who asks for a sink.
pub struct Source<'a> {
    /// The name of the watcher.
    pub watcher: &'a str,
    /// The user of its processes.
    pub user: u32,
    /// Whose output it is.
    pub owner: Owner,
}

/// What one stream of a watcher asks for.
pub(super) struct Sink {
    pub(super) owner: Owner,
    /// The number of its target.
    pub(super) target: u32,
    /// How many pipes feed it.
    pub(super) pipes: i32,
    /// It goes with its last pipe: it is that of one process, or its watcher has stopped.
    pub(super) passing: bool,
    pub(super) format: Format,
    rotation: Rotation,
}

impl Sink {
    /// Whether lines without an end have to wait for it.
    pub(super) fn needs_whole_lines(&self) -> bool {
        matches!(&self.format, Format::Lines(lines) if lines.needs_whole_lines())
    }
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
    fn new(destination: Destination) -> Self {
        Target { destination, sinks: 0, pipes: 0, open_line: None, chunk: CHUNK as u32, size: 0 }
    }

    /// Writes bytes of one output of a process. `last`: an unfinished line at their end stays unfinished.
    pub(super) fn write(
        &mut self,
        format: &mut Format,
        writer: &Writer,
        bytes: &[u8],
        last: bool,
        scratch: &mut Vec<u8>,
        now: Instant,
    ) {
        let Some(final_byte) = bytes.last() else { return };
        // Somebody else may have ended it meanwhile.
        let open = self.destination.ends_within_line();
        let own = (writer.pid, writer.channel);
        let within = open && self.open_line == Some(own);
        if open && !within {
            self.destination.write(b"\n", now);
        }
        let within = match format {
            Format::Plain => {
                self.destination.write(bytes, now);
                *final_byte != b'\n'
            }
            Format::Lines(lines) => {
                let write = &mut |piece: &[u8]| self.destination.write(piece, now);
                let mut room = Room { bytes: scratch, piece: PIECE, write };
                let within = lines.lines(writer.pid, bytes, within, last, &mut room);
                room.flush();
                within
            }
        };
        self.open_line = within.then_some(own);
    }
}

impl Streams {
    /// A sink that is in no table yet, with its target, which is.
    pub(super) fn open_sink(
        &mut self,
        source: &Source<'_>,
        config: &StreamConfig,
        now: Instant,
        log: &mut Log,
    ) -> Result<Sink, String> {
        let plan = Plan::of(config)?;
        for warning in &plan.warnings {
            let channel = source.owner.channel.name();
            log.warning(format_args!("{} {channel}_stream: {warning}", source.watcher));
        }
        let target = match self.find_target(&plan.place) {
            Some(target) => target,
            None => self.open_target(&plan.place, source.user, now, log)?,
        };
        let terminal = self.targets.get(target).is_some_and(|target| target.destination.is_terminal());
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let format = Format::of(config, source, &plan.place, plan.color, terminal && !no_color);
        self.settle(target, log);
        let owner = source.owner;
        Ok(Sink { owner, target, pipes: 0, passing: owner.wid != 0, format, rotation: plan.rotation })
    }

    /// The target of a place that is in use under this name.
    fn find_target(&self, place: &Place) -> Option<u32> {
        self.targets.iter().find(|(_, target)| target.destination.place() == place).map(|(id, _)| id)
    }

    /// Opens a place. A file that is in use under another name is found by what was opened, so that nobody comes to a
    /// file by a link that may not be followed.
    fn open_target(&mut self, place: &Place, user: u32, now: Instant, log: &Log) -> Result<u32, String> {
        let mut destination = match place {
            Place::Path(path) => Destination::open(path, user, now)?,
            Place::Syslog(address) => Destination::syslog(address),
            Place::Stdout | Place::Stderr => self
                .open_console(place)
                .map_err(|error| format!("cannot use {place}: {}", crate::sys::io_words(&error)))?,
        };
        if let Some(id) = destination.file().and_then(|file| file.id())
            && let Some((same, _)) = self.targets.iter().find(|(_, target)| target.destination.is_file(id))
        {
            return Ok(same);
        }
        self.targets.iter().for_each(|(_, target)| destination.watch_lines_of(&target.destination));
        destination.watch_lines_of(log.destination());
        if let Place::Path(path) = place {
            self.quota.add(path, user);
        }
        Ok(self.targets.insert(Target::new(destination)))
    }

    /// The log has another place from now on.
    pub fn watch_lines_of(&mut self, log: &Log) {
        for id in self.targets.ids() {
            if let Some(target) = self.targets.get_mut(id) {
                target.destination.watch_lines_of(log.destination());
            }
        }
    }

    fn open_console(&self, place: &Place) -> io::Result<Destination> {
        let place = place.clone();
        match (&place, &self.stdout) {
            (Place::Stderr, _) => Destination::console(place, io::stderr().as_fd()),
            (_, Some(other)) => Destination::console(place, other.as_fd()),
            (_, None) => Destination::console(place, io::stdout().as_fd()),
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
            let wishes =
                self.sinks.iter().filter(|(_, sink)| sink.target == id).map(|(_, sink)| sink.rotation);
            file.set_rotation(wishes.fold(Rotation::default(), Rotation::with));
            target.chunk = file.chunk(CHUNK) as u32;
        }
    }

    /// The sink of an owner.
    pub fn sink_of(&self, owner: &Owner) -> Option<SinkId> {
        self.owners.get(owner).copied()
    }

    /// The sinks of a watcher.
    pub fn sinks_of(&self, watcher: WatcherId) -> Vec<(Owner, SinkId)> {
        self.owners.iter().filter(|(owner, _)| owner.watcher == watcher).map(|(o, id)| (*o, *id)).collect()
    }

    /// Nobody will attach to a sink any more. It goes with its last pipe, its file with its last sink.
    pub fn release(&mut self, id: SinkId, now: Instant, log: &mut Log) {
        if let Some(sink) = self.sinks.get_mut(id.0) {
            sink.passing = true;
            let owner = sink.owner;
            self.disown(&owner, id);
            self.forget_sink(id, now, log);
        }
    }

    fn disown(&mut self, owner: &Owner, id: SinkId) {
        if self.owners.get(owner) == Some(&id) {
            self.owners.remove(owner);
        }
    }

    /// Drops a sink that nobody uses any more.
    pub(super) fn forget_sink(&mut self, id: SinkId, now: Instant, log: &mut Log) {
        if self.sinks.get(id.0).is_some_and(|sink| sink.passing && sink.pipes == 0)
            && let Some(sink) = self.sinks.remove(id.0)
        {
            self.disown(&sink.owner, id);
            self.count(sink.target, -1, 0);
            self.forget_target(sink.target, now, log);
        }
    }

    /// Closes a place that nobody uses any more, unless output waits there for better times. Circus's own outputs
    /// stay: they may have something to say yet.
    pub(super) fn forget_target(&mut self, id: u32, now: Instant, log: &mut Log) {
        let Some(target) = self.targets.get(id) else { return };
        if target.sinks > 0 || matches!(target.destination.place(), Place::Stdout | Place::Stderr) {
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
        self.quota.look_again();
        self.size -= target.size;
        let (held, place) = (target.destination.held(), target.destination.place());
        if held > 0 {
            log.log(Level::Warning, format_args!("the last {held} bytes of output for {place} are lost"));
        }
    }
}
