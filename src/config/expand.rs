//! Variables in values: `$(circus.NAME)`, or `((circus.NAME))`, and the `$NAME` of environment values.
//!
//! Replacing goes over the text once: what a variable brings in is not looked at again. A variable that is not known
//! stays as it is, since most are only known when a process is spawned. Case does not matter in `circus.` and NAME.

use super::model::Names;
use crate::sorted::sort;
use std::ops::Range;

/// No single expansion makes a text longer than this, in bytes; what comes after stays as it is. The kernel takes no
/// longer argument or variable anyway.
pub const LONGEST: usize = 1 << 20;

/// `text` with each variable replaced by what `lookup` answers for its NAME (as written, without `circus.`).
pub fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut done = 0;
    for (name, place) in variables(text) {
        if let Some(value) = lookup(name).filter(|value| out.len() + value.len() <= LONGEST) {
            out.push_str(text.get(done..place.start).unwrap_or_default());
            out.push_str(&value);
            done = place.end;
        }
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

/// What the variable `env.X` stands for: the value of X in `env`, or of a name that differs in case only.
pub fn env(env: &Names, name: &str) -> Option<String> {
    let wanted = member(name, "env")?;
    let other = || env.iter().rev().find(|(key, _)| key.eq_ignore_ascii_case(wanted)).map(|(_, value)| value);
    env.get(wanted).or_else(other).cloned()
}

/// `X` when `name` is `FAMILY.X`, whatever the case of FAMILY.
pub fn member<'t>(name: &'t str, family: &str) -> Option<&'t str> {
    let (head, rest) = name.split_once('.')?;
    head.eq_ignore_ascii_case(family).then_some(rest)
}

/// What `$(circus.sockets.NAME)` begins with.
pub const SOCKETS: &str = "sockets";

/// The NAMEs of all variables in `text`, as written, in order.
pub fn names(text: &str) -> impl Iterator<Item = &str> {
    variables(text).map(|(name, _)| name)
}

/// The names of the sockets that `text` refers to by `$(circus.sockets.NAME)`, in lower case, each once, sorted.
pub fn sockets(text: &str) -> Vec<String> {
    let mut sockets =
        sort(names(text).filter_map(|name| member(name, SOCKETS)).map(str::to_lowercase).collect());
    sockets.dedup();
    sockets
}

/// An environment value with each `$NAME` replaced from `environ`, by nothing when it has none, which `unset` is told.
/// NAME is upper case; `${NAME}` stays as it is.
pub fn dollar(text: &str, environ: &Names, unset: &mut dyn FnMut(&str)) -> String {
    let mut parts = text.split('$');
    let mut out = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let end = |c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        let name = part.split(end).next().unwrap_or_default();
        if !name.starts_with(|c: char| c.is_ascii_uppercase()) {
            out.push('$');
            out.push_str(part);
            continue;
        }
        match environ.get(name) {
            Some(value) if out.len() + value.len() <= LONGEST => out.push_str(value),
            Some(_) => {}
            None => unset(name),
        }
        out.push_str(part.get(name.len()..).unwrap_or_default());
    }
    out
}

/// The NAMEs of the variables in a text, and where they stand, in bytes.
fn variables(text: &str) -> impl Iterator<Item = (&str, Range<usize>)> {
    let mut free_from = 0;
    text.match_indices('(').filter_map(move |(open, _)| {
        let variable = variable_at(text, open).filter(|(_, place)| place.start >= free_from)?;
        free_from = variable.1.end;
        Some(variable)
    })
}

/// The variable whose first bracket stands at `open`.
fn variable_at(text: &str, open: usize) -> Option<(&str, Range<usize>)> {
    let before = text.get(..open)?;
    let after = text.get(open + 1..)?;
    let (start, close, rest) = match after.strip_prefix('(') {
        Some(rest) => (open, "))", rest),
        None => (before.strip_suffix('$')?.len(), ")", after),
    };
    let prefix = rest.get(.."circus.".len()).filter(|p| p.eq_ignore_ascii_case("circus."))?;
    let rest = rest.get(prefix.len()..)?;
    let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-') || !c.is_ascii();
    let name = rest.get(..rest.find(|c| !in_name(c))?).filter(|name| !name.is_empty())?;
    let behind = rest.get(name.len()..)?.strip_prefix(close)?;
    Some((name, start..text.len() - behind.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env_of(pairs: &[(&str, &str)]) -> Names {
        pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
    }

    #[test]
    fn variables_are_replaced_once() {
        let environ = env_of(&[("X", "1"), ("loop", "$(circus.env.loop)"), ("Path", "/p"), ("e", "")]);
        let cases = [
            ("$(circus.env.X)", "1"),
            ("((circus.env.X))", "1"),
            ("a$(CIRCUS.ENV.x)b((Circus.Env.PATH))c", "a1b/pc"),
            ("$(circus.env.loop)", "$(circus.env.loop)"),
            ("[$(circus.env.e)]", "[]"),
            ("$(circus.env.none) $(circus.wid) ${circus.env.X} $(env.X)", ""),
            ("$(circus.env.X", ""),
            ("((circus.env.X)", ""),
            ("$(circus.)", ""),
            ("$( circus.env.X)", ""),
            ("$((circus.env.X))", "$1"),
            ("(((circus.env.X)))", "(1)"),
            ("$$(circus.env.X))", "$1)"),
            ("\u{e9}$(circus.env.X)\u{e9}", "\u{e9}1\u{e9}"),
        ];
        for (text, wanted) in cases {
            let wanted = if wanted.is_empty() { text } else { wanted };
            assert_eq!(expand(text, &|name| env(&environ, name)), wanted, "{text}");
        }
    }

    #[test]
    fn an_exact_name_comes_before_one_in_another_case() {
        let environ = env_of(&[("A", "upper"), ("a", "lower")]);
        assert_eq!(env(&environ, "env.A").as_deref(), Some("upper"));
        assert_eq!(env(&environ, "ENV.a").as_deref(), Some("lower"));
        assert_eq!(env(&environ, "wid"), None);
    }

    #[test]
    fn expansion_is_bounded() {
        let text = "$(circus.env.X)".repeat(3000);
        let out = expand(&text, &|_| Some("x".repeat(1000)));
        assert!(out.len() <= LONGEST + text.len());
        let environ = env_of(&[("X", &"x".repeat(1000))]);
        assert!(dollar(&"$X".repeat(3000), &environ, &mut |_| ()).len() <= LONGEST + 6000);
    }

    #[test]
    fn sockets_are_found_whatever_their_case() {
        let text =
            "x --fd $(circus.sockets.Web) ((CIRCUS.SOCKETS.a-b)) $(circus.sockets.web) $(circus.env.y)";
        assert_eq!(sockets(text), ["a-b", "web"]);
        assert_eq!(names(text).count(), 4);
    }

    #[test]
    fn dollar_names_come_from_the_environment() {
        let environ = env_of(&[("PATH", "/bin"), ("A1_", "x")]);
        let cases = [
            ("$PATH:/x", "/bin:/x"),
            ("$PATH$A1_", "/binx"),
            ("$NONE.", "."),
            ("$PATHx", "/binx"),
            ("${PATH} $path $1 $ $$PATH", "${PATH} $path $1 $ $/bin"),
            ("\\$PATH", "\\/bin"),
            ("", ""),
        ];
        for (text, wanted) in cases {
            assert_eq!(dollar(text, &environ, &mut |_| ()), wanted, "{text}");
        }
    }
}
