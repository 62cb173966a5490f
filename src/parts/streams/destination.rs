//! A place that output is written to, and what happens when it cannot be written: the newest output is kept, one
//! message a cause says so, and writing resumes by itself. Nothing here waits, and nothing is retried in a spin.

use super::backlog::{Backlog, Lost};
use super::console::Console;
use super::file::FileStream;
use super::syslog::{Address, Syslog};
use crate::parts::log::Level;
use crate::sys::io_words;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How much output is kept for a file that cannot be written, in bytes.
pub const FILE_BACKLOG: usize = 64 * 1024;
/// How much output is kept for a pipe, socket or terminal whose reader is slow, in bytes.
pub const CONSOLE_BACKLOG: usize = 256 * 1024;
/// The least time between two attempts to write, however much output comes.
const DATA_PAUSE: Duration = Duration::from_millis(100);
/// The first pause after which writing is tried without new output; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// How long output waits to be written when nobody writes to its place any more.
const ABANDONED: Duration = Duration::from_secs(300);

/// Where a destination writes to.
#[derive(Clone, Debug)]
pub enum Place {
    /// The standard output of circus.
    Stdout,
    /// The standard error output of circus.
    Stderr,
    /// A path: a file, a FIFO or a device.
    Path(Rc<Path>),
    /// A syslog daemon.
    Syslog(Box<Address>),
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            // By bytes: a thousand watchers compare a thousand names each, and Path compares part by part.
            (Place::Path(one), Place::Path(two)) => one.as_os_str() == two.as_os_str(),
            (Place::Syslog(one), Place::Syslog(two)) => one == two,
            (Place::Stdout, Place::Stdout) | (Place::Stderr, Place::Stderr) => true,
            _ => false,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Stdout => f.write_str("the standard output of circus"),
            Place::Stderr => f.write_str("the standard error output of circus"),
            Place::Path(path) => path.display().fmt(f),
            Place::Syslog(address) => address.fmt(f),
        }
    }
}

/// Something to be said in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// How bad it is.
    pub level: Level,
    /// A sentence without an end.
    pub text: String,
}

/// What is behind a destination.
#[allow(clippy::large_enum_variant)] // Nearly all destinations are files.
enum Medium {
    File(FileStream),
    Console(Console),
    Syslog(Syslog),
}

impl Medium {
    /// Writes some bytes, at least one; never waits for a reader.
    fn write(&mut self, bytes: &[u8], now: Instant) -> io::Result<usize> {
        let written = match self {
            Medium::File(file) => file.write(bytes, now),
            Medium::Console(console) => console.write(bytes),
            Medium::Syslog(syslog) => syslog.write(bytes),
        };
        if written.as_ref().is_ok_and(|n| *n == 0) { Err(io::ErrorKind::WriteZero.into()) } else { written }
    }

    /// How much output is kept while it cannot be written, in bytes.
    fn backlog(&self) -> usize {
        match self {
            Medium::File(_) => FILE_BACKLOG,
            Medium::Console(_) | Medium::Syslog(_) => CONSOLE_BACKLOG,
        }
    }
}

/// Output that waits because it cannot be written.
struct Held {
    backlog: Backlog,
    /// Why, in words; `None`: the reader is slow, and the event loop says when there is room again.
    cause: Option<String>,
    /// Whether it is worth trying again without new output.
    hopeful: bool,
    since: Instant,
    tried: Instant,
    pause: Duration,
}

/// A place that output is written to.
pub struct Destination {
    place: Place,
    medium: Medium,
    held: Option<Box<Held>>,
    notices: Vec<Notice>,
    /// The last byte written did not end a line.
    torn: bool,
    /// The same of what was given to be written, by any destination of the same output.
    open_line: Rc<Cell<bool>>,
    /// The event loop has been told to watch the descriptor for room.
    watched: bool,
}

impl Destination {
    /// The standard output or error output of circus, given as `fd`, which is left as it is.
    ///
    /// # Errors
    /// The descriptor cannot be duplicated.
    pub fn console(place: Place, fd: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self::around(place, Console::on(fd)?))
    }

    /// A console that is open.
    pub fn around(place: Place, console: Console) -> Self {
        Self::new(place, Medium::Console(console))
    }

    /// The file, FIFO or device at `path`, which may belong to `user`. A file is created when there is none. On a full
    /// disk the destination begins as one that cannot be written.
    ///
    /// # Errors
    /// A sentence that says why it cannot be opened and what to do.
    pub fn open(path: &Path, user: u32, now: Instant) -> Result<Self, String> {
        let path: Rc<Path> = path.into();
        let place = Place::Path(path.clone());
        match FileStream::open(&path, user) {
            Ok(Some(file)) => Ok(Self::new(place, Medium::File(file))),
            Ok(None) => match Console::open(&path, user) {
                Ok(console) => Ok(Self::around(place, console)),
                Err(error) => Err(super::file::refusal(&path, &error)),
            },
            Err(error) if super::file::is_full(&error) => {
                let mut destination = Self::new(place, Medium::File(FileStream::missing(&path, user)));
                destination.hold(&[], &error, now);
                Ok(destination)
            }
            Err(error) => Err(super::file::refusal(&path, &error)),
        }
    }

    /// A syslog daemon, which need not be there yet.
    pub fn syslog(address: &Address) -> Self {
        Self::new(Place::Syslog(address.clone().into()), Medium::Syslog(Syslog::new(address.clone())))
    }

    fn new(place: Place, medium: Medium) -> Self {
        let torn = matches!(&medium, Medium::File(file) if file.ends_within_line());
        let open_line = Rc::new(Cell::new(torn));
        Destination { place, medium, held: None, notices: Vec::new(), torn, open_line, watched: false }
    }

    /// Where it writes to.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Whether nothing that is written there can be seen again.
    pub fn discards(&self) -> bool {
        matches!(&self.place, Place::Path(path) if path.as_os_str() == "/dev/null")
    }

    /// The file, when it is one that can be rotated.
    pub fn file(&mut self) -> Option<&mut FileStream> {
        match &mut self.medium {
            Medium::File(file) => Some(file),
            Medium::Console(_) | Medium::Syslog(_) => None,
        }
    }

    /// Whether this is the file with this device and inode.
    pub fn is_file(&self, id: (u64, u64)) -> bool {
        matches!(&self.medium, Medium::File(file) if file.id() == Some(id))
    }

    /// Whether it is a terminal.
    pub fn is_terminal(&self) -> bool {
        matches!(&self.medium, Medium::Console(console) if console.is_terminal())
    }

    /// Whether the last byte that was written or is held did not end a line. Of a file, from when it was opened.
    pub fn ends_within_line(&self) -> bool {
        self.open_line.get()
    }

    /// What had been begun was taken away again.
    pub fn begin_line(&self) {
        self.open_line.set(false);
    }

    /// Knows from now on what the other one writes, if both are the same output, as standard output and error output
    /// mostly are.
    pub fn watch_lines_of(&mut self, other: &Destination) {
        if self.id().is_some_and(|id| other.id() == Some(id)) {
            self.open_line = other.open_line.clone();
        }
    }

    fn id(&self) -> Option<(u64, u64)> {
        match &self.medium {
            Medium::File(file) => file.id(),
            Medium::Console(console) => Some(console.id()),
            Medium::Syslog(_) => None,
        }
    }

    /// Writes `bytes`, or keeps the newest of them.
    pub fn write(&mut self, bytes: &[u8], now: Instant) {
        let Some(last) = bytes.last() else { return };
        self.open_line.set(*last != b'\n');
        if let Some(held) = &mut self.held {
            let first_loss = held.backlog.push(bytes) && held.cause.is_none();
            let due = held.cause.is_some() && now.saturating_duration_since(held.tried) >= DATA_PAUSE;
            if first_loss {
                let text =
                    format!("{} is read too slowly: the oldest lines that wait are dropped", self.place);
                self.notices.push(Notice { level: Level::Warning, text });
            }
            if due {
                self.flush(now);
            }
        } else if let Err((rest, error)) = self.put(bytes, now) {
            self.hold(rest, &error, now);
        }
    }

    /// Writes until all is written, or answers what is left and why.
    fn put<'a>(&mut self, mut bytes: &'a [u8], now: Instant) -> Result<(), (&'a [u8], io::Error)> {
        while !bytes.is_empty() {
            match self.medium.write(bytes, now) {
                Ok(n) => {
                    self.torn = bytes.get(n - 1) != Some(&b'\n');
                    bytes = bytes.get(n..).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((bytes, error)),
            }
        }
        Ok(())
    }

    /// Whether its file was rotated since the last call.
    pub fn take_rotated(&mut self) -> bool {
        self.file().is_some_and(FileStream::take_rotated)
    }

    /// Begins to keep output.
    pub(super) fn hold(&mut self, bytes: &[u8], error: &io::Error, now: Instant) {
        let mut backlog = Backlog::new(self.medium.backlog(), self.torn);
        backlog.push(bytes);
        let (since, tried, pause) = (now, now, FIRST_PAUSE);
        let mut held = Held { backlog, cause: None, hopeful: true, since, tried, pause };
        self.judge(&mut held, error);
        self.held = Some(Box::new(held));
    }

    /// Takes note of why writing failed; a cause that is new is said.
    fn judge(&mut self, held: &mut Held, error: &io::Error) {
        // A file has no reader: somebody has a lease on it (fcntl(2)), and it is tried again as after any error.
        if error.kind() == io::ErrorKind::WouldBlock && self.file().is_none() {
            held.cause = None;
            return;
        }
        let broken = error.kind() == io::ErrorKind::BrokenPipe;
        let words = if broken { "nobody reads it".into() } else { io_words(error) };
        // A reader may open a FIFO at any time. One who has left circus's own standard output does not come back.
        let ours = matches!(self.place, Place::Stdout | Place::Stderr);
        held.hopeful = !ours || super::file::is_full(error);
        if held.cause.as_ref() != Some(&words) {
            let kept = self.medium.backlog() / 1024;
            let text = format!(
                "cannot write {}: {words}; the newest {kept} KiB of output are kept until it works again",
                self.place
            );
            self.notices.push(Notice { level: Level::Error, text });
        }
        held.cause = Some(words);
    }

    /// Tries to write what is held: when the descriptor of [`Self::wants_write`] is writable, or at
    /// [`Self::next_retry`].
    pub fn flush(&mut self, now: Instant) {
        let Some(mut held) = self.held.take() else { return };
        match self.put_held(&mut held, now) {
            Ok(()) => self.resumed(&held, now),
            Err(error) => {
                if now.saturating_duration_since(held.tried) >= held.pause {
                    held.pause = (held.pause * 2).min(LONGEST_PAUSE);
                }
                held.tried = now;
                self.judge(&mut held, &error);
                self.held = Some(held);
            }
        }
        // It is not watched any more, and must be when output waits again, be it in the same turn.
        self.watched &= self.wants_write().is_some();
    }

    fn put_held(&mut self, held: &mut Held, now: Instant) -> io::Result<()> {
        if let Some(file) = self.file() {
            file.recover()?;
        }
        loop {
            let front = held.backlog.front();
            let Some(all) = front.len().checked_sub(1) else { return Ok(()) };
            let (left, outcome) = match self.put(front, now) {
                Ok(()) => (0, Ok(())),
                Err((rest, error)) => (rest.len(), Err(error)),
            };
            let written = all + 1 - left;
            held.backlog.consume(written);
            outcome?;
        }
    }

    /// Says that writing works again, and what was dropped meanwhile.
    fn resumed(&mut self, held: &Held, now: Instant) {
        let Lost { lines, bytes } = held.backlog.lost();
        if held.cause.is_none() && bytes == 0 {
            return;
        }
        let seconds = now.saturating_duration_since(held.since).as_secs();
        let lost = if bytes == 0 {
            String::from("nothing was lost")
        } else {
            format!("{lines} lines ({bytes} bytes) of output were dropped")
        };
        let level = if bytes == 0 { Level::Info } else { Level::Warning };
        let text = format!("{} takes output again after {seconds} s; {lost}", self.place);
        self.notices.push(Notice { level, text });
    }

    /// The descriptor on which room is waited for; edge-triggered interest in it is enough.
    pub fn wants_write(&self) -> Option<RawFd> {
        self.held.as_ref().filter(|held| held.cause.is_none())?;
        match &self.medium {
            Medium::File(_) => None,
            Medium::Console(console) => Some(console.fd()),
            Medium::Syslog(syslog) => syslog.fd(),
        }
    }

    /// The same descriptor, when it began to be waited for since the last call: it is to be registered for writing.
    pub fn take_stalled(&mut self) -> Option<RawFd> {
        let stalled = self.wants_write();
        let told = std::mem::replace(&mut self.watched, stalled.is_some());
        stalled.filter(|_| !told)
    }

    /// Goes on writing at an event of that descriptor, and answers it when it need not be watched any more.
    pub fn writable(&mut self, now: Instant) -> Option<RawFd> {
        let fd = self.wants_write();
        self.flush(now);
        fd.filter(|_| self.wants_write().is_none())
    }

    /// When writing is to be tried again without new output.
    pub fn next_retry(&self) -> Option<Instant> {
        let held = self.held.as_ref()?;
        let waits = held.cause.is_some() && held.hopeful && !held.backlog.is_empty();
        waits.then(|| held.tried + held.pause)
    }

    /// Whether output waits that may still be written, though nobody writes here any more.
    pub fn is_worth_waiting(&self, now: Instant) -> bool {
        let Some(held) = &self.held else { return false };
        held.hopeful && !held.backlog.is_empty() && now.saturating_duration_since(held.since) < ABANDONED
    }

    /// How many bytes wait to be written.
    pub fn held(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.backlog.len())
    }

    /// Opens the file at its path again, after somebody has moved it away. A FIFO or a console stays as it is.
    ///
    /// # Errors
    /// A sentence that says why it cannot be opened, which is a notice too.
    pub fn reopen(&mut self, now: Instant) -> Result<(), String> {
        let reopened = match self.file().filter(|file| file.id().is_some()) {
            Some(file) => file.reopen(),
            None => Ok(()),
        };
        let reopened = reopened.map_err(|error| {
            self.complain(format!(
                "cannot reopen {}: {}; output goes to the old file",
                self.place,
                io_words(&error)
            ))
        });
        self.flush(now);
        reopened
    }

    /// Rotates the file at the end of the line that is being written, now if there is none; false when it is empty.
    ///
    /// # Errors
    /// A sentence that says why not, which is a notice too.
    pub fn rotate(&mut self) -> Result<bool, String> {
        let rotated = self.file().map_or(Ok(false), FileStream::rotate_now);
        rotated.map_err(|error| self.complain(format!("cannot rotate {}: {}", self.place, io_words(&error))))
    }

    fn complain(&mut self, text: String) -> String {
        self.notices.push(Notice { level: Level::Error, text: text.clone() });
        text
    }

    /// What is to be said since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        let complaints = self.file().map(|file| std::mem::take(file.complaints())).unwrap_or_default();
        let error = |text| Notice { level: Level::Error, text };
        complaints.into_iter().map(error).chain(self.notices.drain(..)).collect()
    }

    /// Whether all is well: nothing held and nothing to be said.
    pub fn is_quiet(&mut self) -> bool {
        self.held.is_none()
            && self.notices.is_empty()
            && self.file().is_none_or(|file| file.complaints().is_empty())
    }
}
