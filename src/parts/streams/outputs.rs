//! The outputs of processes: what the configuration wants of each, the pipes that a new process gets, and where they
//! lead when options change.

use super::plan::Plan;
use super::{Owner, PipeId, Streams};
use crate::arbiter::request::Task;
use crate::arbiter::{Arbiter, WatcherId};
use crate::config::expand::{self, expand};
use crate::config::options::LARGEST_RING;
use crate::config::regex::Regex;
use crate::config::{CHANNELS, Channel, StreamConfig, StreamKind, WatcherConfig};
use crate::reactor::part::{Cx, Writer};
use crate::sys::user;
use std::os::fd::OwnedFd;

/// The outputs of a process that is about to be made.
#[derive(Default)]
pub(super) struct NewOutputs {
    /// Both ends of each pipe, and whose sink it will feed.
    pub(super) pipes: Vec<(OwnedFd, OwnedFd, Owner)>,
    /// The line by which it will say that it is ready.
    pub(super) line: Option<Regex>,
}

impl Owner {
    /// Whose the sink of an output of a process is: its own, if the configuration tells processes apart, else one of
    /// all. Nobody's, if circus does not read it.
    pub(super) fn of(
        watcher: WatcherId,
        channel: Channel,
        config: &WatcherConfig,
        wid: u32,
    ) -> Option<Owner> {
        let stream = config.stream(channel)?;
        let texts = [&stream.options.filename, &stream.options.prefix, &stream.options.tag];
        let mut names = texts.into_iter().flatten().flat_map(|text| expand::names(text));
        let own = stream.kind() == StreamKind::Json || names.any(|name| name.eq_ignore_ascii_case("wid"));
        Some(Owner { watcher, channel, wid: if own { wid } else { 0 } })
    }
}

/// The configuration of an output of one process: `$(circus.wid)` and the like replaced.
pub(super) fn expanded(config: &WatcherConfig, channel: Channel, wid: u32) -> Option<StreamConfig> {
    let mut stream = config.stream(channel)?.clone();
    let lookup = |name: &str| match name.to_ascii_lowercase().as_str() {
        "wid" => Some(wid.to_string()),
        "watcher" => Some(config.name.clone()),
        _ => expand::env(&config.env, name),
    };
    let options = &mut stream.options;
    for option in [&mut options.filename, &mut options.prefix, &mut options.tag] {
        *option = option.take().map(|text| expand(&text, &lookup).into());
    }
    Some(stream)
}

/// The user of a watcher's processes. Looked up when a stream is opened, not when a process is spawned.
pub(super) fn user_of(config: &WatcherConfig) -> u32 {
    let named = config.options.uid.as_deref().and_then(|name| user::uid_of(name).ok().flatten());
    named.unwrap_or_else(user::current_uid)
}

/// How much of the newest output of a watcher is kept in memory.
pub(super) fn ring_limit(id: WatcherId, arbiter: &Arbiter) -> usize {
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
            && let Some(stream) = expanded(&config, channel, 1)
        {
            Plan::try_place(&stream).map_err(|why| format!("{}: {why}", channel.key()))?;
        }
    }
    Ok(())
}

impl Streams {
    /// The options of a watcher have changed: the output of its processes goes where it is wanted now.
    pub(super) fn move_outputs(&mut self, id: WatcherId, cx: &mut Cx<'_>) {
        self.rings.resize(id, ring_limit(id, cx.arbiter));
        let Some(watcher) = cx.arbiter.watcher(id) else { return };
        let config = &watcher.config;
        for owner in self.owners(id) {
            // What is one of all is so for any process.
            if Owner::of(id, owner.channel, config, owner.wid.max(1)) != Some(owner) {
                self.release(&owner, cx.now, cx.log);
            } else if let Err(why) = self.lead(owner, config, cx.now, cx.log) {
                let name = &config.name;
                cx.log.error(format_args!("{name} {why}; the output goes where it went before"));
            }
        }
        if let Err(why) = self.redirect_pipes(id, config, cx) {
            cx.log.error(format_args!("{why}; output goes where it went before"));
        }
    }

    /// Leads the pipes of running processes to sinks of their own, or to a common one, where that has changed.
    fn redirect_pipes(
        &mut self,
        id: WatcherId,
        config: &WatcherConfig,
        cx: &mut Cx<'_>,
    ) -> Result<(), String> {
        let own = self.pipes.iter().filter(|(_, pipe)| pipe.writer.watcher == id);
        let pipes: Vec<_> = own.map(|(id, pipe)| (PipeId(id), pipe.writer, pipe.owner)).collect();
        for (pipe, Writer { wid, channel, .. }, old) in pipes {
            if let Some(owner) = Owner::of(id, channel, config, wid).filter(|owner| *owner != old) {
                self.want(owner, config, cx.now, cx.log)?;
                self.redirect(pipe, owner, cx.now, cx.log);
            }
        }
        Ok(())
    }

    /// Closes the files of a watcher, as soon as nobody writes to them any more.
    pub(super) fn close_outputs(&mut self, id: WatcherId, cx: &mut Cx<'_>) {
        for owner in self.owners(id) {
            self.release(&owner, cx.now, cx.log);
        }
    }
}
