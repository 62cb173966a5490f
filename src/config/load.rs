//! From the files of a configuration to a [`Config`], with everything that is wrong in them.
//!
//! Circus's order is kept: the files are merged; `[env]` completes the environment of circus; the typed options
//! are converted; the watchers get their environments; then the variables in their texts are replaced. Nothing stops
//! at the first problem.

mod environment;
mod others;
#[cfg(feature = "plugins")]
mod plugin;
mod values;
mod watcher;

use super::check::suggest;
use super::families;
use super::include::{self, Gathered};
use super::ini::{excerpt, pick, shorten, sorted};
use super::model::{self, Config, Finding, Names, Origin, Origins, Severity, WatcherConfig};
use super::options::Place;
use super::sections::{Section, spread_streams};
use crate::sorted::{Sorted, sort};
use std::rc::Rc;
use values::Values;

pub use super::include::Files;
pub use watcher::unknown_class;

/// What reading a configuration gave.
pub struct Loaded {
    /// The configuration, unless one of the findings is fatal.
    pub config: Option<Config>,
    /// Everything that is to be said, by file and line.
    pub findings: Vec<Finding>,
}

/// Reads the configuration at `path`, which begins at `cwd` when it is relative. `environ` is the environment of
/// circus.
pub fn load(path: &str, files: &dyn Files, environ: &Names, cwd: &str) -> Loaded {
    let (config, findings) = read(path, files, environ, cwd);
    let fatal = findings.iter().any(|finding| finding.severity == Severity::Fatal);
    Loaded { config: config.filter(|_| !fatal), findings }
}

/// As [`load`], but the configuration is there whenever the main file could be read, without what is wrong in it.
pub fn read(path: &str, files: &dyn Files, environ: &Names, cwd: &str) -> (Option<Config>, Vec<Finding>) {
    let Gathered { sections, continued, files, mut findings, .. } =
        include::gather(path, files, environ, cwd);
    if files.is_empty() {
        return (None, findings);
    }
    let mut sections = sections.finish(&mut findings);
    spread_streams(&mut sections);
    let mut values = Values::new(environ, findings);
    report_continued(&mut values, &continued);
    let mut config = build(&mut values, &sections);
    let mut findings = in_order(values.findings, &files);
    config.files = files;
    // An option of [DEFAULT] is read once for each section.
    findings.dedup();
    (Some(config), findings)
}

/// Findings by file, in the order of `files`, and line.
pub fn in_order(findings: Vec<Finding>, files: &[Rc<str>]) -> Vec<Finding> {
    let mut places = Sorted::new();
    for (n, file) in (1u64..).zip(files) {
        places.get_or_insert_with(file.to_string(), || n);
    }
    let place = |file: &Rc<str>| places.get(&**file).copied().unwrap_or_default();
    sorted(findings, |finding| place(&finding.origin.file) << 32 | u64::from(finding.origin.line))
}

fn build(values: &mut Values<'_>, sections: &[Section]) -> Config {
    let mut config = Config::default();
    let global = sections.iter().find(|section| section.name == "env");
    let env = Rc::new(global.map(|section| environment::variables(values, section)).unwrap_or_default());
    values.global.extend(Names::clone(&env));
    let model = WatcherConfig { env, ..WatcherConfig::default() };
    let mut watchers: Vec<(&Section, WatcherConfig)> = Vec::new();
    let foreign = suggest::supervisord(&mut sections.iter().map(|section| section.name.as_str()));
    if let Some((n, advice)) = &foreign
        && let Some(section) = sections.get(*n)
    {
        values.find(Severity::Fatal, &section.origin, advice.to_string());
    }
    for section in sections {
        let name = section.name.as_str();
        if name == "circus" {
            others::circus(values, &mut config, section);
        } else if name == "access" {
            config.access = others::access(values, section);
        } else if let Some(name) = name.strip_prefix("watcher:") {
            watchers.extend(watcher::new(values, name, section, &model).map(|new| (section, new)));
        } else if name.starts_with("socket:") {
            config.sockets.extend(others::socket(values, section));
        } else if name.starts_with("plugin:") {
            config.plugins.extend(others::plugin(values, section));
        } else if name != "env" && !name.starts_with("env:") && foreign.is_none() {
            let hint = suggest::section(name).map(|hint| format!(": {hint}")).unwrap_or_default();
            values.warn(&section.origin, format!("there is no section [{}]{hint}", shorten(name)));
        }
    }
    others::open_to_others(&mut config);
    environment::of_each(values, &mut watchers, sections);
    let read = |(section, watcher)| watcher::read(values, watcher, section);
    config.watchers = watchers.into_iter().map(read).collect();
    unique(values, "watcher", &mut config.watchers, |w| (&w.name, &w.origins));
    unique(values, "socket", &mut config.sockets, |s| (&s.name, &s.origins));
    unique(values, "plugin", &mut config.plugins, |p| (&p.name, &p.origins));
    config
}

/// Sorts by name. Commands ignore the case of names, so of names that differ in nothing else the later replaces
/// the earlier.
fn unique<T>(values: &mut Values<'_>, what: &str, items: &mut Vec<T>, names: fn(&T) -> (&String, &Origins)) {
    let order = order(values, what, &items.iter().map(names).collect::<Vec<_>>());
    *items = pick(std::mem::take(items), order);
}

/// The places of the names that are not replaced, sorted by name.
fn order(values: &mut Values<'_>, what: &str, names: &[(&String, &Origins)]) -> Vec<usize> {
    let mut kept = sort::<(&str, usize)>(names.iter().map(|(name, _)| name.as_str()).zip(0..).collect());
    // Entered in order, the names go to the end of the table, and none is moved.
    let last: Sorted<String, usize> = kept.iter().map(|(name, n)| (name.to_lowercase(), *n)).collect();
    let place = |n: usize| names.get(n).and_then(|(_, origins)| origins.section.as_ref());
    kept.retain(|(name, n)| {
        let other = last.get(&name.to_lowercase()).filter(|other| *other != n);
        let Some((here, other)) = place(*n).zip(other.and_then(|other| place(*other))) else { return true };
        let (name, other) = (shorten(name), excerpt(&other.to_string()));
        let message = format!("the {what} `{name}` is replaced by that at {other}: only their case differs");
        values.warn(here, message);
        false
    });
    kept.into_iter().map(|(_, n)| n).collect()
}

/// Whether a section holds anything; an empty one counts for nothing, as in Circus. Its name is checked too.
fn is_usable(values: &mut Values<'_>, section: &Section, name: &str) -> bool {
    if section.entries.is_empty() {
        values.warn(&section.origin, "the section is empty and is ignored".into());
        return false;
    }
    let Err(why) = model::check_name(name) else { return true };
    values.find(Severity::Error, &section.origin, format!("the section is left out: its name {why}"));
    values.take_broken();
    false
}

/// Lines that are continued values, but look like options.
fn report_continued(values: &mut Values<'_>, lines: &[(Origin, String)]) {
    for (origin, text) in lines {
        let key = text.split(['=', ':']).next().unwrap_or_default().trim();
        let is_option =
            [Place::Watcher, Place::Circus].iter().any(|place| place.options().any(|row| row.key == key));
        if is_option || families::of(key).is_some() {
            let what = "is indented, so it is part of the value above; an option begins at the left";
            values.warn(origin, format!("`{}` {what}", shorten(text)));
        }
    }
}

#[cfg(test)]
mod tests;
