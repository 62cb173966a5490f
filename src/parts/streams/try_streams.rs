//! Whether the streams that `set` and `add` ask for can work.

use super::outputs::{Plan, expanded};
use crate::arbiter::Arbiter;
use crate::arbiter::request::{Edit, Task};
use crate::config::{CHANNELS, Channel, WatcherConfig};

/// Whether the streams that an order asks for can work, as far as that can be known without opening anything.
///
/// # Errors
/// The reason why not.
pub fn try_streams(task: &Task, arbiter: &Arbiter) -> Result<(), String> {
    let Task::Edit(Edit::Set { name, options, .. } | Edit::Add { name, options, .. }) = task else {
        return Ok(());
    };
    let says = |channel: &Channel| options.iter().any(|(key, _)| key.starts_with(channel.key()));
    if !CHANNELS.iter().any(says) {
        return Ok(());
    }
    let watcher = arbiter.find(name);
    let mut config = watcher.map_or_else(WatcherConfig::default, |watcher| (*watcher.config).clone());
    if options.iter().any(|(key, value)| config.set(key, value).is_err()) {
        return Ok(()); // the arbiter says what is wrong
    }
    for channel in CHANNELS.into_iter().filter(says) {
        if let Some(stream) = expanded(&config, channel, 1) {
            Plan::try_place(&stream).map_err(|why| format!("{}: {why}", channel.key()))?;
        }
    }
    Ok(())
}
