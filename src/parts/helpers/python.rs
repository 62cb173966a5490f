//! Hooks that are Python functions: hook.py, which is part of the binary, calls them.

use super::hooks::VARIABLES;
use crate::arbiter::hooks::About;
use crate::config::{Names, WatcherConfig};
use crate::control::{self, answers};
use crate::host::surroundings::current_dir;
use crate::reactor::part::Cx;
use serde_json::Value as Json;

/// What calls a Python function.
const CALLER: &str = include_str!("hook.py");
/// psutil's word for a process that is gone, as a number of Circus's own.
const UNEXISTING: i32 = 2;

/// The command line that calls a function, with what hook.py has to know in the environment. Modules come from where the
/// configuration says, circus's own PYTHONPATH, and circus's directory.
pub(super) fn call(
    function: &str,
    config: &WatcherConfig,
    about: &About,
    stats: Option<&Json>,
    env: &mut Names,
    cx: &Cx<'_>,
) -> Vec<String> {
    let mut facts = answers::options(config);
    let mut put = |key: &str, value: Json| facts.insert(key.into(), value);
    let own = std::env::var("PYTHONPATH").ok();
    let path = [config.env.get("PYTHONPATH"), own.as_ref(), Some(&current_dir())];
    let path = path.into_iter().flatten().flat_map(|path| path.split(':'));
    put("path", path.filter(|path| !path.is_empty()).collect());
    put("endpoint", cx.setup.addresses.0.as_str().into());
    let differs = |(name, value): &(&String, &String)| env.get(name.as_str()) != Some(value);
    let differing = config.env.iter().filter(differs);
    let mut differing = differing.map(|(name, value)| (name.clone(), value.as_str().into()));
    put("env", control::object(&mut differing).into());
    put("own", VARIABLES.into_iter().collect());
    put("status", (!about.asked).then_some(UNEXISTING).into());
    env.insert("CIRCUS_FACTS".into(), Json::Object(facts).to_string());
    env.extend(stats.map(|stats| ("CIRCUS_STATS".into(), stats.to_string())));
    // -I: no module, and no option of Python, comes from the directory, the user or the environment.
    ["python3", "-I", "-c", CALLER, function].map(str::to_string).into()
}
