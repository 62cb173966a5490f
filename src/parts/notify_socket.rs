//! What processes tell of themselves: READY=1 and WATCHDOG=1 by NOTIFY_SOCKET, as sd_notify(3) says, a newline on a
//! descriptor, or a line of their output.
//!
//! The socket is one for all, where any user's process reaches it. Anybody else may as well, so a datagram counts only
//! if the kernel says that it comes from a process of a watcher, or from one that this one has started.

mod socket;

use crate::arbiter::pulse::Notice;
use crate::arbiter::{Event, Pid};
use crate::config::WatcherConfig;
use crate::config::probe::Probe;
use crate::host::descendants::{Mark, bearer};
use crate::host::endpoint::absolute;
use crate::host::procfs;
use crate::host::spawn::{NotSpawned, no_pipe};
use crate::parts::log::Level;
use crate::reactor::eventloop::Daemon;
use crate::reactor::io::read_piece;
use crate::reactor::part::{Job, Part};
use crate::reactor::registry::Key;
use crate::sys::{io_words, is_gone, message, process, signal};
use socket::{Allowance, NotifySocket, PAUSE};
use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Instant;

/// The number of the socket among the descriptors; those of pipes are the pids of who writes to them.
const SOCKET: u32 = 0;
/// How many datagrams are taken in a turn.
const DATAGRAMS: usize = 64;
/// The longest datagram; of a longer one the rest is lost.
const LONGEST: usize = 4096;
/// How many pieces are read while looking for the newline; all that a pipe holds.
const PIECES: usize = 64;
/// How many parents of a sender are looked at.
const GENERATIONS: usize = 64;

/// What counts of a datagram, once each: the lines in it may be many.
const WORDS: [(&str, Notice); 3] =
    [("READY=1", Notice::Ready), ("WATCHDOG=1", Notice::Alive), ("WATCHDOG=trigger", Notice::Trigger)];

/// The ears of circus.
#[derive(Default)]
pub struct Notices {
    socket: Option<NotifySocket>,
    /// There may be more datagrams.
    busy: bool,
    allowance: Allowance,
    /// The last sender that was no process of a watcher, and when that was found out.
    stranger: Option<(Pid, Instant)>,
    /// When reading goes on; until then the loop does not wait for the socket.
    resumes: Option<Instant>,
    /// Where processes are to write a newline.
    pipes: Vec<(Pid, File)>,
    /// By which their orphans are known.
    marks: Vec<(Pid, Mark)>,
}

impl Part for Notices {}

impl Notices {
    /// Whether something can be read without waiting.
    pub fn are_busy(&self) -> bool {
        self.busy
    }

    /// When reading goes on after there was too much.
    pub fn next(&self) -> Option<Instant> {
        self.resumes
    }

    fn fd(&self) -> Option<RawFd> {
        self.socket.as_ref().map(|it| it.socket.as_raw_fd())
    }
}

/// How a process that is about to be made tells that it is ready, where it does not use the socket.
pub enum Ear {
    /// Not at all.
    None,
    /// By a newline: the two ends of a pipe, and the number that the process has for its own.
    Newline(OwnedFd, OwnedFd, i32),
}

/// What the processes of a watcher need to reach the socket; nothing if they have nothing to tell.
pub(crate) fn wants_socket(config: &WatcherConfig) -> bool {
    config.watchdog().is_some() || config.options.ready.as_deref().is_some_and(|text| text.trim() == "notify")
}

impl Daemon {
    /// The address at which the processes of a watcher tell of themselves, if they are to.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) fn notify_address(&mut self, config: &WatcherConfig) -> Result<Option<String>, String> {
        if !wants_socket(config) {
            return Ok(None);
        }
        if self.parts.notices.socket.is_none() {
            self.open_notices()?;
        }
        Ok(self.parts.notices.socket.as_ref().map(|it| it.address.clone()))
    }

    fn open_notices(&mut self) -> Result<(), String> {
        let endpoint = absolute(&self.core.setup.endpoint, &self.core.setup.cwd);
        let opened = NotifySocket::open(&endpoint).and_then(|it| {
            self.core
                .poll(Key::notices)
                .watch(it.socket.as_raw_fd(), SOCKET)
                .map_err(|error| io_words(&error))?;
            Ok(it)
        });
        self.parts.notices.socket = Some(opened.map_err(|why| format!("the notification socket: {why}"))?);
        self.parts.notices.resumes = None;
        Ok(())
    }

    /// Opens the socket anew if somebody has removed its file.
    pub(crate) fn restore_notices(&mut self) {
        if self.parts.notices.socket.as_ref().is_some_and(NotifySocket::has_vanished) {
            self.read_notices();
            match self.open_notices() {
                Ok(()) => self
                    .core
                    .log
                    .warning(format_args!("the notification socket had been removed; it is there again")),
                Err(why) => self.core.log.error(format_args!("{why}")),
            }
            // Its address may be another one.
            self.parts.processes.drop_templates();
        }
    }

    /// Takes what processes have sent, within a budget. What is too much waits in the kernel, and who sends it with it:
    /// the loop does not even hear of it for a while.
    pub(crate) fn read_notices(&mut self) {
        let Some(fd) = self.parts.notices.fd().filter(|_| self.parts.notices.resumes.is_none()) else {
            return;
        };
        self.parts.notices.busy = false;
        let mut buffer = [0; LONGEST];
        let left = self.parts.notices.allowance.left(self.core.now);
        if left == 0 {
            self.core.unwatch(fd);
            self.parts.notices.resumes = Some(self.core.now + PAUSE);
            return;
        }
        for _ in 0..DATAGRAMS.min(left) {
            match message::receive(fd, &mut buffer) {
                Ok((length, sender)) => {
                    self.parts.notices.allowance.spend();
                    self.take_notice(buffer.get(..length).unwrap_or_default(), sender);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
        self.parts.notices.busy = true;
    }

    /// Waits for the socket again; if something is there already, that is an event at once.
    pub(crate) fn resume_notices(&mut self) {
        let watched =
            self.parts.notices.fd().map_or(Ok(()), |fd| self.core.poll(Key::notices).watch(fd, SOCKET));
        self.parts.notices.resumes = watched.is_err().then(|| self.core.now + PAUSE);
    }

    fn take_notice(&mut self, text: &[u8], sender: Pid) {
        let says = |wanted: &str| text.split(|byte| *byte == b'\n').any(|line| line == wanted.as_bytes());
        let said = WORDS.map(|(wanted, notice)| says(wanted).then_some(notice));
        // BARRIER=1, STATUS= and whatever else means nothing here: who has sent it need not be there any more.
        if said.iter().all(Option::is_none) {
            return;
        }
        let Some(pid) = self.speaks_for(sender) else {
            let why = "it belongs to no watcher, or has ended";
            let text = format_args!("what process {sender} says by NOTIFY_SOCKET is ignored: {why}");
            self.core.log.once(Level::Warning, "notices", text);
            return;
        };
        for notice in said.into_iter().flatten() {
            if notice != Notice::Ready || self.awaits_notify(pid) {
                self.dispatch(Event::Noticed { pid, notice });
            }
        }
    }

    fn awaits_notify(&self, pid: Pid) -> bool {
        let watcher = self.core.arbiter.owner(pid).and_then(|(id, _)| self.core.arbiter.watcher(id));
        let ready = watcher.and_then(|watcher| watcher.making().options.ready.as_deref());
        ready.is_some_and(|text| text.trim() == "notify")
    }

    /// The process of a watcher that a sender is, or comes from.
    fn speaks_for(&mut self, sender: Pid) -> Option<Pid> {
        let is_fresh = |at: Instant| self.core.now.saturating_duration_since(at) < PAUSE;
        // To look at who has started it takes long; one that floods the socket is not looked at each time.
        let is_known = self.core.arbiter.owner(sender).is_some();
        if !is_known && self.parts.notices.stranger.is_some_and(|(pid, at)| pid == sender && is_fresh(at)) {
            return None;
        }
        let found = self.watched_ancestor(sender);
        if found.is_none() {
            self.parts.notices.stranger = Some((sender, self.core.now));
        }
        found
    }

    fn watched_ancestor(&self, sender: Pid) -> Option<Pid> {
        let is_known = |pid: Pid| self.core.arbiter.owner(pid).is_some();
        let mut pid = sender;
        for _ in 0..GENERATIONS {
            if is_known(pid) {
                return Some(pid);
            }
            if pid <= 0 {
                return None;
            }
            let stat = match procfs::stat(pid) {
                Ok(stat) => stat,
                Err(error) if is_gone(&error) => return None,
                // It cannot be looked at now, but its group is known without that.
                Err(_) => return signal::group_of(pid).ok().filter(|group| is_known(*group)),
            };
            if stat.ppid == process::pid() {
                // An orphan. Its group is that of a process of circus if it has not left it, and no other can join it.
                return Some(stat.pgrp).filter(|group| is_known(*group)).or_else(|| self.marked(pid));
            }
            pid = stat.ppid;
        }
        None
    }

    /// The process of a watcher that an orphan comes from, by the mark in its environment or its cgroup.
    fn marked(&self, orphan: Pid) -> Option<Pid> {
        bearer(orphan, &self.parts.notices.marks)
    }

    /// What a new process with the socket says counts, whichever of its descendants says it.
    pub(crate) fn know_by(&mut self, pid: Pid, job: &Job) {
        let mark = job.mark.filter(|_| wants_socket(&job.config));
        self.parts.notices.marks.extend(mark.map(|mark| (pid, mark)));
    }

    /// Prepares what a new process of a watcher tells its readiness by.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) fn prepare_ear(config: &WatcherConfig, wid: u32) -> Result<Ear, NotSpawned> {
        let text = config.options.ready.as_deref().unwrap_or_default();
        if text.trim().is_empty() {
            return Ok(Ear::None);
        }
        match Probe::parse(text, wid, 0).map_err(|why| format!("`ready = {text}` {why}"))? {
            Probe::Fd(number) => {
                let (reader, writer) = process::pipe().map_err(no_pipe)?;
                Ok(Ear::Newline(reader, writer, number))
            }
            _ => Ok(Ear::None),
        }
    }

    /// Listens to a new process.
    pub(crate) fn lend_ear(&mut self, pid: Pid, ear: Ear) {
        match ear {
            Ear::None => {}
            Ear::Newline(reader, _, _) => {
                match self.core.poll(Key::notices).watch(reader.as_raw_fd(), pid.unsigned_abs()) {
                    Ok(()) => self.parts.notices.pipes.push((pid, reader.into())),
                    Err(error) => {
                        let why = io_words(&error);
                        self.core.log.error(format_args!("whether {pid} is ready cannot be read: {why}"));
                    }
                }
            }
        }
    }

    /// A process has written to the descriptor by which it tells that it is ready, or has closed it.
    pub(crate) fn newline_ready(&mut self, pid: Pid) {
        let found = self.parts.notices.pipes.iter_mut().find(|(other, _)| *other == pid);
        let Some((_, pipe)) = found else { return };
        let mut buffer = [0; 1024];
        for _ in 0..PIECES {
            match read_piece(pipe, &mut buffer) {
                Ok(Some([])) => break,
                Ok(Some(bytes)) if bytes.contains(&b'\n') => {
                    self.forget_ear(pid);
                    return self.dispatch(Event::Noticed { pid, notice: Notice::Ready });
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return,
            }
        }
        // It has closed it without a newline, or writes something else without end.
        self.forget_ear(pid);
    }

    /// Nobody listens to a process any more.
    fn forget_ear(&mut self, pid: Pid) {
        if let Some(at) = self.parts.notices.pipes.iter().position(|(other, _)| *other == pid) {
            self.parts.notices.pipes.swap_remove(at);
        }
    }

    /// A process is reaped: nobody speaks for it any more.
    pub(crate) fn forget_speaker(&mut self, pid: Pid) {
        self.forget_ear(pid);
        self.parts.notices.marks.retain(|(other, _)| *other != pid);
    }
}
