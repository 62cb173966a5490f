//! What is wrong in a configuration whose single values are all right: options that do not go together.
//!
//! Pure, so it knows nothing of users, programs and directories; `circus check` looks at those itself.

pub mod background;
mod command;
mod plugins;
pub mod programs;
pub mod reach;
mod sockets;
pub mod suggest;
pub mod usable;
pub mod user;
pub mod way;
mod work;
pub mod writable;

use super::families::{LIMIT, LIMITS};
use super::ini::shorten;
use super::model::{Config, Finding, Origin, Origins, Severity, WatcherConfig};
use super::options::{CIRCUS, Range, Row, STREAM, Spec, WATCHER, find, global, stream, watcher};
use super::stream::{StreamConfig, StreamKind};
use super::syslog::{self, Syslog};
use super::url::is_local;
use super::value::{Kind, Value};
use super::{expand, hooks, number, words};
use std::rc::Rc;

/// Variables that are known when a process is spawned, besides those of options.
const VARIABLES: &[&str] = &["wid", "use_fds"];
const VARIABLE_FAMILIES: &[&str] =
    &["env", expand::SOCKETS, "rlimits", "stdout_stream_conf", "stderr_stream_conf"];

/// Everything that is wrong between the options of a configuration. `control` is where the control socket is to be.
pub fn check(config: &Config, control: &str) -> Vec<Finding> {
    let mut checker = Checker::default();
    checker.ranges((CIRCUS, &config.circus), &config.origins, "", |_| true);
    checker.log_output(config);
    checker.ports(config, control);
    for watcher in &config.watchers {
        checker.command(watcher);
        checker.goes_into_background(watcher);
        checker.hooks(watcher);
        checker.commands(watcher);
        checker.sockets_of(watcher, &config.sockets);
        checker.waits_in_accept(watcher, &config.sockets);
        checker.numbers(watcher);
        checker.streams_and_limits(watcher);
        checker.flapping(watcher, &config.plugins);
        checker.work(watcher, &config.sockets);
    }
    checker.relations(&config.watchers);
    config.sockets.iter().for_each(|socket| checker.socket(socket));
    checker.shared_addresses(&config.sockets);
    for plugin in &config.plugins {
        checker.plugin(plugin);
        checker.watchers_of(plugin, &config.watchers);
    }
    checker.findings
}

/// That nothing would run, since no section says what. A command may add a watcher later, and files that are included
/// may be elsewhere.
pub fn nothing_runs(config: &Config) -> Option<Finding> {
    let is_whole = config.circus.include.is_none() && config.circus.include_dir.is_none();
    let is_empty = config.watchers.is_empty() && config.plugins.is_empty() && is_whole;
    let file = config.files.first().filter(|_| is_empty)?;
    let message = "no [watcher:NAME] with a `cmd` is in it, so nothing runs".into();
    Some(Finding { severity: Severity::Warning, origin: Origin { file: file.clone(), line: 0 }, message })
}

/// Collects findings.
#[derive(Default)]
pub struct Checker {
    /// What was found so far.
    pub findings: Vec<Finding>,
}

impl Checker {
    /// Adds a finding about an option.
    pub fn find(&mut self, severity: Severity, (origins, key): (&Origins, &str), message: String) {
        // What was not read from a file has no place and cannot be reported on.
        if let Some(origin) = origins.of(key) {
            self.findings.push(Finding { severity, origin: origin.clone(), message });
        }
    }

    /// Adds an error.
    pub fn error(&mut self, place: (&Origins, &str), message: String) {
        self.find(Severity::Error, place, message);
    }

    /// Adds a warning.
    pub fn warn(&mut self, place: (&Origins, &str), message: String) {
        self.find(Severity::Warning, place, message);
    }

    /// The control port, and what `allow_tcp` opens besides.
    fn ports(&mut self, config: &Config, control: &str) {
        let (circus, origins) = (&config.circus, &config.origins);
        let (commands, events) = (port(&circus.endpoint), port(&circus.pubsub_endpoint));
        let has_token = config.access.options.token_file.is_some();
        if let Some((address, is_local)) =
            commands.filter(|(_, is_local)| !(circus.allow_tcp && has_token && *is_local))
        {
            let shown = shorten(address);
            let message = match (circus.allow_tcp, is_local) {
                (true, _) if has_token => format!(
                    "by the control port tcp://{shown} the token, and all else, goes over the network in clear text; bind \
                     it to 127.0.0.1 and use `circus ctl --ssh`"
                ),
                (true, true) => format!(
                    "the control port tcp://{shown} is open to every user of this machine, who can run any program \
                     as the user of circus by it; a Unix socket is open to those who may open its file"
                ),
                (true, false) => format!(
                    "the control port tcp://{shown} is not opened: it would be open to the network, and whoever reached it \
                     could run any program as the user of circus; bind it to 127.0.0.1 and use `circus ctl --ssh`, or set \
                     `token_file` in [access]"
                ),
                (false, local) => {
                    let danger = if local { "" } else { " (on the network, anyone could connect)" };
                    let control = shorten(control);
                    format!(
                        "the control port tcp://{shown} is not opened{danger}: the Unix socket {control} takes its \
                         place, and `circus ctl --endpoint` finds it by this address. Circus's own clients need that \
                         path or `allow_tcp = True`; another user than root and this one needs `endpoint_owner`"
                    )
                }
            };
            self.warn((origins, global::endpoint), message);
        }
        if circus.allow_tcp && events.or(commands).is_none() {
            let message = "allow_tcp has no effect: neither endpoint nor pubsub_endpoint is tcp://HOST:PORT";
            self.warn((origins, global::allow_tcp), message.into());
        }
        if let Some((address, false)) = events.filter(|_| circus.allow_tcp && !has_token) {
            let shown = shorten(address);
            let message = format!(
                "the port tcp://{shown} is not opened: it would be open to the network, and whoever reached it would be \
                 told of every event; set `token_file` in [access]"
            );
            self.warn((origins, global::pubsub_endpoint), message);
        }
    }

    fn log_output(&mut self, config: &Config) {
        let Some(url) = config.circus.logoutput.as_deref().filter(|text| syslog::is_url(text)) else {
            return;
        };
        let place = (&config.origins, global::logoutput);
        match syslog::parse(url) {
            Err(why) => self.error(place, format!("`logoutput = {}`: {why}", shorten(url))),
            Ok(Syslog { unknown: Some(name), .. }) => {
                self.warn(place, format!("syslog has no facility `{}`; user is used", shorten(name)));
            }
            Ok(_) => {}
        }
    }

    fn command(&mut self, watcher: &WatcherConfig) {
        let (options, origins) = (&watcher.options, &watcher.origins);
        if options.cmd.trim().is_empty() {
            let message = format!("the watcher `{}` has no cmd", shorten(&watcher.name));
            self.error((origins, watcher::cmd), message);
        }
        if options.shell_args.is_some() && !options.shell {
            let message = "shell_args has no effect without `shell = True`";
            self.warn((origins, watcher::shell_args), message.into());
        }
        for (key, text) in [(watcher::cmd, &options.cmd), (watcher::args, &options.args)] {
            // A shell has its own rules for quotes.
            if !options.shell {
                self.command_line((origins, key), text, key == watcher::cmd);
            }
            self.variables((origins, key), text);
        }
        self.variables((origins, watcher::shell_args), options.shell_args.as_deref().unwrap_or_default());
    }

    fn hooks(&mut self, watcher: &WatcherConfig) {
        for (name, (command, _)) in watcher.hooks.iter() {
            let key = "hooks.".to_string() + name;
            let place = (&*watcher.origins, key.as_str());
            let script = [".sh", ".py", ".pl", ".rb"].iter().any(|end| command.ends_with(end));
            if script && hooks::is_python(command) {
                let command = shorten(command);
                let message =
                    format!("`{command}` is the name of a Python function; the program is ./{command}");
                self.warn(place, message);
            }
            self.command_line(place, command, true);
        }
    }

    /// The commands that stop and reload.
    fn commands(&mut self, watcher: &WatcherConfig) {
        let (options, origins) = (&watcher.options, &watcher.origins);
        for (hook, command) in watcher.commands() {
            self.command_line((origins, hook.name()), command, true);
        }
        let (signal, command) = (options.reload_signal.is_some(), options.reload_command.is_some());
        for (key, is_set) in [
            (watcher::send_hup, options.send_hup && (signal || command)),
            (watcher::reload_signal, signal && command),
        ] {
            if is_set {
                let better = if command { watcher::reload_command } else { watcher::reload_signal };
                self.warn((origins, key), format!("`{key}` has no effect beside `{better}`"));
            }
        }
    }

    /// A command line that circus itself runs. What is `whole` begins with a program.
    fn command_line(&mut self, place: (&Origins, &str), text: &str, is_whole: bool) {
        match words::split(text) {
            Err(_) if text.ends_with('\\') => self.error(place, command::BACKSLASH.into()),
            Err(why) => {
                self.error(place, format!("`{}` cannot be split into words: {why}", shorten(place.1)));
            }
            Ok(_) => self.shell_syntax(place, text, is_whole),
        }
    }

    /// Variables that nobody will know. Those of the environment have been looked at while reading.
    fn variables(&mut self, place: (&Origins, &str), text: &str) {
        for name in expand::names(text) {
            let lower = name.to_lowercase();
            let is_known = match lower.split_once('.') {
                Some((family, _)) => VARIABLE_FAMILIES.contains(&family),
                None => find(WATCHER, &lower).is_some_and(|row| row.shown) || VARIABLES.contains(&&*lower),
            };
            if !is_known {
                let message =
                    format!("there is no variable `circus.{}`, so it stays as it is", shorten(name));
                self.warn(place, message);
            }
        }
    }

    fn numbers(&mut self, watcher: &WatcherConfig) {
        let (options, origins) = (&watcher.options, &watcher.origins);
        if options.singleton && options.numprocesses > 1 {
            let message = format!("a singleton runs one process, not {}", options.numprocesses);
            self.warn((origins, watcher::numprocesses), message);
        }
        if options.numprocesses <= 0 {
            let message = format!("numprocesses is {}, so nothing is started", options.numprocesses);
            self.warn((origins, watcher::numprocesses), message);
        }
        self.ranges((WATCHER, options), origins, "", |_| true);
    }

    /// Numbers that count as another one.
    fn ranges<S>(
        &mut self,
        (rows, options): (&'static [Row<S>], &S),
        origins: &Origins,
        prefix: &str,
        heeds: impl Fn(&str) -> bool,
    ) {
        for row in rows.iter().filter(|row| row.range.is_some() && heeds(row.key)) {
            let value = row.get(options);
            if let Some((range, instead)) = row.range.zip(row.instead(&value)) {
                let key = prefix.to_string() + row.key;
                self.warn((origins, &key), counts_as(row, &key, &value, range, instead));
            }
        }
    }

    fn streams_and_limits(&mut self, watcher: &WatcherConfig) {
        let origins = &watcher.origins;
        for (which, stream) in watcher.streams() {
            self.stream(origins, which, stream);
        }
        for name in watcher.rlimits.keys().filter(|name| !LIMITS.split(' ').any(|known| known == *name)) {
            let is_it = |key: &&Rc<str>| key.to_ascii_lowercase().strip_prefix(LIMIT) == Some(name);
            let key = origins.keys.keys().find(is_it).map_or("", |key| key);
            let message = format!("there is no resource limit `{}`; there are {LIMITS}", shorten(name));
            self.error((origins, key), message);
        }
    }

    /// One of the two streams of a watcher.
    fn stream(&mut self, origins: &Origins, which: &str, stream: &StreamConfig) {
        let (kind, options) = (stream.kind(), &stream.options);
        let key = origins.keys.keys().find(|key| key.starts_with(which)).map_or("", |key| key);
        let named = options.filename.is_some();
        if stream.class().is_none() && !named {
            self.error((origins, key), format!("{which} needs a class or a filename"));
        } else if kind.heeds(stream::filename) && kind != StreamKind::Json && !named {
            let message =
                format!("{which} needs a filename: Circus makes one up, below the temporary directory");
            self.warn((origins, key), message);
        }
        if kind == StreamKind::TimedFile && options.rotate_when.is_none() {
            self.error((origins, key), format!("{which} needs rotate_when: S M H D MIDNIGHT or W0 to W6"));
        }
        let compresses = options.compress.as_deref() == Some("gzip");
        for (key, is_set) in [(stream::compress, compresses), (stream::max_bytes, options.max_bytes > 0)] {
            if is_set && kind.heeds(stream::max_bytes) && options.backup_count <= 0 {
                let key = format!("{which}.{key}");
                let message =
                    format!("`{}` has no effect without backup_count: the file just grows", shorten(&key));
                self.warn((origins, &key), message);
            }
        }
        self.ranges((STREAM, options), origins, &format!("{which}."), |key| kind.heeds(key));
        let known = stream.class().map_or(named, |class| StreamKind::of(class).is_some());
        let idle = |key: &str| known && !kind.heeds(key) && stream.get(key).is_some();
        for row in STREAM.iter().filter(|row| idle(row.key)) {
            let key = format!("{which}.{}", row.key);
            self.warn((origins, &key), format!("`{}` has no effect with this class", shorten(&key)));
        }
    }
}

/// HOST:PORT of an endpoint that is a port, and whether only this machine reaches it.
fn port(endpoint: &Option<Box<str>>) -> Option<(&str, bool)> {
    let address = endpoint.as_deref()?.strip_prefix("tcp://")?;
    Some((address, is_local(address.rsplit_once(':').map_or(address, |(host, _)| host))))
}

/// That a number is out of its range, and counts as another one.
fn counts_as(row: &Spec, key: &str, value: &Value, range: Range, instead: f64) -> String {
    let least = number::short(range.least);
    match (value, row.kind) {
        (Value::Int(value), _) if range.most.is_finite() => {
            format!("{key} = {value} counts as {}", instead as i64)
        }
        _ if range.least < 0.0 => format!("{key} is below {least} and counts as {least}, which is for ever"),
        _ if range.least == 0.0 => format!("{key} is negative and counts as 0"),
        (_, Kind::Seconds) => format!("{key} is less than {least} s and counts as that"),
        _ => format!("{key} is less than {least} and counts as that"),
    }
}

#[cfg(test)]
mod tests;
