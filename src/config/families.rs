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
    pub members: &'static dyn Members,
    /// One line for the manual.
    pub help: &'static str,
}

impl Family {
    const fn live(self, live: Live) -> Family {
        Family { live, ..self }
    }

    const fn needs(self, feature: Feature) -> Family {
        Family { feature: Some(feature), ..self }
    }

    /// The key that stands for all members; for some families there is none.
    pub fn whole(&self) -> &'static str {
        self.prefix.trim_end_matches(['.', '_'])
    }

    /// The key of a member.
    pub fn key(&self, name: &str) -> String {
        self.prefix.to_string() + name
    }
}

/// How the members of a family are kept: by default among the free options.
pub trait Members: Sync {
    /// The names of those that are set.
    fn names(&self, _watcher: &WatcherConfig) -> Vec<String> {
        Vec::new()
    }

    /// Whether there can be a member of this name.
    fn knows(&self, _name: &str) -> bool {
        true
    }

    /// The value of a member.
    fn get(&self, _watcher: &WatcherConfig, _name: &str) -> Option<Value> {
        None
    }

    /// Stores the value of a member, whether it is known or not; `None` takes it away.
    ///
    /// # Errors
    /// The value does not fit.
    fn set(&self, watcher: &mut WatcherConfig, name: &str, value: Option<&Value>) -> Result<(), Refused>;

    /// Stores all members at once.
    ///
    /// # Errors
    /// That is not possible, or one of them does not fit.
    fn set_all(&self, _watcher: &mut WatcherConfig, _value: &Value) -> Result<(), Refused> {
        Err(Refused::Unknown)
    }
}

/// The families of options of `[watcher:NAME]`.
pub static FAMILIES: &[Family] = &[
    family(LIMIT, &Limits, "a resource limit, soft and hard; empty or infinity: none").live(Live::Reload),
    family(STDOUT_MEMBER, &Channel::Stdout, "where the standard output goes"),
    family(STDERR_MEMBER, &Channel::Stderr, "where the standard error output goes"),
    family(HOOK, &Hooks, "a program to ask or tell: COMMAND[, true to ignore its failures]")
        .needs(features::HOOKS),
    family(FLAPPING, &Texts(FLAPPING, |_| Ok(())), "an option of the plugin Flapping for this watcher")
        .needs(features::PLUGINS),
    family(
        CGROUP,
        &Texts(CGROUP, restrict::is_cgroup_file),
        "a file of the processes' own cgroup (v2) and what to write to it, such as cgroup.memory.max",
    )
    .live(Live::Reload)
    .needs(features::CGROUP),
];

/// A family whose members are stored, and need nothing.
const fn family(prefix: &'static str, members: &'static dyn Members, help: &'static str) -> Family {
    Family { prefix, live: Live::Stored, feature: None, members, help }
}

/// The family that `key` belongs to, and the name of the member.
pub fn of(key: &str) -> Option<(&'static Family, &str)> {
    FAMILIES.iter().find_map(|f| Some((f, key.strip_prefix(f.prefix)?)))
}

/// Resource limits.
struct Limits;

impl Members for Limits {
    fn names(&self, watcher: &WatcherConfig) -> Vec<String> {
        watcher.rlimits.keys().cloned().collect()
    }

    fn knows(&self, name: &str) -> bool {
        LIMITS.split(' ').any(|known| known.eq_ignore_ascii_case(name))
    }

    fn get(&self, watcher: &WatcherConfig, name: &str) -> Option<Value> {
        let limit = *watcher.rlimits.get(&name.to_ascii_lowercase())?;
        Some(limit.and_then(|number| i64::try_from(number).ok()).map_or(Value::None, Value::Int))
    }

    fn set(&self, watcher: &mut WatcherConfig, name: &str, value: Option<&Value>) -> Result<(), Refused> {
        let name = name.to_ascii_lowercase();
        match value {
            Some(value) => drop(watcher.rlimits.insert(name, limit(value)?)),
            None => drop(watcher.rlimits.remove(&name)),
        }
        Ok(())
    }
}

/// A resource limit: a number, or nothing, `infinity`, `unlimited` or -1 for none.
fn limit(value: &Value) -> Result<Option<u64>, Refused> {
    let number = match value {
        Value::None | Value::Int(-1) => return Ok(None),
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::Str(text) => match text.trim().to_ascii_lowercase().as_str() {
            "" | "infinity" | "unlimited" | "-1" => return Ok(None),
            number => number.parse().ok(),
        },
        Value::Bool(_) | Value::Float(_) | Value::Map(_) => None,
    };
    number.map(Some).ok_or(Refused::Type("an integer, infinity or empty"))
}

/// The options of a stream.
impl Members for Channel {
    fn names(&self, watcher: &WatcherConfig) -> Vec<String> {
        let Some(config) = watcher.kept_stream(*self) else { return Vec::new() };
        let names: Vec<String> = config.entries().into_iter().map(|(key, _)| key.to_string()).collect();
        // A stream whose options all have their defaults is more than none.
        if names.is_empty() { vec![stream::class.into()] } else { names }
    }

    fn knows(&self, name: &str) -> bool {
        options::find(options::STREAM, name).is_some()
    }

    fn get(&self, watcher: &WatcherConfig, name: &str) -> Option<Value> {
        watcher.kept_stream(*self).as_ref()?.get(name)
    }

    fn set(&self, watcher: &mut WatcherConfig, name: &str, value: Option<&Value>) -> Result<(), Refused> {
        let config = watcher.kept_stream_mut(*self);
        match value {
            Some(value) => config.get_or_insert_default().set(name, value),
            None => {
                config.iter_mut().for_each(|config| config.remove(name));
                Ok(())
            }
        }
    }

    fn set_all(&self, watcher: &mut WatcherConfig, value: &Value) -> Result<(), Refused> {
        let Value::Map(entries) = value else { return Err(Refused::Type("a valid object")) };
        let mut fresh = StreamConfig::default();
        entries.iter().try_for_each(|(key, text)| fresh.set(key, &Value::Str(text.clone())))?;
        *watcher.kept_stream_mut(*self) = Some(Box::new(fresh));
        Ok(())
    }
}

/// Programs to ask or tell: `COMMAND[, true]`.
struct Hooks;

impl Members for Hooks {
    fn names(&self, watcher: &WatcherConfig) -> Vec<String> {
        watcher.hooks.keys().cloned().collect()
    }

    fn knows(&self, name: &str) -> bool {
        hooks::NAMES.contains(&name)
    }

    fn get(&self, watcher: &WatcherConfig, name: &str) -> Option<Value> {
        let (command, lenient) = watcher.hooks.get(name)?;
        Some(Value::Str(if *lenient { format!("{command}, true") } else { command.clone() }))
    }

    /// No command removes it.
    fn set(&self, watcher: &mut WatcherConfig, name: &str, value: Option<&Value>) -> Result<(), Refused> {
        let text = match value {
            Some(Value::Str(text)) => text.as_str(),
            Some(_) => return Err(Refused::Type("a string")),
            None => "",
        };
        let flagged = text.rsplit_once(',').and_then(|(command, flag)| match Kind::Bool.parse(flag) {
            Ok(Value::Bool(flag)) => Some((command, flag)),
            _ => None,
        });
        let (command, lenient) = flagged.unwrap_or((text, false));
        match command.trim() {
            "" => drop(watcher.hooks.remove(name)),
            command => drop(watcher.hooks.insert(name.into(), (command.into(), lenient))),
        }
        Ok(())
    }

    fn set_all(&self, watcher: &mut WatcherConfig, value: &Value) -> Result<(), Refused> {
        let Value::Map(hooks) = value else { return Err(Refused::Unknown) };
        hooks.iter().try_for_each(|(name, hook)| self.set(watcher, name, Some(&Value::Str(hook.clone()))))
    }
}

/// Texts that are kept among the free options: what their keys begin with, and whether a name can be one of theirs.
struct Texts(&'static str, fn(&str) -> Result<(), String>);

impl Members for Texts {
    fn set(&self, watcher: &mut WatcherConfig, name: &str, value: Option<&Value>) -> Result<(), Refused> {
        let key = self.0.to_string() + name;
        (self.1)(name).map_err(|why| Refused::Bad(format!("{key} {why}")))?;
        match value {
            Some(Value::Str(text)) => drop(watcher.free.insert(key, text.clone())),
            Some(Value::Int(number)) => drop(watcher.free.insert(key, number.to_string())),
            Some(_) => return Err(Refused::Type("a string")),
            None => drop(watcher.free.remove(&key)),
        }
        Ok(())
    }
}
