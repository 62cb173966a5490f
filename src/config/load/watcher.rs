//! `[watcher:NAME]`: the options of the table, the families, the streams, and all other keys.

use super::is_usable;
use super::values::{Values, share};
use crate::config::check::suggest;
use crate::config::families::{self, Family, Members};
use crate::config::ini::{Entry, shorten};
use crate::config::model::{MOST_PROCESSES, Origins, Refused, Severity, WatcherConfig};
use crate::config::options::{self, Place, stream, watcher as key};
use crate::config::sections::Section;
use crate::config::stream::{CHANNELS, CLASSES, StreamConfig, StreamKind};
use crate::config::value::{Kind, Value};
use crate::config::{features, hooks};

/// A watcher whose options are still to be read, unless its section cannot make one. The key `name` overrides what
/// the section calls it. `model` is what all begin with.
pub fn new(
    values: &mut Values<'_>,
    name: &str,
    section: &Section,
    model: &WatcherConfig,
) -> Option<WatcherConfig> {
    let name = section.entries.get(families::NAME).map_or(name, |entry| entry.value.as_str());
    let new = || WatcherConfig { name: name.into(), ..model.clone() };
    is_usable(values, section, name).then(new)
}

/// Reads the options of a watcher.
pub fn read(values: &mut Values<'_>, mut watcher: WatcherConfig, section: &Section) -> WatcherConfig {
    watcher.origins = origins(section).into();
    values.own = watcher.env.clone();
    values.more_variables = section.entries.contains_key(key::env_file);
    for entry in section.entries.values() {
        option(values, &mut watcher, entry);
    }
    values.more_variables = false;
    let many = watcher.options.numprocesses > MOST_PROCESSES;
    let many = many.then(|| (key::numprocesses, format!("numprocesses is more than {MOST_PROCESSES}")));
    watcher.options.numprocesses = watcher.options.numprocesses.min(MOST_PROCESSES);
    let contradiction = watcher.contradiction().map(|(key, why)| (key, why.to_string()));
    for (which, stream) in watcher.streams() {
        report_class(values, &watcher.origins, which, stream);
    }
    for (key, why) in many.into_iter().chain(contradiction) {
        if let Some(origin) = watcher.origins.of(key) {
            values.find(Severity::Error, origin, why);
        }
    }
    watcher.broken = values.take_broken();
    share(&mut watcher.options.common, &mut values.alike.0);
    for stream in CHANNELS {
        let stream = watcher.kept_stream_mut(stream).iter_mut();
        stream.for_each(|stream| share(&mut stream.options.common, &mut values.alike.1));
    }
    watcher
}

/// Where the options of a section stand.
pub fn origins(section: &Section) -> Origins {
    let mut origins = Origins { section: Some(section.origin.clone()), ..Origins::default() };
    origins.keys.extend(section.entries.values().map(|entry| (entry.key.clone(), entry.origin.clone())));
    origins
}

fn option(values: &mut Values<'_>, watcher: &mut WatcherConfig, entry: &Entry) {
    match &*entry.key {
        families::NAME => {}
        families::ENV => {
            values.warn(&entry.origin, "`env` has no effect here; write a section [env:NAME]".into());
        }
        key if values.take(options::WATCHER, (&mut watcher.options, &mut watcher.free), key, entry) => {}
        key => match families::of(key) {
            Some((family, name)) if !values.lacks(family.feature, entry) => {
                member(values, watcher, (family, name), entry);
            }
            Some(_) => {}
            None if key.starts_with(families::STDOUT) || key.starts_with(families::STDERR) => {
                let message = format!("`{}` needs a dot, as in `stdout_stream.class`", shorten(key));
                values.find(Severity::Fatal, &entry.origin, message);
            }
            None => values.keep(Place::Watcher, &mut watcher.free, key, entry),
        },
    }
}

/// An option of a family.
fn member(
    values: &mut Values<'_>,
    watcher: &mut WatcherConfig,
    (family, name): (&Family, &str),
    entry: &Entry,
) {
    let text = match family.members {
        Members::Stream(channel) => {
            let StreamConfig { options, free } =
                &mut **watcher.kept_stream_mut(channel).get_or_insert_default();
            if !values.take(options::STREAM, (options, free), name, entry) {
                values.keep(Place::Stream, free, name, entry);
            }
            return;
        }
        // Variables in these are not replaced.
        Members::Limits | Members::Hooks => entry.value.clone(),
        Members::Texts(_) => values.text(entry),
    };
    if family.prefix == families::HOOK && !family.knows(name) {
        let hint = suggest::nearest(name, &mut hooks::NAMES.into_iter())
            .map(|near| format!(": did you mean `hooks.{near}`?"));
        let message = format!("there is no hook `{}`{}", shorten(name), hint.unwrap_or_default());
        values.warn(&entry.origin, message);
    }
    let number = Kind::Int.parse(&text).ok().filter(|_| family.prefix == families::LIMIT);
    let is_number = number.is_some();
    let value = number.unwrap_or_else(|| Value::Str(text.clone()));
    let Err(refused) = family.set(watcher, name, Some(&value)) else { return };
    let shown = format!("`{} = {}`", shorten(&entry.key), shorten(&text));
    let (severity, why) = match refused {
        Refused::Bad(why) => (Severity::Error, why),
        // Circus takes any whole number as a limit and fails when it sets it.
        Refused::Type(noun) if is_number => (Severity::Error, format!("{shown} is not {noun}")),
        Refused::Type(noun) => (Severity::Fatal, format!("{shown} is not {noun}")),
        Refused::Unknown => (Severity::Error, format!("{shown} is not an option")),
    };
    values.find(severity, &entry.origin, why);
    watcher.free.insert(entry.key.to_string(), text);
}

/// A class that is not known, or is Python's: no output may be lost, so it goes to circus's own output.
fn report_class(values: &mut Values<'_>, origins: &Origins, which: &str, stream: &StreamConfig) {
    let Some(origin) = origins.of(&format!("{which}.{}", stream::class)) else { return };
    if let Some(why) = features::lack(stream.kind().feature()) {
        values.find(Severity::Fatal, origin, format!("the class of {which} {why}"));
    }
    if let Some(what) = unknown_class(stream) {
        values.warn(origin, format!("{what}; the output goes to circus's own standard output"));
    }
}

/// What is wrong with the class of a stream, if circus does not have it.
pub fn unknown_class(stream: &StreamConfig) -> Option<String> {
    let class = stream.class().filter(|class| StreamKind::of(class).is_none())?;
    let shown = shorten(class);
    if class.contains(['.', ':']) {
        let advice = "which circus cannot load (use FileStream or StdoutStream)";
        return Some(format!("`{shown}` is a Python class, {advice}"));
    }
    let hint = suggest::nearest(class, &mut CLASSES.iter().map(|(name, _)| *name));
    let hint = hint.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default();
    Some(format!("there is no class `{shown}`{hint}"))
}
