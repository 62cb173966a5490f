//! The init of one command: what `circus run` does instead of running a daemon.
//!
//! It needs no file, no directory, no descriptor and no event loop: all signals stay blocked and are taken one after
//! the other by sigwaitinfo(2), which is also how it sleeps. What comes is passed on to the command, except what the
//! command has had already: keys of a terminal go to a whole group. When the command has ended, the rest of its
//! tree, which has come to circus as orphans, is told so, waited for, and only then killed.
//!
//! The command is started with what circus was started with: environment, directory, descriptors, blocked and ignored
//! signals. circus itself goes to / then, so that no file system stays busy because of it.

use crate::arbiter::time::Time;
use crate::arbiter::{HURRY_AFTER, Pid};
use crate::host::child::spawn_alone;
use crate::host::kill::{send_to_child, send_to_group};
pub use crate::host::leftovers::GRACE;
use crate::host::leftovers::{LeftoverSweep, Rest};
use crate::host::spawn_template::{c_string, candidates, own_path};
use crate::host::surroundings::complain;
use crate::signals::{
    HALTS, SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGSTOP, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU,
};
use crate::sys::child::{Child, Mask, SpawnError, Step};
use crate::sys::signal::{self, Inherited, Received};
use crate::sys::wait::{self, Exit};
use crate::sys::{self, clock, process, terminal};
use std::ffi::CString;
use std::io::IsTerminal;

/// What a terminal sends to a whole group, but for SIGWINCH: a program asks for the size when it starts.
const KEYS: [i32; 6] = [SIGHUP, SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU];

/// The command cannot be found; anything else than that which keeps it from running; circus itself cannot go on.
/// As shells have it.
const NOT_FOUND: u8 = 127;
const CANNOT_RUN: u8 = 126;
const FAILED: u8 = 125;

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

struct Init<'a> {
    options: &'a Options,
    main: Pid,
    /// The command shares circus's own process group, since a shell runs both as one job.
    shares_group: bool,
    /// The command's group was put into the foreground of the terminal on descriptor 0.
    gave_terminal: bool,
    /// The command has ended.
    ended: bool,
    /// What is done about the rest then.
    sweep: Option<LeftoverSweep>,
    /// When SIGTERM, SIGINT or SIGQUIT came first.
    asked: Option<Time>,
    /// The marks of the child that are still to come, where it shares circus's group.
    marks: Vec<i32>,
    /// The signals that it had itself when it sent them.
    had: Mask,
    code: u8,
}

/// Runs the command and what it leaves behind to the end. The answer is the exit code: that of the command, 128 and
/// the signal that ended it, 127 if there is no such command, 126 if it cannot be run.
pub fn run(options: &Options) -> u8 {
    let inherited = signal::block_all();
    // A process whose parent has ended then comes here, as it would to PID 1.
    let _ = process::set_subreaper();
    let leads = terminal::leads_session();
    let terminal = terminal::foreground(0).ok();
    let shares_group = terminal.is_some() && !leads && !options.group;
    let gave_terminal = terminal.is_some_and(|group| group == terminal::own_group()) && !shares_group;
    let child = match child(options, inherited, shares_group, gave_terminal) {
        Ok(child) => child,
        Err(why) => return fail(&why, CANNOT_RUN),
    };
    match spawn_alone(&child) {
        Ok((main, had)) => {
            // Nothing is looked for by a relative path from here on.
            let _ = std::env::set_current_dir("/");
            let (ended, sweep, asked, code, marks) = (false, None, None, 0, child.marks.into());
            Init { options, main, shares_group, gave_terminal, ended, sweep, asked, marks, had, code }.serve()
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

/// Everything that the command inherits it gets: descriptors, environment, and signals that are blocked or ignored.
fn child(
    options: &Options,
    signals: Inherited,
    shares_group: bool,
    gave_terminal: bool,
) -> Result<Child, String> {
    let path = own_path();
    let Some(program) = options.argv.first() else { return Err("the command is missing".into()) };
    let mut env = process::environment();
    let listen_pid = takes_own(&mut env, b"LISTEN_PID=");
    if listen_pid {
        // It says in another way that circus is meant.
        env.retain(|variable| !variable.as_bytes().starts_with(b"LISTEN_PIDFDID="));
    }
    Ok(Child {
        programs: candidates(program, &path).map(|path| c_string(&path)).collect::<Result<_, _>>()?,
        argv: options.argv.iter().map(|word| c_string(word)).collect::<Result<_, _>>()?,
        listen_pid,
        watchdog_pid: takes_own(&mut env, b"WATCHDOG_PID="),
        env,
        group: !shares_group,
        terminal: gave_terminal.then_some(0),
        keep_descriptors: true,
        signals,
        marks: if shares_group { &KEYS } else { &[] },
        ..Child::default()
    })
}

/// Takes a variable away if its value is circus's own number; the answer is whether it was.
fn takes_own(env: &mut Vec<CString>, name: &[u8]) -> bool {
    let all = env.len();
    let is_own = |pid: &[u8]| pid == process::pid().to_string().as_bytes();
    env.retain(|variable| !variable.as_bytes().strip_prefix(name).is_some_and(is_own));
    env.len() < all
}

impl Init<'_> {
    fn serve(mut self) -> u8 {
        loop {
            if let Some(received) = signal::wait(self.sweep.as_ref().map(LeftoverSweep::timeout)) {
                // Of several signals the lowest comes first, and it may be meant for what is left by now.
                self.look_at_children();
                if received.signal != SIGCHLD {
                    self.pass_on(received);
                }
            }
            if let Some(sweep) = &mut self.sweep {
                sweep.expire();
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
                self.ended = true;
                if self.options.sweep && wait::children_exist() {
                    self.begin_sweep(exit);
                }
            }
        }
        if !self.ended
            && let Some(signal) = wait::stopped(self.main)
        {
            self.main_has_stopped(signal);
        }
    }

    fn is_over(&self) -> bool {
        self.ended && self.sweep.as_ref().is_none_or(LeftoverSweep::is_over)
    }

    fn begin_sweep(&mut self, exit: Exit) {
        if self.gave_terminal {
            // the keys are circus's again
            let _ = terminal::set_foreground(0, terminal::own_group());
        }
        let (rest, grace) = (Rest::default(), self.options.grace);
        if std::io::stderr().is_terminal() {
            complain(&format!("circus run: {}", rest.reason(grace)));
        }
        // A command that was killed by the signal has told nobody, and nobody else has had it who is not in its group.
        let alone = matches!(exit, Exit::Signal(_)) && !self.options.group && !self.shares_group;
        self.sweep = Some(LeftoverSweep::begin(rest, grace, self.asked.is_some() && !alone));
    }

    /// What comes goes to the command, or after it to the rest, which has been asked to end already.
    fn pass_on(&mut self, received: Received) {
        let mark = self.marks.iter().position(|signum| *signum == received.signal);
        let first = mark.map(|mark| self.marks.swap_remove(mark)).is_some();
        if first && received.sender == Some(self.main) {
            return; // nothing but the mark
        }
        let Some(signum) = self.remapped(received.signal) else { return };
        let request = is_request_to_end(signum);
        let in_a_hurry = request && self.asks_again();
        let has_had = self.has_had(received, first);
        match &mut self.sweep {
            Some(sweep) if in_a_hurry => sweep.hurry(),
            Some(_) if request => {}
            Some(sweep) => sweep.tell(signum),
            None if has_had || self.ended => {}
            None if self.options.group => send_to_group(self.main, signum),
            None => send_to_child(self.main, signum),
        }
    }

    /// Whether somebody had asked for the end before, and not just now: a wrapper that forwards what the whole group
    /// has had asks twice, and is in no hurry.
    fn asks_again(&mut self) -> bool {
        let now = Time(clock::monotonic_ns());
        now >= self.asked.get_or_insert(now).plus(HURRY_AFTER)
    }

    fn remapped(&self, signum: i32) -> Option<i32> {
        let rule = self.options.remap.iter().find(|(from, _)| *from == signum);
        let halt = process::pid() == 1 && HALTS.contains(&signum);
        let default = if halt { SIGTERM } else { signum };
        Some(rule.map_or(default, |(_, to)| *to)).filter(|signum| *signum != 0)
    }

    /// Whether the command has had this signal too: the keys of a terminal reach the whole group, and so does what
    /// the command itself sends to its group. The first of a kind may have come before the command was in the group
    /// (see [`spawn_alone`]).
    fn has_had(&self, received: Received, first: bool) -> bool {
        let by_key = received.sender.is_none() && (!first || self.had.has(received.signal));
        self.shares_group && (by_key || received.sender == Some(self.main))
    }

    /// As one job of a shell, circus stops with the command, so that the shell hears of it. Where there is no shell,
    /// nobody could ever continue what the keys of a terminal have stopped.
    fn main_has_stopped(&self, signum: i32) {
        if self.shares_group {
            send_to_child(process::pid(), SIGSTOP);
        } else if self.gave_terminal && signum != SIGSTOP {
            let in_foreground = signum == SIGTSTP || terminal::set_foreground(0, self.main).is_ok();
            if in_foreground {
                send_to_group(self.main, SIGCONT);
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
        Exit::Signal(number) => 128_u8.wrapping_add(number as u8),
    }
}
