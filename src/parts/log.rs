//! circus's own log: `2026-11-23 06:51:09 circus[18870] [INFO] Starting master on pid 18870`.
//!
//! It goes to the standard error output, to a file or to a syslog daemon, by the same [`Outlet`] as the output of
//! processes: a reader that is slow and a disk that is full never hold circus up. There is one log, handed around as
//! `&mut Log`.

#[cfg(feature = "logs")]
mod form;

pub use crate::arbiter::Level;
use crate::config::syslog::is_url;
use crate::config::text;
use crate::parts::streams::destination::{Destination, Place};
#[cfg(feature = "logs")]
use crate::parts::streams::syslog::{self, daemon};
use crate::sorted::Sorted;
use crate::sys::clock;
use crate::sys::user::current_uid;
use std::ffi::OsStr;
use std::fmt::{self, Write};
use std::io::IsTerminal;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Instant;

#[cfg(feature = "logs")]
pub use form::Form;

/// The most causes that are remembered at once.
const MOST_CAUSES: usize = 1000;
/// Takes away the line of a terminal that the cursor is in.
const CLEAR: &str = "\r\x1b[K";

/// circus's own log.
pub struct Log {
    /// The level from which messages are written.
    pub level: Level,
    /// Where it is written.
    pub destination: Destination,
    /// Of its messages, if it goes to a syslog daemon.
    pub facility: u8,
    /// How messages look, unless they go to a syslog daemon.
    #[cfg(feature = "logs")]
    pub form: Form,
    /// Causes that last, with how often they came again.
    causes: Sorted<String, u64>,
    /// A line stands at the terminal that the next one takes the place of.
    shown: bool,
}

impl Log {
    /// Opens the log at `destination`: a file to append to, a `syslog://` address, or `-`, `stdout` (as Circus has it)
    /// or nothing for the standard error output. Messages below `level` are left out. `may_wait`: the name of a host
    /// may be looked up.
    ///
    /// # Errors
    /// A sentence that says why that cannot be.
    pub fn open(destination: Option<&str>, level: Level, may_wait: bool) -> Result<Self, String> {
        let (place, facility) = match destination {
            None | Some("" | "-" | "stdout" | "/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2") => {
                (Place::Stderr, 0)
            }
            Some(url) if is_url(url) => daemon(url, may_wait).map_err(|why| format!("{url}: {why}"))?,
            Some(path) => (Place::at(Path::new(OsStr::from_bytes(&text::to_bytes(path)))), 0),
        };
        let destination = Destination::open(&place, current_uid(), Instant::now())?;
        Ok(Log { facility, ..Self::to(destination, level) })
    }

    /// A log that writes to this destination; a file that somebody moves away is followed, as Circus does.
    pub fn to(mut destination: Destination, level: Level) -> Self {
        if let Some(file) = destination.file() {
            file.rotation.watched = true;
        }
        Log {
            level,
            destination,
            facility: 0,
            #[cfg(feature = "logs")]
            form: Form::Text,
            causes: Sorted::new(),
            shown: false,
        }
    }

    /// Goes on in the place of another log, from its level on.
    pub fn go_on_in(&mut self, log: Log, now: Instant) {
        self.flush(now);
        let causes = std::mem::take(&mut self.causes);
        *self = Log { causes, ..log };
    }

    /// Messages look as `logformat` says from here on.
    #[cfg(feature = "logs")]
    pub fn take_form(&mut self, logformat: Option<&str>) {
        self.form = Form::of(logformat, matches!(self.destination.place, Place::Stderr));
    }

    /// Writes a message. Control characters in it are escaped; it needs no newline.
    pub fn log(&mut self, level: Level, message: fmt::Arguments<'_>) {
        if level >= self.level {
            let now = Instant::now();
            self.write(level, message, now);
            self.say_notices(now);
        }
    }

    /// A message for who looks for a fault.
    pub fn debug(&mut self, message: fmt::Arguments<'_>) {
        self.log(Level::Debug, message);
    }

    /// A message about what happens.
    pub fn info(&mut self, message: fmt::Arguments<'_>) {
        self.log(Level::Info, message);
    }

    /// A message about something that may not be as it was meant.
    pub fn warning(&mut self, message: fmt::Arguments<'_>) {
        self.log(Level::Warning, message);
    }

    /// A message about something that does not work.
    pub fn error(&mut self, message: fmt::Arguments<'_>) {
        self.log(Level::Error, message);
    }

    /// Writes a message unless `cause` has been the cause of one already and lasts. True when it was written, or
    /// would have been but for its level.
    pub fn once(&mut self, level: Level, cause: &str, message: fmt::Arguments<'_>) -> bool {
        if let Some(again) = self.causes.get_mut(cause) {
            *again += 1;
            return false;
        }
        if self.causes.len() >= MOST_CAUSES {
            self.causes.pop_first();
        }
        self.causes.insert(cause.to_string(), 0);
        self.log(level, message);
        true
    }

    /// Whether `cause` was written and has not ended.
    pub fn knows(&self, cause: &str) -> bool {
        self.causes.contains_key(cause)
    }

    /// `cause` has ended: writes the message, and how often the cause came again, if there had been one at all.
    pub fn over(&mut self, level: Level, cause: &str, message: fmt::Arguments<'_>) {
        match self.causes.remove(cause) {
            None => {}
            Some(0) => self.log(level, message),
            Some(1) => self.log(level, format_args!("{message} (repeated once)")),
            Some(again) => self.log(level, format_args!("{message} (repeated {again} times)")),
        }
    }

    /// Whether somebody may be reading it at a terminal now.
    pub fn is_terminal(&self) -> bool {
        matches!(self.destination.place, Place::Stderr) && std::io::stderr().is_terminal()
    }

    /// Shows a line at the terminal in the place of the last one; a message, or nothing at all, takes its place.
    pub fn show(&mut self, line: &str) {
        let mut text = String::from(CLEAR);
        let mut shown = line.chars();
        // Writing to a string cannot fail.
        let _ = shown.try_for_each(|c| Escaped(&mut text).write_char(c));
        self.shown = !line.is_empty();
        self.destination.write(text.as_bytes(), Instant::now());
        if !self.shown {
            self.destination.open_line.set(false); // it was taken away again
        }
    }

    /// Opens the file of the log again, after somebody has moved it away.
    ///
    /// # Errors
    /// A sentence that says why it cannot be opened, which is logged too.
    pub fn reopen(&mut self) -> Result<(), String> {
        let now = Instant::now();
        let reopened = self.destination.renew(false, now);
        self.flush(now);
        reopened.map(drop)
    }

    /// Goes on writing at an event of that descriptor, and answers it when it need not be watched any more.
    pub fn writable(&mut self, now: Instant) -> Option<RawFd> {
        let fd = self.destination.writable(now);
        self.say_notices(now);
        fd
    }

    /// Tries to write what waits: at [`Destination::next_retry`], and before the end.
    pub fn flush(&mut self, now: Instant) {
        self.destination.flush(now);
        self.say_notices(now);
    }

    /// What happened to the log itself is told by the log, as far as it can be: that it lost messages, and that it
    /// could not be reopened.
    fn say_notices(&mut self, now: Instant) {
        for (level, text) in self.destination.take_notices() {
            self.write(level, format_args!("log: {text}"), now);
        }
    }

    fn write(&mut self, level: Level, message: fmt::Arguments<'_>, now: Instant) {
        let seconds = clock::realtime() as i64;
        let pid = std::process::id();
        let mut line = match &self.destination.place {
            #[cfg(feature = "logs")]
            Place::Syslog(address) => {
                let head = syslog::head_of_log(self.facility, level, address.is_local(), pid, seconds);
                as_circus_does(&head, level, message)
            }
            #[cfg(feature = "logs")]
            _ if self.form != Form::Text => self.form.line(level, message, seconds),
            _ => {
                let head = format!("{} circus[{pid}]", clock::strftime("%Y-%m-%d %H:%M:%S", seconds));
                as_circus_does(&head, level, message)
            }
        };
        line.push('\n');
        if std::mem::take(&mut self.shown) {
            line.insert_str(0, CLEAR);
        } else if self.destination.open_line.get() {
            line.insert(0, '\n'); // behind what a process has begun
        }
        self.destination.write(line.as_bytes(), now);
    }
}

/// A message behind its head, without the newline.
fn as_circus_does(head: &str, level: Level, message: fmt::Arguments<'_>) -> String {
    let mut line = format!("{head} [{}] ", level.name());
    // Writing to a string cannot fail.
    let _ = write!(Escaped(&mut line), "{message}");
    line
}

/// Why there is no syslog daemon in a build without the feature `logs`.
#[cfg(not(feature = "logs"))]
fn daemon(url: &str, _: bool) -> Result<(Place, u8), String> {
    crate::config::syslog::parse(url).map(|_| (Place::Stderr, 0))
}

/// Text whose control characters, and bytes that are no UTF-8, are written as `\n`, `\x1b`, `\xff`: a message is
/// one line, and no name in it can speak to the terminal.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, message: &str) -> fmt::Result {
        for c in message.chars() {
            let mut own = [0; 4];
            match (c, &*text::to_bytes(c.encode_utf8(&mut own))) {
                ('\n' | '\r' | '\t', _) => write!(self.0, "{}", c.escape_default())?,
                (_, [byte @ (0..0x20 | 0x7f | 0x80..)]) => write!(self.0, "\\x{byte:02x}")?,
                _ if c.is_control() => write!(self.0, "\\u{{{:x}}}", u32::from(c))?,
                _ => self.0.push(c),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
