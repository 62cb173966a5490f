//! The lists of the manual that come from the tables of options and commands.

use super::mdoc::{argument, sentence, text};
use super::topics::{self, Entry};
use circus::config::builtin::{Row, Takes};
use circus::config::families::{FAMILIES, Family};
use circus::config::model::Builtin;
use circus::config::options::{self, Built, Live, Role, WATCHER};
use circus::config::{Kind, Value};
use circus::control::args::Flag;
use circus::control::commands::{COMMANDS, Command};
use circus::signals;

/// The names of all lists.
pub const NAMES: &[&str] = &[
    "options by topic",
    "circus options",
    "watcher options",
    "stream options",
    "socket options",
    "plugin options",
    "access options",
    "commands by role",
    "operated options",
    "options of Flapping",
    "options of ResourceWatcher",
    "options of WatchDog",
    "options of CommandReloader",
    "options of StatsdEmitter",
    "options of FullStats",
    "options of HttpObserver",
    "options of RedisObserver",
    "options of Metrics",
    "settable options",
    "late options",
    "kept sockets",
    "commands",
];

/// The list of this name.
pub fn list(name: &str) -> Option<String> {
    Some(match name {
        "options by topic" => topics::tables(&entries()),
        "circus options" => options(of(options::CIRCUS, options::CIRCUS_HELP)),
        "watcher options" => options(watcher()),
        "stream options" => options(of(options::STREAM, options::STREAM_HELP)),
        "socket options" => options(of(options::SOCKET, options::SOCKET_HELP)),
        "plugin options" => options(of(options::PLUGIN, options::PLUGIN_HELP)),
        "access options" => options(of(options::ACCESS, options::ACCESS_HELP)),
        "commands by role" => commands_by_role(),
        "operated options" => {
            items(&mut WATCHER.iter().filter(|row| row.role <= Role::Operate).map(|row| row.key))
        }
        "settable options" => settable(&watcher()),
        "late options" => column(&of(options::CIRCUS, options::CIRCUS_HELP), &[Live::Fixed]),
        "kept sockets" => column(&of(options::SOCKET, options::SOCKET_HELP), &[Live::Stored]),
        "commands" => COMMANDS.iter().fold(begin("Ds"), |list, row| list + &command(row)) + ".El\n",
        _ => return builtin(name.strip_prefix("options of ")?),
    })
}

/// The commands that each role has besides those of the role before it.
fn commands_by_role() -> String {
    let keys = [Role::Look, Role::Operate, Role::Admin].map(Role::key);
    let entry = |key: &str| {
        let commands = COMMANDS.iter().filter(|row| row.role.key() == key).map(|row| argument(row.name));
        format!(
            ".It Ic {key}\n{}\n",
            commands.map(|name| format!(".Cm {name}")).collect::<Vec<_>>().join(" ,\n")
        )
    };
    format!("{}{}.El\n", begin("operate"), keys.map(entry).concat())
}

/// Keys, one below the other.
fn items(keys: &mut dyn Iterator<Item = &str>) -> String {
    let entries: String = keys.map(|key| format!(".It\n.Ic {key}\n")).collect();
    format!(".Bl -item -offset indent -compact\n{entries}.El\n")
}

/// The options of a plugin that circus has itself.
fn builtin(name: &str) -> Option<String> {
    let builtin = Builtin::all().find(|builtin| format!("{builtin:?}") == name)?;
    let entry = |row: &Row| {
        let default = text(&format!("Default: {}.", row.default));
        let default = if row.default.is_empty() { "" } else { &default };
        let (key, help) = (argument(row.key), text(&sentence(builtin.help(row.key))));
        format!(".It Ic {key} No = {}\n{help}{default}", taken(row.takes))
    };
    let entries: String = builtin.rows().map(entry).collect();
    Some(format!("{}{entries}.El\n", begin("Ds")))
}

fn taken(takes: Takes) -> String {
    match takes {
        Takes::Flag => "Ar True | False".into(),
        Takes::Text => "Ar text".into(),
        Takes::Signal => "Ar signal".into(),
        Takes::Seconds | Takes::Rate => "Ar seconds".into(),
        Takes::Whole(..) | Takes::Number(_) => "Ar number".into(),
        Takes::Memory => "Ar memory".into(),
        Takes::Host => "Ar address".into(),
        Takes::Http | Takes::Redis => "Ar url".into(),
        Takes::Listen => "Ar place".into(),
        Takes::Regex => "Ar expression".into(),
        Takes::Watcher => "Ar watcher".into(),
    }
}

/// An option or a family of options, whatever its section.
struct Facts {
    /// The key as macros and arguments.
    key: String,
    /// What it takes, as macros and arguments.
    takes: String,
    /// What holds when it is missing.
    default: Option<String>,
    /// The number that holds then, where the default is that there is none.
    unset: Option<String>,
    built: Built,
    live: Live,
    help: String,
}

fn of<S: Default>(rows: &'static [options::Row<S>], help: &[&'static str]) -> Vec<Facts> {
    let facts = |(row, &help): (&options::Row<S>, &&'static str)| Facts {
        key: argument(row.key),
        takes: takes(row.kind),
        default: default(row.kind, &row.get(&S::default())),
        unset: row.unset.map(|number| number.to_string()),
        built: row.built,
        live: row.live,
        help: row.unset.map_or(help.to_string(), |number| help.replace("{}", &number.to_string())),
    };
    rows.iter().zip(help).map(facts).collect()
}

/// The options of a watcher: the table, then the families.
fn watcher() -> Vec<Facts> {
    let family = |family: &Family| Facts {
        key: format!("{} Ns Ar NAME", argument(family.prefix)),
        takes: "Ar value".into(),
        default: None,
        unset: None,
        built: Built::Works,
        live: family.live,
        help: family.help.to_string(),
    };
    let mut facts = of(options::WATCHER, options::WATCHER_HELP);
    facts.extend(FAMILIES.iter().map(family));
    facts
}

/// The options of all sections that work, in the order of their tables.
fn entries() -> Vec<Entry> {
    let sections = [
        ("circus", of(options::CIRCUS, options::CIRCUS_HELP)),
        ("access", of(options::ACCESS, options::ACCESS_HELP)),
        ("watcher", watcher()),
        ("socket", of(options::SOCKET, options::SOCKET_HELP)),
        ("stream", of(options::STREAM, options::STREAM_HELP)),
        ("plugin", of(options::PLUGIN, options::PLUGIN_HELP)),
    ];
    let works = sections.into_iter().map(|(section, facts)| {
        let works = facts.into_iter().filter(|facts| facts.built == Built::Works);
        works.map(move |Facts { key, takes, default, unset, .. }| {
            let default = default.or(unset);
            Entry { section, key, takes, default }
        })
    });
    works.flatten().collect()
}

fn takes(kind: Kind) -> String {
    match kind {
        Kind::Bool => "Ar True | False".into(),
        Kind::BoolOr(word) => format!("Ar True | False | Cm {word}"),
        Kind::Int => "Ar number".into(),
        Kind::Bytes => "Ar bytes".into(),
        Kind::Seconds | Kind::WholeSeconds => "Ar seconds".into(),
        Kind::Text => "Ar text".into(),
        Kind::Signal => "Ar signal".into(),
        Kind::Signals => "Ar signals".into(),
        Kind::Codes => "Ar codes".into(),
        Kind::Octal => "Ar octal".into(),
        Kind::Id => "Ar id".into(),
        Kind::Choice(words) => format!("Cm {}", words.join(" | ")),
    }
}

fn default(kind: Kind, value: &Value) -> Option<String> {
    match (kind, value) {
        (_, Value::None) => None,
        (Kind::Signal, Value::Int(n)) => i32::try_from(*n).ok().map(signals::name),
        (Kind::Octal, Value::Int(n)) => Some(format!("0{n:o}")),
        (_, Value::Int(n)) => Some(n.to_string()),
        (_, Value::Float(n)) => Some(n.to_string()),
        (_, Value::Bool(true)) => Some("True".into()),
        (_, Value::Bool(false)) => Some("False".into()),
        (_, Value::Str(text)) => Some(text.clone()).filter(|text| !text.is_empty()),
        (_, Value::Map(_)) => None,
    }
}

fn begin(width: &str) -> String {
    format!(".Bl -tag -width {width}\n")
}

/// The options that work, then those that never will.
fn options(all: Vec<Facts>) -> String {
    let group = |lead: &str, wanted: fn(Built) -> bool, entry: fn(&Facts) -> String| {
        let entries: String = all.iter().filter(|facts| wanted(facts.built)).map(entry).collect();
        if entries.is_empty() { entries } else { format!("{lead}{}{entries}.El\n", begin("Ds")) }
    };
    let works = group("", |built| built == Built::Works, described);
    let lead = "Accepted, so that old files load, without any effect:\n";
    let idle = |built| matches!(built, Built::Quiet | Built::Useless(_));
    let idle = group(&after(&works, lead), idle, without_effect);
    works + &idle
}

/// A paragraph of its own, unless it is the first.
fn after(before: &str, lead: &str) -> String {
    if before.is_empty() { lead.into() } else { format!(".Pp\n{lead}") }
}

fn described(facts: &Facts) -> String {
    let default = facts.default.as_ref().map(|default| text(&format!("Default: {default}.")));
    let help = text(&sentence(&facts.help));
    format!(".It Ic {} No = {}\n{help}{}", facts.key, facts.takes, default.unwrap_or_default())
}

fn without_effect(facts: &Facts) -> String {
    let why = match facts.built {
        Built::Useless(advice) => format!("A warning: {advice}."),
        Built::Quiet | Built::Works => sentence(&facts.help),
    };
    format!(".It Ic {}\n{}", facts.key, text(&why))
}

/// The options that work and of which a change leads to the same, one below the other.
fn column(all: &[Facts], live: &[Live]) -> String {
    let group = |live: &Live| {
        let same = |facts: &&Facts| facts.built == Built::Works && facts.live == *live;
        all.iter().filter(same).map(|facts| format!(".It\n.Ic {}\n", facts.key)).collect::<String>()
    };
    match live.iter().map(group).collect::<String>() {
        none if none.is_empty() => none,
        entries => format!(".Bl -item -offset indent -compact\n{entries}.El\n"),
    }
}

/// What the command `set` does with each option that works.
fn settable(all: &[Facts]) -> String {
    let list = |title: &str, live: &[Live]| match column(all, live) {
        entries if entries.is_empty() => entries,
        entries => format!("{title}\n{entries}"),
    };
    let lists = [
        list("The new value holds from now on:", &[Live::Stored, Live::Numprocesses]),
        list("The watcher is reloaded gracefully:", &[Live::Reload]),
        list("Refused while circus runs:", &[Live::Fixed]),
    ];
    lists.into_iter().filter(|list| !list.is_empty()).collect::<Vec<_>>().join(".Pp\n")
}

/// `--waiting` is described once for all commands.
fn command(row: &Command) -> String {
    let mut head = format!(".It Ic {}", argument(row.name));
    row.flags().for_each(|flag| head += &format!(" Oo {} Oc", typed(flag)));
    row.usage().split_whitespace().for_each(|word| head += &usage(word));
    let body = text(&sentence(row.summary)) + &text(row.detail);
    let own = row.flags().filter(|flag| flag.name != "waiting");
    let flags: String =
        own.map(|flag| format!(".It {}\n{}", typed(flag), text(&sentence(flag.help)))).collect();
    let flags = if flags.is_empty() { flags } else { format!(".Bl -tag -width Ds\n{flags}.El\n") };
    format!("{head}\n{body}{flags}")
}

/// `--name VALUE`.
fn typed(flag: &Flag) -> String {
    let value = flag.value.map(|value| format!(" Ar {}", argument(value)));
    format!("Fl -{}{}", argument(flag.name), value.unwrap_or_default())
}

/// A word of a usage, `[PID]` or `NAME...`.
fn usage(word: &str) -> String {
    let name = word.trim_matches(['[', ']', '.']);
    let open = " Oo".repeat(word.matches('[').count());
    let close = " Oc".repeat(word.matches(']').count());
    let more = if word.contains("...") { " ..." } else { "" };
    format!("{open} Ar {}{more}{close}", argument(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str, built: Built, live: Live) -> Facts {
        let default = Some("7".to_string());
        let (takes, help) = ("Ar number".into(), "how many".into());
        Facts { key: key.into(), takes, default, unset: None, built, live, help }
    }

    #[test]
    fn an_option_stands_in_the_list_of_what_it_does() {
        let list = options(vec![
            row("a", Built::Works, Live::Stored),
            row("c", Built::Quiet, Live::Fixed),
            row("d", Built::Useless("use e"), Live::Fixed),
        ]);
        let lines: Vec<&str> = list.lines().collect();
        assert_eq!(lines[..4], [".Bl -tag -width Ds", ".It Ic a No = Ar number", "How many.", "Default: 7."]);
        let lead = "Accepted, so that old files load, without any effect:";
        assert_eq!(lines[5..8], [".Pp", lead, lines[0]]);
        assert_eq!(lines.iter().rev().nth(1), Some(&"A warning: use e."));
        assert_eq!(lines.iter().filter(|line| **line == ".El").count(), 2);
        let only_quiet = options(vec![row("c", Built::Quiet, Live::Fixed)]);
        assert!(only_quiet.starts_with("Accepted, so that"), "{only_quiet}");
    }

    #[test]
    fn only_options_that_work_can_be_set() {
        let list = settable(&[
            row("a", Built::Works, Live::Stored),
            row("b", Built::Works, Live::Reload),
            row("c", Built::Works, Live::Fixed),
            row("d", Built::Quiet, Live::Stored),
        ]);
        let place = |what: &str| list.find(what).unwrap_or(list.len());
        assert!(place("from now on") < place(".Ic a") && place(".Ic a") < place("gracefully"), "{list}");
        assert!(place("gracefully") < place(".Ic b") && place(".Ic b") < place("Refused"), "{list}");
        assert!(place("Refused") < place(".Ic c") && !list.contains(".Ic d"), "{list}");
    }

    #[test]
    fn the_words_of_a_usage_are_arguments() {
        let words = |text: &str| text.split_whitespace().map(usage).collect::<String>();
        assert_eq!(words("NAME [PID] SIGNAL"), " Ar NAME Oo Ar PID Oc Ar SIGNAL");
        assert_eq!(words("[NAME [PID]]"), " Oo Ar NAME Oo Ar PID Oc Oc");
        assert_eq!(words("KEY [KEY VALUE...]"), " Ar KEY Oo Ar KEY Ar VALUE ... Oc");
    }
}
