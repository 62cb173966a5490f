//! What processes tell of themselves: READY=1 and WATCHDOG=1 by NOTIFY_SOCKET, as sd_notify(3) says, a newline on a
//! descriptor, or a line of their output.
//!
//! The socket is one for all, where any user's process reaches it. Anybody else may as well, so a datagram counts only
//! if the kernel says that it comes from a process of a watcher, or from one that this one has started.

mod socket;

use crate::arbiter::process::Exit;
use crate::arbiter::readiness::Notice;
use crate::arbiter::{Event, Pid};
use crate::config::WatcherConfig;
use crate::config::probe::{self, Probe};
use crate::control::mark::Mark;
use crate::host::descendants::bearer;
use crate::host::endpoint::absolute;
use crate::host::procfs;
use crate::host::trouble::Trouble;
use crate::parts::log::Level;
use crate::reactor::io::read_piece;
use crate::reactor::part::{Cx, Effect, Job, Part, Readiness};
use crate::sys::socket::receive_from;
use crate::sys::{io_words, is_gone, process, signal};
use socket::{Allowance, OpenSocket, PAUSE};
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

/// The socket, and the pipes by which processes tell that they are ready.
#[derive(Default)]
pub struct NotifySocket {
    socket: Option<OpenSocket>,
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
    /// Such a pipe, while the process that will write to it is made.
    lent: Option<(OwnedFd, OwnedFd)>,
}

impl NotifySocket {
    /// The address at which the processes of a watcher tell of themselves, if they are to.
    ///
    /// # Errors
    /// A sentence.
    pub fn address(&mut self, config: &WatcherConfig, cx: &Cx<'_>) -> Result<Option<String>, String> {
        if !config.wants_notify_socket() {
            return Ok(None);
        }
        if self.socket.is_none() {
            self.open(cx)?;
        }
        Ok(self.socket.as_ref().map(|it| it.address.clone()))
    }

    fn open(&mut self, cx: &Cx<'_>) -> Result<(), String> {
        let opened = OpenSocket::open(&absolute(&cx.setup.endpoint, &cx.setup.cwd)).and_then(|it| {
            cx.poll.watch(it.socket.as_raw_fd(), SOCKET).map_err(|error| io_words(&error))?;
            Ok(it)
        });
        self.socket = Some(opened.map_err(|why| format!("the notification socket: {why}"))?);
        self.resumes = None;
        Ok(())
    }

    /// Takes what processes have sent, within a budget. What is too much waits in the kernel, and who sends it with it:
    /// the loop does not even hear of it for a while.
    pub fn read(&mut self, cx: &mut Cx<'_>) {
        let Some(fd) = self.fd().filter(|_| self.resumes.is_none()) else { return };
        self.busy = false;
        let mut buffer = [0; LONGEST];
        let left = self.allowance.left(cx.now);
        if left == 0 {
            cx.poll.unwatch(fd);
            self.resumes = Some(cx.now + PAUSE);
            return;
        }
        for _ in 0..DATAGRAMS.min(left) {
            match receive_from(fd, &mut buffer) {
                Ok((length, sender)) => {
                    self.allowance.spend();
                    self.take(buffer.get(..length).unwrap_or_default(), sender, cx);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
        self.busy = true;
    }

    fn fd(&self) -> Option<RawFd> {
        self.socket.as_ref().map(|it| it.socket.as_raw_fd())
    }

    fn take(&mut self, text: &[u8], sender: Pid, cx: &mut Cx<'_>) {
        let said = notices(text);
        // BARRIER=1, STATUS= and whatever else means nothing here: who has sent it need not be there any more.
        if said.iter().all(Option::is_none) {
            return;
        }
        let Some(pid) = self.speaks_for(sender, cx) else {
            let why = "it belongs to no watcher, or has ended";
            let text = format_args!("what process {sender} says by NOTIFY_SOCKET is ignored: {why}");
            cx.log.once(Level::Warning, "notices", text);
            return;
        };
        for notice in said.into_iter().flatten() {
            if notice != Notice::Ready || awaits_notify(pid, cx) {
                cx.event(Event::Noticed { pid, notice });
            }
        }
    }

    /// The process of a watcher that a sender is, or comes from.
    fn speaks_for(&mut self, sender: Pid, cx: &Cx<'_>) -> Option<Pid> {
        let is_fresh = |at: Instant| cx.now.saturating_duration_since(at) < PAUSE;
        // To look at who has started it takes long; one that floods the socket is not looked at each time.
        let is_known = cx.arbiter.owner(sender).is_some();
        if !is_known && self.stranger.is_some_and(|(pid, at)| pid == sender && is_fresh(at)) {
            return None;
        }
        let found = self.watched_ancestor(sender, cx);
        if found.is_none() {
            self.stranger = Some((sender, cx.now));
        }
        found
    }

    fn watched_ancestor(&self, sender: Pid, cx: &Cx<'_>) -> Option<Pid> {
        let is_known = |pid: Pid| cx.arbiter.owner(pid).is_some();
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
                // One that has left it is known by the mark in its environment or its cgroup.
                let group = Some(stat.pgrp).filter(|group| is_known(*group));
                return group.or_else(|| bearer(pid, &self.marks));
            }
            pid = stat.ppid;
        }
        None
    }

    /// A process has written to the descriptor by which it tells that it is ready, or has closed it.
    fn read_newline(&mut self, pid: Pid, cx: &mut Cx<'_>) {
        let Some((_, pipe)) = self.pipes.iter_mut().find(|(other, _)| *other == pid) else { return };
        let mut buffer = [0; 1024];
        for _ in 0..PIECES {
            match read_piece(pipe, &mut buffer) {
                Ok(Some([])) => break,
                Ok(Some(bytes)) if bytes.contains(&b'\n') => {
                    cx.event(Event::Noticed { pid, notice: Notice::Ready });
                    break;
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return,
            }
        }
        // It is ready, or has closed it without a newline, or writes something else without end.
        self.pipes.retain(|(other, _)| *other != pid);
    }
}

/// What a datagram says.
pub fn notices(text: &[u8]) -> [Option<Notice>; 3] {
    let says = |wanted: &str| text.split(|byte| *byte == b'\n').any(|line| line == wanted.as_bytes());
    WORDS.map(|(wanted, notice)| says(wanted).then_some(notice))
}

/// Whether this process is to tell by the socket that it is ready.
fn awaits_notify(pid: Pid, cx: &Cx<'_>) -> bool {
    let watcher = cx.arbiter.owner(pid).and_then(|(id, _)| cx.arbiter.watcher(id));
    watcher.is_some_and(|watcher| watcher.options_of(pid).awaits_notify())
}

impl Part for NotifySocket {
    fn ready(&mut self, id: u32, _: Readiness, cx: &mut Cx<'_>) {
        match id {
            SOCKET => self.read(cx),
            pid => self.read_newline(pid.cast_signed(), cx),
        }
    }

    fn is_busy(&self) -> bool {
        self.busy
    }

    fn work(&mut self, cx: &mut Cx<'_>) -> bool {
        if self.busy {
            self.read(cx);
        }
        false
    }

    fn deadline(&mut self) -> Option<Instant> {
        self.resumes
    }

    /// Waits for the socket again; if something is there already, that is an event at once.
    fn due(&mut self, cx: &mut Cx<'_>) {
        let watched = self.fd().map_or(Ok(()), |fd| cx.poll.watch(fd, SOCKET));
        self.resumes = watched.is_err().then(|| cx.now + PAUSE);
    }

    /// Gives it the descriptor to which it is to write a newline, if it tells so that it is ready.
    fn lend(&mut self, job: &mut Job, _: &mut Cx<'_>) -> Result<(), Trouble> {
        let text = job.config.options.ready.as_deref().unwrap_or_default();
        if text.trim().is_empty() {
            return Ok(());
        }
        let probe = Probe::parse(text, job.wid, 0).map_err(|why| format!("`ready = {text}` {why}"))?;
        if let Probe::Fd(number) = probe {
            let sockets = &mut job.template.child.sockets;
            probe::collision(number, sockets.len()).map_or(Ok(()), Err)?;
            let (reader, writer) = process::pipe().map_err(Trouble::no_pipe)?;
            sockets.push((writer.as_raw_fd(), number));
            self.lent = Some((reader, writer));
        }
        Ok(())
    }

    fn spawned(&mut self, job: &Job, pid: Option<Pid>, cx: &mut Cx<'_>) {
        let lent = self.lent.take();
        let Some(pid) = pid else { return };
        // Whichever of its descendants says something by the socket.
        let mark = job.mark.filter(|_| job.config.wants_notify_socket());
        self.marks.extend(mark.map(|mark| (pid, mark)));
        let Some((reader, _)) = lent else { return };
        match cx.poll.watch(reader.as_raw_fd(), pid.unsigned_abs()) {
            Ok(()) => self.pipes.push((pid, reader.into())),
            Err(error) => {
                let why = io_words(&error);
                cx.log.error(format_args!("whether {pid} is ready cannot be read: {why}"));
            }
        }
    }

    /// What it has said right before its end counts while it is known.
    fn ended(&mut self, pid: Pid, _: Exit, cx: &mut Cx<'_>) {
        self.read_newline(pid, cx);
    }

    fn reaped(&mut self, pid: Pid, _: &mut Cx<'_>) {
        self.pipes.retain(|(other, _)| *other != pid);
        self.marks.retain(|(other, _)| *other != pid);
    }

    /// Opens the socket anew if somebody has removed its file.
    fn restore(&mut self, cx: &mut Cx<'_>) {
        if !self.socket.as_ref().is_some_and(OpenSocket::has_vanished) {
            return;
        }
        self.read(cx);
        match self.open(cx) {
            Ok(()) => {
                let text = format_args!("the notification socket had been removed; it is there again");
                cx.log.warning(text);
            }
            Err(why) => cx.log.error(format_args!("{why}")),
        }
        cx.effect(Effect::DropTemplates); // its address may be another one
    }
}
