//! That the option table says each thing once: no key of an option stands anywhere else as a literal. Elsewhere an
//! option is called by its field, or by the constant of its key, so that a search for either finds every use.

use super::{File, files, root};
use circus::config::options;

/// Words that are called like an option and are none, by the file or folder that has them, and what they are there.
const OTHERS: &[(&str, &str, &str)] = &[
    ("arbiter/", "max_age ready health watchdog", "events, and reasons of restarts"),
    ("cli/", "endpoint pidfile", "--endpoint and --pidfile"),
    ("cli/", "sockets address", "members of answers"),
    ("cli/", "group", "--group, and what a name is looked up as"),
    ("config/builtin.rs", "retry_in max_retry host port", "the table of the plugins' own options"),
    ("config/expand.rs", "sockets", "a family of variables"),
    ("config/features.rs", "health on_demand sandbox", "features of the build"),
    ("config/grants.rs", "group", "what a name is looked up as"),
    ("config/probe.rs", "after", "a kind of probe"),
    ("control/", "cmd args graceful_timeout numprocesses singleton", "properties of requests, a command"),
    ("control/", "host nice path port sockets", "members of answers"),
    ("control/", "autostart critical on_demand requires uid", "members of the answer of `why`"),
    ("parts/clients/access.rs", "group", "what a name is looked up as"),
    ("parts/helpers/python.rs", "path endpoint", "members of what a hook is told"),
    ("parts/plugins/", "retry_in max_retry host port", "options of plugins"),
    ("parts/plugins/", "debug", "a level of Python's logging"),
    ("sys/", "oom_score_adj nice ionice sandbox capabilities no_new_privs", "steps of a spawn, a limit"),
    ("sys/", "address", "a field"),
    ("views/", "address backlog host nice numprocesses path port sockets", "members of answers"),
    ("views/", "autostart critical on_demand requires uid", "members of the answer of `why`"),
];

/// The keys of all sections.
fn keys() -> Vec<&'static str> {
    fn of<S>(rows: &'static [options::Row<S>]) -> impl Iterator<Item = &'static str> {
        rows.iter().map(|row| row.key)
    }
    let keys = of(options::CIRCUS).chain(of(options::WATCHER)).chain(of(options::STREAM));
    keys.chain(of(options::SOCKET)).chain(of(options::PLUGIN)).chain(of(options::ACCESS)).collect()
}

/// The keys that stand as literals in a source outside its tests, each with its line. Features have names of their own.
fn literals<'s>(source: &'s str, keys: &[&str]) -> Vec<(usize, &'s str)> {
    let code = source.split_once("#[cfg(test)]\nmod tests {").map_or(source, |(code, _)| code);
    let lines = (1..).zip(code.lines()).filter(|(_, line)| !line.trim_start().starts_with("//"));
    let mut found = Vec::new();
    for (n, line) in lines {
        let parts: Vec<&str> = line.split('"').collect();
        for pair in parts.chunks(2).filter(|pair| !pair[0].ends_with("feature = ")) {
            found.extend(pair.get(1).filter(|text| keys.contains(text)).map(|text| (n, *text)));
        }
    }
    found
}

/// Whether a file is the table itself, or one of tests.
fn is_exempt(path: &str) -> bool {
    let tests = path.ends_with("tests.rs") || path.contains("/tests/") || path.starts_with("arbiter/sim");
    tests || path == "config/options.rs" || path == "config/families.rs"
}

#[test]
fn no_key_of_an_option_stands_outside_its_table() {
    let keys = keys();
    assert!(keys.len() > 100, "only {} keys were found", keys.len());
    let mut found = Vec::new();
    let mut unused: Vec<(&str, &str)> =
        OTHERS.iter().flat_map(|(path, words, _)| words.split(' ').map(move |word| (*path, word))).collect();
    for File { path, source } in
        files(&root().join("src")).unwrap().iter().filter(|file| !is_exempt(&file.path))
    {
        for (line, key) in literals(source, &keys) {
            let mut others = OTHERS.iter().filter(|(of, ..)| path.starts_with(of));
            let excused = others.any(|(_, words, _)| words.split(' ').any(|word| word == key));
            unused.retain(|(of, word)| !(path.starts_with(of) && *word == key));
            if !excused {
                found.push(format!("src/{path}:{line}: \"{key}\" is the key of an option: use its constant"));
            }
        }
    }
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
    assert!(unused.is_empty(), "on the list of other words, and not there: {unused:?}");
}

#[test]
fn a_literal_is_found_in_code_alone() {
    let source = "// \"cmd\"\nf(\"cmd\", \"cmds\");\nlet x = \"x\"; g(\"uid\")\n#[cfg(feature = \"cmd\")]\n#[cfg(test)]\nmod tests {\n\"cmd\"";
    assert_eq!(literals(source, &["cmd", "uid"]), [(2, "cmd"), (3, "uid")]);
}
