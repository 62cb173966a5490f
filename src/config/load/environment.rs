//! `[env]` and `[env:PATTERNS]`: the environment of each watcher's processes.

use super::is_usable;
use super::values::Values;
use crate::config::expand;
use crate::config::families;
use crate::config::ini::Entry;
use crate::config::model::{Names, Origin};
use crate::config::options::Expand;
use crate::config::pattern::Pattern;
use crate::config::sections::Section;
use std::rc::Rc;

/// A section of a watcher, before its options are read.
pub struct Found<'s> {
    /// The watcher's name, which the key `name` overrides.
    pub name: String,
    pub section: &'s Section,
    /// The environment of its processes. Watchers without variables of their own share one.
    pub env: Rc<Names>,
}

impl<'s> Found<'s> {
    /// A watcher, unless its section cannot make one.
    pub fn new(
        values: &mut Values<'_>,
        name: &str,
        section: &'s Section,
        env: &Rc<Names>,
    ) -> Option<Found<'s>> {
        let name = section.entries.get(families::NAME).map_or(name, |entry| entry.value.as_str());
        is_usable(values, section, name).then(|| Found { name: name.into(), section, env: Rc::clone(env) })
    }
}

/// `[env]`: for all watchers.
pub fn of_all(values: &mut Values<'_>, sections: &[Section]) -> Names {
    let Some(section) = sections.iter().find(|section| section.name == "env") else { return Names::new() };
    let mut env = Names::new();
    for entry in section.entries.values() {
        let text = values.text(entry, Expand::Global, &Names::new());
        add(values, &mut env, entry, &text);
    }
    env
}

/// Each `[env:PATTERNS]`, in order, for the watchers that match. What `copy_env` adds below is that of circus when a
/// process is spawned.
pub fn of_each(values: &mut Values<'_>, watchers: &mut [Found<'_>], sections: &[Section]) {
    for section in sections {
        if let Some(patterns) = section.name.strip_prefix("env:") {
            let env = of_some(values, section);
            extend(values, watchers, (patterns, &env), &section.origin);
        }
    }
}

/// `[env:PATTERNS]`. Circus replaces no `$(circus...)` there; what differs from process to process is, by `daemon`.
fn of_some(values: &mut Values<'_>, section: &Section) -> Names {
    let mut env = Names::new();
    for entry in section.entries.values() {
        let is_late =
            |name: &str| name.eq_ignore_ascii_case("wid") || expand::member(name, expand::SOCKETS).is_some();
        if let Some(name) = expand::names(&entry.value).find(|name| !is_late(name)) {
            let name = crate::config::ini::shorten(name);
            let message = format!("`$(circus.{name})` is not replaced in [env:...] sections, only in [env]");
            values.warn(&entry.origin, message);
        }
        add(values, &mut env, entry, &entry.value);
    }
    env
}

/// Adds one variable, with `$NAME` replaced.
fn add(values: &mut Values<'_>, env: &mut Names, entry: &Entry, text: &str) {
    let key = entry.key.trim();
    if key.is_empty() {
        return values.warn(&entry.origin, "a variable needs a name; this one is left out".into());
    }
    let environ = values.environ;
    let text = expand::dollar(text, environ, &mut |name| {
        // `PATH = $PATH:/more` adds to what may well be empty.
        if name != key {
            let name = crate::config::ini::shorten(name);
            values.warn(
                &entry.origin,
                format!("the variable {name} is not set, so `${name}` stands for nothing"),
            );
        }
    });
    if values.may_grow(text.len().saturating_sub(entry.value.len()), &entry.origin) {
        env.insert(key.into(), text.trim().into());
    }
}

/// Adds an environment to the watchers that match one of the patterns.
fn extend(
    values: &mut Values<'_>,
    watchers: &mut [Found<'_>],
    (patterns, more): (&str, &Names),
    origin: &Origin,
) {
    let patterns: Vec<Pattern> = patterns.split(',').map(|pattern| Pattern::new(pattern.trim())).collect();
    let mut matched = false;
    for Found { name, env, .. } in watchers {
        if patterns.iter().any(|pattern| pattern.matches(name)) {
            matched = true;
            if values.may_grow(size(env) + size(more), origin) {
                Rc::make_mut(env).extend(more.clone());
            }
        }
    }
    if !matched {
        values.warn(origin, "there is no watcher of this name, so the section counts for nothing".into());
    }
}

fn size(env: &Names) -> usize {
    env.iter().map(|(name, value)| name.len() + value.len()).sum()
}
