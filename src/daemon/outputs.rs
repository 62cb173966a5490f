//! Spawns processes and leads their outputs to where the configuration wants them.

use super::blueprint::Blueprint;
use super::eventloop::Daemon;
use super::log::Level;
use super::plugins;
use super::sockets::User;
use super::streams::SinkId;
use crate::arbiter::{Event, Pid, WatcherId};
use crate::config::expand::{self, expand};
use crate::config::{PluginKind, StreamConfig, WatcherConfig};
use crate::sorted::Sorted;
use crate::sys::child::{SpawnError, Stdio, Step};
use crate::sys::{self, process};
use std::os::fd::{AsRawFd, OwnedFd};

/// How many watchers' blueprints are kept: enough for those whose processes come and go just now. Making one takes
/// some ten microseconds.
const MOST_BLUEPRINTS: usize = 16;

/// The two outputs of a process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Channel {
    Stdout,
    Stderr,
}

const CHANNELS: [Channel; 2] = [Channel::Stdout, Channel::Stderr];

impl Channel {
    fn option(self) -> &'static str {
        match self {
            Channel::Stdout => "stdout_stream",
            Channel::Stderr => "stderr_stream",
        }
    }

    fn config(self, config: &WatcherConfig) -> Option<&StreamConfig> {
        match self {
            Channel::Stdout => config.stdout_stream.as_deref().filter(|_| !config.options.close_child_stdout),
            Channel::Stderr => config.stderr_stream.as_deref().filter(|_| !config.options.close_child_stderr),
        }
    }
}

/// Where the outputs of a watcher's processes go: one sink for each channel, or one for each wid when the file's
/// name holds it.
#[derive(Default)]
pub struct Outputs {
    sinks: Sorted<(Channel, u32), SinkId>,
}

/// Both ends of a pipe that a process is to write to.
struct NewPipe {
    reader: OwnedFd,
    writer: OwnedFd,
    sink: SinkId,
}

/// What the sink of a wid is called in the table: all wids share one unless the configuration tells them apart.
fn sink_wid(stream: &StreamConfig, wid: u32) -> u32 {
    let filename = stream.options.filename.as_deref().unwrap_or_default();
    let differs = expand::names(filename).any(|name| name.eq_ignore_ascii_case("wid"));
    if differs { wid } else { 0 }
}

/// The configuration of a stream for one process: `$(circus.wid)` and the like in its file name replaced.
fn expanded(stream: &StreamConfig, config: &WatcherConfig, wid: u32) -> StreamConfig {
    let mut stream = stream.clone();
    let lookup = |name: &str| match name.eq_ignore_ascii_case("wid") {
        true => Some(wid.to_string()),
        false => expand::env(&config.env, name),
    };
    stream.options.filename = stream.options.filename.map(|filename| expand(&filename, &lookup).into());
    stream
}

impl Daemon {
    /// Spawns a process; the answer is the event that the arbiter waits for.
    pub(super) fn spawn(&mut self, id: WatcherId, wid: u32) -> Event {
        match self.try_spawn(id, wid) {
            Ok(pid) => Event::Spawned { watcher: id, pid },
            Err(reason) => {
                self.leave_sockets(id, wid);
                Event::SpawnFailed { watcher: id, reason }
            }
        }
    }

    fn try_spawn(&mut self, id: WatcherId, wid: u32) -> Result<Pid, String> {
        let watcher = self.arbiter.watcher(id).ok_or("the watcher is gone")?;
        if Blueprint::is_read_from_files(&watcher.config) || !self.blueprints.contains_key(&id) {
            let blueprint = Blueprint::new(&watcher.config, &self.sockets)?;
            if self.blueprints.len() >= MOST_BLUEPRINTS {
                self.blueprints.pop_first();
            }
            self.blueprints.insert(id, blueprint);
        }
        let pipes = self.make_pipes(id, wid)?;
        let watcher = self.arbiter.watcher(id).ok_or("the watcher is gone")?;
        let is_program = watcher.config.plugin == Some(PluginKind::Program);
        let connection = is_program.then(plugins::connection).transpose()?;
        let blueprint = self.blueprints.get_mut(&id).ok_or("the watcher is gone")?;
        let user = User { watcher: id, wid, replaces: watcher.replaces(), most: watcher.config.wanted() };
        let child = blueprint.child(&watcher.config, user, &mut self.sockets)?;
        let before = (child.stdin, child.stdout, child.stderr);
        let uid = child.uid.unwrap_or_else(sys::user::current_uid);
        let [stdout, stderr] = &pipes;
        if let Some(pipe) = stdout {
            child.stdout = Stdio::Fd(pipe.writer.as_raw_fd());
        }
        if let Some(pipe) = stderr {
            child.stderr = Stdio::Fd(pipe.writer.as_raw_fd());
        }
        if let Some((_, theirs)) = &connection {
            child.stdin = Stdio::Fd(theirs.as_raw_fd());
            child.stdout = child.stdin;
        }
        let spawned = self.spawner.spawn(child);
        (child.stdin, child.stdout, child.stderr) = before;
        let pid = spawned.map_err(|error| say(&error, blueprint))?;
        self.groups.remove(&pid); // a group of this number is over, else the process could not have it
        self.attach(pid, pipes);
        if let Some((ours, _)) = connection {
            self.take_in_plugin(ours, pid, uid);
        }
        Ok(pid)
    }

    fn make_pipes(&mut self, id: WatcherId, wid: u32) -> Result<[Option<NewPipe>; 2], String> {
        let mut pipes = [None, None];
        for (place, channel) in pipes.iter_mut().zip(CHANNELS) {
            if let Some(sink) = self.sink(id, wid, channel)? {
                let (reader, writer) = process::pipe().map_err(|e| format!("pipe: {}", sys::io_words(&e)))?;
                *place = Some(NewPipe { reader, writer, sink });
            }
        }
        Ok(pipes)
    }

    /// The sink of one channel of a watcher, opened when first needed.
    fn sink(&mut self, id: WatcherId, wid: u32, channel: Channel) -> Result<Option<SinkId>, String> {
        let Some(watcher) = self.arbiter.watcher(id) else { return Ok(None) };
        let Some(stream) = channel.config(&watcher.config) else { return Ok(None) };
        let key = (channel, sink_wid(stream, wid));
        let outputs = self.outputs.get_or_insert_with(id, Outputs::default);
        if let Some(sink) = outputs.sinks.get(&key) {
            return Ok(Some(*sink));
        }
        let stream = expanded(stream, &watcher.config, wid);
        let who = format!("{} {}", watcher.config.name, channel.option());
        let sink = self.streams.sink_for(&who, &stream, self.now, &mut self.log);
        let sink = sink.map_err(|why| format!("{}: {why}", channel.option()))?;
        outputs.sinks.insert(key, sink);
        Ok(Some(sink))
    }

    /// Reads what the new process writes from now on.
    fn attach(&mut self, pid: Pid, pipes: [Option<NewPipe>; 2]) {
        let mut ids = [None, None];
        for (place, pipe) in ids.iter_mut().zip(pipes) {
            let Some(NewPipe { reader, sink, .. }) = pipe else { continue };
            let fd = reader.as_raw_fd();
            let Some(id) = self.streams.attach(reader, sink, pid) else { continue };
            if let Err(error) = self.watch_pipe(fd, id) {
                let why = sys::io_words(&error);
                self.log.error(format_args!("the output of {pid} cannot be read: {why}"));
                self.streams.detach(id, self.now, &mut self.log);
                continue;
            }
            *place = Some(id);
        }
        if ids.iter().any(Option::is_some) {
            self.pipes.insert(pid, ids);
        }
    }

    /// The options of a watcher have changed: what was made from them is made anew, and its processes' output goes
    /// where it is wanted now.
    pub(super) fn remake(&mut self, id: WatcherId) {
        self.blueprints.remove(&id);
        self.unsettled.push(id);
        self.look_again(id);
        let Some(outputs) = self.outputs.remove(&id) else { return };
        let mut moved = Outputs::default();
        for ((channel, wid), sink) in outputs.sinks {
            let stays = self.move_output(id, channel, wid, sink).unwrap_or_else(|why| {
                self.log.log(Level::Error, format_args!("{why}; the output goes where it went before"));
                true
            });
            if stays {
                moved.sinks.insert((channel, wid), sink);
            } else {
                self.streams.release(sink, self.now, &mut self.log);
            }
        }
        self.outputs.insert(id, moved);
    }

    /// Leads a sink to where the options want it now; false when they want none of its kind.
    fn move_output(
        &mut self,
        id: WatcherId,
        channel: Channel,
        wid: u32,
        sink: SinkId,
    ) -> Result<bool, String> {
        let Some(watcher) = self.arbiter.watcher(id) else { return Ok(false) };
        let Some(stream) = channel.config(&watcher.config) else { return Ok(false) };
        if sink_wid(stream, wid) != wid {
            return Ok(false);
        }
        let stream = expanded(stream, &watcher.config, wid);
        let who = format!("{} {}", watcher.config.name, channel.option());
        self.streams
            .reconfigure(sink, &who, &stream, self.now, &mut self.log)
            .map_err(|why| format!("{who}: {why}"))?;
        Ok(true)
    }

    /// A watcher has stopped: its files are closed, as soon as nobody writes to them any more.
    pub(super) fn close_outputs(&mut self, id: WatcherId) {
        for (_, sink) in self.outputs.remove(&id).unwrap_or_default().sinks {
            self.streams.release(sink, self.now, &mut self.log);
        }
    }

    /// A watcher is gone.
    pub(super) fn forget(&mut self, id: WatcherId) {
        self.close_outputs(id);
        self.unwatch_sockets(id);
        self.forget_builtin(id);
        self.sockets.forget(id);
        self.unsettled.push(id);
        self.blueprints.remove(&id);
        self.spawns.retain(|(watcher, _)| *watcher != id);
    }
}

/// What went wrong, with the path it is about.
fn say(error: &SpawnError, blueprint: &Blueprint) -> String {
    match error.step {
        Step::Exec if error.errno == sys::ENOENT => {
            format!("{}: {}", blueprint.not_found(error.program), sys::errno_words(error.errno))
        }
        Step::Exec => format!("exec {}: {}", blueprint.program(error.program), sys::errno_words(error.errno)),
        Step::Chdir => format!("working_dir {}: {}", blueprint.working_dir(), sys::errno_words(error.errno)),
        _ => error.to_string(),
    }
}
