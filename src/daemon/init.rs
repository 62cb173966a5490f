//! The init of one command: what `circus run` does instead of running a daemon.
//!
//! It needs no file, no directory, no descriptor and no event loop: all signals stay blocked and are taken one after
//! the other by sigwaitinfo(2), which is also how it sleeps. What comes is passed on to the command, except what the
//! command has had already: keys of a terminal go to a whole group. When the command has ended, the rest of its
//! tree, which has come to circus as orphans, is told so, waited for, and only then killed.

use super::blueprint::candidates;
use super::procfs;
use super::start::complain;
use crate::arbiter::Pid;
use crate::arbiter::time::Time;
use crate::config::{number, text};
use crate::sys::child::{Child, SpawnError, Spawner, Step};
use crate::sys::signal::{self, Received};
use crate::sys::wait::{self, Exit};
use crate::sys::{self, clock, process, terminal};
use std::ffi::{CString, OsStr};
use std::io::IsTerminal;
use std::os::unix::ffi::OsStrExt;

const SIGINT: i32 = 2;
const SIGQUIT: i32 = 3;
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;
const SIGCHLD: i32 = 17;
const SIGCONT: i32 = 18;
const SIGSTOP: i32 = 19;
const SIGTSTP: i32 = 20;

/// The command cannot be found; anything else than that which keeps it from running; circus itself cannot go on.
/// As shells have it.
const NOT_FOUND: u8 = 127;
const CANNOT_RUN: u8 = 126;
const FAILED: u8 = 125;

/// How long after a SIGKILL it looks whether there is anybody new, in seconds, and how often.
const AGAIN: f64 = 0.05;
const TIMES: u32 = 40;

/// What the command line says.
#[derive(Debug)]
pub struct Options {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// How long the rest may take to end after the command, in seconds.
    pub grace: f64,
    /// Signals go to the whole process group of the command.
    pub group: bool,
    /// Signals that are passed on as others, or not at all (0).
    pub remap: Vec<(i32, i32)>,
    /// Tell, await and kill what is left after the command.
    pub sweep: bool,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// The command runs.
    Runs,
    /// The command has ended, and the rest has been told.
    Told { kill_at: Time },
    /// The rest was killed.
    Killed { again_at: Time, left: u32 },
}

struct Init<'a> {
    options: &'a Options,
    main: Pid,
    /// The command shares circus's own process group, since a shell runs both as one job.
    shares_group: bool,
    /// The command's group was put into the foreground of the terminal on descriptor 0.
    gave_terminal: bool,
    phase: Phase,
    /// SIGTERM, SIGINT or SIGQUIT has come.
    asked: bool,
    code: u8,
}

/// Runs the command and what it leaves behind to the end. The answer is the exit code: that of the command, 128 and
/// the signal that ended it, 127 if there is no such command, 126 if it cannot be run.
pub fn run(options: &Options) -> u8 {
    signal::block_all();
    // A process whose parent has ended then comes here, as it would to PID 1.
    let _ = process::set_subreaper();
    let leads = terminal::leads_session();
    let terminal = terminal::foreground(0).ok();
    let shares_group = terminal.is_some() && !leads && !options.group;
    let gave_terminal = terminal.is_some_and(|group| group == terminal::own_group()) && !shares_group;
    let child = match child(options, shares_group, gave_terminal) {
        Ok(child) => child,
        Err(why) => return fail(&why, CANNOT_RUN),
    };
    let mut spawner = match Spawner::passing_on() {
        Ok(spawner) => spawner,
        Err(error) => return fail(&format!("memory for a child: {}", sys::io_words(&error)), FAILED),
    };
    match spawner.spawn(&child) {
        Ok(main) => {
            let (phase, code) = (Phase::Runs, 0);
            Init { options, main, shares_group, gave_terminal, phase, asked: false, code }.serve()
        }
        Err(error) => refused(options, &error),
    }
}

fn fail(why: &str, code: u8) -> u8 {
    complain(&format!("circus run: {why}"));
    code
}

fn refused(options: &Options, error: &SpawnError) -> u8 {
    let name = options.argv.first().map(String::as_str).unwrap_or_default();
    let why = sys::errno_words(error.errno);
    match error.step {
        Step::Exec if error.errno == sys::ENOENT => fail(&format!("exec {name}: {why}"), NOT_FOUND),
        Step::Exec => fail(&format!("exec {name}: {why}"), CANNOT_RUN),
        step => fail(&format!("{step}: {why}"), FAILED),
    }
}

/// Everything that the command inherits it gets: descriptors, environment, and signals that are ignored.
fn child(options: &Options, shares_group: bool, gave_terminal: bool) -> Result<Child, String> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let path = text::from_bytes(path.as_bytes());
    let Some(program) = options.argv.first() else { return Err("the command is missing".into()) };
    let listen_pid = std::env::var("LISTEN_PID").is_ok_and(|pid| pid == process::pid().to_string());
    let env = std::env::vars_os().filter(|(name, _)| !(listen_pid && name == "LISTEN_PID"));
    Ok(Child {
        programs: candidates(program, &path).map(|path| words(&path)).collect::<Result<_, _>>()?,
        argv: options.argv.iter().map(|word| words(word)).collect::<Result<_, _>>()?,
        env: env.filter_map(|(name, value)| entry(&name, &value)).collect(),
        listen_pid,
        group: !shares_group,
        terminal: gave_terminal.then_some(0),
        keep_descriptors: true,
        ..Child::default()
    })
}

fn words(word: &str) -> Result<CString, String> {
    CString::new(text::to_bytes(word)).map_err(|_| format!("{word:?} holds a null character"))
}

fn entry(name: &OsStr, value: &OsStr) -> Option<CString> {
    CString::new([name.as_bytes(), value.as_bytes()].join(&b'=')).ok()
}

fn now() -> Time {
    Time(clock::monotonic_ns())
}

impl Init<'_> {
    fn serve(mut self) -> u8 {
        loop {
            let deadline = match self.phase {
                Phase::Runs => None,
                Phase::Told { kill_at: at } | Phase::Killed { again_at: at, .. } => Some(at),
            };
            let timeout = deadline.map(|at| at.0.saturating_sub(now().0));
            match signal::wait(timeout) {
                Some(received) if received.signal == SIGCHLD => self.look_at_children(),
                Some(received) => self.pass_on(received),
                None => {}
            }
            if deadline.is_some_and(|at| at <= now()) {
                self.expire();
            }
            if self.is_over() {
                return self.code;
            }
        }
    }

    /// Reaps who has ended. The command's own end begins the sweep, if anybody is left.
    fn look_at_children(&mut self) {
        while let Ok(Some((pid, exit))) = wait::peek() {
            let _ = wait::reap(pid);
            if pid == self.main {
                self.code = code(exit);
                self.phase = Phase::Told { kill_at: now().plus(self.options.grace) };
                if self.options.sweep && wait::children_exist() {
                    self.begin_sweep();
                }
            }
        }
        if self.phase == Phase::Runs
            && let Some(signal) = wait::stopped(self.main)
        {
            self.main_has_stopped(signal);
        }
    }

    fn is_over(&self) -> bool {
        match self.phase {
            Phase::Runs => false,
            Phase::Told { .. } => !self.options.sweep || !wait::children_exist(),
            Phase::Killed { left, .. } => left == 0 || !wait::children_exist(),
        }
    }

    fn begin_sweep(&mut self) {
        if self.gave_terminal {
            // the keys are circus's again
            let _ = terminal::set_foreground(0, terminal::own_group());
        }
        self.tell_the_rest(SIGTERM);
        self.tell_the_rest(SIGCONT);
        if std::io::stderr().is_terminal() {
            self.say_who_is_left();
        }
    }

    /// Why it does not end yet.
    fn say_who_is_left(&self) {
        let left = procfs::descendants(process::pid()).unwrap_or_default();
        let names = left.iter().filter_map(|pid| Some(format!("{} ({pid})", procfs::program(*pid)?)));
        let names: Vec<String> = names.take(8).collect();
        let seconds = number::fixed(self.options.grace, 1);
        complain(&format!("circus run: waiting up to {seconds} s for {}", names.join(", ")));
    }

    fn expire(&mut self) {
        let left = match self.phase {
            Phase::Runs => return,
            Phase::Told { .. } => TIMES,
            Phase::Killed { left, .. } => left.saturating_sub(1),
        };
        self.kill(left);
    }

    /// Kills, and looks again soon: somebody may have been born meanwhile.
    fn kill(&mut self, left: u32) {
        self.tell_the_rest(SIGKILL);
        self.phase = Phase::Killed { again_at: now().plus(AGAIN), left };
    }

    /// A signal for everything that is left of the command's tree. Without /proc nobody but PID 1 can find it.
    fn tell_the_rest(&self, signum: i32) {
        if process::pid() == 1 {
            let _ = signal::kill_everybody(signum);
            return;
        }
        let rest = procfs::descendants(process::pid()).unwrap_or_default();
        rest.into_iter().for_each(|pid| drop(signal::kill(pid, signum)));
    }

    /// What comes goes to the command, or after it to the rest. A second request to end is not for waiting.
    fn pass_on(&mut self, received: Received) {
        let Some(signum) = self.remapped(received.signal) else { return };
        let again = self.asked;
        self.asked |= is_request_to_end(signum);
        match self.phase {
            Phase::Runs if self.has_had(received) => {}
            Phase::Runs if self.options.group => drop(signal::kill_group(self.main, signum)),
            Phase::Runs => drop(signal::kill(self.main, signum)),
            Phase::Told { .. } if again && is_request_to_end(signum) => self.kill(TIMES),
            Phase::Told { .. } => self.tell_the_rest(signum),
            Phase::Killed { .. } => {}
        }
    }

    fn remapped(&self, signum: i32) -> Option<i32> {
        let rule = self.options.remap.iter().find(|(from, _)| *from == signum);
        Some(rule.map_or(signum, |(_, to)| *to)).filter(|signum| *signum != 0)
    }

    /// Whether the command has had this signal too: the keys of a terminal reach the whole group, and so does what
    /// the command itself sends to its group.
    fn has_had(&self, received: Received) -> bool {
        self.shares_group && (received.sender == 0 || received.sender == self.main)
    }

    /// As one job of a shell, circus stops with the command, so that the shell hears of it. Where there is no shell,
    /// nobody could ever continue what the keys of a terminal have stopped.
    fn main_has_stopped(&self, signum: i32) {
        if self.shares_group {
            let _ = signal::kill(process::pid(), SIGSTOP);
        } else if self.gave_terminal && signum != SIGSTOP {
            let in_foreground = signum == SIGTSTP || terminal::set_foreground(0, self.main).is_ok();
            if in_foreground {
                let _ = signal::kill_group(self.main, SIGCONT);
            }
        }
    }
}

fn is_request_to_end(signum: i32) -> bool {
    matches!(signum, SIGINT | SIGQUIT | SIGTERM)
}

/// As shells tell it.
fn code(exit: Exit) -> u8 {
    match exit {
        Exit::Code(code) => code as u8,
        Exit::Signal { number, .. } => 128_u8.wrapping_add(number as u8),
    }
}
