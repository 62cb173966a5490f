//! What somebody with fewer rights may change of a watcher: an operator the numbers of those that were given; `endpoint_owner`,
//! and a plugin that runs as another user than circus, what does not make circus run their commands, or write their files,
//! with rights that they do not have.
//!
//! As in Circus, every watcher that is added has to run as that user, whoever adds it. Besides, whoever is neither
//! root nor the user of circus sets only what cannot lead to more rights.
//!
//! A user or group that does not exist is refused here too, since only the daemon can look it up.

use super::client::Caller;
use super::permission::GIVES;
use crate::arbiter::Arbiter;
use crate::arbiter::request::{Edit, Task};
use crate::config::options::{self, Role, watcher};
use crate::config::{Value, WatcherConfig, families};
use crate::control;
use crate::sys::user;

const MISMATCH: &str = "uid does not match endpoint_owner";

/// Whether somebody of this role may give an order; `owner` is that of the endpoint. A plugin has its own user for that,
/// where that is another one than circus's.
///
/// # Errors
/// The reason why not, as Circus gives it.
pub fn permit(
    arbiter: &Arbiter,
    owner: Option<&str>,
    (caller, role): (&Caller, Role),
    task: &Task,
) -> Result<(), String> {
    if let Task::Edit(Edit::Add { options, .. } | Edit::Set { options, .. }) = task {
        options.iter().try_for_each(|(key, value)| known_id(key, value))?;
    }
    let of_plugin = (caller.plugin.is_some() && !caller.trusted).then(|| caller.uid.to_string());
    let owner = of_plugin.as_deref().or(owner);
    match task {
        Task::Edit(Edit::Add { options, .. }) => {
            let Some(owner) = owner else { return Ok(()) };
            if !options.iter().any(|(key, value)| key == watcher::uid && is_owner(value, owner)) {
                return Err(MISMATCH.into());
            }
            if role >= Role::Member { Ok(()) } else { permit_keys(options, true, owner) }
        }
        Task::Edit(Edit::Set { options, .. }) if role == Role::Operate => permit_numbers(options),
        Task::Edit(Edit::Set { name, options, .. }) if role < Role::Member => {
            let Some(owner) = owner else { return Err(MISMATCH.into()) };
            permit_owner(arbiter.find(name).map(|watcher| &*watcher.config), options, owner)
        }
        _ => Ok(()),
    }
}

/// Whether the owner of the endpoint may set these options of a watcher.
fn permit_owner(
    config: Option<&WatcherConfig>,
    options: &[(String, Value)],
    owner: &str,
) -> Result<(), String> {
    let theirs = config.is_some_and(|config| runs_as(config, owner));
    if theirs && config.is_some_and(has_more_rights) && permit_keys(options, false, owner).is_err() {
        return Err(
            "root only can set that, since the processes have a group or capabilities besides their user's"
                .into(),
        );
    }
    let is_used = |key: &str| matches!(key, families::ENV | watcher::working_dir);
    if config.is_some_and(circus_uses_environment) && options.iter().any(|(key, _)| is_used(key)) {
        return Err("root only can set that, since circus itself uses it for hooks or streams".into());
    }
    permit_keys(options, theirs, owner)
}

/// The least role that may set an option.
fn role_of(key: &str) -> Role {
    match options::find(options::WATCHER, key) {
        Some(row) => row.role,
        None if key == families::ENV => Role::Owner,
        None => Role::Member,
    }
}

/// Whether an operator may set these options.
fn permit_numbers(options: &[(String, Value)]) -> Result<(), String> {
    let above = options.iter().find(|(key, _)| role_of(key) > Role::Operate);
    above.map_or(Ok(()), |(key, _)| {
        let key: String = key.chars().take(80).collect();
        Err(format!("'{key}' can be set by admin only: operate is enough for numbers of processes and their times; {GIVES}"))
    })
}

fn runs_as(config: &WatcherConfig, owner: &str) -> bool {
    config.options.uid.as_deref().is_some_and(|uid| is_same_user(uid, owner))
}

/// Whether the processes of a watcher may do more than its user can without circus: in another group, or with
/// capabilities. What cannot be told counts as more.
fn has_more_rights(config: &WatcherConfig) -> bool {
    let options = &config.options;
    let own_group = |gid: &str| {
        let account = options.uid.as_deref().and_then(|uid| user::find_user(uid).ok().flatten());
        let gid = user::gid_of(gid).ok().flatten();
        account.zip(gid).is_some_and(|(account, gid)| {
            let groups = || user::supplementary_groups(&account.name, account.gid);
            gid == account.gid || groups().is_ok_and(|groups| groups.contains(&gid))
        })
    };
    let others_group = options.gid.as_deref().is_some_and(|gid| !own_group(gid));
    others_group || options.capabilities.as_deref().is_some_and(|it| it.trim() != "none")
}

/// Whether circus itself does something with the environment of a watcher, with its own rights or those of others.
fn circus_uses_environment(config: &WatcherConfig) -> bool {
    !config.hooks.is_empty() || config.stdout_stream.is_some() || config.stderr_stream.is_some()
}

/// Whether the user or group exists, if the option is one. A number needs no name.
fn known_id(key: &str, value: &Value) -> Result<(), String> {
    let Value::Str(name) = value else { return Ok(()) };
    let shown = || control::python::quoted(name);
    match key {
        watcher::uid | watcher::hooks_uid if !user::find_user(name).is_ok_and(|found| found.is_some()) => {
            Err(format!("{} isn't a valid user name", shown()))
        }
        watcher::gid if !user::gid_of(name).is_ok_and(|found| found.is_some()) => {
            Err(format!("No such group: {}", shown()))
        }
        _ => Ok(()),
    }
}

/// Whether these options may be set by the owner of the endpoint, for a watcher that runs as that user or not.
fn permit_keys(options: &[(String, Value)], theirs: bool, owner: &str) -> Result<(), String> {
    for (key, value) in options {
        match role_of(key) {
            Role::Look | Role::Operate => {}
            Role::Owner if theirs && (key != watcher::uid || is_owner(value, owner)) => {}
            Role::Owner => return Err(MISMATCH.into()),
            Role::Member | Role::Admin => {
                let key: String = key.chars().take(80).collect();
                return Err(format!("'{key}' can be set by root only, not by user {owner}"));
            }
        }
    }
    Ok(())
}

fn is_owner(value: &Value, owner: &str) -> bool {
    match value {
        Value::Str(uid) => is_same_user(uid, owner),
        Value::Int(uid) => is_same_user(&uid.to_string(), owner),
        Value::None | Value::Bool(_) | Value::Float(_) | Value::Map(_) => false,
    }
}

/// Whether two names or numbers mean one user.
fn is_same_user(one: &str, other: &str) -> bool {
    let uid = |name: &str| user::find_user(name).ok().flatten().map(|account| account.uid);
    one == other || uid(one).is_some_and(|one| uid(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_gives_no_more_rights_is_permitted() {
        let permit = |key: &str, value: Value, theirs| permit_keys(&[(key.into(), value)], theirs, "root");
        let text = |text: &str| Value::Str(text.into());
        for theirs in [true, false] {
            assert_eq!(permit("numprocesses", Value::Int(1), theirs), Ok(()));
            for key in [
                "stdout_stream.filename",
                "hooks.before_start",
                "stop_command",
                "reload_command",
                "critical",
                "env_file",
                "gid",
                "rlimit_nofile",
                "copy_env",
            ] {
                assert!(permit(key, text("x"), theirs).is_err(), "{key}");
            }
            assert_eq!(permit("uid", text("nobody"), theirs), Err(MISMATCH.into()));
        }
        assert_eq!(permit("cmd", text("x"), true), Ok(()));
        assert_eq!(permit("cmd", text("x"), false), Err(MISMATCH.into()));
        assert_eq!(permit("uid", Value::Int(0), true), Ok(()));
        assert_eq!(permit("uid", text("root"), false), Err(MISMATCH.into()));
        let known = |key, name: &str| known_id(key, &text(name));
        assert_eq!((known("uid", "root"), known("gid", "0"), known("cmd", "x")), (Ok(()), Ok(()), Ok(())));
        assert_eq!(known("uid", "no-such"), Err("'no-such' isn't a valid user name".into()));
        assert_eq!(known("gid", "no-such"), Err("No such group: 'no-such'".into()));
    }
}
