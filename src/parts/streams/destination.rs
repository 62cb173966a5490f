//! A place that output is written to, and what happens when it cannot be written: the newest output is kept, one
//! message a cause says so, and writing resumes by itself. Nothing here waits, and nothing is retried in a spin.

use super::backlog::Backlog;
use super::console::Console;
use super::file::{FileStream, cannot, cannot_reopen, is_full, refusal};
#[cfg(feature = "logs")]
use super::syslog::{Address, Syslog};
use crate::parts::log::Level;
use crate::sys::io_words;
use std::cell::Cell;
use std::ffi::OsStr;
use std::fmt;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, RawFd};
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
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// The standard output of circus.
    Stdout,
    /// The standard error output of circus.
    Stderr,
    /// A path: a file, a FIFO or a device. A thousand watchers compare a thousand names each, so it is compared by
    /// bytes, and not part by part as a `Path` is.
    Path(Rc<OsStr>),
    /// A syslog daemon.
    #[cfg(feature = "logs")]
    Syslog(Rc<Address>),
}

impl Place {
    /// What is at a path.
    pub fn at(path: &Path) -> Self {
        Place::Path(path.as_os_str().into())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Stdout => f.write_str("the standard output of circus"),
            Place::Stderr => f.write_str("the standard error output of circus"),
            Place::Path(path) => path.display().fmt(f),
            #[cfg(feature = "logs")]
            Place::Syslog(address) => address.fmt(f),
        }
    }
}

/// Something to be said in the log, and how bad it is.
pub type Notice = (Level, String);

/// What is behind a destination.
#[allow(clippy::large_enum_variant)] // Nearly all destinations are files.
pub(super) enum Medium {
    File(FileStream),
    Console(Console),
    #[cfg(feature = "logs")]
    Syslog(Syslog),
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
    /// Where that is.
    pub place: Place,
    medium: Medium,
    held: Option<Box<Held>>,
    notices: Vec<Notice>,
    /// The last byte written did not end a line.
    torn: bool,
    /// The last byte that was written or is held did not end a line, whichever destination of the same output had it. Of
    /// a file, from when it was opened.
    pub open_line: Rc<Cell<bool>>,
    /// The event loop has been told to watch the descriptor for room.
    watched: bool,
}

impl Destination {
    /// Opens a place; what is at a path may belong to `user`. A file is created when there is none, and on a full disk
    /// the destination begins as one that cannot be written. A syslog daemon need not be there yet.
    ///
    /// # Errors
    /// A sentence that says why it cannot be opened and what to do.
    pub fn open(place: &Place, user: u32, now: Instant) -> Result<Self, String> {
        let path = match place {
            Place::Path(path) => Path::new(path),
            Place::Stdout => return Self::console(place.clone(), io::stdout().as_fd()),
            Place::Stderr => return Self::console(place.clone(), io::stderr().as_fd()),
            #[cfg(feature = "logs")]
            Place::Syslog(address) => {
                return Ok(Self::new(place.clone(), Medium::Syslog(Syslog::new(address.clone()))));
            }
        };
        let opened = match FileStream::open(path, user) {
            Ok(Some(file)) => Ok(Medium::File(file)),
            Ok(None) => Console::open(path, user).map(Medium::Console),
            Err(error) if is_full(&error) => {
                let medium = Medium::File(FileStream::missing(path, user));
                let mut destination = Self::new(place.clone(), medium);
                destination.hold(&[], &error, now);
                return Ok(destination);
            }
            Err(error) => Err(error),
        };
        opened.map(|medium| Self::new(place.clone(), medium)).map_err(|error| refusal(path, &error))
    }

    /// The standard output or error output of circus, given as `fd`, which is left as it is.
    ///
    /// # Errors
    /// The descriptor cannot be duplicated.
    pub fn console(place: Place, fd: BorrowedFd<'_>) -> Result<Self, String> {
        let console = Console::on(fd).map_err(|error| format!("cannot use {place}: {}", io_words(&error)))?;
        Ok(Self::new(place, Medium::Console(console)))
    }

    pub(super) fn new(place: Place, medium: Medium) -> Self {
        let torn = matches!(&medium, Medium::File(file) if file.ends_within_line());
        let open_line = Rc::new(Cell::new(torn));
        Destination { place, medium, held: None, notices: Vec::new(), torn, open_line, watched: false }
    }

    /// Whether nothing that is written there can be seen again.
    pub fn discards(&self) -> bool {
        matches!(&self.place, Place::Path(path) if &**path == "/dev/null")
    }

    /// The file, when it is one that can be rotated.
    pub fn file(&mut self) -> Option<&mut FileStream> {
        if let Medium::File(file) = &mut self.medium { Some(file) } else { None }
    }

    /// Whether this is the file with this device and inode.
    pub fn is_file(&self, id: (u64, u64)) -> bool {
        matches!(&self.medium, Medium::File(file) if file.id() == Some(id))
    }

    /// Whether it is a terminal.
    pub fn is_terminal(&self) -> bool {
        matches!(&self.medium, Medium::Console(console) if console.terminal)
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
            Medium::Console(console) => Some(console.id),
            #[cfg(feature = "logs")]
            Medium::Syslog(_) => None,
        }
    }

    /// Writes `bytes`, or keeps the newest of them.
    pub fn write(&mut self, bytes: &[u8], now: Instant) {
        let Some(last) = bytes.last() else { return };
        self.open_line.set(*last != b'\n');
        let Some(held) = &mut self.held else {
            if let Err((rest, error)) = self.put(bytes, now) {
                self.hold(rest, &error, now);
            }
            return;
        };
        let slow = held.cause.is_none();
        let due = !slow && now.saturating_duration_since(held.tried) >= DATA_PAUSE;
        if held.backlog.push(bytes, self.torn) && slow {
            let text = format!("{} is read too slowly: the oldest lines that wait are dropped", self.place);
            self.notices.push((Level::Warning, text));
        }
        if due {
            self.flush(now);
        }
    }

    /// Writes until all is written, or answers what is left and why. Never waits for a reader.
    fn put<'a>(&mut self, mut bytes: &'a [u8], now: Instant) -> Result<(), (&'a [u8], io::Error)> {
        while !bytes.is_empty() {
            let written = match &mut self.medium {
                Medium::File(file) => file.write(bytes, now, &mut self.notices),
                Medium::Console(console) => console.write(bytes),
                #[cfg(feature = "logs")]
                Medium::Syslog(syslog) => syslog.write(bytes),
            };
            match written {
                Ok(0) => return Err((bytes, ErrorKind::WriteZero.into())),
                Ok(n) => {
                    self.torn = bytes.get(n - 1) != Some(&b'\n');
                    bytes = bytes.get(n..).unwrap_or_default();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err((bytes, error)),
            }
        }
        Ok(())
    }

    /// Begins to keep output.
    pub(super) fn hold(&mut self, bytes: &[u8], error: &io::Error, now: Instant) {
        let limit = if self.file().is_some() { FILE_BACKLOG } else { CONSOLE_BACKLOG };
        let mut backlog = Backlog::new(limit);
        backlog.push(bytes, self.torn);
        let (since, tried, pause) = (now, now, FIRST_PAUSE);
        let mut held = Held { backlog, cause: None, hopeful: true, since, tried, pause };
        self.judge(&mut held, error);
        self.held = Some(Box::new(held));
    }

    /// Takes note of why writing failed; a cause that is new is said.
    fn judge(&mut self, held: &mut Held, error: &io::Error) {
        // A file has no reader: somebody has a lease on it (fcntl(2)), and it is tried again as after any error.
        if error.kind() == ErrorKind::WouldBlock && self.file().is_none() {
            held.cause = None;
            return;
        }
        let broken = error.kind() == ErrorKind::BrokenPipe;
        let words = if broken { "it has no reader".into() } else { io_words(error) };
        // A reader may open a FIFO at any time. One who has left circus's own standard output does not come back.
        let ours = matches!(self.place, Place::Stdout | Place::Stderr);
        held.hopeful = !ours || is_full(error);
        if held.cause.as_ref() != Some(&words) {
            let (place, kept) = (&self.place, held.backlog.limit / 1024);
            let so = format!("the newest {kept} KiB of output are kept until it works again");
            self.notices.push((Level::Error, format!("cannot write {place}: {words}; {so}")));
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
        self.file().map_or(Ok(()), FileStream::recover)?;
        self.put_front(held, held.backlog.bytes.len(), now)
    }

    /// Writes so many of the bytes that are held.
    fn put_front(&mut self, held: &mut Held, count: usize, now: Instant) -> io::Result<()> {
        let front = held.backlog.bytes.make_contiguous().get(..count).unwrap_or_default();
        let all = front.len();
        let (left, outcome) = match self.put(front, now) {
            Ok(()) => (0, Ok(())),
            Err((rest, error)) => (rest.len(), Err(error)),
        };
        held.backlog.bytes.drain(..all - left);
        outcome
    }

    /// Says that writing works again, and what was dropped meanwhile.
    fn resumed(&mut self, held: &Held, now: Instant) {
        let (lines, bytes) = held.backlog.lost;
        if held.cause.is_none() && bytes == 0 {
            return;
        }
        let seconds = now.saturating_duration_since(held.since).as_secs();
        let (level, lost) = match bytes {
            0 => (Level::Info, String::from("nothing was lost")),
            _ => (Level::Warning, format!("{lines} lines ({bytes} bytes) of output were dropped")),
        };
        self.notices.push((level, format!("{} takes output again after {seconds} s; {lost}", self.place)));
    }

    /// The descriptor on which room is waited for; edge-triggered interest in it is enough.
    pub fn wants_write(&self) -> Option<RawFd> {
        self.held.as_ref().filter(|held| held.cause.is_none())?;
        match &self.medium {
            Medium::File(_) => None,
            Medium::Console(console) => Some(console.fd()),
            #[cfg(feature = "logs")]
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
        let held = self.held.as_ref().filter(|held| held.cause.is_some() && held.is_hopeful())?;
        Some(held.tried + held.pause)
    }

    /// Whether output waits that may still be written, though nobody writes here any more.
    pub fn is_worth_waiting(&self, now: Instant) -> bool {
        let young = |held: &Held| now.saturating_duration_since(held.since) < ABANDONED;
        self.held.as_ref().is_some_and(|held| held.is_hopeful() && young(held))
    }

    /// How many bytes wait to be written.
    pub fn held(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.backlog.bytes.len())
    }

    /// Writes the rest of the line of which the file has the beginning, if it can: another file is to begin with a line.
    fn finish_line(&mut self, now: Instant) {
        let Some(mut held) = self.held.take() else { return };
        if let Some(end) = held.backlog.line_end(0).filter(|_| self.torn) {
            // What cannot be written stays held; whoever asked for another file gets that all the same.
            let _ = self.put_front(&mut held, end, now);
        }
        self.held = Some(held);
    }

    /// Rotates the file at the end of the line that is being written, now if there is none; or opens it anew, after
    /// somebody has moved it away. A FIFO or a console stays as it is. False: there was nothing to do.
    ///
    /// # Errors
    /// A sentence that says why not, which is a notice too.
    pub fn renew(&mut self, rotate: bool, now: Instant) -> Result<bool, String> {
        if !rotate {
            self.finish_line(now);
        }
        let Medium::File(file) = &mut self.medium else { return Ok(false) };
        let done = match rotate {
            true => {
                file.rotate_now(&mut self.notices).map_err(|error| cannot("rotate", &file.path, &error, ""))
            }
            // It is opened before what is held is written.
            false if file.id().is_none() => Ok(true),
            false => file.reopen().map(|()| true).map_err(|error| cannot_reopen(&file.path, &error)),
        };
        let done = done.map_err(|notice| {
            self.notices.push(notice.clone());
            notice.1
        });
        if !rotate {
            self.flush(now);
        }
        done
    }

    /// What is to be said since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Whether all is well: nothing held and nothing to be said.
    pub fn is_quiet(&self) -> bool {
        self.held.is_none() && self.notices.is_empty()
    }
}

impl Held {
    fn is_hopeful(&self) -> bool {
        self.hopeful && !self.backlog.bytes.is_empty()
    }
}
