//! Whom the processes of a watcher run as, and what they may do: from names and numbers to what the kernel takes.

#[cfg(feature = "sandbox")]
use super::c_string;
use crate::config::WatcherConfig;
#[cfg(feature = "sandbox")]
use crate::config::restrict;
#[cfg(feature = "sandbox")]
use crate::sys::child::Port;
use crate::sys::child::{Child, Restrictions};
use crate::sys::limit::{self, Limit};
use crate::sys::user::{self, User};

/// The resource limits.
///
/// # Errors
/// There is no limit of one of the names.
pub fn limits(config: &WatcherConfig) -> Result<Vec<Limit>, String> {
    let one = |(name, value): (&String, &Option<u64>)| {
        let resource = limit::resource(name).ok_or_else(|| {
            let known: Vec<&str> = limit::names().collect();
            format!("rlimit_{name}: there is no such limit; known are {}", known.join(" "))
        })?;
        // "No limit" for the number of descriptors is the hard limit, since the kernel has none higher.
        let is_nofile = value.is_none() && resource == limit::NOFILE;
        let highest = is_nofile.then(|| limit::get(resource).ok()).flatten().map(|limit| limit.hard);
        let most = value.or(highest).unwrap_or(limit::UNLIMITED);
        Ok(Limit { resource, soft: most, hard: most })
    };
    config.rlimits.iter().map(one).collect()
}

/// Sets whom the children run as. What circus is already is not set, since that would need privileges.
///
/// # Errors
/// There is no such user or group.
pub fn set_ids(config: &WatcherConfig, child: &mut Child) -> Result<(), String> {
    let clear = config.options.clear_groups;
    child.groups = (clear == Some(true)).then(Vec::new);
    let named = |name: &str| match user::gid_of(name).map_err(|error| failed("/etc/group", error))? {
        Some(gid) => Ok(gid),
        None => Err(format!("gid = {name}: there is no such group")),
    };
    let gid = config.options.gid.as_deref().map(named).transpose()?;
    let Some(account) = account(config)? else {
        child.gid = gid.filter(|gid| *gid != user::current_gid());
        if clear.is_none() {
            child.groups = child.gid.map(|gid| vec![gid]);
        }
        return Ok(());
    };
    let gid = gid.unwrap_or(account.gid);
    if account.uid == user::current_uid() && gid == user::current_gid() {
        return Ok(());
    }
    child.uid = Some(account.uid);
    child.gid = Some(gid);
    if child.groups.is_none() {
        let groups = user::supplementary_groups(&account.name, gid);
        child.groups = Some(groups.map_err(|error| failed("/etc/group", error))?);
    }
    Ok(())
}

fn failed(what: &str, error: std::io::Error) -> String {
    format!("{what}: {}", crate::sys::io_words(&error))
}

/// The user that the processes run as, if the configuration names one. A number needs no entry where the group is
/// said too: a container may have no /etc/passwd.
///
/// # Errors
/// There is no such user.
pub fn account(config: &WatcherConfig) -> Result<Option<User>, String> {
    let Some(name) = &config.options.uid else { return Ok(None) };
    let known = user::find_user(name).map_err(|error| failed("/etc/passwd", error))?;
    if known.is_some() {
        return Ok(known);
    }
    let why = match (user::uid_of(name).ok().flatten(), &config.options.gid) {
        (Some(uid), Some(_)) => {
            // Its own group is not asked for.
            let user = User { name: name.to_string(), uid, gid: uid, home: "/".into(), shell: "".into() };
            return Ok(Some(user));
        }
        (Some(_), None) => ", and no gid that says its group",
        (None, _) => "",
    };
    Err(format!("uid = {name}: there is no such user{why}"))
}

/// What is to be set besides ids and limits.
///
/// # Errors
/// A value cannot be used.
#[cfg(feature = "sandbox")]
pub fn restrictions(config: &WatcherConfig) -> Result<Restrictions, String> {
    let options = &config.options;
    let digits = |number: i64| c_string(&number.to_string());
    let port = |(bind, number)| Port { bind, number };
    let ports = |text: &str| Ok::<_, String>(restrict::ports(text)?.into_iter().map(port).collect());
    let paths = |text: &str| restrict::writable(text)?.into_iter().map(c_string).collect();
    Ok(Restrictions {
        cgroup: None,
        oom_score_adj: options.oom_score_adj.map(digits).transpose()?,
        nice: options.nice.map(digits).transpose()?.zip(options.nice).map(|(text, nice)| (nice as i32, text)),
        ionice: options.ionice.as_deref().map(restrict::ionice).transpose()?,
        capabilities: options.capabilities.as_deref().map(restrict::capabilities).transpose()?,
        sandbox: options.sandbox.as_deref().map(paths).transpose()?,
        ports: options.sandbox_net.as_deref().map(ports).transpose()?,
        no_new_privs: options.no_new_privs,
    })
}

#[cfg(not(feature = "sandbox"))]
pub fn restrictions(_: &WatcherConfig) -> Result<Restrictions, String> {
    Ok(Restrictions::default())
}
