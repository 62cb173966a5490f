//! The programs that a watcher names, and the places where each is looked for.

use super::command::is_for_a_shell;
use crate::config::hooks::{NAMES, is_python};
use crate::config::include::join;
use crate::config::model::{Names, WatcherConfig};
use crate::config::options::watcher;
use crate::config::{expand, words};

/// Programs that run a script: their names without the number of a version; the letters of options that have a value;
/// of those that say what is run otherwise; and long options that have a value.
const INTERPRETERS: &[(&str, &str, &str, &str)] = &[
    ("ash bash dash ksh sh zsh", "oO", "cs", "--rcfile --init-file"),
    ("lua", "el", "", ""),
    ("node", "rC", "ep", "--require --import --loader --env-file --conditions"),
    ("perl", "I", "eE", ""),
    ("php", "cdtz", "rSBREmia", ""),
    ("python", "WX", "cm", "--check-hash-based-pycs"),
    ("ruby", "CIr", "eS", ""),
];

/// What circus is surrounded by.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// Its environment.
    pub environ: &'a Names,
    /// The directory it runs in.
    pub cwd: &'a str,
    /// Where programs are looked for when there is no PATH.
    pub default_path: &'a str,
    /// Its user and group.
    pub ids: (u32, u32),
}

/// A program, or the file of a Python function.
pub struct Program<'a> {
    /// The option that names it.
    pub key: String,
    /// Its name.
    pub name: String,
    /// The first of these that exists is it.
    pub places: Vec<String>,
    /// The directory of a virtual environment, in which programs are looked for first.
    pub venv: Option<String>,
    /// The PATH, and whose it is.
    pub path: (String, &'static str),
    /// The user that it runs as; that of circus if there is none.
    pub user: Option<&'a str>,
}

/// The program of a watcher and those of its commands, as its processes will find them in `dir`, their directory, if
/// it exists; a shell finds its own. The programs of hooks are found as circus finds its own. What is known only when a
/// process is spawned is left out.
pub fn programs<'a>(watcher: &'a WatcherConfig, dir: Option<&str>, around: Around<'_>) -> Vec<Program<'a>> {
    let options = &watcher.options;
    let executable = options.executable.as_ref().map(|program| (watcher::executable, program.to_string()));
    let program = |line: Vec<String>| line.into_iter().next().filter(|word| !is_for_a_shell(word));
    let cmd = |line| program(line).map(|program| (watcher::cmd, program));
    let own = words::split(&options.cmd).ok().and_then(|line| executable.or(cmd(line)));
    let commands = watcher.commands().filter_map(|(hook, command)| Some((hook.name(), first(command)?)));
    let own = own.filter(|_| !options.shell).into_iter().chain(commands);
    // A file of variables may hold another PATH.
    let own = own.filter(|_| options.env_file.is_none());
    let copied = options.copy_env.then_some(around.environ);
    let env = |name: &str| watcher.env.get(name).or_else(|| copied?.get(name)).map(String::as_str);
    let path = env("PATH").unwrap_or(around.default_path);
    let venv = options.virtualenv.as_ref().map(|venv| join(venv, "bin"));
    let dirs = || venv.clone().into_iter().chain(path.split(':').map(str::to_string)).collect::<Vec<_>>();
    let found = own.filter_map(|(key, name)| {
        let places = places(&name, &dirs, dir)?;
        let path = (path.to_string(), "the processes");
        let (venv, user) =
            (venv.clone().map(|venv| join(dir.unwrap_or_default(), &venv)), options.uid.as_deref());
        Some(Program { key: key.into(), name, places, venv, path, user })
    });
    let mut found: Vec<_> = found.collect();
    let path = around.environ.get("PATH").map_or(around.default_path, String::as_str);
    let dirs = || path.split(':').map(str::to_string).collect();
    for (name, (command, _)) in watcher.hooks.iter().filter(|(name, _)| NAMES.contains(&name.as_str())) {
        let Some(program) = first(command).filter(|_| !is_python(command)) else { continue };
        let Some(places) = places(&program, &dirs, Some(around.cwd)) else { continue };
        let (key, path) = (format!("hooks.{name}"), (path.to_string(), "circus"));
        let user = options.hooks_uid.as_deref();
        found.push(Program { key, name: program, places, venv: None, path, user });
    }
    found
}

/// The modules of the hooks that are Python functions. Python alone knows whether they exist.
pub fn modules<'a>(watcher: &'a WatcherConfig, around: Around<'_>) -> Vec<Program<'a>> {
    let paths = [watcher.env.get("PYTHONPATH"), around.environ.get("PYTHONPATH")];
    let paths = paths.into_iter().flatten().flat_map(|path| path.split(':')).filter(|dir| !dir.is_empty());
    let dirs: Vec<String> = paths.chain([around.cwd]).map(|dir| join(around.cwd, dir)).collect();
    let mut found = Vec::new();
    for (name, (function, _)) in watcher.hooks.iter().filter(|(_, (command, _))| is_python(command)) {
        let module = function.rsplit_once([':', '.']).map_or("", |(module, _)| module).replace('.', "/");
        let places =
            dirs.iter().flat_map(|dir| [".py", "/__init__.py"].map(|end| join(dir, &(module.clone() + end))));
        let (key, path, user) =
            (format!("hooks.{name}"), (String::new(), ""), watcher.options.hooks_uid.as_deref());
        let (places, venv) = (places.collect(), None);
        found.push(Program { key, name: function.clone(), places, venv, path, user });
    }
    found
}

/// The scripts that the program of a watcher and its commands run, in `dir`: the first word that is no option behind the
/// name of an interpreter. It decides what runs as much as a program does.
pub fn scripts<'a>(watcher: &'a WatcherConfig, dir: &str) -> Vec<Program<'a>> {
    let options = &watcher.options;
    let own = (!options.shell && options.executable.is_none()).then_some((watcher::cmd, &*options.cmd));
    let commands = watcher.commands().map(|(hook, command)| (hook.name(), command));
    let found = own.into_iter().chain(commands).filter_map(|(key, command)| {
        let mut words = words::split(command).ok()?;
        if key == watcher::cmd {
            words.extend(words::split(&options.args).ok()?);
        }
        let name = script(&words)?;
        // node finds what has one of these ends, too.
        let ends: &[&str] = if interpreter(words.first()?) == "node" { &["", ".js", ".json"] } else { &[""] };
        let places = ends.iter().map(|end| join(dir, &format!("{name}{end}"))).collect();
        let (path, user) = ((String::new(), ""), options.uid.as_deref());
        Some(Program { key: key.into(), name, places, venv: None, path, user })
    });
    found.filter(|program| is_settled(&program.name) && !is_for_a_shell(&program.name)).collect()
}

/// What an interpreter is to run, unless that stands in the command line itself or is a module.
fn script(words: &[String]) -> Option<String> {
    let (program, rest) = words.split_first()?;
    let name = interpreter(program);
    let (_, valued, others, long) =
        INTERPRETERS.iter().find(|(names, ..)| words::is_one(names, |one| one == name.as_bytes()))?;
    let mut rest = rest.iter();
    while let Some(word) = rest.next() {
        match word.strip_prefix('-') {
            None => return Some(word.clone()),
            Some("") => return None,
            Some("-") => return rest.next().cloned(),
            Some(letters) if !letters.starts_with('-') => {
                let at = letters.find(|c| valued.contains(c) || others.contains(c));
                let rest_of = at.and_then(|at| letters.get(at..));
                if rest_of.is_some_and(|rest| rest.starts_with(|c| others.contains(c))) {
                    return None;
                }
                if rest_of.is_some_and(|rest| rest.chars().count() == 1) {
                    rest.next();
                }
            }
            Some(_) if long.split(' ').any(|one| one == word) => drop(rest.next()),
            Some(_) => {}
        }
    }
    None
}

/// The name of a program without the number of its version.
fn interpreter(program: &str) -> &str {
    let name = program.rsplit('/').next().unwrap_or_default();
    name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.')
}

/// Whether all variables in a text are known before a process is spawned.
pub fn is_settled(text: &str) -> bool {
    expand::names(text).next().is_none()
}

/// The program of a command line. What only a shell could run is reported in command.rs.
fn first(line: &str) -> Option<String> {
    words::split(line).unwrap_or_default().into_iter().next().filter(|word| !is_for_a_shell(word))
}

/// Where a program may be, unless that cannot be known.
fn places(program: &str, dirs: &dyn Fn() -> Vec<String>, dir: Option<&str>) -> Option<Vec<String>> {
    let at = |path: String| match dir {
        Some(dir) => Some(join(dir, &path)),
        None => path.starts_with('/').then_some(path),
    };
    let is_path = program.contains('/');
    let in_dirs = || dirs().iter().map(|dir| join(dir, program)).collect();
    let all: Vec<String> = if is_path { vec![program.to_string()] } else { in_dirs() };
    let places = all.into_iter().map(at).collect::<Option<Vec<_>>>()?;
    (is_settled(program) && places.iter().all(|place| is_settled(place))).then_some(places)
}
