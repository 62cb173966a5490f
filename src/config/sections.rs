//! The sections of all files of a configuration, merged: of two equal keys the first one counts, so that the main
//! file overrides what it includes. Then what `[DEFAULT]` and `[circus]` say for others stands in their sections too.

use super::families;
use super::ini::{self, Entry};
use super::model::{Finding, Origin, Severity};
use super::options::{Place, stream};
use crate::sorted::Sorted;
use std::collections::HashMap;
use std::rc::Rc;

/// `[DEFAULT]` adds its options to every section, so many in all at most.
const MOST_DEFAULTS: usize = 1_000_000;

/// One section, merged.
#[derive(Debug)]
pub struct Section {
    /// What stands between the brackets.
    pub name: String,
    /// Where it first begins.
    pub origin: Origin,
    /// Its options by key.
    pub entries: Sorted<Rc<str>, Entry>,
}

/// The sections of all files.
#[derive(Default)]
pub struct Sections {
    /// In the order in which they first appear.
    sections: Vec<Section>,
    /// Their places there.
    places: HashMap<String, usize>,
    main: Option<Rc<str>>,
}

impl Sections {
    /// Adds what stands in a file; the first one is the main file.
    pub fn add(&mut self, file: &Rc<str>, sections: Vec<ini::Section>, findings: &mut Vec<Finding>) {
        let main = self.main.get_or_insert_with(|| file.clone());
        for ini::Section { name, origin, options } in sections {
            let place = *self.places.entry(name.clone()).or_insert(self.sections.len());
            if place == self.sections.len() {
                self.sections.push(Section { name, origin, entries: Sorted::new() });
            }
            let Some(section) = self.sections.get_mut(place) else { continue };
            findings.extend(options.into_iter().filter_map(|entry| section.add(entry, main)));
        }
    }

    /// The value of an option, as it stands in a file.
    pub fn get(&self, name: &str, key: &str) -> Option<&Entry> {
        let section = |name: &str| self.sections.get(*self.places.get(name)?);
        let own = section(name)?.entries.get(key);
        own.or_else(|| section("DEFAULT")?.entries.get(key))
    }

    /// All sections but `[DEFAULT]`, in the order in which they first appear, each with the options of `[DEFAULT]`
    /// that it has not itself.
    pub fn finish(mut self, findings: &mut Vec<Finding>) -> Vec<Section> {
        let Some(place) = self.places.get("DEFAULT") else { return self.sections };
        let defaults = self.sections.remove(*place);
        if defaults.entries.len() * self.sections.len() > MOST_DEFAULTS {
            let message = "[DEFAULT] times the number of sections is too much".into();
            findings.push(Finding { severity: Severity::Fatal, origin: defaults.origin, message });
            return self.sections;
        }
        for section in &mut self.sections {
            for (key, entry) in defaults.entries.iter().filter(|(key, _)| !is_for_others(&section.name, key))
            {
                section.entries.get_or_insert_with(key.clone(), || entry.clone());
            }
        }
        self.sections
    }
}

/// Whether an option of `[DEFAULT]` is one of other sections, and none of this one.
fn is_for_others(section: &str, key: &str) -> bool {
    let kinds = [
        ("circus", Place::Circus),
        ("access", Place::Access),
        ("socket", Place::Socket),
        ("plugin", Place::Plugin),
        ("watcher", Place::Watcher),
    ];
    let has = |place: Place| {
        place.options().any(|row| row.key == key)
            || place == Place::Watcher && (families::of(key).is_some() || key == families::NAME)
    };
    let kind = section.split(':').next().unwrap_or_default();
    let own = kinds.iter().find(|(name, _)| *name == kind).map(|(_, place)| *place);
    own.is_some_and(|own| !has(own)) && kinds.iter().any(|(_, place)| has(*place))
}

/// Gives the options of streams in `[circus]` to each watcher, unless it has a class of its own for that stream.
pub fn spread_streams(sections: &mut [Section]) {
    let Some(global) = sections.iter_mut().find(|section| section.name == "circus") else { return };
    let mut of_all = Vec::new();
    global.entries.retain(|key, entry| {
        let is_stream =
            [families::STDOUT_MEMBER, families::STDERR_MEMBER].iter().any(|it| key.starts_with(it));
        of_all.extend(is_stream.then(|| entry.clone()));
        !is_stream
    });
    for section in sections.iter_mut().filter(|section| section.name.starts_with("watcher:")) {
        let has_class = |prefix: &str| section.entries.contains_key(&*(prefix.to_string() + stream::class));
        let own = [families::STDOUT_MEMBER, families::STDERR_MEMBER].map(|it| (it, has_class(it)));
        for entry in
            of_all.iter().filter(|entry| !own.iter().any(|(it, has)| *has && entry.key.starts_with(it)))
        {
            section.entries.get_or_insert_with(entry.key.clone(), || entry.clone());
        }
    }
}

impl Section {
    /// Adds an option unless there is one of this key. That the main file overrides another needs no word.
    fn add(&mut self, entry: Entry, main: &Rc<str>) -> Option<Finding> {
        // Circus keeps the name of the section under this key.
        if &*entry.key == "__name__" {
            return None;
        }
        let Some(first) = self.entries.get(&entry.key) else {
            self.entries.insert(entry.key.clone(), entry);
            return None;
        };
        if first.origin.file != entry.origin.file && first.origin.file == *main {
            return None;
        }
        let place = if first.origin.file == entry.origin.file {
            format!("on line {}", first.origin.line)
        } else {
            format!("at {}", ini::excerpt(&first.origin.to_string()))
        };
        let message = format!("`{}` is already set {place}; the first one counts", ini::shorten(&entry.key));
        Some(Finding { severity: Severity::Warning, origin: entry.origin, message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merge(files: &[(&str, &str)]) -> (Vec<Section>, Vec<String>) {
        let (mut sections, mut findings) = (Sections::default(), Vec::new());
        for (name, text) in files {
            let document = ini::read(&Rc::from(*name), text.as_bytes());
            findings.extend(document.findings);
            sections.add(&Rc::from(*name), document.sections, &mut findings);
        }
        let sections = sections.finish(&mut findings);
        (sections, findings.iter().map(|f| format!("{}: {}", f.origin, f.message)).collect())
    }

    fn value<'s>(sections: &'s [Section], section: &str, key: &str) -> Option<&'s str> {
        let section = sections.iter().find(|s| s.name == section)?;
        section.entries.get(key).map(|entry| entry.value.as_str())
    }

    #[test]
    fn the_first_of_two_keys_counts_and_the_second_is_reported() {
        let (sections, findings) = merge(&[("m", "[a]\nk = 1\nk = 2\n more\n[b]\n[a]\nk = 3\nl = 4")]);
        assert_eq!(value(&sections, "a", "k"), Some("1"));
        assert_eq!(value(&sections, "a", "l"), Some("4"));
        assert_eq!(sections.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        let text = "`k` is already set on line 2; the first one counts";
        assert_eq!(findings, [format!("m:3: {text}"), format!("m:7: {text}")]);
    }

    #[test]
    fn the_main_file_overrides_and_included_files_add() {
        let files = [("m", "[a]\nk = 1"), ("i", "[a]\nk = 2\nl = 3\n[c]"), ("j", "[a]\nl = 4")];
        let (sections, findings) = merge(&files);
        assert_eq!(value(&sections, "a", "k"), Some("1"));
        assert_eq!(value(&sections, "a", "l"), Some("3"));
        assert_eq!(findings, ["j:2: `l` is already set at i:3; the first one counts"]);
    }

    #[test]
    fn defaults_fill_every_section() {
        let (sections, _) = merge(&[("m", "[a]\nk = 1\n[DEFAULT]\nk = 2\nl = 3\n[b]")]);
        assert_eq!(value(&sections, "a", "k"), Some("1"));
        assert_eq!(value(&sections, "b", "k"), Some("2"));
        assert_eq!(value(&sections, "a", "l"), Some("3"));
        assert_eq!(sections.len(), 2);
    }

    #[test]
    fn defaults_of_watchers_are_not_for_sockets_and_plugins() {
        let text = "[DEFAULT]\nnumprocesses = 2\nuid = x\nhooks.after_stop = y\nmine = 1\n\
                    [watcher:a]\n[socket:b]\n[plugin:c]\n[circus]\n[env]\n";
        let (sections, _) = merge(&[("m", text)]);
        let has = |section: &str| {
            let entries = &sections.iter().find(|s| s.name == section).unwrap().entries;
            entries.keys().cloned().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(has("watcher:a"), "hooks.after_stop mine numprocesses uid");
        assert_eq!((has("socket:b").as_str(), has("circus").as_str()), ("mine", "mine"));
        assert_eq!(has("plugin:c"), "mine");
        assert_eq!(has("env"), "hooks.after_stop mine numprocesses uid");
    }

    #[test]
    fn streams_of_all_go_to_each_watcher_without_a_class_of_its_own() {
        let text = "[circus]\nstdout_stream.class = FileStream\nstdout_stream.filename = /f\nstderr_stream.class = X\n\
                    loglevel = info\n[watcher:a]\ncmd = a\n[watcher:b]\nstdout_stream.filename = /b\n\
                    [watcher:c]\nstdout_stream.class = StdoutStream\n[socket:d]\nport = 1\n";
        let (mut sections, _) = merge(&[("m", text)]);
        spread_streams(&mut sections);
        let has = |section: &str, key: &str| value(&sections, section, key).unwrap_or("-").to_string();
        let of = |section: &str| {
            ["stdout_stream.class", "stdout_stream.filename", "stderr_stream.class"]
                .map(|key| has(section, key))
                .join(" ")
        };
        assert_eq!(of("watcher:a"), "FileStream /f X");
        assert_eq!(of("watcher:b"), "FileStream /b X");
        assert_eq!(of("watcher:c"), "StdoutStream - X");
        assert_eq!((of("circus"), of("socket:d")), ("- - -".to_string(), "- - -".to_string()));
        assert_eq!(has("circus", "loglevel"), "info");
    }
}
