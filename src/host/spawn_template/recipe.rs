//! What a process finds out itself before it becomes its program, since files have a say in it: `env_file`,
//! `virtualenv`. This runs in the process, as its user, and not in circus.

use super::arguments;
use super::environment::FromFiles;
use super::lookup;
use super::set_program;
use crate::config::{Names, WatcherConfig, text};
use crate::sorted::Sorted;
use crate::sys::child::{Child, Words};
use std::os::fd::RawFd;

/// How a process makes its command and its environment of what the configuration says and what its files say.
pub struct Recipe {
    files: FromFiles,
    config: WatcherConfig,
    numbers: Sorted<String, RawFd>,
}

impl Recipe {
    /// That of the processes of a watcher, if they have files to look at.
    pub fn of(config: &WatcherConfig, numbers: &Sorted<String, RawFd>) -> Option<Recipe> {
        let files = FromFiles::of(config)?;
        Some(Recipe { files, config: config.clone(), numbers: numbers.clone() })
    }

    /// What the child becomes.
    ///
    /// # Errors
    /// A sentence that names what is missing.
    pub fn words(&self, child: &Child, wid: u32) -> Result<Words, String> {
        let mut env = names(child);
        self.files.add_to(&mut env)?;
        let argv = arguments(&self.config, &lookup(&self.config, &env, wid, &self.numbers))?;
        let first = argv.first().ok_or("cmd is empty: say what to run")?;
        let program = self.config.options.executable.as_deref().unwrap_or(first);
        becoming(program, &argv, &env)
    }
}

pub fn becoming(program: &str, argv: &[String], env: &Names) -> Result<Words, String> {
    let mut child = Child::default();
    set_program(&mut child, program, argv, env)?;
    Ok(Words { programs: child.programs, argv: child.argv, env: child.env })
}

/// The environment of a child as names with values.
pub fn names(child: &Child) -> Names {
    let variables = child.env.iter().map(|variable| text::from_bytes(variable.as_bytes()));
    let named =
        variables.filter_map(|text| text.split_once('=').map(|(name, value)| (name.into(), value.into())));
    named.collect()
}
