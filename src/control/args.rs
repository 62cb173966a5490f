//! The arguments of a command as data: where each is typed, and the property that it is in a request.
//!
//! [`encode`] goes by the row of a command; [`Args`] reads what came, whatever it is, for the request that the row
//! makes of it.

use super::commands::Command;
use super::props;
use super::python::repr;
use super::{Map, Refusal, put};
use serde_json::Value as Json;

/// An argument of a command.
pub struct Arg {
    /// The property.
    pub key: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Where it is typed.
    pub place: Place,
}

/// What an argument is.
#[allow(missing_docs, reason = "most names say it")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// A whole number.
    Number,
    Flag,
    /// An option that sets the property to false.
    Unless,
    Texts,
    /// Options of a watcher with their values.
    Options,
}

/// Where an argument is typed.
pub enum Place {
    /// A word, as the usage has it; one in brackets may be left out.
    Word(&'static str),
    /// All words that are left, as the usage has them.
    Rest(&'static str),
    /// An option, anywhere behind the command.
    Flag(Flag),
}

/// An option of a command.
pub struct Flag {
    /// Its name, without the `--`.
    pub name: &'static str,
    /// What its argument is called; `None`: it takes none.
    pub value: Option<&'static str>,
    /// One line of help.
    pub help: &'static str,
}

/// What was typed after the name of a command.
#[derive(Debug, Default)]
pub struct CliArgs {
    /// The words, in their order.
    pub words: Vec<String>,
    /// The options, by name, with their arguments.
    pub flags: Vec<(&'static str, Option<String>)>,
}

impl CliArgs {
    /// Whether an option was given.
    pub fn has(&self, name: &str) -> bool {
        self.flags.iter().any(|(flag, _)| *flag == name)
    }

    /// The argument of an option; the last one counts.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.flags.iter().rev().find(|(flag, _)| *flag == name)?.1.as_deref()
    }
}

/// An option, by its fields.
pub const fn flag(name: &'static str, value: Option<&'static str>, help: &'static str) -> Flag {
    Flag { name, value, help }
}

impl Arg {
    pub(super) const fn word(key: &'static str, kind: Kind, usage: &'static str) -> Arg {
        Arg { key, kind, place: Place::Word(usage) }
    }

    pub(super) const fn rest(key: &'static str, kind: Kind, usage: &'static str) -> Arg {
        Arg { key, kind, place: Place::Rest(usage) }
    }

    pub(super) const fn flag(key: &'static str, help: &'static str) -> Arg {
        Arg { key, kind: Kind::Flag, place: Place::Flag(flag(key, None, help)) }
    }

    pub(super) const fn option(
        key: &'static str,
        kind: Kind,
        value: &'static str,
        help: &'static str,
    ) -> Arg {
        Arg { key, kind, place: Place::Flag(flag(key, Some(value), help)) }
    }

    /// The same argument for a property that is called otherwise.
    pub(super) const fn sets(self, key: &'static str) -> Arg {
        Arg { key, ..self }
    }

    /// What the usage has of it, unless it is an option.
    pub fn usage(&self) -> Option<&'static str> {
        match &self.place {
            Place::Word(usage) | Place::Rest(usage) => Some(usage),
            Place::Flag(_) => None,
        }
    }
}

/// The properties of a request, from what was typed.
///
/// # Errors
/// What does not fit.
pub fn encode(command: &Command, typed: &CliArgs) -> Result<Map, String> {
    let mut map = Map::new();
    let mut spare = typed.words.len().saturating_sub(command.words().0);
    let mut words = typed.words.iter();
    for arg in command.args {
        let value = match &arg.place {
            Place::Word(usage) if usage.starts_with('[') && spare == 0 => None,
            Place::Word(usage) => {
                spare -= usize::from(usage.starts_with('['));
                words.next().map(|word| typed_word(arg, usage, word)).transpose()?
            }
            Place::Rest(_) => {
                Some(typed_rest(arg.kind, &words.by_ref().map(String::as_str).collect::<Vec<_>>())?)
            }
            Place::Flag(flag) => typed_flag(arg.kind, flag, typed)?,
        };
        value.into_iter().for_each(|value| put(&mut map, arg.key, value));
    }
    Ok(map)
}

/// A word; the daemon need not be asked whether it is a number.
fn typed_word(arg: &Arg, usage: &str, word: &str) -> Result<Json, String> {
    if arg.kind == Kind::Number && word.parse::<i64>().is_err() {
        let what = usage.trim_matches(['[', ']']);
        return Err(format!("{what}: {} is not a whole number", repr(word)));
    }
    // Of a choice, which has its words in the usage, the case does not count.
    Ok(if usage.contains('|') { word.to_lowercase().into() } else { word.into() })
}

fn typed_rest(kind: Kind, words: &[&str]) -> Result<Json, String> {
    match kind {
        #[cfg(feature = "edit")]
        Kind::Options => {
            let mut pairs = words.chunks(2).map(|pair| match pair {
                [key, value] => Ok((*key, *value)),
                _ => Err("List of key/values is invalid".to_string()),
            });
            super::tuning::typed_options(&mut pairs)
        }
        Kind::Texts => Ok(words.iter().copied().collect()),
        // Of a program.
        _ => Ok(words.join(" ").into()),
    }
}

fn typed_flag(kind: Kind, flag: &Flag, typed: &CliArgs) -> Result<Option<Json>, String> {
    if !typed.has(flag.name) {
        return Ok(None);
    }
    match kind {
        Kind::Flag | Kind::Unless => Ok(Some((kind == Kind::Flag).into())),
        #[cfg(feature = "edit")]
        Kind::Options => {
            let given = typed.flags.iter().filter(|(name, _)| *name == flag.name);
            let mut pairs = given.map(|(_, option)| {
                let option = option.as_deref().unwrap_or_default();
                let pair = option.split_once('=').map(|(key, value)| (key.trim(), value.trim()));
                pair.ok_or_else(|| format!("{} is not KEY=VALUE", super::python::quoted(option)))
            });
            super::tuning::typed_options(&mut pairs).map(Some)
        }
        _ => Ok(typed.value(flag.name).map(Json::from)),
    }
}

/// The properties of a request, read by type.
pub struct Args<'a>(pub &'a Map);

impl<'a> Args<'a> {
    /// The property, unless it is missing or null.
    pub fn json(&self, key: &str) -> Option<&'a Json> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// The property, by one of the readers in props.rs.
    pub fn get<T>(&self, key: &str, read: Read<T>) -> Result<Option<T>, Refusal> {
        self.json(key).map(|value| read(key, value)).transpose()
    }

    /// The same of a property that must be there.
    pub fn need<T>(&self, key: &str, read: Read<T>) -> Result<T, Refusal> {
        let missing = || Refusal::message(format!("message invalid '{key}' is missing"));
        self.get(key, read)?.ok_or_else(missing)
    }

    /// The name of a watcher, which must be there.
    pub fn name(&self) -> Result<String, Refusal> {
        self.need("name", props::text)
    }

    /// Whether a flag is set.
    pub fn is(&self, key: &str) -> Result<bool, Refusal> {
        Ok(self.get(key, props::flag)? == Some(true))
    }
}

/// Reads a property of that name.
type Read<T> = fn(&str, &Json) -> Result<T, Refusal>;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn null_is_missing() {
        let map = Map::from_iter([("k".to_string(), json!(null))]);
        let args = Args(&map);
        assert_eq!((args.get("k", props::pid), args.is("k")), (Ok(None), Ok(false)));
        let missing = "message invalid 'k' is missing";
        assert_eq!(args.need("k", props::text).map_err(|refusal| refusal.reason), Err(missing.into()));
    }
}
