//! `[watcher:NAME]`: the options of the table, the families, the streams, and all other keys.

use super::values::{Taken, Values};
use crate::config::hooks;
use crate::config::ini::shorten;
use crate::config::model::{MOST_PROCESSES, Names, Origins, Refused, Severity, WatcherConfig};
use crate::config::options::{self, Expand};
use crate::config::sections::{Entry, Section};
use crate::config::stream::StreamConfig;
use crate::config::suggest::{self, Place};
use crate::config::value::{Kind, Value};
use std::rc::Rc;

/// Reads a watcher; `env` is the environment of its processes.
pub fn read(values: &mut Values<'_>, name: String, section: &Section, env: Rc<Names>) -> WatcherConfig {
    let mut watcher = WatcherConfig { name, env, origins: origins(section), ..WatcherConfig::default() };
    values.more_variables = section.entries.contains_key("env_file");
    for entry in section.entries.values() {
        option(values, &mut watcher, entry);
    }
    values.more_variables = false;
    if watcher.options.numprocesses > MOST_PROCESSES {
        watcher.options.numprocesses = MOST_PROCESSES;
        if let Some(origin) = watcher.origins.of("numprocesses") {
            values.find(Severity::Error, origin, format!("numprocesses is more than {MOST_PROCESSES}"));
        }
    }
    for (which, stream) in
        [("stdout_stream", &watcher.stdout_stream), ("stderr_stream", &watcher.stderr_stream)]
    {
        if let Some(stream) = stream {
            report_class(values, &watcher.origins, which, stream);
        }
    }
    if let Some((key, why)) = watcher.contradiction()
        && let Some(origin) = watcher.origins.of(key)
    {
        values.find(Severity::Error, origin, why.into());
    }
    watcher.broken = values.take_broken();
    watcher
}

/// Where the options of a section stand.
pub fn origins(section: &Section) -> Origins {
    let mut origins = Origins { section: Some(section.origin.clone()), ..Origins::default() };
    origins.keys.extend(section.entries.values().map(|entry| (entry.key.clone(), entry.origin.clone())));
    origins
}

fn option(values: &mut Values<'_>, watcher: &mut WatcherConfig, entry: &Entry) {
    let key = entry.key.as_str();
    match key {
        "name" => {}
        "env" => values.warn(&entry.origin, "`env` has no effect here; write a section [env:NAME]".into()),
        _ => {
            let (strict, target) = (options::STRICT_WATCHER, (&mut watcher.options, key));
            match values.take(options::WATCHER, strict, target, entry, &watcher.env) {
                Taken::Known => {}
                Taken::Unusable(text) => drop(watcher.free.insert(key.into(), text)),
                Taken::Unknown => member(values, watcher, entry),
            }
        }
    }
}

/// An option of a family, or a free one.
fn member(values: &mut Values<'_>, watcher: &mut WatcherConfig, entry: &Entry) {
    let key = entry.key.as_str();
    let Some((family, rest)) = options::family(key) else { return free(values, watcher, entry) };
    match family.prefix {
        "stdout_stream." => stream(values, (&mut watcher.stdout_stream, rest), entry, &watcher.env),
        "stderr_stream." => stream(values, (&mut watcher.stderr_stream, rest), entry, &watcher.env),
        "rlimit_" => rlimit(values, watcher, entry),
        "hooks." => hook(values, watcher, rest, entry),
        _ => {
            let text = values.text(entry, Expand::Watcher, &watcher.env);
            if let Err(Refused::Bad(why)) = watcher.set(key, &Value::Str(text.clone())) {
                values.find(Severity::Error, &entry.origin, why);
                watcher.free.insert(key.into(), text);
            }
        }
    }
}

fn free(values: &mut Values<'_>, watcher: &mut WatcherConfig, entry: &Entry) {
    let key = entry.key.as_str();
    if key.starts_with("stdout_stream") || key.starts_with("stderr_stream") {
        let message = format!("`{}` needs a dot, as in `stdout_stream.class`", shorten(key));
        return values.find(Severity::Fatal, &entry.origin, message);
    }
    report_unknown(values, Place::Watcher, key, entry);
    let text = values.expanded(entry, Expand::Watcher, &watcher.env);
    watcher.free.insert(key.into(), text);
}

/// Says that there is no such option, and which one there is. An indented key has been reported already.
pub fn report_unknown(values: &mut Values<'_>, place: Place, key: &str, entry: &Entry) {
    if key.starts_with(char::is_whitespace) {
        return;
    }
    let hint = suggest::key(place, key).map(|hint| format!(": {hint}")).unwrap_or_default();
    values.warn(&entry.origin, format!("there is no option `{}`{hint}", shorten(&entry.key)));
}

fn stream(
    values: &mut Values<'_>,
    target: (&mut Option<Box<StreamConfig>>, &str),
    entry: &Entry,
    env: &Names,
) {
    let (stream, key) = (target.0.get_or_insert_default(), target.1);
    match values.take(options::STREAM, &[], (&mut stream.options, key), entry, env) {
        Taken::Known => {}
        Taken::Unusable(text) => drop(stream.free.insert(key.into(), text)),
        Taken::Unknown => {
            report_unknown(values, Place::Stream, key, entry);
            let text = values.expanded(entry, Expand::Watcher, env);
            stream.free.insert(key.into(), text);
        }
    }
}

/// Variables in limits are not replaced. Circus takes any whole number and fails when it sets it.
fn rlimit(values: &mut Values<'_>, watcher: &mut WatcherConfig, entry: &Entry) {
    let number = Kind::Int.parse(&entry.value);
    let value = number.clone().unwrap_or_else(|_| Value::Str(entry.value.clone()));
    if let Err(refused) = watcher.set(&entry.key, &value) {
        let severity = if number.is_ok() { Severity::Error } else { Severity::Fatal };
        let why = match refused {
            Refused::Type(noun) => format!("is not {noun}"),
            Refused::Bad(why) => why,
            Refused::Unknown => "is no option".into(),
        };
        values.find(
            severity,
            &entry.origin,
            format!("`{} = {}` {why}", shorten(&entry.key), shorten(&entry.value)),
        );
        watcher.free.insert(entry.key.clone(), entry.value.clone());
    }
}

/// Variables in hooks are not replaced.
fn hook(values: &mut Values<'_>, watcher: &mut WatcherConfig, name: &str, entry: &Entry) {
    if !hooks::NAMES.contains(&name) {
        let hint =
            suggest::nearest(name, &hooks::NAMES).map(|near| format!(": did you mean `hooks.{near}`?"));
        let message = format!("there is no hook `{}`{}", shorten(name), hint.unwrap_or_default());
        values.warn(&entry.origin, message);
    }
    // Any text is a hook.
    let _ = watcher.set(&entry.key, &Value::Str(entry.value.clone()));
}

/// A class that is not known, or is Python's: no output may be lost, so it goes to circus's own output.
fn report_class(values: &mut Values<'_>, origins: &Origins, which: &str, stream: &StreamConfig) {
    let Some(what) = suggest::unknown_class(stream) else { return };
    let Some(origin) = origins.of(&format!("{which}.class")) else { return };
    values.warn(origin, format!("{what}; the output goes to circus's own standard output"));
}
