//! The outputs of processes: what the configuration wants of each, the pipes that a new process gets, and where they
//! lead when options change.

use super::log_match::wanted_line;
use super::plan::Plan;
use super::{Owner, PipeId, SinkId, Source, Streams};
use crate::arbiter::request::Task;
use crate::arbiter::{Arbiter, Pid, WatcherId};
use crate::config::expand::{self, expand};
use crate::config::options::LARGEST_RING;
use crate::config::regex::Regex;
use crate::config::{CHANNELS, Channel, StreamConfig, StreamKind, WatcherConfig};
use crate::host::trouble::Trouble;
use crate::reactor::part::{Cx, Job, Writer};
use crate::sys::child::Stdio;
use crate::sys::{io_words, process, user};
use std::os::fd::{AsRawFd, OwnedFd};

/// The outputs of a process that is about to be made.
#[derive(Default)]
pub(super) struct NewOutputs {
    pipes: Vec<NewPipe>,
    /// The line by which it will say that it is ready.
    line: Option<Regex>,
}

/// Both ends of a pipe that a process is to write to.
struct NewPipe {
    reader: OwnedFd,
    writer: OwnedFd,
    sink: SinkId,
    channel: Channel,
}

impl Owner {
    /// Whose the sink of a process is: its own, if the configuration tells processes apart, else one of all.
    fn of(watcher: WatcherId, channel: Channel, stream: &StreamConfig, wid: u32) -> Owner {
        let options = &stream.options;
        let texts = [&options.filename, &options.prefix, &options.tag].into_iter().flatten();
        let mut names = texts.flat_map(|text| expand::names(text));
        let own = stream.kind() == StreamKind::Json || names.any(|name| name.eq_ignore_ascii_case("wid"));
        Owner { watcher, channel, wid: if own { wid } else { 0 } }
    }
}

/// The configuration of a stream for one process: `$(circus.wid)` and the like replaced.
fn expanded(stream: &StreamConfig, config: &WatcherConfig, wid: u32) -> StreamConfig {
    let mut stream = stream.clone();
    let lookup = |name: &str| match name.to_ascii_lowercase().as_str() {
        "wid" => Some(wid.to_string()),
        "watcher" => Some(config.name.clone()),
        _ => expand::env(&config.env, name),
    };
    let options = &mut stream.options;
    for option in [&mut options.filename, &mut options.prefix, &mut options.tag] {
        *option = option.take().map(|text| expand(&text, &lookup).into());
    }
    stream
}

/// The user of a watcher's processes. Looked up when a stream is opened, not when a process is spawned.
fn user_of(config: &WatcherConfig) -> u32 {
    let named = config.options.uid.as_deref().and_then(|name| user::uid_of(name).ok().flatten());
    named.unwrap_or_else(user::current_uid)
}

/// How much of the newest output of a watcher is kept in memory.
fn ring_limit(id: WatcherId, arbiter: &Arbiter) -> usize {
    let options = arbiter.watcher(id).map(|watcher| &watcher.config.options);
    options.map_or(0, |options| options.ring_bytes.clamp(0, LARGEST_RING) as usize)
}

/// Whether the streams that an order asks for can work, as far as that can be known without opening anything.
///
/// # Errors
/// The reason why not.
pub fn try_streams(task: &Task, arbiter: &Arbiter) -> Result<(), String> {
    let (Task::Set { name, options, .. } | Task::Add { name, options, .. }) = task else {
        return Ok(());
    };
    let is_of = |key: &str, channel: Channel| {
        key.strip_prefix(channel.name()).is_some_and(|rest| rest.starts_with("_stream"))
    };
    if !options.iter().any(|(key, _)| CHANNELS.iter().any(|channel| is_of(key, *channel))) {
        return Ok(());
    }
    let watcher = arbiter.find(name);
    let mut config = watcher.map_or_else(WatcherConfig::default, |watcher| (*watcher.config).clone());
    if options.iter().any(|(key, value)| config.set(key, value).is_err()) {
        return Ok(()); // the arbiter says what is wrong
    }
    for channel in CHANNELS {
        if options.iter().any(|(key, _)| is_of(key, channel))
            && let Some(stream) = config.stream(channel)
        {
            let tried = Plan::try_place(&expanded(stream, &config, 1));
            tried.map_err(|why| format!("{}_stream: {why}", channel.name()))?;
        }
    }
    Ok(())
}

impl Streams {
    /// Opens what a process that is about to be made writes to, and gives it the ends of its pipes.
    ///
    /// # Errors
    /// There can be no such process.
    pub(super) fn lend_outputs(&mut self, job: &mut Job, cx: &mut Cx<'_>) -> Result<(), Trouble> {
        self.new_outputs = NewOutputs::default();
        self.quota.set_cap(cx.setup.options.log_max_bytes);
        for channel in CHANNELS {
            if let Some(sink) = self.sink(job.watcher, job.wid, channel, cx)? {
                let (reader, writer) = process::pipe().map_err(Trouble::no_pipe)?;
                let child = &mut job.template.child;
                let end = match channel {
                    Channel::Stdout => &mut child.stdout,
                    Channel::Stderr => &mut child.stderr,
                };
                *end = Stdio::Fd(writer.as_raw_fd());
                self.new_outputs.pipes.push(NewPipe { reader, writer, sink, channel });
            }
        }
        self.new_outputs.line = wanted_line(&job.config, job.wid)?;
        Ok(())
    }

    /// Reads what a new process writes from now on; without a pid there is none.
    pub(super) fn take_outputs(&mut self, job: &Job, pid: Option<Pid>, cx: &mut Cx<'_>) {
        let NewOutputs { pipes, line } = std::mem::take(&mut self.new_outputs);
        let (watcher, wid) = (job.watcher, job.wid);
        let Some(pid) = pid else { return };
        self.quota.note_spawn();
        let limit = ring_limit(watcher, cx.arbiter);
        let mut ids = [None, None];
        for (place, NewPipe { reader, writer, sink, channel }) in ids.iter_mut().zip(pipes) {
            drop(writer);
            let fd = reader.as_raw_fd();
            let Some(id) = self.attach(reader, sink, Writer { watcher, pid, wid, channel }) else { continue };
            self.rings.open(watcher, channel, limit);
            match cx.poll.watch(fd, id.0 << 1) {
                Ok(()) => *place = Some(id),
                Err(error) => {
                    cx.log.error(format_args!("the output of {pid} cannot be read: {}", io_words(&error)));
                    self.detach(id, cx.now, cx.log);
                }
            }
        }
        if ids.iter().any(Option::is_some) {
            self.of_process.insert(pid, ids);
        }
        line.into_iter().for_each(|line| self.log_matches.add(pid, line));
    }

    /// Everything that a process has written is in its pipes when it is dead: it goes out before anybody is told.
    pub(super) fn drain_process(&mut self, pid: Pid, cx: &mut Cx<'_>) {
        let is_its = |id: &PipeId, streams: &Streams| {
            streams.pipes.get(id.0).is_some_and(|pipe| pipe.writer.pid == pid)
        };
        for id in self.of_process.remove(&pid).into_iter().flatten().flatten() {
            // It may have closed one, whose number is another's now.
            if is_its(&id, self) {
                self.drain_dead(id, cx.now, cx.log);
            }
        }
        self.pass_on(cx);
    }

    /// The sink of one output of a watcher, opened when first needed.
    fn sink(
        &mut self,
        id: WatcherId,
        wid: u32,
        channel: Channel,
        cx: &mut Cx<'_>,
    ) -> Result<Option<SinkId>, String> {
        let Some(watcher) = cx.arbiter.watcher(id) else { return Ok(None) };
        let Some(stream) = watcher.config.stream(channel) else { return Ok(None) };
        let owner = Owner::of(id, channel, stream, wid);
        if let Some(sink) = self.sink_of(&owner) {
            return Ok(Some(sink));
        }
        let stream = expanded(stream, &watcher.config, wid);
        let user = user_of(&watcher.config);
        let source = Source { watcher: &watcher.config.name, user, owner };
        let sink = self.sink_for(&source, &stream, cx.now, cx.log);
        sink.map(Some).map_err(|why| format!("{}_stream: {why}", channel.name()))
    }

    /// The options of a watcher have changed: the output of its processes goes where it is wanted now.
    pub(super) fn move_outputs(&mut self, id: WatcherId, cx: &mut Cx<'_>) {
        self.rings.resize(id, ring_limit(id, cx.arbiter));
        for (owner, sink) in self.sinks_of(id) {
            let stays = self.move_sink(owner, sink, cx).unwrap_or_else(|why| {
                cx.log.error(format_args!("{why}; the output goes where it went before"));
                true
            });
            if !stays {
                self.release(sink, cx.now, cx.log);
            }
        }
        if let Err(why) = self.redirect_pipes(id, cx) {
            cx.log.error(format_args!("{why}; output goes where it went before"));
        }
    }

    /// Leads a sink to where the options want it now; false when they want none of its kind.
    fn move_sink(&mut self, old: Owner, sink: SinkId, cx: &mut Cx<'_>) -> Result<bool, String> {
        let Some(watcher) = cx.arbiter.watcher(old.watcher) else { return Ok(false) };
        let Some(stream) = watcher.config.stream(old.channel) else { return Ok(false) };
        if Owner::of(old.watcher, old.channel, stream, old.wid) != old {
            return Ok(false);
        }
        let stream = expanded(stream, &watcher.config, old.wid);
        let source = Source { watcher: &watcher.config.name, user: user_of(&watcher.config), owner: old };
        self.reconfigure(sink, &source, &stream, cx.now, cx.log)
            .map_err(|why| format!("{} {}_stream: {why}", watcher.config.name, old.channel.name()))?;
        Ok(true)
    }

    /// Leads the pipes of running processes to sinks of their own, or to a common one, where that has changed.
    fn redirect_pipes(&mut self, id: WatcherId, cx: &mut Cx<'_>) -> Result<(), String> {
        for (pipe, Writer { wid, channel, .. }, old) in self.pipes_of(id) {
            let Some(watcher) = cx.arbiter.watcher(id) else { return Ok(()) };
            let stream = watcher.config.stream(channel);
            if stream.is_some_and(|stream| Owner::of(id, channel, stream, wid) != old)
                && let Some(sink) = self.sink(id, wid, channel, cx)?
            {
                self.redirect(pipe, sink, cx.now, cx.log);
            }
        }
        Ok(())
    }

    /// Closes the files of a watcher, as soon as nobody writes to them any more.
    pub(super) fn close_outputs(&mut self, id: WatcherId, cx: &mut Cx<'_>) {
        for (_, sink) in self.sinks_of(id) {
            self.release(sink, cx.now, cx.log);
        }
    }
}
