//! What the arguments of a command ask for, where that is more than a line of the command table.

use super::args::Args;
use super::props::{few, flag, integer, pid, seconds, signum, text};
use super::python::{cut, quoted};
use super::{Refusal, render};
#[cfg(feature = "deploy")]
use crate::arbiter::request::{Deploy, Manner};
use crate::arbiter::request::{Matching, Question, Request, Select, Task, Whom};

/// The longest topic, in bytes.
const LONGEST_TOPIC: usize = 1024;

type Asked = Result<Request, Refusal>;

pub fn select(args: &Args) -> Result<Select, Refusal> {
    let Some(pattern) = args.get("name", text)? else { return Ok(Select::All) };
    let how = match args.get("match", text)?.as_deref() {
        None | Some("glob") => Matching::Glob,
        Some("regex") => Matching::Regex,
        Some("simple") => Matching::Simple,
        Some(other) => return Err(Refusal::message(format!("unknown match method {}", cut(other)))),
    };
    Ok(Select::Match { pattern, how })
}

pub fn change(args: &Args, sign: i64) -> Asked {
    let name = args.name()?;
    Ok(Task::Change { name, by: args.get("nb", integer)?.unwrap_or(1).saturating_mul(sign) }.into())
}

pub fn reload(args: &Args) -> Asked {
    let (graceful, sequential) = (args.get("graceful", flag)? != Some(false), args.is("sequential")?);
    Ok(Task::Reload { name: args.get("name", text)?, graceful, sequential }.into())
}

#[cfg(all(feature = "reloadconfig", not(feature = "deploy")))]
pub fn reloadconfig(_: &Args) -> Asked {
    Ok(Task::Reloadconfig.into())
}

#[cfg(feature = "deploy")]
pub fn reloadconfig(args: &Args) -> Asked {
    Ok(match args.is("dry_run")? {
        true => Task::Deploy(Deploy::Compare { name: None }).into(),
        false => Task::Reloadconfig.into(),
    })
}

#[cfg(feature = "deploy")]
pub fn deploy(args: &Args) -> Asked {
    let name = args.name()?;
    let count = |key: &str| -> Result<Option<usize>, Refusal> {
        let Some(number) = args.get(key, integer)? else { return Ok(None) };
        let count = usize::try_from(number).ok().filter(|count| *count > 0);
        count.map(Some).ok_or_else(|| Refusal::message(format!("'{key}' is out of range")))
    };
    let manner = Manner {
        sequential: args.is("sequential")?,
        soak: args.get("soak", seconds)?.unwrap_or(0.0),
        surge: count("surge")?,
        canary: count("canary")?,
        deploys: true,
    };
    let (go, back) = (args.is("go")?, args.is("back")?);
    let begins = manner != Manner { deploys: true, ..Manner::default() };
    if usize::from(go) + usize::from(back) + usize::from(begins) > 1
        || manner.sequential && manner.canary.is_some()
    {
        return Err(Refusal::message("these options of deploy do not go together"));
    }
    Ok(Task::Deploy(match args.is("dry_run")? {
        true => Deploy::Compare { name: Some(name) },
        false if go || back => Deploy::Judge { name, good: go },
        false => Deploy::Begin { name, manner },
    })
    .into())
}

pub fn kill(args: &Args) -> Asked {
    let name = args.name()?;
    let (pid, signum) = (args.get("pid", pid)?, args.get("signum", signum)?);
    let graceful_timeout = args.get("graceful_timeout", seconds)?;
    Ok(Task::Kill { name, pid, signum, graceful_timeout }.into())
}

pub fn signal(args: &Args) -> Asked {
    let (name, signum) = (args.name()?, args.need("signum", signum)?);
    let (one, child) = (args.get("pid", pid)?, args.get("childpid", pid)?);
    let whom = match (child, args.is("children")?, args.is("recursive")?) {
        (Some(_), _, _) if one.is_none() => {
            return Err(Refusal::message("cannot specify childpid without pid"));
        }
        (Some(child), _, _) => Whom::Child(child),
        (None, true, _) => Whom::Children,
        (None, false, true) => Whom::Descendants,
        (None, false, false) => Whom::Process,
    };
    Ok(Task::Signal { name, pid: one, whom, signum }.into())
}

pub fn globaloptions(args: &Args) -> Asked {
    match args.get("option", text)? {
        Some(option) if !render::GLOBAL_OPTIONS.contains(&option.as_str()) => {
            Err(Refusal::message(format!("{} not an existing option", quoted(&option))))
        }
        option => Ok(Question::Globaloptions(option).into()),
    }
}

pub fn listen(args: &Args) -> Asked {
    let topics = args.get("topics", few)?.unwrap_or_default();
    if topics.iter().any(|topic| topic.len() > LONGEST_TOPIC) {
        return Err(Refusal::message(format!("'topics' has one of more than {LONGEST_TOPIC} bytes")));
    }
    Ok(Request::Listen(topics))
}

pub fn logs(args: &Args) -> Asked {
    let rotate = match args.need("action", text)?.as_str() {
        "rotate" => true,
        "reopen" => false,
        other => {
            let reason = format!("{} is not an action; use rotate or reopen", quoted(other));
            return Err(Refusal::message(reason));
        }
    };
    Ok(Request::Logs { name: args.get("name", text)?, rotate })
}
