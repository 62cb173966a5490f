//! Hooks as programs: what one gets to know, and what its end means.
//!
//! A hook is a command line, or the name of a Python function, which a small program calls (hook.py). It runs as
//! circus's own user or as `hooks_uid`, in circus's directory, with the environment that the configuration alone gives
//! the watcher. Exit code 0 is yes, 99 is no; 111 says that it could not answer, and any other code is a failure that
//! means no. The commands of options (`stop_command`, `health = exec:` and so on) run as the watcher's processes do.

use crate::arbiter::hooks::{About, Answer, HookId};
use crate::arbiter::process::Exit;
use crate::arbiter::request::{Errno, Ticket};
use crate::arbiter::watcher::Watcher;
use crate::arbiter::{Event, Pid, WatcherId};
use crate::config::hooks::{Hook, is_python};
use crate::config::{Names, WatcherConfig, expand, words};
use crate::control::{self, Map, Refusal, answers};
use crate::host::endpoint::absolute;
use crate::host::spawn_template::{apart_from, beside, set_program};
use crate::parts::helpers::{Outcome, Program, Purpose};
use crate::reactor::eventloop::Daemon;
use crate::reactor::startup::current_dir;
use serde_json::Value as Json;
use std::time::Duration;

/// What calls a Python function.
const CALLER: &str = include_str!("hook.py");
/// It exits so when the function has returned something that is not true.
const NO: i32 = 99;
/// And so when the function has raised an exception.
const FAILED: i32 = 111;
/// psutil's word for a process that is gone, as a number of Circus's own.
const UNEXISTING: i32 = 2;
/// The most runs of extended_stats that wait for their turn.
const MOST_WAITING: usize = 10_000;
/// The variables that tell a hook what it is about, with `CIRCUS_` before them.
const VARIABLES: [&str; 6] = ["HOOK", "WATCHER", "ENDPOINT", "PID", "SIGNUM", "EXIT_CODE"];

/// One process in an answer to `stats --extended`.
#[derive(Clone, Copy)]
pub struct StatsOf {
    ticket: Ticket,
    /// Its watcher.
    pub watcher: WatcherId,
    pid: Pid,
}

/// An answer to `stats --extended` on its way.
pub struct Extended {
    answer: Map,
    /// How many hooks are still to end.
    left: usize,
    failure: Option<String>,
}

impl Daemon {
    /// The program of a hook; `stats` are those that extended_stats may change.
    pub(crate) fn hook_program(
        &self,
        watcher: WatcherId,
        hook: Hook,
        about: &About,
        stats: Option<&Json>,
    ) -> Result<Program, String> {
        let watcher = self.core.arbiter.watcher(watcher).ok_or("the watcher is gone")?;
        let config = &watcher.config;
        let (command, _) = config.program_of(hook).ok_or("it was taken away meanwhile")?;
        let (mut child, mut env) = match hook.is_command() {
            true => beside(config, self.wid_of(about))?,
            false => apart_from(config, config.options.hooks_uid.as_deref())?,
        };
        self.tell_facts(config, hook, about, &mut env);
        let command = &self.told_of_process(hook, about, command);
        let mut argv = words::split(command).map_err(|why| format!("{command}: {why}"))?;
        if is_python(command) && !hook.is_command() {
            self.tell_python(config, about, stats, &mut env);
            // -I: no module, and no option of Python, comes from the directory, the user or the environment.
            argv = ["python3", "-I", "-c", CALLER, command].map(str::to_string).into();
        }
        let program = argv.first().ok_or("the command is empty")?;
        set_program(&mut child, program, &argv, &env)?;
        let who = if hook.is_command() { "" } else { "hook " };
        let who = format!("{}: {who}{}", config.name, hook.name());
        let quiet = hook.is_probe();
        Ok(Program { child, who, captures: quiet || stats.is_some(), quiet })
    }

    fn wid_of(&self, about: &About) -> Option<u32> {
        about.pid.and_then(|pid| self.core.arbiter.owner(pid)).map(|(_, wid)| wid)
    }

    /// The command line of an option, which may name the process that it is about.
    fn told_of_process(&self, hook: Hook, about: &About, command: &str) -> String {
        let wid = self.wid_of(about).map(u32::cast_signed);
        let lookup = |name: &str| {
            let facts = [("pid", about.pid), ("wid", wid)];
            let (_, fact) = facts.into_iter().find(|(fact, _)| name.eq_ignore_ascii_case(fact))?;
            fact.map(|fact| fact.to_string())
        };
        if hook.is_command() { expand::expand(command, &lookup) } else { command.to_string() }
    }

    /// What every hook gets to know, in its environment.
    fn tell_facts(&self, config: &WatcherConfig, hook: Hook, about: &About, env: &mut Names) {
        let endpoint = absolute(&self.core.setup.endpoint, &current_dir());
        let texts = [hook.name().to_string(), config.name.clone(), endpoint];
        let numbers = [about.pid, about.signum, about.exit.map(Exit::code)];
        let numbers = numbers.map(|number| number.map(|number| number.to_string()));
        let values = texts.map(Some).into_iter().chain(numbers);
        for (name, value) in VARIABLES.iter().zip(values) {
            let name = format!("CIRCUS_{name}");
            match value.filter(|value| value != "none") {
                Some(value) => drop(env.insert(name, value)),
                None => drop(env.remove(&name)),
            }
        }
    }

    /// What hook.py has to know besides. Modules come from where the configuration says, circus's own PYTHONPATH, and
    /// circus's directory.
    fn tell_python(&self, config: &WatcherConfig, about: &About, stats: Option<&Json>, env: &mut Names) {
        let mut facts = answers::options(config);
        let mut put = |key: &str, value: Json| facts.insert(key.into(), value);
        let own = std::env::var("PYTHONPATH").ok();
        let path = [config.env.get("PYTHONPATH"), own.as_ref(), Some(&current_dir())];
        let path = path.into_iter().flatten().flat_map(|path| path.split(':'));
        put("path", path.filter(|path| !path.is_empty()).collect());
        put("endpoint", self.core.setup.addresses.0.as_str().into());
        let differs = |(name, value): &(&String, &String)| env.get(name.as_str()) != Some(value);
        let differing = config.env.iter().filter(differs);
        let mut differing = differing.map(|(name, value)| (name.clone(), value.as_str().into()));
        put("env", control::object(&mut differing).into());
        put("own", VARIABLES.into_iter().collect());
        put("status", (!about.asked).then_some(UNEXISTING).into());
        env.insert("CIRCUS_FACTS".into(), Json::Object(facts).to_string());
        env.extend(stats.map(|stats| ("CIRCUS_STATS".into(), stats.to_string())));
    }

    /// A hook that the arbiter waits for has ended.
    pub(crate) fn hook_ended(&mut self, id: HookId, watcher: WatcherId, hook: Hook, outcome: &Outcome) {
        let answer = match &outcome.ended {
            Ok(Exit::Code(0)) => Answer::Yes,
            Ok(Exit::Code(NO)) if !hook.is_command() => Answer::No,
            Ok(Exit::Code(FAILED)) | Ok(Exit::Signal(_)) | Err(_) => Answer::Failed(reason(outcome)),
            Ok(Exit::Code(_)) => Answer::Refused(reason(outcome)),
        };
        self.dispatch(Event::HookDone { id, watcher, answer });
    }

    /// Has the hook extended_stats add to the statistics of a watcher, or of one process of it. The answer is sent when
    /// that is done.
    pub(crate) fn extend(&mut self, ticket: Ticket, name: &str, process: Option<Pid>, answer: Map) {
        let has_hook = |w: &&Watcher| w.config.hooks.contains_key(Hook::ExtendedStats.name());
        let watcher = self.core.arbiter.find(name).filter(has_hook);
        let pids = watcher.map(|watcher| process.map_or_else(|| watcher.pids(), |pid| vec![pid]));
        let (Some(watcher), Some(pids)) = (watcher, pids.filter(|pids| !pids.is_empty())) else {
            return self.parts.clients.answer(ticket, Ok(answer));
        };
        let (watcher, config) = (watcher.id, &watcher.config);
        if self.parts.helpers.waiting() + pids.len() > MOST_WAITING {
            let reason = "too many hooks wait for their turn; try again later".into();
            return self.parts.clients.answer(ticket, Err(Refusal { errno: Errno::Conflict, reason }));
        }
        // `as` saturates: a negative number becomes 0.
        let timeout = Duration::from_millis((config.options.hook_timeout * 1e3) as u64);
        let deadline = self.core.now.checked_add(timeout);
        self.extended.insert(ticket, Extended { answer, left: pids.len(), failure: None });
        for pid in pids {
            self.parts.helpers.add(Purpose::Stats(StatsOf { ticket, watcher, pid }), deadline);
        }
    }

    /// The program that extends the statistics of one process.
    pub(crate) fn stats_program(&self, of: &StatsOf) -> Result<Program, String> {
        let extended = self.extended.get(&of.ticket).ok_or("nobody waits for it")?;
        let stats = extended.answer.get("info").ok_or("there are no statistics")?;
        let stats = stats.get(of.pid.to_string()).unwrap_or(stats);
        let about = About { pid: Some(of.pid), ..About::default() };
        self.hook_program(of.watcher, Hook::ExtendedStats, &about, Some(stats))
    }

    /// extended_stats has ended for one process; the last one completes the answer.
    pub(crate) fn stats_ended(&mut self, of: StatsOf, outcome: &Outcome) {
        let config = self.core.arbiter.watcher(of.watcher).map(|watcher| &watcher.config);
        let lenient = config.and_then(|c| c.hooks.get(Hook::ExtendedStats.name())).is_none_or(|hook| hook.1);
        let more = more_stats(outcome);
        if let (Err(why), Some(config)) = (&more, config) {
            self.core.log.error(format_args!("{}: Hook 'extended_stats' failed: {why}", config.name));
        }
        let Some(extended) = self.extended.get_mut(&of.ticket) else { return };
        match more {
            Ok(more) => extended.merge(of.pid, more),
            Err(_) if lenient => {}
            Err(why) => extended.failure = Some(format!("the hook extended_stats failed: {why}")),
        }
        extended.left -= 1;
        if extended.left > 0 {
            return;
        }
        let Some(Extended { answer, failure, .. }) = self.extended.remove(&of.ticket) else { return };
        let answer = match failure {
            None => Ok(answer),
            Some(reason) => Err(Refusal { errno: Errno::Conflict, reason }),
        };
        self.parts.clients.answer(of.ticket, answer);
    }
}

impl Extended {
    fn merge(&mut self, pid: Pid, more: Map) {
        let Some(Json::Object(info)) = self.answer.get_mut("info") else { return };
        let one = pid.to_string();
        let info = match info.get_mut(&one) {
            Some(Json::Object(info)) => info,
            Some(_) => return, // it is gone
            None => info,
        };
        for (key, value) in more {
            info.insert(key, value);
        }
    }
}

/// What extended_stats has printed.
fn more_stats(outcome: &Outcome) -> Result<Map, String> {
    if !matches!(outcome.ended, Ok(Exit::Code(0))) {
        return Err(reason(outcome));
    }
    match serde_json::from_slice(outcome.captured()?) {
        Ok(Json::Object(more)) => Ok(more),
        Ok(_) | Err(_) => Err("it did not print a JSON object".into()),
    }
}

/// Why a hook that has ended did not say yes.
fn reason(outcome: &Outcome) -> String {
    let last = &outcome.last_line;
    match &outcome.ended {
        Err(why) => why.clone(),
        Ok(Exit::Code(FAILED)) if !last.is_empty() => last.clone(),
        Ok(exit) if last.is_empty() => exit.words(),
        Ok(Exit::Code(code)) => format!("exited with code {code}: {last}"),
        Ok(exit) => exit.words(),
    }
}
