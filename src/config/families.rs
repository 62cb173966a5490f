//! The families of options of `[watcher:NAME]`: keys that begin alike, with the name of a member behind that.
//!
//! A family says how its members are kept; the file reader, `set`, `get`, `options` and the comparison of two files
//! go through it.
#![allow(missing_docs, reason = "what a name says is not said again")]

use super::features::{self, Feature};
use super::hooks;
use super::model::{Refused, WatcherConfig};
use super::options::{self, Live, stream};
use super::restrict;
use super::stream::{Channel, StreamConfig};
use super::value::{Kind, Value};
use Members::{Hooks, Limits, Stream, Texts};

/// The key that stands for the environment as a whole. Files have sections for it.
pub const ENV: &str = "env";
/// The key that gives a watcher another name than that of its section.
pub const NAME: &str = "name";
/// The keys that stand for all members of a family.
pub const STDOUT: &str = "stdout_stream";
pub const STDERR: &str = "stderr_stream";
pub const HOOKS: &str = "hooks";
/// What the keys of the families begin with.
pub const STDOUT_MEMBER: &str = "stdout_stream.";
pub const STDERR_MEMBER: &str = "stderr_stream.";
pub const HOOK: &str = "hooks.";
pub const LIMIT: &str = "rlimit_";
pub const FLAPPING: &str = "flapping.";
pub const CGROUP: &str = "cgroup.";

/// The resource limits of Linux, as in `rlimit_NAME`.
pub const LIMITS: &str = "as core cpu data fsize locks memlock msgqueue nice nofile nproc ofile rss rtprio rttime \
     sigpending stack";

/// A family of options: keys that begin alike.
pub struct Family {
    /// What the keys begin with.
    pub prefix: &'static str,
    /// What follows when one of them changes.
    pub live: Live,
    /// The feature that a build must have for it.
    pub feature: Option<Feature>,
    /// How its members are kept.
    pub members: Members,
    /// One line for the manual.
    pub help: &'static str,
}

impl Family {
    /// The key that stands for all members; for some families there is none.
    pub fn whole(&self) -> &'static str {
        self.prefix.trim_end_matches(['.', '_'])
    }

    /// The key of a member.
    pub fn key(&self, name: &str) -> String {
        self.prefix.to_string() + name
    }

    /// The names of the members that are set; texts are told among the free options.
    pub fn names(&self, watcher: &WatcherConfig) -> Vec<String> {
        match self.members {
            Limits => watcher.rlimits.keys().cloned().collect(),
            Stream(channel) => {
                let Some(config) = watcher.kept_stream(channel) else { return Vec::new() };
                let names: Vec<_> = config.entries().into_iter().map(|(key, _)| key.to_string()).collect();
                // A stream whose options all have their defaults is more than none.
                if names.is_empty() { vec![stream::class.into()] } else { names }
            }
            Hooks => watcher.hooks.keys().cloned().collect(),
            Texts(_) => Vec::new(),
        }
    }

    /// Whether there can be a member of this name.
    pub fn knows(&self, name: &str) -> bool {
        match self.members {
            Limits => LIMITS.split(' ').any(|known| known.eq_ignore_ascii_case(name)),
            Stream(_) => options::find(options::STREAM, name).is_some(),
            Hooks => hooks::NAMES.contains(&name),
            Texts(_) => true,
        }
    }

    /// The value of a member; texts are told among the free options.
    pub fn get(&self, watcher: &WatcherConfig, name: &str) -> Option<Value> {
        match self.members {
            Limits => {
                let limit = *watcher.rlimits.get(&name.to_ascii_lowercase())?;
                Some(limit.and_then(|number| i64::try_from(number).ok()).map_or(Value::None, Value::Int))
            }
            Stream(channel) => watcher.kept_stream(channel).as_ref()?.get(name),
            Hooks => {
                let (command, lenient) = watcher.hooks.get(name)?;
                Some(Value::Str(if *lenient { format!("{command}, true") } else { command.clone() }))
            }
            Texts(_) => None,
        }
    }

    /// Stores the value of a member, whether it is known or not; `None` takes it away, which no command does.
    ///
    /// # Errors
    /// The value does not fit.
    pub fn set(&self, watcher: &mut WatcherConfig, name: &str, value: Option<&Value>) -> Result<(), Refused> {
        match (self.members, value) {
            (Limits, Some(value)) => {
                let name = name.to_ascii_lowercase();
                let limit = limit(&name, value)?;
                watcher.rlimits.insert(name, limit);
            }
            (Limits, None) => drop(watcher.rlimits.remove(&name.to_ascii_lowercase())),
            (Stream(channel), Some(value)) => {
                watcher.kept_stream_mut(channel).get_or_insert_default().set(name, value)?;
            }
            (Stream(channel), None) => {
                watcher.kept_stream_mut(channel).iter_mut().for_each(|config| config.remove(name));
            }
            (Hooks, Some(Value::Str(text))) => {
                let flagged =
                    text.rsplit_once(',').and_then(|(command, flag)| match Kind::Bool.parse(flag) {
                        Ok(Value::Bool(flag)) => Some((command, flag)),
                        _ => None,
                    });
                let (command, lenient) = flagged.unwrap_or((text, false));
                match command.trim() {
                    "" => drop(watcher.hooks.remove(name)),
                    command => drop(watcher.hooks.insert(name.into(), (command.into(), lenient))),
                }
            }
            (Hooks, None) => drop(watcher.hooks.remove(name)),
            (Hooks, Some(_)) => return Err(Refused::Type("a string")),
            (Texts(fits), value) => {
                let key = self.key(name);
                fits(name).map_err(|why| Refused::Bad(format!("{key} {why}")))?;
                match value {
                    Some(Value::Str(text)) => drop(watcher.free.insert(key, text.clone())),
                    Some(Value::Int(number)) => drop(watcher.free.insert(key, number.to_string())),
                    Some(_) => return Err(Refused::Type("a string")),
                    None => drop(watcher.free.remove(&key)),
                }
            }
        }
        Ok(())
    }

    /// Takes over a text that cannot be used, as a file has it.
    pub fn keep(&self, watcher: &mut WatcherConfig, name: &str, text: &str) {
        if let Stream(channel) = self.members {
            watcher.kept_stream_mut(channel).get_or_insert_default().keep(name, text);
        }
    }

    /// Stores all members at once.
    ///
    /// # Errors
    /// That is not possible, or one of them does not fit.
    pub fn set_all(&self, watcher: &mut WatcherConfig, value: &Value) -> Result<(), Refused> {
        match (self.members, value) {
            (Stream(channel), Value::Map(entries)) => {
                let mut fresh = StreamConfig::default();
                entries.iter().try_for_each(|(key, text)| fresh.set(key, &Value::Str(text.clone())))?;
                *watcher.kept_stream_mut(channel) = Some(Box::new(fresh));
                Ok(())
            }
            (Stream(_), _) => Err(Refused::Type("a valid object")),
            (Hooks, Value::Map(hooks)) => hooks
                .iter()
                .try_for_each(|(name, hook)| self.set(watcher, name, Some(&Value::Str(hook.clone())))),
            (Hooks | Limits | Texts(_), _) => Err(Refused::Unknown),
        }
    }
}

/// How the members of a family are kept.
#[derive(Clone, Copy)]
pub enum Members {
    /// As resource limits.
    Limits,
    /// As options of a stream.
    Stream(Channel),
    /// As programs to ask or tell: `COMMAND[, true]`.
    Hooks,
    /// As texts among the free options. The function tells whether a name can be one of theirs.
    Texts(fn(&str) -> Result<(), String>),
}

/// The families of options of `[watcher:NAME]`.
pub static FAMILIES: &[Family] = &[
    Family {
        live: Live::Reload,
        ..family(LIMIT, Limits, "a resource limit, both soft and hard; empty or infinity: none")
    },
    family(STDOUT_MEMBER, Stream(Channel::Stdout), "where the standard output goes"),
    family(STDERR_MEMBER, Stream(Channel::Stderr), "where the standard error output goes"),
    Family {
        feature: Some(features::HOOKS),
        ..family(HOOK, Hooks, "a command to run at this event: COMMAND[, true to ignore its failures]")
    },
    Family {
        feature: Some(features::PLUGINS),
        ..family(FLAPPING, Texts(|_| Ok(())), "an option of the plugin Flapping for this watcher")
    },
    Family {
        live: Live::Reload,
        feature: Some(features::CGROUP),
        ..family(
            CGROUP,
            Texts(restrict::is_cgroup_file),
            "a value for a file of the watcher's own cgroup (v2), such as cgroup.memory.max",
        )
    },
];

/// A family whose members are stored, and need nothing.
const fn family(prefix: &'static str, members: Members, help: &'static str) -> Family {
    Family { prefix, live: Live::Stored, feature: None, members, help }
}

/// The family that `key` belongs to, and the name of the member.
pub fn of(key: &str) -> Option<(&'static Family, &str)> {
    FAMILIES.iter().find_map(|f| Some((f, key.strip_prefix(f.prefix)?)))
}

/// What the number of a resource limit counts, where that has units.
fn unit(limit: &str) -> Kind {
    match limit {
        "as" | "core" | "data" | "fsize" | "memlock" | "msgqueue" | "rss" | "stack" => Kind::Bytes,
        "cpu" => Kind::WholeSeconds,
        _ => Kind::Int,
    }
}

/// A resource limit: a number, or nothing, `infinity`, `unlimited` or -1 for none.
fn limit(name: &str, value: &Value) -> Result<Option<u64>, Refused> {
    let number = match value {
        Value::None | Value::Int(-1) => return Ok(None),
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::Str(text) => match text.trim().to_ascii_lowercase().as_str() {
            "" | "infinity" | "unlimited" | "-1" => return Ok(None),
            number => match unit(name).measure(number) {
                Ok(Some(Value::Int(number))) => u64::try_from(number).ok(),
                Ok(_) => number.parse().ok(),
                Err(why) => return Err(Refused::Bad(format!("rlimit_{name} = {number:.60} {why}"))),
            },
        },
        Value::Bool(_) | Value::Float(_) | Value::Map(_) => None,
    };
    number.map(Some).ok_or(Refused::Type("an integer, infinity or empty"))
}
