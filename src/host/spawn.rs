//! Spawns processes and leads their outputs to where the configuration wants them.

use crate::arbiter::request::Task;
use crate::arbiter::{Pid, WatcherId};
use crate::config::expand::{self, expand};
use crate::config::options::LARGEST_RING;
use crate::config::probe;
use crate::config::{StreamConfig, StreamKind, WatcherConfig};
use crate::host::spawn_template::SpawnTemplate;
use crate::parts::log::Level;
use crate::parts::notify_socket::Ear;
use crate::parts::streams::plan::Plan;
use crate::parts::streams::ring::Writer;
use crate::parts::streams::{Channel, Owner, SinkId, Source};
use crate::reactor::eventloop::Daemon;
use crate::reactor::registry::Key;
use crate::sys::child::{Child, SpawnError, Stdio, Step};
use crate::sys::{self, process, user};
use std::os::fd::{AsRawFd, OwnedFd};

const CHANNELS: [Channel; 2] = [Channel::Stdout, Channel::Stderr];

/// What is to become of an output; nothing: circus does not read it.
pub fn stream_of(channel: Channel, config: &WatcherConfig) -> Option<&StreamConfig> {
    match channel {
        Channel::Stdout => config.stdout_stream.as_deref().filter(|_| !config.options.close_child_stdout),
        Channel::Stderr => config.stderr_stream.as_deref().filter(|_| !config.options.close_child_stderr),
    }
}

/// Both ends of a pipe that a process is to write to.
pub(crate) struct NewPipe {
    reader: OwnedFd,
    writer: OwnedFd,
    sink: SinkId,
    channel: Channel,
}

/// Whose the sink of a process is: its own, if the configuration tells processes apart, else one of all.
fn owner(watcher: WatcherId, channel: Channel, stream: &StreamConfig, wid: u32) -> Owner {
    let options = &stream.options;
    let texts = [&options.filename, &options.prefix, &options.tag].into_iter().flatten();
    let mut names = texts.flat_map(|text| expand::names(text));
    let own = stream.kind() == StreamKind::Json || names.any(|name| name.eq_ignore_ascii_case("wid"));
    Owner { watcher, channel, wid: if own { wid } else { 0 } }
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

impl Daemon {
    /// Whether the streams that an order asks for can work, as far as that can be known without opening anything.
    ///
    /// # Errors
    /// The reason why not.
    pub(crate) fn try_streams(&self, task: &Task) -> Result<(), String> {
        let (Task::Set { name, options, .. } | Task::Add { name, options, .. }) = task else {
            return Ok(());
        };
        let is_of = |key: &str, channel: Channel| {
            key.strip_prefix(channel.name()).is_some_and(|rest| rest.starts_with("_stream"))
        };
        if !options.iter().any(|(key, _)| CHANNELS.iter().any(|channel| is_of(key, *channel))) {
            return Ok(());
        }
        let watcher = self.core.arbiter.find(name);
        let mut config = watcher.map_or_else(WatcherConfig::default, |watcher| (*watcher.config).clone());
        if options.iter().any(|(key, value)| config.set(key, value).is_err()) {
            return Ok(()); // the arbiter says what is wrong
        }
        for channel in CHANNELS {
            if options.iter().any(|(key, _)| is_of(key, channel))
                && let Some(stream) = stream_of(channel, &config)
            {
                let tried = Plan::try_place(&expanded(stream, &config, 1));
                tried.map_err(|why| format!("{}_stream: {why}", channel.name()))?;
            }
        }
        Ok(())
    }

    pub(crate) fn make_pipes(&mut self, id: WatcherId, wid: u32) -> Result<[Option<NewPipe>; 2], NotSpawned> {
        let mut pipes = [None, None];
        for (place, channel) in pipes.iter_mut().zip(CHANNELS) {
            if let Some(sink) = self.sink(id, wid, channel)? {
                let (reader, writer) = process::pipe().map_err(no_pipe)?;
                *place = Some(NewPipe { reader, writer, sink, channel });
            }
        }
        Ok(pipes)
    }

    /// The sink of one channel of a watcher, opened when first needed.
    fn sink(&mut self, id: WatcherId, wid: u32, channel: Channel) -> Result<Option<SinkId>, String> {
        let Some(watcher) = self.core.arbiter.watcher(id) else { return Ok(None) };
        let Some(stream) = stream_of(channel, &watcher.config) else { return Ok(None) };
        let owner = owner(id, channel, stream, wid);
        if let Some(sink) = self.parts.streams.sink_of(&owner) {
            return Ok(Some(sink));
        }
        let stream = expanded(stream, &watcher.config, wid);
        let user = user_of(&watcher.config);
        let source = Source { watcher: &watcher.config.name, user, owner };
        let sink = self.parts.streams.sink_for(&source, &stream, self.core.now, &mut self.core.log);
        sink.map(Some).map_err(|why| format!("{}_stream: {why}", channel.name()))
    }

    /// Reads what the new process writes from now on.
    pub(crate) fn attach(&mut self, watcher: WatcherId, wid: u32, pid: Pid, pipes: [Option<NewPipe>; 2]) {
        let limit = self.ring_limit(watcher);
        let mut ids = [None, None];
        for (place, pipe) in ids.iter_mut().zip(pipes) {
            let Some(NewPipe { reader, sink, channel, .. }) = pipe else { continue };
            let fd = reader.as_raw_fd();
            let writer = Writer { watcher, pid, wid, channel };
            let Some(id) = self.parts.streams.attach(reader, sink, writer) else { continue };
            self.parts.streams.rings.open(watcher, channel, limit);
            if let Err(error) = self.core.poll(Key::streams).watch(fd, id.0 << 1) {
                let why = sys::io_words(&error);
                self.core.log.error(format_args!("the output of {pid} cannot be read: {why}"));
                self.parts.streams.detach(id, self.core.now, &mut self.core.log);
                continue;
            }
            *place = Some(id);
        }
        if ids.iter().any(Option::is_some) {
            self.pipes.insert(pid, ids);
        }
    }

    /// How much of the newest output of a watcher is kept in memory.
    fn ring_limit(&self, id: WatcherId) -> usize {
        let options = self.core.arbiter.watcher(id).map(|watcher| &watcher.config.options);
        options.map_or(0, |options| options.ring_bytes.clamp(0, LARGEST_RING) as usize)
    }

    /// The options of a watcher have changed: what was made from them is made anew, and its processes' output goes
    /// where it is wanted now.
    pub(crate) fn remake(&mut self, id: WatcherId) {
        self.each(&mut |part, cx| part.changed(id, cx));
        self.renew_builtin(id);
        self.parts.streams.rings.resize(id, self.ring_limit(id));
        for (owner, sink) in self.parts.streams.sinks_of(id) {
            let stays = self.move_output(owner, sink).unwrap_or_else(|why| {
                self.core.log.log(Level::Error, format_args!("{why}; the output goes where it went before"));
                true
            });
            if !stays {
                self.parts.streams.release(sink, self.core.now, &mut self.core.log);
            }
        }
        if let Err(why) = self.redirect_outputs(id) {
            self.core.log.log(Level::Error, format_args!("{why}; output goes where it went before"));
        }
    }

    /// Leads the pipes of running processes to sinks of their own, or to a common one, where that has changed.
    fn redirect_outputs(&mut self, id: WatcherId) -> Result<(), String> {
        for (pipe, Writer { wid, channel, .. }, old) in self.parts.streams.pipes_of(id) {
            let Some(watcher) = self.core.arbiter.watcher(id) else { return Ok(()) };
            let stream = stream_of(channel, &watcher.config);
            if stream.is_some_and(|stream| owner(id, channel, stream, wid) != old)
                && let Some(sink) = self.sink(id, wid, channel)?
            {
                self.parts.streams.redirect(pipe, sink, self.core.now, &mut self.core.log);
            }
        }
        Ok(())
    }

    /// Leads a sink to where the options want it now; false when they want none of its kind.
    fn move_output(&mut self, old: Owner, sink: SinkId) -> Result<bool, String> {
        let Some(watcher) = self.core.arbiter.watcher(old.watcher) else { return Ok(false) };
        let Some(stream) = stream_of(old.channel, &watcher.config) else { return Ok(false) };
        if owner(old.watcher, old.channel, stream, old.wid) != old {
            return Ok(false);
        }
        let stream = expanded(stream, &watcher.config, old.wid);
        let user = user_of(&watcher.config);
        let source = Source { watcher: &watcher.config.name, user, owner: old };
        self.parts
            .streams
            .reconfigure(sink, &source, &stream, self.core.now, &mut self.core.log)
            .map_err(|why| format!("{} {}_stream: {why}", watcher.config.name, old.channel.name()))?;
        Ok(true)
    }

    /// A watcher has stopped: its files are closed, as soon as nobody writes to them any more.
    pub(crate) fn close_outputs(&mut self, id: WatcherId) {
        for (_, sink) in self.parts.streams.sinks_of(id) {
            self.parts.streams.release(sink, self.core.now, &mut self.core.log);
        }
    }

    /// A watcher is gone.
    pub(crate) fn forget(&mut self, id: WatcherId) {
        self.close_outputs(id);
        self.parts.streams.rings.remove(id);
        self.each(&mut |part, cx| part.forgotten(id, cx));
        self.forget_builtin(id);
    }
}

/// What the template of a watcher has where one process gets descriptors of its own.
pub struct Loan {
    sockets: usize,
    stdio: (Stdio, Stdio, Stdio),
}

impl Loan {
    /// Notes it.
    pub fn begin(child: &Child) -> Loan {
        Loan { sockets: child.sockets.len(), stdio: (child.stdin, child.stdout, child.stderr) }
    }

    /// Takes them back.
    pub fn end(self, child: &mut Child) {
        child.sockets.truncate(self.sockets);
        (child.stdin, child.stdout, child.stderr) = self.stdio;
    }
}

/// Gives a process that is about to be made its ends of what circus reads from it or speaks with it by.
pub(crate) fn put_in(
    child: &mut Child,
    [stdout, stderr]: &[Option<NewPipe>; 2],
    ear: &Ear,
) -> Result<(), String> {
    if let Ear::Newline(_, theirs, number) = ear {
        probe::collision(*number, child.sockets.len()).map_or(Ok(()), Err)?;
        child.sockets.push((theirs.as_raw_fd(), *number));
    }
    if let Some(pipe) = stdout {
        child.stdout = Stdio::Fd(pipe.writer.as_raw_fd());
    }
    if let Some(pipe) = stderr {
        child.stderr = Stdio::Fd(pipe.writer.as_raw_fd());
    }
    Ok(())
}

/// Why there is no process.
pub struct NotSpawned {
    pub reason: String,
    /// The machine was short of something.
    pub shortage: bool,
}

impl NotSpawned {
    /// With the system's reason, and all in words.
    pub fn by(errno: i32, reason: String) -> NotSpawned {
        NotSpawned { shortage: sys::is_shortage(errno) || sys::tells_of_shortage(&reason), reason }
    }

    /// As the child has told it after it had been made.
    pub fn late(error: &SpawnError) -> NotSpawned {
        NotSpawned::by(error.errno, say_late(error))
    }
}

impl From<String> for NotSpawned {
    fn from(reason: String) -> NotSpawned {
        NotSpawned { shortage: sys::tells_of_shortage(&reason), reason }
    }
}

/// Why there is none.
pub fn gone() -> NotSpawned {
    "the watcher is gone".to_string().into()
}

/// Why there is no pipe.
pub fn no_pipe(error: std::io::Error) -> NotSpawned {
    NotSpawned::by(error.raw_os_error().unwrap_or(0), format!("pipe: {}", sys::io_words(&error)))
}

/// What went wrong, with the path it is about, as far as the child has told.
fn say_late(error: &SpawnError) -> String {
    match error.step {
        Step::Chdir => format!("working_dir {}: {}", error.path, sys::errno_words(error.errno)),
        _ => error.to_string(),
    }
}

/// What went wrong, with the path it is about.
pub fn say(error: &SpawnError, template: &SpawnTemplate) -> String {
    let (child, words) = (template.prepared(), sys::errno_words(error.errno));
    match (error.step, child.uid) {
        (Step::Exec, _) if child.prepare.is_some() => say_late(error),
        (Step::Exec, _) if error.errno == sys::ENOENT => {
            format!("{}: {words}", template.not_found(error.program))
        }
        (Step::Exec, _) => format!("exec {}: {words}", template.program(error.program)),
        (Step::Chdir, Some(uid)) if error.errno == sys::EACCES => {
            format!("working_dir {}: {words} (uid {uid} may not enter it)", template.working_dir())
        }
        (Step::Chdir, _) => format!("working_dir {}: {words}", template.working_dir()),
        _ => error.to_string(),
    }
}
