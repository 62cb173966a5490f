//! What the integration tests share: a real circus in a directory of its own, and ways to talk to it, to look at
//! its processes, and to wait for something with a deadline.
//!
//! Nobody sleeps here to let something happen. Output is read by threads, replies and events by sockets with a
//! timeout; only what the kernel tells in no other way is looked at again and again, by [`until`].
#![allow(dead_code, reason = "each file of tests uses a part of it")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

pub mod client;
pub mod output;
pub mod proc;
pub mod user;
pub mod worker;

use circus::sys::signal;
use client::{Client, Events};
use output::Output;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub const SIGHUP: i32 = 1;
pub const SIGINT: i32 = 2;
pub const SIGQUIT: i32 = 3;
pub const SIGKILL: i32 = 9;
pub const SIGUSR1: i32 = 10;
pub const SIGUSR2: i32 = 12;
pub const SIGTERM: i32 = 15;
pub const SIGCONT: i32 = 18;
pub const SIGSTOP: i32 = 19;
pub const SIGWINCH: i32 = 28;

/// How long anything may take. Only a test that fails, or a machine that is stuck, ever waits so long.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again until there is an answer.
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    patiently(look).unwrap_or_else(|| panic!("waited {PATIENCE:?} for this: {what}"))
}

/// The same, but `None` when patience is over: for what must not panic.
fn patiently<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(found) = look() {
            return Some(found);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    None
}

/// Tests that need root fail without it, so that nobody takes them for passed.
pub fn needs_root() {
    let uid = std::fs::metadata("/proc/self").expect("/proc").uid();
    assert_eq!(uid, 0, "this test changes users: run it as root");
}

/// A directory that is removed with everything in it when nobody has it any more.
pub struct Dir(PathBuf, Arc<()>);

impl Dir {
    pub fn new() -> Dir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("circus-test-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).expect("a directory for the test");
        // Other users' processes are to find their way in whatever the umask is.
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("its mode");
        Dir(path, Arc::default())
    }

    /// The same directory for somebody else too: the last one removes it.
    pub fn share(&self) -> Dir {
        Dir(self.0.clone(), Arc::clone(&self.1))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The path as text, for configurations.
    pub fn name(&self, name: &str) -> String {
        self.path(name).into_os_string().into_string().expect("a path in UTF-8")
    }

    pub fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).expect("a file in the directory of the test");
        self.name(name)
    }

    /// The command that runs this text by a shell. The file itself is never executed, see [`Dir::program`].
    pub fn script(&self, name: &str, text: &str) -> String {
        format!("sh {}", self.write(name, &flush_left(text)))
    }

    /// A copy of a file that everybody may execute. Another program makes it: while this one had it open for
    /// writing, a process that another test has just forked would have it open too, and nobody could execute it.
    pub fn program(&self, name: &str, from: &str) -> PathBuf {
        let path = self.path(name);
        let ended = run(Command::new("install").args(["-m", "755", from]).arg(&path));
        assert_eq!((ended.code, ended.err.as_str()), (0, ""));
        path
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Whether a file is there already and holds exactly this, for [`until`].
    pub fn has(&self, name: &str, text: impl AsRef<str>) -> Option<()> {
        (std::fs::read_to_string(self.path(name)).ok()? == text.as_ref()).then_some(())
    }

    /// Writes a configuration. It may be indented in the source, and `{dir}` in it is this directory. Unless
    /// it names an `endpoint`, or a comment does, the control socket is `sock`.
    pub fn config(&self, name: &str, ini: &str) -> String {
        let named = ini.lines().any(|line| line.trim_start_matches([' ', '#']).starts_with("endpoint = "));
        let own = if named { "" } else { "[circus]\nendpoint = {dir}/sock\n" };
        let text = own.to_string() + &flush_left(ini);
        self.write(name, &text.replace("{dir}", &self.name("")[..self.name("").len() - 1]))
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        if Arc::strong_count(&self.1) == 1 {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

fn flush_left(text: &str) -> String {
    text.lines().map(|line| line.trim_start().to_string() + "\n").collect()
}

/// The circus program with nothing of the tester's own environment.
pub fn circus() -> Command {
    bare(&program())
}

/// Where the circus program is: another one than was just built may be meant.
pub fn program() -> String {
    std::env::var("CIRCUS_PROGRAM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_circus").into())
}

fn bare(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
    command
}

/// Exit code, standard output and standard error output of a program that has ended.
#[derive(Debug, PartialEq)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs a program to its end, which must come by itself.
pub fn run(command: &mut Command) -> Ended {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it can be run");
    let (out, err) = (Output::of(child.stdout.take()), Output::of(child.stderr.take()));
    let deadline = Instant::now() + PATIENCE;
    let code = loop {
        match child.try_wait().expect("a child") {
            Some(status) => break status.code(),
            None if Instant::now() > deadline => {
                let _ = child.kill();
                panic!("{command:?} does not end; it said:\n{}{}", out.text(), err.text());
            }
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    let code = code.unwrap_or_else(|| panic!("{command:?} was killed by a signal: {}", err.text()));
    Ended { code, out: out.whole(), err: err.whole() }
}

/// A circus that runs. When it is dropped, it and its processes are killed.
pub struct Circus {
    pub dir: Dir,
    child: Child,
    /// What circus and those of its processes that have no stream write.
    pub out: Output,
    /// Its log.
    pub log: Output,
}

impl Circus {
    /// Starts circus with this configuration ([`Dir::config`]) and waits until it answers.
    pub fn start(ini: &str) -> Circus {
        Circus::with(Dir::new(), ini, |_| {})
    }

    /// The same in a directory that has something in it already; `change` may alter the command.
    pub fn with(dir: Dir, ini: &str, change: impl FnOnce(&mut Command)) -> Circus {
        let circus = Circus::launch(dir, ini, change);
        circus.client();
        circus
    }

    /// The same by way of a shell script that prepares something and ends with `exec "$@"`.
    pub fn wrapped(script: &str, ini: &str) -> Circus {
        let dir = Dir::new();
        let wrapper = dir.script("wrapper", script);
        Circus::with(dir, ini, |command| {
            let program = command.get_program().to_owned();
            *command = bare("sh");
            command.args(wrapper.strip_prefix("sh ")).arg(program);
        })
    }

    /// Circus with a watcher `w` that runs this script once, after it has ended.
    pub fn once(script: &str, options: &str) -> Circus {
        let dir = Dir::new();
        let script = dir.script("program", script);
        let ini = format!("[watcher:w]\ncmd = {script}\nrespawn = False\n{options}");
        let circus = Circus::with(dir, &ini, |_| {});
        circus.until_status("w", "stopped");
        circus
    }

    /// The same without waiting for the control socket.
    pub fn launch(dir: Dir, ini: &str, change: impl FnOnce(&mut Command)) -> Circus {
        let config = dir.config("circus.ini", ini);
        let mut command = circus();
        change(&mut command);
        command.arg(config).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("circus can be run");
        let (out, log) = (Output::of(child.stdout.take()), Output::of(child.stderr.take()));
        Circus { dir, child, out, log }
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid")
    }

    /// A new connection to the control socket.
    pub fn client(&self) -> Client {
        let path = self.dir.path("sock");
        until("the control socket of circus", || {
            let gone = !proc::exists(self.pid());
            assert!(!gone, "circus has ended:\n{}", self.log.text());
            Client::connect(&path)
        })
    }

    /// The reply to a command.
    pub fn call(&self, command: &str, properties: Json) -> Json {
        self.client().call(command, properties)
    }

    /// The reply to a request, which must be no error.
    pub fn ask(&self, command: &str, properties: Json) -> Json {
        let reply = self.call(command, properties);
        assert_ne!(reply["status"], "error", "{command}: {reply}");
        reply
    }

    /// The events of these topics from now on.
    pub fn listen(&self, topics: &[&str]) -> Events {
        Events::of(self.client(), topics)
    }

    /// Waits until a watcher is active (starting it if need be), and gives its processes.
    pub fn up(&self, name: &str) -> Vec<i32> {
        self.ask("start", json!({"name": name, "waiting": true}));
        self.pids(name)
    }

    pub fn pids(&self, name: &str) -> Vec<i32> {
        let reply = self.ask("list", json!({"name": name}));
        let pids = reply["pids"].as_array().unwrap_or_else(|| panic!("pids: {reply}"));
        pids.iter().map(|pid| i32::try_from(pid.as_i64().expect("a number")).expect("a pid")).collect()
    }

    pub fn status(&self, name: &str) -> String {
        self.ask("status", json!({"name": name}))["status"].as_str().expect("a word").to_string()
    }

    /// Waits until the status of a watcher is this one.
    pub fn until_status(&self, name: &str, status: &str) {
        until(&format!("{name} is {status}"), || (self.status(name) == status).then_some(()));
    }

    /// Runs `circus ctl`.
    pub fn ctl(&self, args: &[&str]) -> Ended {
        run(circus().arg("ctl").arg("--endpoint").arg(self.dir.path("sock")).args(args))
    }

    /// What `circus ctl` prints when all is well, without the last newline.
    pub fn ctl_ok(&self, args: &[&str]) -> String {
        let ended = self.ctl(args);
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "circus ctl {args:?}");
        ended.out.strip_suffix('\n').map(str::to_string).unwrap_or_else(|| panic!("{args:?}: {ended:?}"))
    }

    /// The error that `circus ctl` prints when circus refuses.
    pub fn ctl_refused(&self, args: &[&str]) -> String {
        let ended = self.ctl(args);
        assert_eq!((ended.code, ended.out.as_str()), (3, ""), "circus ctl {args:?}: {}", ended.err);
        let reason = ended.err.strip_prefix("error: ").and_then(|text| text.strip_suffix('\n'));
        reason.unwrap_or_else(|| panic!("{args:?}: {}", ended.err)).to_string()
    }

    pub fn signal(&self, signum: i32) {
        signal::kill(self.pid(), signum).expect("circus runs");
    }

    /// Waits for circus to end and gives its exit code.
    pub fn wait(&mut self) -> i32 {
        let status = until("circus has ended", || self.child.try_wait().expect("a child"));
        status.code().unwrap_or_else(|| panic!("circus was killed by a signal: {status}"))
    }

    /// Asks circus to end until it takes that for a hurry: what comes within a second of the first is one request.
    pub fn hurry(&mut self) {
        let status = until("circus has ended in a hurry", || {
            self.signal(SIGTERM);
            self.child.try_wait().expect("a child")
        });
        assert_eq!(status.code(), Some(0), "the log: {}", self.log.text());
    }

    /// Asks circus to end as a service manager does.
    pub fn end(&mut self) {
        self.signal(SIGTERM);
        assert_eq!(self.wait(), 0, "the log: {}", self.log.text());
    }
}

impl Drop for Circus {
    fn drop(&mut self) {
        let ended = self.child.try_wait();
        if std::thread::panicking() {
            let (log, out) = (self.log.text(), self.out.text());
            eprintln!("--- how circus has ended: {ended:?}\n--- its log:\n{log}--- its output:\n{out}---");
        }
        if matches!(ended, Ok(None)) {
            kill_with_family(self.pid());
        }
        let _ = self.child.wait();
    }
}

/// Kills a circus and all that it has started, and what these may start meanwhile: by pid, out of their sessions.
pub fn kill_with_family(pid: i32) {
    // Stopped first, so that it spawns nothing any more while its processes are looked for.
    let _ = signal::kill(pid, SIGSTOP);
    patiently(|| matches!(proc::state(pid), 'T' | 'Z' | '?').then_some(()));
    let mut sessions: BTreeSet<i32> = proc::descendants(pid).into_iter().filter_map(proc::session).collect();
    // Circus gives each process a session of its own; should it fail to, the test must not end the tester's.
    sessions.retain(|session| proc::session(pid) != Some(*session));
    let _ = signal::kill(pid, SIGKILL);
    patiently(|| {
        let left = proc::of_sessions(&sessions);
        left.iter().for_each(|pid| drop(signal::kill(*pid, SIGKILL)));
        left.is_empty().then_some(())
    });
}

/// Whether a path is there.
pub fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
