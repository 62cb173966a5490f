//! Hooks as programs: what one gets to know, and what its end means.
//!
//! A hook is a command line, or the name of a Python function, which a small program calls (hook.py). It runs as
//! circus's own user, with the environment and the directory of the watcher's processes. Exit code 0 is yes, 99 is
//! no; 111 says that it could not answer, and any other code is a failure that means no.

use super::blueprint::{c_string, candidates, environment};
use super::clients::Sender;
use super::endpoint::absolute;
use super::eventloop::Daemon;
use super::helpers::{Outcome, Program, Purpose};
use super::start::current_dir;
use crate::arbiter::hooks::{About, Answer, HookId};
use crate::arbiter::process::Exit;
use crate::arbiter::request::{Errno, Question, Ticket};
use crate::arbiter::{Event, Pid, WatcherId};
use crate::config::hooks::{Hook, is_python};
use crate::config::{Names, WatcherConfig, signals, words};
use crate::control::{Map, Refusal, answers, object};
use crate::sys::child::Child;
use crate::sys::clock;
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
/// The variables that tell a hook what it is about.
const VARIABLES: [&str; 6] =
    ["CIRCUS_HOOK", "CIRCUS_WATCHER", "CIRCUS_ENDPOINT", "CIRCUS_PID", "CIRCUS_SIGNUM", "CIRCUS_EXIT_CODE"];

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
    pub(super) fn hook_program(
        &self,
        watcher: WatcherId,
        hook: Hook,
        about: &About,
        stats: Option<&Json>,
    ) -> Result<Program, String> {
        let watcher = self.arbiter.watcher(watcher).ok_or("the watcher is gone")?;
        let config = &watcher.config;
        let (command, _) = config.hooks.get(hook.name()).ok_or("it was taken away meanwhile")?;
        let mut env = environment(config, &[], &|_| None);
        self.tell_facts(config, hook, about, &mut env);
        let mut argv = words::split(command).map_err(|why| format!("{command}: {why}"))?;
        if is_python(command) {
            let facts = self.python_facts(config, hook, about, stats);
            env.insert("CIRCUS_FACTS".into(), facts.to_string());
            argv = ["python3", "-c", CALLER].map(str::to_string).into();
            if !config.env.contains_key("PATH")
                && let Ok(path) = std::env::var("PATH")
            {
                env.insert("PATH".into(), path);
            }
        }
        let who = format!("{}: hook {}", config.name, hook.name());
        Ok(Program { child: child(config, &argv, &env)?, who, captures: stats.is_some() })
    }

    /// What every hook gets to know, in its environment.
    fn tell_facts(&self, config: &WatcherConfig, hook: Hook, about: &About, env: &mut Names) {
        let number = |number: Option<i32>| number.map(|number| number.to_string());
        let endpoint = absolute(self.clients.listeners.endpoint(), &current_dir());
        let endpoint = Some(endpoint).filter(|endpoint| endpoint != "none");
        let values = [
            Some(hook.name().to_string()),
            Some(config.name.clone()),
            endpoint,
            number(about.pid),
            number(about.signum),
            number(about.exit.map(Exit::code)),
        ];
        for (name, value) in VARIABLES.into_iter().zip(values) {
            match value {
                Some(value) => drop(env.insert(name.into(), value)),
                None => drop(env.remove(name)),
            }
        }
    }

    /// What a Python function gets to know besides, as Circus gives it.
    fn python_facts(&self, config: &WatcherConfig, hook: Hook, about: &About, stats: Option<&Json>) -> Json {
        let path = std::env::var("PYTHONPATH").unwrap_or_default();
        let path = path.split(':').filter(|dir| !dir.is_empty()).map(str::to_string);
        let path = std::iter::once(current_dir()).chain(path);
        let mut facts = answers::options(config);
        let mut put = |key: &str, value: Json| facts.insert(key.into(), value);
        put("function", config.hooks.get(hook.name()).map_or("", |(function, _)| function).into());
        put("hook", hook.name().into());
        put("watcher", config.name.as_str().into());
        put("endpoint", self.clients.listeners.addresses().0.into());
        put("path", path.collect());
        put("own", VARIABLES.into_iter().collect());
        put("more", Json::Object(keywords(hook, about)));
        put("stats", stats.cloned().unwrap_or(Json::Null));
        Json::Object(facts)
    }

    /// A hook that the arbiter waits for has ended.
    pub(super) fn hook_ended(&mut self, id: HookId, watcher: WatcherId, outcome: &Outcome) {
        let answer = match &outcome.ended {
            Ok(Exit::Code(0)) => Answer::Yes,
            Ok(Exit::Code(NO)) => Answer::No,
            Ok(Exit::Code(FAILED)) | Ok(Exit::Signal(_)) | Err(_) => Answer::Failed(reason(outcome)),
            Ok(Exit::Code(_)) => Answer::Refused(reason(outcome)),
        };
        self.dispatch(Event::HookDone { id, watcher, answer });
    }

    /// Answers a question. `None`: the answer comes later, when extended_stats has added to it.
    ///
    /// # Errors
    /// The question has no answer, or too many answers are on their way.
    pub(super) fn answer_or_extend(
        &mut self,
        from: &Sender,
        id: &Json,
        question: &Question,
    ) -> Result<Option<Map>, Refusal> {
        let answer = self.answer(question)?;
        let Question::Stats { name: Some(name), process, extended: true } = question else {
            return Ok(Some(answer));
        };
        let Some(watcher) = self.arbiter.find(name) else { return Ok(Some(answer)) };
        let pids = process.map_or_else(|| watcher.pids(), |pid| vec![pid]);
        let (watcher, config) = (watcher.id, &watcher.config);
        if !config.hooks.contains_key(Hook::ExtendedStats.name()) || pids.is_empty() {
            return Ok(Some(answer));
        }
        if self.helpers.waiting() + pids.len() > MOST_WAITING {
            let reason = "too many hooks wait for their turn; try again later".into();
            return Err(Refusal { errno: Errno::Conflict, reason });
        }
        let timeout = Duration::try_from_secs_f64(config.options.hook_timeout).unwrap_or_default();
        let deadline = self.now.checked_add(timeout);
        let ticket = self.clients.ticket_for(from, id);
        self.extended.insert(ticket, Extended { answer, left: pids.len(), failure: None });
        for pid in pids {
            self.helpers.add(Purpose::Stats(StatsOf { ticket, watcher, pid }), deadline);
        }
        Ok(None)
    }

    /// The program that extends the statistics of one process.
    pub(super) fn stats_program(&self, of: &StatsOf) -> Result<Program, String> {
        let extended = self.extended.get(&of.ticket).ok_or("nobody waits for it")?;
        let stats = extended.answer.get("info").ok_or("there are no statistics")?;
        let stats = stats.get(of.pid.to_string()).unwrap_or(stats);
        let about = About { pid: Some(of.pid), ..About::default() };
        self.hook_program(of.watcher, Hook::ExtendedStats, &about, Some(stats))
    }

    /// extended_stats has ended for one process; the last one completes the answer.
    pub(super) fn stats_ended(&mut self, of: StatsOf, outcome: &Outcome) {
        let config = self.arbiter.watcher(of.watcher).map(|watcher| &watcher.config);
        let lenient = config.and_then(|c| c.hooks.get(Hook::ExtendedStats.name())).is_none_or(|hook| hook.1);
        let more = more_stats(outcome);
        if let (Err(why), Some(config)) = (&more, config) {
            self.log.error(format_args!("{}: Hook 'extended_stats' failed: {why}", config.name));
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
        self.clients.answer_later(of.ticket, &answer);
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
        Ok(Exit::Code(code)) if last.is_empty() => format!("exited with code {code}"),
        Ok(Exit::Code(code)) => format!("exited with code {code}: {last}"),
        Ok(Exit::Signal(number)) => format!("was ended by {}", signals::name(*number)),
    }
}

/// The keyword arguments that Circus gives to a function besides watcher, arbiter and hook_name.
fn keywords(hook: Hook, about: &About) -> Map {
    let pid = Json::from(about.pid);
    let time = || ("time", Json::from(clock::realtime()));
    let gone = || Json::from((!about.asked).then_some(UNEXISTING));
    let exit = || Json::from(about.exit.map(Exit::code));
    let list = match hook {
        Hook::BeforeStart | Hook::AfterStart | Hook::BeforeSpawn => vec![],
        Hook::BeforeStop | Hook::AfterStop => vec![],
        Hook::AfterSpawn | Hook::ExtendedStats => vec![("pid", pid)],
        Hook::BeforeSignal | Hook::AfterSignal => vec![("pid", pid), ("signum", about.signum.into())],
        Hook::BeforeReap => vec![("process_pid", pid), time()],
        Hook::AfterReap => {
            vec![("process_pid", pid), time(), ("exit_code", exit()), ("process_status", gone())]
        }
    };
    object(&mut list.into_iter().map(|(key, value)| (key.to_string(), value)))
}

/// A child of circus's own user in the directory of the watcher.
fn child(config: &WatcherConfig, argv: &[String], env: &Names) -> Result<Child, String> {
    let program = argv.first().ok_or("the command is empty")?;
    let path = env.get("PATH").map_or("", String::as_str);
    Ok(Child {
        programs: candidates(program, path).map(|path| c_string(&path)).collect::<Result<_, _>>()?,
        argv: argv.iter().map(|word| c_string(word)).collect::<Result<_, _>>()?,
        env: env
            .iter()
            .map(|(name, value)| c_string(&format!("{name}={value}")))
            .collect::<Result<_, _>>()?,
        working_dir: config.options.working_dir.as_deref().map(c_string).transpose()?,
        ..Child::default()
    })
}
