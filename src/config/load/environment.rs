//! `[env]` and `[env:PATTERNS]`: the environment of each watcher's processes.

use super::values::Values;
use crate::config::expand;
use crate::config::ini::shorten;
use crate::config::model::{Names, WatcherConfig};
use crate::config::pattern::Pattern;
use crate::config::sections::Section;
use std::rc::Rc;

/// Each `[env:PATTERNS]`, in order, for the watchers that match one of its patterns. What `copy_env` adds below is that
/// of circus when a process is spawned.
pub fn of_each(values: &mut Values<'_>, watchers: &mut [(&Section, WatcherConfig)], sections: &[Section]) {
    for section in sections {
        let Some(patterns) = section.name.strip_prefix("env:") else { continue };
        let more = variables(values, section);
        let patterns: Vec<Pattern> = patterns.split(',').map(|text| Pattern::new(text.trim())).collect();
        let mut matched = false;
        for (_, WatcherConfig { name, env, .. }) in watchers.iter_mut() {
            if patterns.iter().any(|pattern| pattern.matches(name)) {
                matched = true;
                if values.may_grow(size(env) + size(&more), &section.origin) {
                    Rc::make_mut(env).extend(more.clone());
                }
            }
        }
        if !matched {
            let message = "there is no watcher of this name, so the section is ignored";
            values.warn(&section.origin, message.into());
        }
    }
}

/// The variables of `[env]` or `[env:PATTERNS]`. Circus replaces no `$(circus...)` in the latter; what differs from
/// process to process is, by `daemon`.
pub fn variables(values: &mut Values<'_>, section: &Section) -> Names {
    let is_late =
        |name: &str| name.eq_ignore_ascii_case("wid") || expand::member(name, expand::SOCKETS).is_some();
    let mut env = Names::new();
    for entry in section.entries.values() {
        let mut text = entry.value.clone();
        if section.name == "env" {
            text = values.text(entry);
        } else if let Some(name) = expand::names(&text).find(|name| !is_late(name)) {
            let name = shorten(name);
            let message = format!("`$(circus.{name})` is not replaced in [env:...] sections, only in [env]");
            values.warn(&entry.origin, message);
        }
        let key = entry.key.trim();
        if key.is_empty() {
            values.warn(&entry.origin, "a variable needs a name; this one is left out".into());
            continue;
        }
        let environ = values.environ;
        text = expand::dollar(&text, environ, &mut |name| {
            // `PATH = $PATH:/more` adds to what may well be empty.
            if name != key {
                let name = shorten(name);
                let message = format!("the variable {name} is not set, so `${name}` is removed");
                values.warn(&entry.origin, message);
            }
        });
        if values.may_grow(text.len().saturating_sub(entry.value.len()), &entry.origin) {
            env.insert(key.into(), text.trim().into());
        }
    }
    env
}

fn size(env: &Names) -> usize {
    env.iter().map(|(name, value)| name.len() + value.len()).sum()
}
