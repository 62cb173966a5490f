//! From the options of a watcher to a child that is ready to be spawned.
//!
//! What does not depend on the process is prepared once for each watcher: a [`SpawnTemplate`]. It is made anew when the
//! options change. Users, limits and sockets are looked up here, so that a name that does not exist stops this
//! watcher with its reason and nobody else.

mod environment;
#[cfg(feature = "reloadconfig")]
mod given;
mod inherit;
mod rights;

#[cfg(feature = "reloadconfig")]
pub use given::Given;
#[cfg(feature = "history")]
pub use inherit::nonblocking;
pub use inherit::{Offered, awaited};

use crate::config::expand::{self, expand, member};
#[cfg(feature = "helpers")]
use crate::config::options::WatcherOptions;
use crate::config::options::watcher;
use crate::config::sockets::handed_down;
use crate::config::{Names, Value, WatcherConfig, families, text, words};
use crate::control::python::cut;
use crate::host::surroundings::current_dir;
use crate::host::trouble::Trouble;
use crate::sorted::Sorted;
use crate::sys;
use crate::sys::child::{Child, SpawnError, Stdio, Step};
use inherit::{Inherited, find, inherited, on_stdin};
use std::ffi::CString;
use std::os::fd::RawFd;
#[cfg(any(feature = "helpers", feature = "run"))]
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;

/// The PATH of children whose environment has none. Circus gives them none at all.
pub(crate) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The first descriptor that a child inherits; sd_listen_fds(3) has it so.
const FIRST_SOCKET: RawFd = 3;

/// Everything about the children of a watcher but their arguments and output pipes.
pub struct SpawnTemplate {
    /// As it was prepared last. What is put into it for one process is taken out again afterwards.
    pub child: Child,
    /// Its first three descriptors before that.
    stdio: [Stdio; 3],
    /// The environment, before what differs from process to process is replaced.
    env: Names,
    inherited: Vec<Inherited>,
    /// The names of the sockets at each of the child's numbers, and of that on its standard input.
    names: (Vec<String>, Option<String>),
    /// One of them is another for each process.
    shared: bool,
    /// The numbers that `$(circus.sockets.NAME)` stands for.
    numbers: Sorted<String, RawFd>,
    /// The arguments or the environment differ from process to process.
    varies: bool,
    /// The program is a bare name, looked for in this PATH.
    looked_for: Option<(String, String)>,
}

/// The texts of a watcher that may hold variables until a process is spawned.
fn texts<'a>(config: &'a WatcherConfig, env: &'a Names) -> impl Iterator<Item = &'a str> {
    let options = &config.options;
    let command = [Some(&*options.cmd), Some(&*options.args), options.shell_args.as_deref()];
    command.into_iter().flatten().chain(env.values().map(String::as_str))
}

impl SpawnTemplate {
    /// Prepares the children of a watcher. `notify` is the address at which they tell of themselves.
    ///
    /// # Errors
    /// A sentence that says what is missing.
    pub fn new(
        config: &WatcherConfig,
        sockets: &[Offered],
        notify: Option<String>,
    ) -> Result<SpawnTemplate, String> {
        if let Some(reason) = &config.broken {
            return Err(reason.clone());
        }
        let options = &config.options;
        let mut child = rightful(config)?;
        let null = |closed: bool| if closed { Stdio::Null } else { Stdio::Inherit };
        child.stdin = null(options.close_child_stdin);
        child.stdout = null(options.close_child_stdout);
        child.stderr = null(options.close_child_stderr);
        let mut env = environment::environment(config)?;
        if let Some(address) = notify {
            env.insert("NOTIFY_SOCKET".into(), address);
            let micros = config.watchdog().map(|seconds| ((seconds * 1e6) as u64).to_string());
            child.watchdog_pid = micros.is_some();
            env.extend(micros.map(|micros| ("WATCHDOG_USEC".into(), micros)));
        }
        let inherited = inherited(config, &env, sockets)?;
        child.listen_pid = !inherited.is_empty();
        let (places, numbers) = number(&inherited);
        let names = (places, on_stdin(config, sockets)?);
        let shared =
            names.0.iter().chain(&names.1).any(|name| find(sockets, name).is_some_and(|it| it.shared));
        let is_wid = |name: &str| name.eq_ignore_ascii_case("wid");
        let varies = texts(config, &env).any(|text| expand::names(text).any(is_wid));
        let stdio = [Stdio::Inherit; 3];
        let mut template =
            SpawnTemplate { child, stdio, env, inherited, names, shared, numbers, varies, looked_for: None };
        template.child.sockets =
            (FIRST_SOCKET..).map(|number| (0, number)).take(template.names.0.len()).collect();
        let first = |name: &str| find(sockets, name)?.fds.first().copied();
        template.place(&mut |name| first(name).ok_or_else(|| format!("{name} is closed")))?;
        template.stdio = [template.child.stdin, template.child.stdout, template.child.stderr];
        template.set_command(config, 1)?;
        Ok(template)
    }

    /// Makes the child that of one process: its command and its environment, where they differ.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the command.
    pub fn vary(&mut self, config: &Rc<WatcherConfig>, wid: u32) -> Result<(), String> {
        if self.varies {
            self.set_command(config, wid)?;
        }
        if environment::has_files(config) {
            let (config, numbers) = (Rc::clone(config), self.numbers.clone());
            self.child.prepare = Some(Rc::new(move |child| {
                let env = environment::with_files(&config, child)?;
                let argv = arguments(&config, &lookup(&config, &env, wid, &numbers))?;
                becoming(program(&config, &argv)?, &argv, &env)
            }));
        }
        Ok(())
    }

    /// Takes out of the child what was put into it for one process.
    pub fn take_back(&mut self) {
        self.child.sockets.truncate(self.names.0.len());
        [self.child.stdin, self.child.stdout, self.child.stderr] = self.stdio;
    }

    /// Gives a process the sockets that it alone is to have, if there are any; `fd` knows the one of a name.
    ///
    /// # Errors
    /// Those of `fd`.
    pub fn place_shared(&mut self, fd: &mut dyn FnMut(&str) -> Result<RawFd, String>) -> Result<(), String> {
        if self.shared { self.place(fd) } else { Ok(()) }
    }

    /// Puts the sockets at their numbers.
    fn place(&mut self, fd: &mut dyn FnMut(&str) -> Result<RawFd, String>) -> Result<(), String> {
        let (names, on_stdin) = &self.names;
        for (name, (source, _)) in names.iter().zip(&mut self.child.sockets) {
            *source = fd(name)?;
        }
        if let Some(name) = on_stdin {
            self.child.stdin = Stdio::Fd(fd(name)?);
        }
        Ok(())
    }

    /// Fills in the program, the arguments and the environment.
    fn set_command(&mut self, config: &WatcherConfig, wid: u32) -> Result<(), String> {
        let lookup = lookup(config, &self.env, wid, &self.numbers);
        let argv = arguments(config, &lookup)?;
        let env = variables(&self.env, &self.inherited, &lookup);
        let program = program(config, &argv)?;
        let path = env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
        self.looked_for = (!program.contains('/')).then(|| (program.to_string(), path.to_string()));
        set_program(&mut self.child, program, &argv, &env)
    }

    /// Why there is no process, with the path it is about.
    pub fn trouble(&self, error: &SpawnError) -> Trouble {
        let (child, words) = (&self.child, sys::errno_words(error.errno));
        let working_dir = || in_words(child.working_dir.as_ref());
        let program = || in_words(child.programs.get(error.program()).or(child.programs.last()));
        let why = match (error.step, child.uid) {
            (Step::Exec, _) if child.prepare.is_some() => return late_trouble(error),
            (Step::Exec, _) => match self.looked_for.as_ref().filter(|_| error.errno == sys::ENOENT) {
                Some((name, path)) => format!("exec {}, in PATH={}: {words}", cut(name), cut(path)),
                None => format!("exec {}: {words}", program()),
            },
            (Step::Chdir, Some(uid)) if error.errno == sys::EACCES => {
                format!("working_dir {}: {words} (uid {uid} may not enter it)", working_dir())
            }
            (Step::Chdir, _) => format!("working_dir {}: {words}", working_dir()),
            _ => error.to_string(),
        };
        Trouble::by(error.errno, why)
    }
}

/// Why a process has never become its program, as far as it has told after it had been made.
pub fn late_trouble(error: &SpawnError) -> Trouble {
    let why = match error.step {
        Step::Chdir => format!("working_dir {}: {}", error.path, sys::errno_words(error.errno)),
        _ => error.to_string(),
    };
    Trouble::by(error.errno, why)
}

fn in_words(path: Option<&CString>) -> String {
    path.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The values of the variables of a command line.
fn lookup<'a>(
    config: &'a WatcherConfig,
    env: &'a Names,
    wid: u32,
    numbers: &'a Sorted<String, RawFd>,
) -> impl Fn(&str) -> Option<String> + 'a {
    move |name| match member(name, "env") {
        Some(_) => expand::env(env, name),
        None => variable(name, config, wid, numbers),
    }
}

/// What is run.
fn program<'a>(config: &'a WatcherConfig, argv: &'a [String]) -> Result<&'a str, String> {
    let first = argv.first().ok_or("cmd is empty: say what to run")?;
    Ok(config.options.executable.as_deref().unwrap_or(first))
}

/// What a process that finds that out itself becomes.
fn becoming(program: &str, argv: &[String], env: &Names) -> Result<Child, String> {
    let mut child = Child::default();
    set_program(&mut child, program, argv, env)?;
    Ok(child)
}

/// Fills in the places where the program may be, the arguments and the environment of a child.
///
/// # Errors
/// One of them holds a null character.
pub(crate) fn set_program(
    child: &mut Child,
    program: &str,
    argv: &[String],
    env: &Names,
) -> Result<(), String> {
    let path = env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
    child.programs = candidates(program, path).map(|path| c_string(&path)).collect::<Result<_, _>>()?;
    child.argv = argv.iter().map(|word| c_string(word)).collect::<Result<_, _>>()?;
    let entries = env.iter().map(|(name, value)| c_string(&format!("{name}={value}")));
    child.env = entries.collect::<Result<_, _>>()?;
    Ok(())
}

/// The names of the inherited sockets in the order of their numbers: from 3 up as LISTEN_FDS has them, then once more
/// those that the command line names, with these second numbers. (gunicorn fails when the number in its `--bind` is
/// one of LISTEN_FDS.)
fn number(inherited: &[Inherited]) -> (Vec<String>, Sorted<String, RawFd>) {
    let named = inherited.iter().filter(|socket| socket.named);
    let places: Vec<String> = inherited.iter().chain(named).map(|socket| socket.name.clone()).collect();
    let numbered = places.iter().cloned().zip(FIRST_SOCKET..).skip(inherited.len());
    let numbers = numbered.collect();
    (places, numbers)
}

/// The value of a variable `$(circus.NAME)` at spawn; `None` leaves it as it is.
fn variable(name: &str, config: &WatcherConfig, wid: u32, numbers: &Sorted<String, RawFd>) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    if lower == "wid" {
        return Some(wid.to_string());
    }
    if let Some(socket) = member(&lower, expand::SOCKETS) {
        return numbers.get(socket).map(ToString::to_string);
    }
    if let Some(limit) = member(&lower, "rlimits").and_then(|limit| config.rlimits.get(limit)) {
        return Some(limit.map_or("-1".into(), |limit| limit.to_string()));
    }
    let of_family = |family: &str, prefix: &str| {
        member(&lower, family).and_then(|key| config.get(&format!("{prefix}{key}")))
    };
    let value = of_family("stdout_stream_conf", families::STDOUT_MEMBER)
        .or_else(|| of_family("stderr_stream_conf", families::STDERR_MEMBER))
        .or_else(|| match lower.as_str() {
            watcher::working_dir if config.options.working_dir.is_none() => Some(Value::Str(current_dir())),
            "use_fds" => Some(Value::Bool(config.options.use_sockets)),
            // Circus does not know these two here, nor keys of one's own.
            families::NAME | watcher::autostart => None,
            key if config.free.contains_key(key) => None,
            key => config.get(key),
        });
    python_text(&value?)
}

/// A value as Python's `str()` gives it. What consists of several values is no variable, its members are.
fn python_text(value: &Value) -> Option<String> {
    Some(match value {
        Value::None => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Int(n) => n.to_string(),
        Value::Float(n) => serde_json::Value::from(*n).to_string(),
        Value::Str(text) => text.clone(),
        Value::Map(_) => return None,
    })
}

/// The words of the command line.
fn arguments(config: &WatcherConfig, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Vec<String>, String> {
    let options = &config.options;
    let cmd = expand(&options.cmd, lookup);
    let args = expand(&options.args, lookup);
    let split = |what: &str, text: &str| words::split(text).map_err(|why| format!("{what} = {text}: {why}"));
    if !options.shell {
        let mut argv = split(watcher::cmd, &cmd)?;
        argv.extend(split(watcher::args, &args)?);
        return Ok(argv);
    }
    if cmd.trim().is_empty() {
        return Ok(Vec::new());
    }
    let line = if args.is_empty() { cmd } else { format!("{cmd} {args}") };
    let mut argv = vec!["/bin/sh".to_string(), "-c".to_string(), line];
    if let Some(shell_args) = &options.shell_args {
        argv.extend(split(watcher::shell_args, &expand(shell_args, lookup))?);
    }
    Ok(argv)
}

/// A child with the directory, the ids and the limits of the processes of a watcher, and no program yet.
///
/// # Errors
/// A sentence that says what is missing.
fn rightful(config: &WatcherConfig) -> Result<Child, String> {
    let options = &config.options;
    let mut child = Child {
        session: true,
        working_dir: options.working_dir.as_deref().map(c_string).transpose()?,
        umask: options.umask.and_then(|mask| u32::try_from(mask).ok()),
        limits: rights::limits(config)?,
        ..Child::default()
    };
    rights::set_ids(config, &mut child)?;
    child.restrictions = rights::restrictions(config)?;
    Ok(child)
}

/// What runs beside the processes of a watcher as one of them would, without a program yet, and its environment but for
/// what comes from files.
///
/// # Errors
/// A sentence that says what is missing.
#[cfg(feature = "helpers")]
pub(crate) fn beside(config: &WatcherConfig, wid: Option<u32>) -> Result<(Child, Names), String> {
    let lookup = |name: &str| wid.filter(|_| name.eq_ignore_ascii_case("wid")).map(|wid| wid.to_string());
    let child = Child { prepare: preparation(config), ..rightful(config)? };
    Ok((child, variables(&environment::environment(config)?, &[], &lookup)))
}

/// The same for what runs with the rights of circus, or of the user `uid`, and only on behalf of a watcher: nothing
/// that the watcher's user may write (its directory, `env_file`, `virtualenv`) has a say in it. The variables are those
/// of the configuration, without any by which a program takes in other code ([`environment::names_code`]), and programs
/// are found as circus finds its own.
///
/// # Errors
/// A sentence that says what is missing.
#[cfg(feature = "helpers")]
pub(crate) fn apart_from(config: &WatcherConfig, uid: Option<&str>) -> Result<(Child, Names), String> {
    let mut options = WatcherOptions::default();
    (options.uid, options.copy_env) = (uid.map(Into::into), config.options.copy_env);
    let mut set = Rc::clone(&config.env);
    if config.options.uid.as_deref().is_some_and(|user| Some(user) != uid) {
        Rc::make_mut(&mut set).retain(|name, value| !environment::names_code(name, value));
    }
    let own = WatcherConfig { env: set, options, ..WatcherConfig::default() };
    let of_hooks = |why: String| why.replacen("uid =", "hooks_uid =", 1);
    let (child, mut env) = beside(&own, None).map_err(of_hooks)?;
    env.retain(|name, _| !name.starts_with("LD_"));
    env.insert("PATH".into(), own_path());
    Ok((child, env))
}

/// What a program beside the processes of a watcher finds out itself, if they have files to look at: its environment,
/// and where it is in PATH.
#[cfg(feature = "helpers")]
fn preparation(config: &WatcherConfig) -> Option<crate::sys::child::Prepare> {
    let config = environment::has_files(config).then(|| config.clone())?;
    Some(Rc::new(move |child| {
        let env = environment::with_files(&config, child)?;
        let argv: Vec<String> = child.argv.iter().map(|word| text::from_bytes(word.as_bytes())).collect();
        becoming(argv.first().map_or("", String::as_str), &argv, &env)
    }))
}

/// The environment of one process.
fn variables(env: &Names, sockets: &[Inherited], lookup: &dyn Fn(&str) -> Option<String>) -> Names {
    // Of all variables only these two are replaced in the environment at this stage.
    let late = |name: &str| {
        let known = name.eq_ignore_ascii_case("wid") || member(name, expand::SOCKETS).is_some();
        known.then(|| lookup(name)).flatten()
    };
    let mut env: Names = env.iter().map(|(name, value)| (name.clone(), expand(value, &late))).collect();
    env.get_or_insert_with("PATH".into(), || DEFAULT_PATH.into());
    if !sockets.is_empty() {
        env.insert("LISTEN_FDS".into(), sockets.len().to_string());
        let names: Vec<String> = sockets.iter().map(|socket| handed_down(&socket.name)).collect();
        env.insert("LISTEN_FDNAMES".into(), names.join(":"));
        // The same for einhorn's workers.
        env.insert("EINHORN_FD_COUNT".into(), sockets.len().to_string());
        for (place, socket) in sockets.iter().enumerate() {
            env.insert(format!("EINHORN_FD_{place}"), (FIRST_SOCKET as usize + place).to_string());
            env.insert(format!("EINHORN_FD_FAMILY_{place}"), socket.family.into());
        }
    }
    env
}

/// Where circus finds programs of its own.
#[cfg(any(feature = "helpers", feature = "run"))]
pub(crate) fn own_path() -> String {
    std::env::var_os("PATH").map_or_else(|| DEFAULT_PATH.into(), |path| text::from_bytes(path.as_bytes()))
}

/// So many directories of PATH are looked into: circus waits while each is tried.
const MOST_DIRECTORIES: usize = 1000;

/// The paths at which a program may be: itself when it has a slash, else in each directory of PATH.
pub(crate) fn candidates<'a>(program: &'a str, path: &'a str) -> impl Iterator<Item = String> + 'a {
    let dirs = (!program.contains('/')).then(|| path.split(':').take(MOST_DIRECTORIES));
    let in_dir = move |dir: &str| match dir.strip_suffix('/').unwrap_or(dir) {
        "" if dir.is_empty() => format!("./{program}"),
        dir => format!("{dir}/{program}"),
    };
    let itself = program.contains('/').then(|| program.to_string());
    itself.into_iter().chain(dirs.into_iter().flatten().map(in_dir))
}

/// Text as the kernel takes it.
///
/// # Errors
/// It holds a null character.
pub(crate) fn c_string(word: &str) -> Result<CString, String> {
    CString::new(text::to_bytes(word).into_owned())
        .map_err(|_| format!("{:?} holds a null character", word.chars().take(40).collect::<String>()))
}

#[cfg(test)]
mod tests;
