//! What a configuration says, as values: the whole of it, its watchers, sockets and plugins, where each option
//! stands, and the findings that reading it gave.
//!
//! Names are not resolved here: a user is a name, a path is text. That happens just before use.

use super::families::{self, FAMILIES};
use super::hooks::Hook;
use super::options::{
    self, AccessOptions, CircusOptions, Live, PluginOptions, Row, SocketOptions, WatcherOptions, socket,
    watcher,
};
use super::stream::StreamConfig;
use super::value::{Kind, Value};
use super::{features, probe};
use crate::seldom::{Empty, Seldom};
use crate::sorted::Sorted;
use std::rc::Rc;

/// The most processes of one watcher.
pub const MOST_PROCESSES: i64 = 100_000;

/// The longest name of a watcher, socket or plugin, in characters.
pub const LONGEST_NAME: usize = 255;

/// Where an option or a section stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The file, as it was named.
    pub file: Rc<str>,
    /// The line, from 1; 0 when the file as a whole is meant.
    pub line: u32,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.line == 0 { f.write_str(&self.file) } else { write!(f, "{}:{}", self.file, self.line) }
    }
}

/// Where the options of a section stand. Two sections that say the same in other places are equal.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    /// Where the section begins.
    pub section: Option<Origin>,
    /// Where each key stands.
    pub keys: Sorted<Rc<str>, Origin>,
}

impl Empty for Origins {
    const EMPTY: &'static Self = &Origins { section: None, keys: Sorted::new() };
}

impl PartialEq for Origins {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Origins {
    /// Where `key` stands, or else its section.
    pub fn of(&self, key: &str) -> Option<&Origin> {
        self.keys.get(key).or(self.section.as_ref())
    }
}

/// A whole configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// `[circus]`.
    pub circus: CircusOptions,
    /// Where its options stand.
    pub origins: Origins,
    /// `[watcher:NAME]`, sorted by name.
    pub watchers: Vec<WatcherConfig>,
    /// `[socket:NAME]`, sorted by name.
    pub sockets: Vec<SocketConfig>,
    /// `[plugin:NAME]`, sorted by name.
    pub plugins: Vec<PluginConfig>,
    /// `[access]`.
    pub access: AccessConfig,
    /// The files that it was read from.
    pub files: Vec<Rc<str>>,
}

/// Names with values, sorted.
pub type Names = Sorted<String, String>;
/// The same where there are mostly none.
pub type Rest = Seldom<Names>;

/// One watcher.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WatcherConfig {
    /// Its name, in its own case.
    pub name: String,
    /// Where its options stand.
    pub origins: Seldom<Origins>,
    /// The options of the table.
    pub options: WatcherOptions,
    /// Resource limits by lower-case name (`nofile`); `None` is infinity.
    pub rlimits: Seldom<Sorted<String, Option<u64>>>,
    /// Where its standard output goes; `None`: to that of circus.
    pub stdout_stream: Option<Box<StreamConfig>>,
    /// Where its standard error output goes; `None`: to that of circus.
    pub stderr_stream: Option<Box<StreamConfig>>,
    /// Programs to ask or tell, by the name of the hook, with the flag that ignores failures.
    pub hooks: Seldom<Sorted<String, (String, bool)>>,
    /// What the configuration puts into the environment of its processes, `$VAR` expanded.
    pub env: Rc<Names>,
    /// All other keys, with variables replaced; and the text of values that could not be used.
    pub free: Rest,
    /// Why it cannot run, when one of its values cannot be used.
    pub broken: Option<String>,
    /// It is the watcher of a plugin of this kind.
    pub plugin: Option<PluginKind>,
}

/// A section whose options are those of an `S`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SectionConfig<S> {
    /// Its name: that of a socket is lower-case, that of a plugin has `plugin:` before it, as Circus has it.
    pub name: String,
    /// Where its options stand.
    pub origins: Origins,
    /// The options of the table.
    pub options: S,
    /// All other keys, which are a plugin's own; and the text of values that could not be used.
    pub free: Rest,
    /// Why there can be no such socket or plugin, when one of its values cannot be used.
    pub broken: Option<String>,
}

/// One socket.
pub type SocketConfig = SectionConfig<SocketOptions>;

/// `[access]`.
pub type AccessConfig = SectionConfig<AccessOptions>;

/// One plugin.
pub type PluginConfig = SectionConfig<PluginOptions>;

impl SocketConfig {
    /// Whether the file gives this option a value.
    pub fn says(&self, key: &str) -> bool {
        self.origins.keys.contains_key(key)
    }

    /// Whether it is known where to bind it: one that is to be inherited needs that only for want of a better.
    pub fn has_address(&self) -> bool {
        self.options.inherit.is_none()
            || [socket::host, socket::port, socket::path].iter().any(|key| self.says(key))
    }
}

/// One of the plugins that circus has itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builtin {
    /// Stops watchers whose processes end again and again.
    Flapping,
    /// Replaces processes that use too much, or too little.
    ResourceWatcher,
    /// Ends processes that have not been heard of for too long.
    WatchDog,
    /// Restarts watchers whose program has changed.
    CommandReloader,
    /// Counts events.
    StatsdEmitter,
    /// Sends statistics of all watchers.
    FullStats,
    /// Asks a web server.
    HttpObserver,
    /// Asks a Redis server.
    RedisObserver,
    /// Serves what circus measures. Circus has none.
    Metrics,
}

/// What a plugin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PluginKind {
    /// One of those that circus has itself.
    Builtin(Builtin),
    /// A program that reads events and writes requests.
    Program,
    /// A Python class, which the `circus-plugin` of Circus runs.
    Python,
}

/// Something that is to be said about a configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Where.
    pub origin: Origin,
    /// What is wrong, and what to do.
    pub message: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Circus cannot load the file either: the daemon does not start.
    Fatal,
    /// One watcher or socket cannot work.
    Error,
    /// It works, but probably not as meant.
    Warning,
}

impl Severity {
    /// The word that stands before the message.
    pub fn word(self) -> &'static str {
        if self == Severity::Warning { "warning" } else { "error" }
    }
}

/// Why a watcher did not take a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Refused {
    /// There is no such option, or not one that can be set.
    Unknown,
    /// The value has another type than this.
    Type(&'static str),
    /// The value cannot be used; a sentence.
    Bad(String),
}

/// The most watchers that there may be when a command adds one.
pub const MOST_WATCHERS: usize = 10_000;
/// How many bytes of text commands may add to the options of all watchers.
pub const MOST_SET: usize = 16 << 20;

/// Whether a watcher, socket or plugin may be called so.
///
/// # Errors
/// A phrase that completes "the name ...".
pub fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        Err("is missing".into())
    } else if name.chars().count() > LONGEST_NAME {
        Err(format!("is longer than {LONGEST_NAME} characters"))
    } else if name.chars().any(char::is_control) {
        Err("holds a control character".into())
    } else {
        Ok(())
    }
}

impl WatcherConfig {
    /// Stores a typed value under a key, as `set` and `add` do. The answer says what has to follow.
    ///
    /// # Errors
    /// The key is unknown, or the value does not fit.
    pub fn set(&mut self, key: &str, value: &Value) -> Result<Live, Refused> {
        let bad = |why: String| Refused::Bad(format!("{key} {why}"));
        if let Some(row) = options::find(options::WATCHER, key) {
            features::lack(row.needs(value))
                .map_or(Ok(()), Err)
                .and_then(|()| row.fits(value))
                .map_err(bad)?;
            return set_row(row, &mut self.options, value).map(|()| row.live);
        }
        match (key, value) {
            (families::ENV, Value::Map(env)) => {
                self.env = Rc::new(env.iter().cloned().collect());
                return Ok(Live::Reload);
            }
            (families::ENV, _) => return Err(Refused::Type("a valid object")),
            _ => {}
        }
        let whole = FAMILIES.iter().find(|family| family.whole() == key).map(|family| (family, None));
        let member = || families::of(key).map(|(family, name)| (family, Some(name)));
        let (family, name) = whole.or_else(member).ok_or(Refused::Unknown)?;
        features::lack(family.feature).map_or(Ok(()), Err).map_err(bad)?;
        match name {
            None => family.set_all(self, value)?,
            Some(name) if !family.knows(name) => return Err(Refused::Unknown),
            Some(name) => family.set(self, name, Some(value))?,
        }
        Ok(family.live)
    }

    /// The value of an option of the table, of a family, or of a free key; `None` when there is no such key.
    pub fn get(&self, key: &str) -> Option<Value> {
        if let Some(row) = options::find(options::WATCHER, key) {
            return Some(self.shown(row));
        }
        match key {
            families::ENV => Some(Value::Map(Names::clone(&self.env).into_iter().collect())),
            families::NAME => Some(Value::Str(self.name.clone())),
            _ => families::of(key)
                .and_then(|(family, name)| family.get(self, name))
                // Free keys, and members of a family whose text could not be used.
                .or_else(|| self.free.get(key).cloned().map(Value::Str)),
        }
    }

    /// How many bytes its texts have.
    pub fn extent(&self) -> usize {
        let names = |names: &Names| names.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        let hooks = self.hooks.iter().map(|(name, (command, _))| name.len() + command.len());
        let rows = options::WATCHER.iter().map(|row| text_of(&row.get(&self.options)));
        let streams =
            self.streams().flat_map(|(_, stream)| stream.entries()).map(|(_, value)| text_of(&value));
        names(&self.env) + names(&self.free) + hooks.chain(rows).chain(streams).sum::<usize>()
    }

    /// The value of a row of the table, as clients are told it. Circus reads `warmup_delay` as a whole number, and shows
    /// it so; a umask is what stands in the file, since as a number it would be decimal.
    pub fn shown(&self, row: &Row<WatcherOptions>) -> Value {
        match (row.key, row.kind, row.get(&self.options)) {
            (watcher::warmup_delay, _, Value::Float(seconds)) if seconds.fract() == 0.0 => {
                Value::Int(seconds as i64)
            }
            (_, Kind::Octal, Value::Int(mask)) => Value::Str(format!("{mask:03o}")),
            (_, _, value) => value,
        }
    }

    /// The command line of a hook or command, if there is one, and whether its failures are ignored. What is asked in
    /// another way than by a command is given as it stands.
    pub fn program_of(&self, hook: Hook) -> Option<(&str, bool)> {
        let command = match hook {
            Hook::StopCommand => &self.options.stop_command,
            Hook::ReloadCommand => &self.options.reload_command,
            Hook::Ready => &self.options.ready,
            Hook::Health => &self.options.health,
            _ => return self.hooks.get(hook.name()).map(|(command, lenient)| (command.as_str(), *lenient)),
        };
        let command = command.as_deref().filter(|command| !command.trim().is_empty());
        command.map(|command| (probe::command(command).filter(|_| hook.is_probe()).unwrap_or(command), false))
    }

    /// The command lines of options that circus itself runs, with the options.
    pub fn commands(&self) -> impl Iterator<Item = (Hook, &str)> {
        let probes = [(Hook::Ready, &self.options.ready), (Hook::Health, &self.options.health)];
        let probes =
            probes.into_iter().filter_map(|(hook, text)| Some((hook, probe::command(text.as_deref()?)?)));
        let others = [Hook::StopCommand, Hook::ReloadCommand].into_iter();
        others.filter_map(|hook| Some((hook, self.program_of(hook)?.0))).chain(probes)
    }

    /// How long a process may be silent, in seconds, if that counts.
    pub fn watchdog(&self) -> Option<f64> {
        self.options.watchdog.filter(|seconds| *seconds > 0.0)
    }

    /// Whether its processes tell by NOTIFY_SOCKET that they are ready.
    pub fn awaits_notify(&self) -> bool {
        self.options.ready.as_deref().is_some_and(|text| text.trim() == "notify")
    }

    /// Whether its processes have something to tell by NOTIFY_SOCKET.
    pub fn wants_notify_socket(&self) -> bool {
        self.watchdog().is_some() || self.awaits_notify()
    }

    /// The environment of its processes, when `environ` is that of circus: the configuration's, over that of circus if
    /// it is copied.
    pub fn environment(&self, environ: &Names) -> Names {
        let mut env = if self.options.copy_env { environ.clone() } else { Names::new() };
        for (name, value) in self.env.iter() {
            env.insert(name.clone(), value.clone());
        }
        env
    }

    /// An option that cannot be without another, and why.
    pub fn contradiction(&self) -> Option<(&'static str, &'static str)> {
        let options = &self.options;
        match (options.copy_env, options.copy_path, &options.virtualenv) {
            (false, true, _) => Some((watcher::copy_path, "copy_path needs `copy_env = True`")),
            (false, false, Some(_)) => Some((watcher::virtualenv, "virtualenv needs `copy_env = True`")),
            (true, _, _) | (false, false, None) => None,
        }
    }

    /// Whether it is a plugin that is a Python class.
    pub fn is_python_class(&self) -> bool {
        self.plugin == Some(PluginKind::Python)
    }

    /// Whether circus itself does its work, and it has no process.
    pub fn is_builtin(&self) -> bool {
        matches!(self.plugin, Some(PluginKind::Builtin(_)))
    }

    /// The most processes that it may run; a singleton has one at most.
    pub fn wanted(&self) -> usize {
        if self.is_builtin() {
            return 0;
        }
        let wanted = usize::try_from(self.options.numprocesses).unwrap_or(0);
        if self.options.singleton { wanted.min(1) } else { wanted }
    }
}

/// Stores a typed value in a row of a table.
///
/// # Errors
/// The value has the wrong type.
pub fn set_row<S>(row: &Row<S>, options: &mut S, value: &Value) -> Result<(), Refused> {
    let accepted = row.kind.accept(value).ok_or(Refused::Type(row.kind.noun()))?;
    if row.set(options, &accepted) { Ok(()) } else { Err(Refused::Type(row.kind.noun())) }
}

fn text_of(value: &Value) -> usize {
    if let Value::Str(text) = value { text.len() } else { 0 }
}

#[cfg(test)]
mod tests;
