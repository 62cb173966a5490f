//! From the options of a watcher to a child that is ready to be spawned.
//!
//! What does not depend on the process is prepared once for each watcher: a [`Blueprint`]. It is made anew when the
//! options change. Users, limits and sockets are looked up here, so that a name that does not exist stops this
//! watcher with its reason and nobody else.

use super::sockets::Sockets;
use crate::config::expand::{self, expand, member};
use crate::config::{Names, Value, WatcherConfig, text, words};
use crate::sorted::Sorted;
use crate::sys::child::{Child, Stdio};
use crate::sys::limit::{self, Limit};
use crate::sys::user;
use std::ffi::CString;
use std::os::fd::RawFd;

/// The PATH of children whose environment has none. Circus gives them none at all.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The first descriptor that a child inherits; sd_listen_fds(3) has it so.
const FIRST_SOCKET: RawFd = 3;

/// Everything about the children of a watcher but their arguments and output pipes.
pub struct Blueprint {
    child: Child,
    /// The numbers that `$(circus.sockets.NAME)` stands for.
    numbers: Sorted<String, RawFd>,
    /// The arguments or the environment differ from process to process.
    varies: bool,
    /// The program is a bare name, looked for in this PATH.
    looked_for: Option<(String, String)>,
}

/// The options of the watcher whose text may hold variables until a process is spawned.
fn texts(config: &WatcherConfig) -> impl Iterator<Item = &str> {
    let options = &config.options;
    let command = [Some(options.cmd.as_str()), Some(options.args.as_str()), options.shell_args.as_deref()];
    command.into_iter().flatten().chain(config.env.values().map(String::as_str))
}

impl Blueprint {
    /// Prepares the children of a watcher.
    ///
    /// # Errors
    /// A sentence that says what is missing.
    pub fn new(config: &WatcherConfig, sockets: &Sockets) -> Result<Blueprint, String> {
        if let Some(reason) = &config.broken {
            return Err(reason.clone());
        }
        let options = &config.options;
        let mut child = Child { session: true, ..Child::default() };
        child.working_dir = options.working_dir.as_deref().map(c_string).transpose()?;
        child.umask = options.umask.and_then(|mask| u32::try_from(mask).ok());
        child.limits = limits(config)?;
        set_ids(config, &mut child)?;
        child.stdin = stdin(config, sockets)?;
        let null = |closed: bool| if closed { Stdio::Null } else { Stdio::Inherit };
        child.stdout = null(options.close_child_stdout);
        child.stderr = null(options.close_child_stderr);
        let inherited = inherited(config, sockets)?;
        let numbers = number(&inherited, config, &mut child);
        let varies = texts(config).any(|text| expand::names(text).any(|n| n.eq_ignore_ascii_case("wid")));
        let mut blueprint = Blueprint { child, numbers, varies, looked_for: None };
        blueprint.set_command(config, 1, &inherited)?;
        Ok(blueprint)
    }

    /// The child for the process `wid`, its outputs those of the watcher unless a pipe takes them.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the command.
    pub fn child(
        &mut self,
        config: &WatcherConfig,
        wid: u32,
        sockets: &Sockets,
    ) -> Result<&mut Child, String> {
        if self.varies {
            let inherited = inherited(config, sockets)?;
            self.set_command(config, wid, &inherited)?;
        }
        Ok(&mut self.child)
    }

    /// Fills in the program, the arguments and the environment.
    fn set_command(&mut self, config: &WatcherConfig, wid: u32, sockets: &[Inherited]) -> Result<(), String> {
        let lookup = |name: &str| variable(name, config, wid, &self.numbers);
        let argv = arguments(config, &lookup)?;
        let env = environment(config, sockets, &lookup);
        let first = argv.first().ok_or("cmd is empty: say what to run")?;
        let program = config.options.executable.as_deref().unwrap_or(first);
        let path = env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
        self.looked_for = (!program.contains('/')).then(|| (program.to_string(), path.to_string()));
        self.child.programs =
            candidates(program, path).map(|path| c_string(&path)).collect::<Result<_, _>>()?;
        self.child.argv = argv.iter().map(|word| c_string(word)).collect::<Result<_, _>>()?;
        let entries = env.iter().map(|(name, value)| c_string(&format!("{name}={value}")));
        self.child.env = entries.collect::<Result<_, _>>()?;
        Ok(())
    }

    /// What was not found, for messages: the bare name and where it was looked for, or else the path.
    pub fn not_found(&self, number: usize) -> String {
        let Some((name, path)) = &self.looked_for else { return format!("exec {}", self.program(number)) };
        format!("exec {name}, in PATH={path}")
    }

    /// The path that was tried last, or the one of this number, for messages.
    pub fn program(&self, number: usize) -> String {
        let path = self.child.programs.get(number).or(self.child.programs.last());
        path.map(|path| String::from_utf8_lossy(path.as_bytes()).into_owned()).unwrap_or_default()
    }

    /// The directory that the processes run in, for messages.
    pub fn working_dir(&self) -> String {
        let dir = self.child.working_dir.as_ref();
        dir.map(|path| String::from_utf8_lossy(path.as_bytes()).into_owned()).unwrap_or_default()
    }
}

/// A socket that children inherit.
struct Inherited {
    name: String,
    fd: RawFd,
    /// The command line names it.
    named: bool,
}

/// Which sockets the children inherit: those that `sockets` or the command line names, else all.
fn inherited(config: &WatcherConfig, sockets: &Sockets) -> Result<Vec<Inherited>, String> {
    let named: Vec<String> = texts(config).flat_map(expand::sockets).collect();
    if let Some(unknown) = named.iter().find(|name| sockets.fd(name).is_none()) {
        return Err(format!("the command names the socket {unknown}, and there is no [socket:{unknown}]"));
    }
    if !config.options.use_sockets {
        return Ok(Vec::new());
    }
    let listed = config.options.sockets.as_deref().map(str::to_lowercase);
    let listed: Vec<&str> = listed.iter().flat_map(|text| text.split_whitespace()).collect();
    if let Some(unknown) = listed.iter().find(|name| sockets.fd(name).is_none()) {
        return Err(format!("sockets = names {unknown}, and there is no [socket:{unknown}]"));
    }
    let wanted = |name: &str| match (listed.is_empty(), named.is_empty()) {
        (false, _) => listed.contains(&name) || named.iter().any(|n| n == name),
        (true, false) => named.iter().any(|n| n == name),
        (true, true) => true,
    };
    let all = sockets.iter().filter(|(name, _)| wanted(name));
    Ok(all
        .map(|(name, fd)| Inherited { name: name.into(), fd, named: named.iter().any(|n| n == name) })
        .collect())
}

/// Gives the inherited sockets their numbers: 3 and up as LISTEN_FDS has them, then once more those that the
/// command line names. (gunicorn fails when the number in its `--bind` is one of LISTEN_FDS.)
fn number(inherited: &[Inherited], config: &WatcherConfig, child: &mut Child) -> Sorted<String, RawFd> {
    let mut next = FIRST_SOCKET;
    let mut place = |fd: RawFd, child: &mut Child| {
        child.sockets.push((fd, next));
        next += 1;
        next - 1
    };
    for socket in inherited {
        place(socket.fd, child);
    }
    let named = inherited.iter().filter(|socket| socket.named);
    let numbers = named.map(|socket| (socket.name.clone(), place(socket.fd, child))).collect();
    child.listen_pid = config.options.use_sockets && !inherited.is_empty();
    numbers
}

fn stdin(config: &WatcherConfig, sockets: &Sockets) -> Result<Stdio, String> {
    match &config.options.stdin_socket {
        Some(name) => match sockets.fd(&name.to_lowercase()) {
            Some(fd) => Ok(Stdio::Fd(fd)),
            None => Err(format!("stdin_socket = {name}: there is no [socket:{name}]")),
        },
        None if config.options.close_child_stdin => Ok(Stdio::Null),
        None => Ok(Stdio::Inherit),
    }
}

/// The value of a variable `$(circus.NAME)` at spawn; `None` leaves it as it is.
fn variable(name: &str, config: &WatcherConfig, wid: u32, numbers: &Sorted<String, RawFd>) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    if lower == "wid" {
        return Some(wid.to_string());
    }
    if let Some(socket) = member(&lower, "sockets") {
        return numbers.get(socket).map(ToString::to_string);
    }
    if member(name, "env").is_some() {
        return expand::env(&config.env, name);
    }
    let of_family = |family: &str, prefix: &str| {
        member(&lower, family).and_then(|key| config.get(&format!("{prefix}{key}")))
    };
    let value = of_family("rlimits", "rlimit_")
        .or_else(|| of_family("stdout_stream_conf", "stdout_stream."))
        .or_else(|| of_family("stderr_stream_conf", "stderr_stream."))
        .or_else(|| match lower.as_str() {
            "use_fds" => Some(Value::Bool(config.options.use_sockets)),
            // Circus does not know these two here, nor keys of one's own.
            "name" | "autostart" => None,
            key if config.free.contains_key(key) => None,
            key => config.get(key),
        });
    value.map(|value| python_text(&value))
}

/// A value as Python's `str()` gives it.
fn python_text(value: &Value) -> String {
    match value {
        Value::None => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Int(n) => n.to_string(),
        Value::Float(n) => serde_json::Value::from(*n).to_string(),
        Value::Str(text) => text.clone(),
        Value::Map(_) => String::new(),
    }
}

/// The words of the command line.
fn arguments(config: &WatcherConfig, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Vec<String>, String> {
    let options = &config.options;
    let cmd = expand(&options.cmd, lookup);
    let args = expand(&options.args, lookup);
    let split = |what: &str, text: &str| words::split(text).map_err(|why| format!("{what} = {text}: {why}"));
    if !options.shell {
        let mut argv = split("cmd", &cmd)?;
        argv.extend(split("args", &args)?);
        return Ok(argv);
    }
    if cmd.trim().is_empty() {
        return Ok(Vec::new());
    }
    let line = if args.is_empty() { cmd } else { format!("{cmd} {args}") };
    let mut argv = vec!["/bin/sh".to_string(), "-c".to_string(), line];
    if let Some(shell_args) = &options.shell_args {
        argv.extend(split("shell_args", &expand(shell_args, lookup))?);
    }
    Ok(argv)
}

fn environment(
    config: &WatcherConfig,
    sockets: &[Inherited],
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Names {
    // Of all variables only these two are replaced in the environment at this stage.
    let late = |name: &str| {
        let known = name.eq_ignore_ascii_case("wid") || member(name, "sockets").is_some();
        known.then(|| lookup(name)).flatten()
    };
    let mut env: Names =
        config.env.iter().map(|(name, value)| (name.clone(), expand(value, &late))).collect();
    env.get_or_insert_with("PATH".into(), || DEFAULT_PATH.into());
    // What circus's own parent said about descriptors is not about those of the child.
    for name in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET"] {
        env.remove(name);
    }
    if !sockets.is_empty() {
        env.insert("LISTEN_FDS".into(), sockets.len().to_string());
        let names: Vec<&str> = sockets.iter().map(|socket| socket.name.as_str()).collect();
        env.insert("LISTEN_FDNAMES".into(), names.join(":"));
    }
    env
}

/// The paths at which a program may be: itself when it has a slash, else in each directory of PATH.
pub(super) fn candidates<'a>(program: &'a str, path: &'a str) -> impl Iterator<Item = String> + 'a {
    let dirs = (!program.contains('/')).then(|| path.split(':'));
    let in_dir = move |dir: &str| match dir.strip_suffix('/').unwrap_or(dir) {
        "" if dir.is_empty() => format!("./{program}"),
        dir => format!("{dir}/{program}"),
    };
    let itself = program.contains('/').then(|| program.to_string());
    itself.into_iter().chain(dirs.into_iter().flatten().map(in_dir))
}

fn limits(config: &WatcherConfig) -> Result<Vec<Limit>, String> {
    let one = |(name, value): (&String, &Option<u64>)| {
        let resource = limit::resource(name).ok_or_else(|| {
            let known: Vec<&str> = limit::names().collect();
            format!("rlimit_{name}: there is no such limit; known are {}", known.join(" "))
        })?;
        let most = value.or_else(|| highest(resource)).unwrap_or(limit::UNLIMITED);
        Ok(Limit { resource, soft: most, hard: most })
    };
    config.rlimits.iter().map(one).collect()
}

/// "No limit" for the number of descriptors is the hard limit, since the kernel has none higher.
fn highest(resource: i32) -> Option<u64> {
    let limit = (resource == limit::NOFILE).then(|| limit::get(resource).ok()).flatten()?;
    Some(limit.hard)
}

/// Sets whom the children run as. What circus is already is not set, since that would need privileges.
fn set_ids(config: &WatcherConfig, child: &mut Child) -> Result<(), String> {
    let failed = |what: &str, error: std::io::Error| format!("{what}: {}", crate::sys::io_words(&error));
    let gid = match &config.options.gid {
        None => None,
        Some(name) => match user::gid_of(name).map_err(|e| failed("/etc/group", e))? {
            Some(gid) => Some(gid),
            None => return Err(format!("gid = {name}: there is no such group")),
        },
    };
    let Some(name) = &config.options.uid else {
        child.gid = gid.filter(|gid| *gid != user::current_gid());
        child.groups = child.gid.map(|gid| vec![gid]);
        return Ok(());
    };
    let account = user::find_user(name).map_err(|e| failed("/etc/passwd", e))?;
    let account = account.ok_or_else(|| format!("uid = {name}: there is no such user"))?;
    let gid = gid.unwrap_or(account.gid);
    if account.uid == user::current_uid() && gid == user::current_gid() {
        return Ok(());
    }
    let groups = user::supplementary_groups(&account.name, gid).map_err(|e| failed("/etc/group", e))?;
    child.uid = Some(account.uid);
    child.gid = Some(gid);
    child.groups = Some(groups);
    Ok(())
}

fn c_string(word: &str) -> Result<CString, String> {
    CString::new(text::to_bytes(word).into_owned())
        .map_err(|_| format!("{:?} holds a null character", word.chars().take(40).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(child: &[CString]) -> Vec<&str> {
        child.iter().map(|word| word.to_str().unwrap()).collect()
    }

    fn config(cmd: &str) -> WatcherConfig {
        let mut config = WatcherConfig { name: "w".into(), ..WatcherConfig::default() };
        config.options.cmd = cmd.into();
        config
    }

    #[test]
    fn the_command_line_is_expanded_then_split() {
        let mut c = config("prog --id $(circus.wid) '$(circus.env.X)' ((CIRCUS.numprocesses)) $(circus.foo)");
        c.options.args = "-n \"$(circus.wid) b\"".into();
        std::rc::Rc::make_mut(&mut c.env).insert("X".into(), "a b".into());
        c.free.insert("foo".into(), "bar".into());
        let mut blueprint = Blueprint::new(&c, &Sockets::default()).unwrap();
        let child = blueprint.child(&c, 7, &Sockets::default()).unwrap();
        assert_eq!(words(&child.argv), ["prog", "--id", "7", "a b", "1", "$(circus.foo)", "-n", "7 b"]);
    }

    #[test]
    fn a_shell_gets_the_text_unquoted() {
        let mut c = config("echo $HOME | cat; exit 3");
        c.options.shell = true;
        c.options.shell_args = Some("zero one".into());
        let mut blueprint = Blueprint::new(&c, &Sockets::default()).unwrap();
        let child = blueprint.child(&c, 1, &Sockets::default()).unwrap();
        assert_eq!(words(&child.argv), ["/bin/sh", "-c", "echo $HOME | cat; exit 3", "zero", "one"]);
        assert_eq!(words(&child.programs), ["/bin/sh"]);
    }

    #[test]
    fn a_bare_program_is_looked_for_in_the_childs_path() {
        let mut c = config("prog");
        std::rc::Rc::make_mut(&mut c.env).insert("PATH".into(), "/a:/b/::rel".into());
        let mut blueprint = Blueprint::new(&c, &Sockets::default()).unwrap();
        let child = blueprint.child(&c, 1, &Sockets::default()).unwrap();
        assert_eq!(words(&child.programs), ["/a/prog", "/b/prog", "./prog", "rel/prog"]);
        let c = config("./bin/prog x");
        assert_eq!(Blueprint::new(&c, &Sockets::default()).unwrap().program(0), "./bin/prog");
    }

    #[test]
    fn what_does_not_exist_is_said_with_its_name() {
        let reason = |c: &WatcherConfig| Blueprint::new(c, &Sockets::default()).err().unwrap();
        let mut c = config("true");
        c.options.uid = Some("no-such-user".into());
        assert_eq!(reason(&c), "uid = no-such-user: there is no such user");
        let mut c = config("true");
        c.rlimits.insert("nonsense".into(), Some(1));
        assert!(reason(&c).starts_with("rlimit_nonsense: there is no such limit"));
        assert!(reason(&config("")).contains("cmd is empty"));
        assert!(reason(&config("run '")).contains("cmd = run '"));
        assert!(reason(&config("run $(circus.sockets.web)")).contains("[socket:web]"));
    }

    #[test]
    fn children_have_a_path_and_nothing_of_circuss_own_sockets() {
        let mut c = config("true");
        std::rc::Rc::make_mut(&mut c.env).insert("LISTEN_FDS".into(), "4".into());
        let mut blueprint = Blueprint::new(&c, &Sockets::default()).unwrap();
        let child = blueprint.child(&c, 1, &Sockets::default()).unwrap();
        assert_eq!(words(&child.env), [format!("PATH={DEFAULT_PATH}")]);
        assert!(!child.listen_pid);
    }
}
