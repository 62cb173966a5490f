//! What runs beside the processes of a watcher: commands with their rights, and hooks with those of circus.

use super::{becoming, environment, own_path, rightful, variables};
use crate::config::options::WatcherOptions;
use crate::config::{Names, WatcherConfig, text};
use crate::sys::child::{Child, Prepare};
use std::rc::Rc;

/// What runs beside the processes of a watcher as one of them would, without a program yet, and its environment but for
/// what comes from files.
///
/// # Errors
/// A sentence that says what is missing.
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
pub(crate) fn apart_from(config: &WatcherConfig, uid: Option<&str>) -> Result<(Child, Names), String> {
    let copy_env = config.options.copy_env;
    let options = WatcherOptions { uid: uid.map(Into::into), copy_env, ..WatcherOptions::default() };
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
fn preparation(config: &WatcherConfig) -> Option<Prepare> {
    let config = environment::has_files(config).then(|| config.clone())?;
    Some(Rc::new(move |child| {
        let env = environment::with_files(&config, child)?;
        let argv: Vec<String> = child.argv.iter().map(|word| text::from_bytes(word.as_bytes())).collect();
        becoming(argv.first().map_or("", String::as_str), &argv, &env)
    }))
}
