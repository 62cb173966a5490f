//! What somebody may have meant by a key, a section or a class that there is not.

use crate::config::families::{FAMILIES, Family};
use crate::config::ini::shorten;
use crate::config::options::Place;

/// Keys of other tools and other guesses for what no single option does; the other ones stand in the option table.
const GUESSES: &[(Place, &str, &str)] = &[
    (Place::Watcher, "environment env", "[env:NAME]"),
    (Place::Watcher, "startsecs", "ready = after:SECONDS"),
    (Place::Watcher, "stdout_logfile logfile", "stdout_stream.filename"),
    (Place::Watcher, "stderr_logfile", "stderr_stream.filename"),
    (Place::Circus, "user", "uid = ... in each watcher"),
];
const SECTIONS: &[(&str, &str)] = &[
    ("circus", ""),
    ("access", ""),
    ("env", ":NAME"),
    ("watcher", ":NAME"),
    ("socket", ":NAME"),
    ("plugin", ":NAME"),
];

/// A phrase that says what an unknown key may have meant, such as "did you mean `uid`?".
pub fn key(place: Place, key: &str) -> Option<String> {
    let has = |words: &str| words.split(' ').any(|word| word == key && !key.is_empty());
    let guess = GUESSES.iter().find(|(of, words, _)| *of == place && has(words)).map(|(.., meant)| *meant);
    let alias = || place.options().find(|row| has(row.aliases)).map(|row| row.key);
    if let Some(meant) = guess.or_else(alias) {
        return Some(format!("did you mean `{meant}`?"));
    }
    if let Some(name) = key.strip_prefix("env.") {
        return Some(format!("did you mean `{}` in a section [env:NAME]?", shorten(name)));
    }
    if let Some(nearest) = nearest(key, &mut place.options().map(|row| row.key)) {
        return Some(format!("did you mean `{nearest}`?"));
    }
    if let Some((head, rest)) = key.split_once('.').filter(|_| place == Place::Watcher)
        && let dotted = FAMILIES.iter().filter(|family| family.prefix.ends_with('.'))
        && let Some(family) = nearest(head, &mut dotted.map(Family::whole))
    {
        return Some(format!("did you mean `{family}.{}`?", shorten(rest)));
    }
    let sections = [
        (Place::Circus, "[circus]"),
        (Place::Watcher, "a [watcher:NAME]"),
        (Place::Socket, "a [socket:NAME]"),
    ];
    let (_, section) =
        sections.iter().find(|(of, _)| *of != place && of.options().any(|row| row.key == key))?;
    Some(format!("it belongs in {section}"))
}

/// A phrase that says what an unknown section may have meant.
pub fn section(name: &str) -> Option<String> {
    let (head, rest) = name.split_once(':').map_or((name, None), |(head, rest)| (head, Some(rest)));
    let head = match head.trim().to_lowercase().as_str() {
        "program" | "process" | "service" => "watcher".to_string(),
        "supervisord" | "circusd" => "circus".to_string(),
        other => other.to_string(),
    };
    let head = nearest(&head, &mut SECTIONS.iter().map(|(head, _)| *head))?;
    let tail = SECTIONS.iter().find(|(known, _)| *known == head).map_or("", |(_, tail)| tail);
    match rest {
        Some(rest) if !tail.is_empty() => Some(format!("did you mean [{head}:{}]?", shorten(rest.trim()))),
        _ => Some(format!("did you mean [{head}{tail}]?")),
    }
}

/// Where the first program of a supervisord.conf stands among the sections of a file, and what to do with such a file.
pub fn supervisord(names: &mut dyn Iterator<Item = &str>) -> Option<(usize, &'static str)> {
    let mut first = None;
    for (n, name) in names.enumerate() {
        if name.starts_with("watcher:") {
            return None;
        }
        let is_program =
            ["program:", "fcgi-program:", "eventlistener:"].iter().any(|kind| name.starts_with(kind));
        first = first.or((is_program || name == "supervisord").then_some(n));
    }
    let advice = "this is a configuration of supervisord, which circus does not read: rename [supervisord] to [circus] and each \
        [program:NAME] to [watcher:NAME]; then `circus check` names the option for each of supervisord's";
    first.map(|n| (n, advice))
}

/// The word that differs least from `word`, whatever its case, if it differs little enough. A word
/// of one or two letters is close to too many others.
pub fn nearest<'w>(word: &str, words: &mut dyn Iterator<Item = &'w str>) -> Option<&'w str> {
    if !(3..=40).contains(&word.len()) {
        return None;
    }
    let limit = if word.len() < 5 { 1 } else { 2 };
    let near = words.filter_map(|known| Some((distance(word.as_bytes(), known.as_bytes(), limit)?, known)));
    near.min_by_key(|(distance, _)| *distance).map(|(_, known)| known)
}

/// How many letters must be changed, added, left out or swapped with their neighbour to turn `a` into `b`, if no more
/// than `limit` are enough. Each of them is tried where the two begin to differ.
fn distance(a: &[u8], b: &[u8], limit: usize) -> Option<usize> {
    let same = |x: &u8, y: &u8| x.eq_ignore_ascii_case(y);
    match (a, b) {
        ([], []) => return Some(0),
        ([x, a @ ..], [y, b @ ..]) if same(x, y) => return distance(a, b, limit),
        _ => {}
    }
    let limit = limit.checked_sub(1).filter(|_| a.len().abs_diff(b.len()) <= limit)?;
    let swapped = match (a, b) {
        ([w, x, a @ ..], [y, z, b @ ..]) if same(w, z) && same(x, y) => distance(a, b, limit),
        _ => None,
    };
    let (less, fewer) = (a.get(1..), b.get(1..));
    let left_out = less.and_then(|less| distance(less, b, limit));
    let added = fewer.and_then(|fewer| distance(a, fewer, limit));
    let changed = less.zip(fewer).and_then(|(less, fewer)| distance(less, fewer, limit));
    [swapped, left_out, added, changed].into_iter().flatten().min().map(|rest| rest + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_keys_get_the_likely_one() {
        let cases = [
            (Place::Watcher, "user", "did you mean `uid`?"),
            (Place::Watcher, "numproceses", "did you mean `numprocesses`?"),
            (Place::Watcher, "workding_dir", "did you mean `working_dir`?"),
            (Place::Watcher, "Cmd", "did you mean `cmd`?"),
            (Place::Watcher, "hook.before_start", "did you mean `hooks.before_start`?"),
            (Place::Watcher, "env.API", "did you mean `API` in a section [env:NAME]?"),
            (Place::Watcher, "endpoint_owner", "it belongs in [circus]"),
            (Place::Circus, "check_dealy", "did you mean `check_delay`?"),
            (Place::Circus, "working_dir", "it belongs in a [watcher:NAME]"),
            (Place::Socket, "prot", "did you mean `port`?"),
            (Place::Stream, "file_name", "did you mean `filename`?"),
        ];
        for (place, wrong, hint) in cases {
            assert_eq!(key(place, wrong).as_deref(), Some(hint), "{wrong}");
        }
        assert_eq!(key(Place::Watcher, "RUBY_GC_MALLOC_LIMIT"), None);
        for long in ["env.", "tdout_stream."].map(|head| head.to_string() + &"x".repeat(10_000)) {
            assert!(key(Place::Watcher, &long).unwrap().len() < 200, "{}", &long[..20]);
        }
    }

    #[test]
    fn wrong_sections_get_the_likely_one() {
        let cases = [
            ("Watcher:x", "did you mean [watcher:x]?"),
            ("watchers:x", "did you mean [watcher:x]?"),
            ("watcher", "did you mean [watcher:NAME]?"),
            ("program:web", "did you mean [watcher:web]?"),
            ("CIRCUS", "did you mean [circus]?"),
            (" socket: y ", "did you mean [socket:y]?"),
        ];
        for (wrong, hint) in cases {
            assert_eq!(section(wrong).as_deref(), Some(hint), "{wrong}");
        }
        assert_eq!(section("uwsgi"), None);
    }

    #[test]
    fn a_file_of_supervisord_is_known_by_its_sections() {
        let found = |names: &[&'static str]| supervisord(&mut names.iter().copied()).map(|(n, _)| n);
        assert_eq!(found(&["unix_http_server", "supervisord", "program:x"]), Some(1));
        assert_eq!(found(&["program:x"]), Some(0));
        assert_eq!(found(&["circus", "watcher:a", "program:x"]), None);
        assert_eq!(found(&["circus"]), None);
    }

    #[test]
    fn distance_counts_a_swap_once() {
        let distance = |a: &str, b: &str| distance(a.as_bytes(), b.as_bytes(), 3);
        assert_eq!(distance("dealy", "delay"), Some(1));
        assert_eq!(distance("", "abc"), Some(3));
        assert_eq!(distance("kitten", "sitting"), Some(3));
        assert_eq!(distance("same", "Same"), Some(0));
        assert_eq!(distance("abcd", "efgh"), None);
    }
}
