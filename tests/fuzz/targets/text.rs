//! Texts within a configuration, a command line, a request or the answer of a web server: variables, words, patterns,
//! values, names.

use crate::seeds::Examples;
use circus::config::check::suggest;
use circus::config::expand::{self, LONGEST};
use circus::config::pattern::{self, Pattern};
use circus::config::regex::Regex;
use circus::config::{
    Kind, Names, Value, env_file, hooks, model, number, options, restrict, sockets, syslog, text, words,
};
use circus::control::{endpoint, http, shell, topics};
use circus::signals;

/// The first line, and the rest.
fn two(input: &str) -> (&str, &str) {
    input.split_once('\n').unwrap_or((input, ""))
}

pub fn variables(examples: &Examples) -> Vec<Vec<u8>> {
    let has = |text: &&Vec<u8>| text.contains(&b'$') || text.windows(2).any(|two| two == b"((");
    examples.texts.iter().filter(has).cloned().collect()
}

pub fn expand(input: &[u8]) {
    let input = text::from_bytes(input);
    let (value, rest) = two(&input);
    let environ = [("X", value), ("LONG", "0123456789"), ("self", "$(circus.env.self)$SELF")];
    let environ: Names = environ.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let look = |name: &str| expand::env(&environ, name);
    let expanded = expand::expand(rest, &look);
    assert!(expanded.len() <= LONGEST + rest.len(), "{} bytes", expanded.len());
    assert_eq!(expand::expand(rest, &|_| None), rest, "unknown variables do not stay");
    let nothing = expand::expand(rest, &|_| Some(String::new()));
    let names: usize = expand::names(rest).map(|name| name.len() + "$(circus.)".len()).sum();
    assert!(nothing.len() + names <= rest.len(), "more was replaced than there are variables");
    assert!(expand::sockets(rest).len() <= expand::names(rest).count());
    let dollars = expand::dollar(rest, &environ, &mut |_| ());
    assert!(dollars.len() <= LONGEST + rest.len(), "{} bytes", dollars.len());
    assert!(rest.contains('$') || dollars == rest, "something else than $NAME was replaced");
}

pub fn words(input: &[u8]) {
    let line = text::from_bytes(input);
    assert_eq!(&*text::to_bytes(&line), input, "bytes do not survive");
    let Ok(found) = words::split(&line) else { return };
    let joined = shell::join(found.iter().map(String::as_str));
    assert_eq!(words::split(&joined).as_ref(), Ok(&found), "words do not survive quoting: {joined}");
}

pub fn http(input: &[u8]) {
    let whole = http::has_head(input);
    assert!(!whole || http::has_head(&[input, b"x"].concat()), "a head that had ended goes on");
    let line = input.split(|byte| *byte == b'\n').next().unwrap_or_default();
    assert_eq!(http::request(input), http::request(line), "more than the first line counts");
    assert!(http::request(input).is_none_or(|(method, path)| !method.is_empty() && !path.contains('?')));
    if let Err((Some(status), why)) = http::success(input) {
        assert!(!(200..400).contains(&status) && why.contains(&status.to_string()), "{why}");
    }
}

pub fn patterns(input: &[u8]) {
    let input = text::from_bytes(input);
    let (first, rest) = two(&input);
    let pattern = Pattern::new(first);
    assert!(pattern::is_pattern(first) || pattern.matches(first), "a name does not match itself");
    let matched = pattern.matches(rest);
    assert!(pattern::is_pattern(first) || matched == (first == rest), "a name matches another");
    assert!(!matched || Pattern::new(&format!("*{first}*")).matches(rest), "less matches with more stars");
    assert!(Pattern::new(&format!("{}*", "?".repeat(rest.chars().count().min(64)))).matches(rest));
}

pub fn values(input: &[u8]) {
    let text = text::from_bytes(input);
    let text = text.trim();
    check_number(text);
    let kinds = [
        Kind::Bool,
        Kind::Int,
        Kind::Seconds,
        Kind::WholeSeconds,
        Kind::Bytes,
        Kind::Text,
        Kind::Signal,
        Kind::Octal,
        Kind::Id,
        Kind::Choice(&["a"]),
    ];
    for kind in kinds {
        let Ok(value) = kind.parse(text) else { continue };
        assert!(kind.accept(&value).is_some(), "{kind:?}: {value:?} is read, but not accepted");
        if let Value::Float(number) = value {
            assert!(number.abs() <= 1e9, "{number}");
        }
    }
    // The C library keeps 32 and 33 for itself; they have no name.
    if let Some(number) = signals::parse(text).filter(|number| !matches!(number, 32 | 33)) {
        assert_eq!(signals::parse(&signals::name(number)), Some(number), "{text} is not its own name");
    }
}

/// As the standard library reads them; what only one of them takes is no number to Python either.
fn check_number(text: &str) {
    let Some(number) = number::parse(text) else { return };
    for digits in [0, 1, 2, 3, 30] {
        assert!(!number::fixed(number, digits).is_empty());
    }
    let Ok(exact) = text.parse::<f64>() else { panic!("{text} is no number to the standard library") };
    let close = number == exact || (number - exact).abs() <= exact.abs() * 1e-12;
    // Numbers that are no ordinary ones are of no use to anybody, and need not be exact.
    let ordinary = exact == 0.0 || (1e-200..1e200).contains(&exact.abs());
    assert!(close || !ordinary || text.len() > 100, "{text} is {number:e}, not {exact:e}");
}

pub fn names(input: &[u8]) {
    let input = text::from_bytes(input);
    let (first, rest) = two(&input);
    model::check_name(first).ok();
    suggest::section(first);
    for place in [options::Place::Circus, options::Place::Watcher, options::Place::Socket] {
        suggest::key(place, first);
    }
    topics::topic(first, rest);
    topics::wanted(&[first.to_string()], rest);
    for runtime in [None, Some(rest)] {
        for uid in [0, 1000] {
            let around = endpoint::Around { uid, runtime, container: 1 };
            let Ok(places) = endpoint::places(Some(first), around) else { continue };
            for place in places {
                if let endpoint::Place::Path(path) = place {
                    assert!(!path.is_empty());
                }
            }
        }
    }
}

pub fn regex(input: &[u8]) {
    let (first, rest) = two_bytes(input);
    let Ok(regex) = Regex::new(&text::from_bytes(first)) else { return };
    // What is searched is a name, or a line that a client or a datagram sent.
    let subject = String::from_utf8_lossy(&rest[..rest.len().min(1024)]);
    assert!(regex.is_match(&subject) || !regex.is_match_at_start(&subject));
    assert!(regex.is_match_at_start(&subject) || regex.group_at_start(&subject, "pid").is_none());
}

fn two_bytes(input: &[u8]) -> (&[u8], &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    (&input[..end], input.get(end + 1..).unwrap_or_default())
}

/// Values with a grammar of their own, and the file of `env_file`.
pub fn grammars(input: &[u8]) {
    let text = text::from_bytes(input);
    if let Ok(variables) = env_file::parse(&text) {
        let sound = |name: &str| !name.is_empty() && !name.contains(['=', '\0']);
        assert!(variables.iter().all(|(name, value)| sound(name) && !value.contains('\0')), "{variables:?}");
    }
    if let Ok(class) = restrict::ionice(&text) {
        assert!((0..4 << 13).contains(&class), "{class}");
    }
    assert!(
        restrict::capabilities(&text).is_ok_and(|set| set >> 41 == 0)
            || restrict::capabilities(&text).is_err()
    );
    restrict::writable(&text).ok();
    if syslog::is_url(&text)
        && let Ok(found) = syslog::parse(&text)
    {
        assert!(found.facility < 24, "{}", found.facility);
    }
    if let Some(number) = sockets::protocol(&text) {
        assert!(number >= 0);
    }
    hooks::is_python(&text);
}
