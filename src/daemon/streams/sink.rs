//! Sinks and the targets that they share: who opens a place, who uses it, and when it goes.

use super::file::Rotation;
use super::format::{Format, Room};
use super::outlet::Outlet;
use super::{CHUNK, Log, Place, Plan, SinkId, StreamConfig, Streams};
use crate::daemon::log::Level;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

/// What one stream of a watcher asks for.
pub(super) struct Sink {
    /// The number of its target.
    pub(super) target: u32,
    /// How many pipes feed it.
    pub(super) pipes: i32,
    /// Nobody will attach to it any more.
    pub(super) released: bool,
    pub(super) format: Format,
    rotation: Rotation,
}

impl Sink {
    /// Whether lines without an end have to wait for it.
    pub(super) fn needs_whole_lines(&self) -> bool {
        matches!(&self.format, Format::Stamped(stamp) if stamp.needs_whole_lines())
    }
}

/// One place, shared by all sinks that name it.
pub(super) struct Target {
    pub(super) outlet: Outlet,
    sinks: i32,
    /// How many pipes lead here.
    pub(super) pipes: i32,
    /// Whose line has no end yet; 0: that of somebody before us.
    open_line: Option<i32>,
    /// The event loop has been told to watch it for room.
    pub(super) stalled: bool,
    /// How many bytes are read at once for it.
    pub(super) chunk: usize,
}

impl Target {
    fn new(outlet: Outlet) -> Self {
        let open_line = outlet.ends_within_line().then_some(0);
        Target { outlet, sinks: 0, pipes: 0, open_line, stalled: false, chunk: CHUNK }
    }

    /// Writes bytes of a process. `last`: an unfinished line at their end stays unfinished.
    pub(super) fn write(
        &mut self,
        format: &mut Format,
        pid: i32,
        bytes: &[u8],
        last: bool,
        scratch: &mut Vec<u8>,
        now: Instant,
    ) {
        let Some(final_byte) = bytes.last() else { return };
        let within = self.open_line == Some(pid);
        if self.open_line.is_some() && !within {
            self.outlet.write(b"\n", now);
        }
        let within = match format {
            Format::Plain => {
                self.outlet.write(bytes, now);
                *final_byte != b'\n'
            }
            Format::Stamped(stamp) => {
                let write = &mut |piece: &[u8]| self.outlet.write(piece, now);
                let mut room = Room { bytes: scratch, piece: CHUNK, write };
                let within = stamp.lines(pid, bytes, within, last, &mut room);
                room.flush();
                within
            }
        };
        self.open_line = within.then_some(pid);
    }
}

impl Streams {
    /// A sink that is in no table yet, with its target, which is.
    pub(super) fn open_sink(
        &mut self,
        who: &str,
        config: &StreamConfig,
        now: Instant,
        log: &mut Log,
    ) -> Result<Sink, String> {
        let plan = Plan::of(config)?;
        for warning in &plan.warnings {
            log.warning(format_args!("{who}: {warning}"));
        }
        let target = match self.find_target(&plan.place) {
            Some(target) => target,
            None => self.open_target(&plan.place, now)?,
        };
        let terminal = self.targets.get(target).is_some_and(|target| target.outlet.is_terminal());
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let format = plan.format(terminal, no_color);
        self.settle(target, log);
        Ok(Sink { target, pipes: 0, released: false, format, rotation: plan.rotation })
    }

    /// The target of a place that is in use, under this name or another one.
    fn find_target(&self, place: &Place) -> Option<u32> {
        let by_name = self.targets.iter().find(|(_, target)| target.outlet.place() == place);
        let same = by_name.or_else(|| {
            let Place::Path(path) = place else { return None };
            let found = std::fs::metadata(path).ok()?;
            self.targets.iter().find(|(_, target)| target.outlet.is_file((found.dev(), found.ino())))
        });
        same.map(|(id, _)| id)
    }

    fn open_target(&mut self, place: &Place, now: Instant) -> Result<u32, String> {
        let outlet = match place {
            Place::Path(path) => Outlet::open(path, now)?,
            Place::Stdout | Place::Stderr => self
                .open_console(place)
                .map_err(|error| format!("cannot use {place}: {}", crate::sys::io_words(&error)))?,
        };
        self.reshuffled = true;
        Ok(self.targets.insert(Target::new(outlet)))
    }

    fn open_console(&self, place: &Place) -> io::Result<Outlet> {
        let place = place.clone();
        match (&place, &self.stdout) {
            (Place::Stderr, _) => Outlet::console(place, io::stderr().as_fd()),
            (_, Some(other)) => Outlet::console(place, other.as_fd()),
            (_, None) => Outlet::console(place, io::stdout().as_fd()),
        }
    }

    /// Counts sinks and pipes of a target, and lets it rotate as its sinks ask for.
    pub(super) fn count(&mut self, id: u32, sinks: i32, pipes: i32) {
        let Some(target) = self.targets.get_mut(id) else { return };
        target.sinks += sinks;
        target.pipes += pipes;
        if sinks != 0
            && let Some(file) = target.outlet.file()
        {
            let wishes =
                self.sinks.iter().filter(|(_, sink)| sink.target == id).map(|(_, sink)| sink.rotation);
            file.set_rotation(wishes.fold(Rotation::default(), Rotation::with));
            target.chunk = file.chunk(CHUNK);
        }
    }

    /// Drops a sink that nobody uses any more.
    pub(super) fn forget_sink(&mut self, id: SinkId, now: Instant, log: &mut Log) {
        if self.sinks.get(id.0).is_some_and(|sink| sink.released && sink.pipes == 0)
            && let Some(sink) = self.sinks.remove(id.0)
        {
            self.count(sink.target, -1, 0);
            self.forget_target(sink.target, now, log);
        }
    }

    /// Closes a place that nobody uses any more. Circus's own outputs stay: they may have something to say yet.
    pub(super) fn forget_target(&mut self, id: u32, now: Instant, log: &mut Log) {
        let unused =
            |target: &super::Target| target.sinks == 0 && matches!(target.outlet.place(), Place::Path(_));
        if self.targets.get(id).is_some_and(unused) {
            self.drop_target(id, now, log);
        }
    }

    /// Closes a place, with a last try to write what could not be written.
    pub(super) fn drop_target(&mut self, id: u32, now: Instant, log: &mut Log) {
        if let Some(target) = self.targets.get_mut(id) {
            target.outlet.flush(now);
        }
        self.settle(id, log);
        let Some(target) = self.targets.remove(id) else { return };
        self.reshuffled = true;
        let (held, place) = (target.outlet.held(), target.outlet.place());
        if held > 0 {
            log.log(Level::Warning, format_args!("the last {held} bytes of output for {place} are lost"));
        }
    }
}
