//! Reads the configuration again while everything runs.
//!
//! Everything that can go wrong goes wrong before anything is touched: the files are read and checked, the log and
//! the new sockets are opened. Only then sockets and the options of `[circus]` change places, and the arbiter is given
//! the watchers. Nothing here waits: files must be regular ones, and no name of a host is looked up.

use crate::arbiter::WatcherId;
use crate::arbiter::reconfigure::{NewConfig, Purpose};
#[cfg(feature = "deploy")]
use crate::arbiter::request::Planned;
use crate::arbiter::watcher::Watcher;
use crate::config::changes::copy;
#[cfg(feature = "deploy")]
use crate::config::changes::differing;
use crate::config::check::check;
use crate::config::load::load;
use crate::config::options::{Built, CIRCUS, Live, global};
use crate::config::{CircusOptions, Config, Finding, Severity, SocketConfig, Value};
use crate::host::disk::Disk;
use crate::host::endpoint;
use crate::host::spawn_template::Given;
use crate::host::surroundings::environ;
use crate::parts::clients::access::Access;
use crate::parts::log::Log;
use crate::parts::sockets::Prepared;
use crate::reactor::part::{Core, Setup};
use crate::reactor::registry::{Key, Parts};
use crate::reactor::startup::{self, Options};
use crate::sorted::Sorted;
use crate::sys::process;

/// The most problems that a client is told of at once.
const MOST_LINES: usize = 20;

/// What was read, before anything of it is used.
struct Fresh {
    config: Config,
    findings: Vec<Finding>,
}

/// What was opened, before it is used.
struct Opened {
    /// When it goes somewhere else than before.
    log: Option<Log>,
    sockets: Prepared,
}

/// What stays from one reading to the next.
pub struct Reconfigure {
    /// It counts before the file.
    command_line: Options,
    /// The umask that circus was started with, if it has another one now.
    first_umask: Option<u32>,
    /// What the file says instead, and would need a new start.
    late: Sorted<&'static str, Value>,
}

impl Reconfigure {
    /// circus has started.
    pub fn new(command_line: Options, first_umask: Option<u32>) -> Reconfigure {
        Reconfigure { command_line, first_umask, late: Sorted::new() }
    }

    /// Reads and checks the configuration, and uses it if it can be used.
    ///
    /// # Errors
    /// Why it cannot, which is logged too.
    pub fn read(
        &mut self,
        purpose: &Purpose,
        core: &mut Core,
        parts: &mut Parts,
    ) -> Result<Box<NewConfig>, String> {
        let read = self.read_and_check(core).and_then(|mut fresh| match purpose {
            Purpose::Apply { .. } => {
                let opened = self.open(&mut fresh.config, core, parts)?;
                parts.manager.reloading("applying another configuration");
                Ok(self.take(fresh, opened, core, parts))
            }
            #[cfg(feature = "deploy")]
            Purpose::Look(_) => Ok(look(fresh.config, core, parts)),
        });
        let why = match read {
            Ok(new) => return Ok(Box::new(new)),
            Err(why) => why,
        };
        why.iter().for_each(|line| core.log.error(format_args!("{line}")));
        let text = "the configuration was not applied, nothing has changed";
        core.log.error(format_args!("{text}"));
        let more = why.len().saturating_sub(MOST_LINES);
        let mut lines: Vec<String> = why.into_iter().take(MOST_LINES).collect();
        if more > 0 {
            lines.push(format!("and {more} more, which the log has"));
        }
        Err(format!("{text}:\n{}", lines.join("\n")))
    }

    /// Everything that may fail without being opened.
    fn read_and_check(&self, core: &Core) -> Result<Fresh, Vec<String>> {
        let loaded = load(&self.command_line.config, &Disk, &environ(), &core.setup.cwd);
        let Some(config) = loaded.config else {
            let fatal = loaded.findings.iter().filter(|finding| finding.severity == Severity::Fatal);
            return Err(fatal.map(say).collect());
        };
        let sections = config.watchers.len() + config.sockets.len() + config.plugins.len();
        if sections == 0 && config.origins.section.is_none() {
            // A file that is just being written, most likely.
            return Err(vec![format!("{}: it is empty", self.command_line.config)]);
        }
        let broken = broken_sockets(&config, &loaded.findings);
        if !broken.is_empty() {
            return Err(broken);
        }
        endpoint::check(&config.circus).map_err(|why| vec![why])?;
        let mut findings = loaded.findings;
        findings.extend(check(&config, &core.setup.endpoint));
        Ok(Fresh { config, findings })
    }

    /// Opens what the file names.
    fn open(&self, config: &mut Config, core: &Core, parts: &Parts) -> Result<Opened, Vec<String>> {
        let moves = config.circus.logoutput != core.setup.options.logoutput
            && !self.command_line.has(global::logoutput);
        let log = moves.then(|| startup::open_log(&self.command_line, &config.circus, false)).transpose();
        let log = log.map_err(|failure| vec![failure.message])?;
        let sockets = parts.sockets.prepare(std::mem::take(&mut config.sockets)).map_err(|why| vec![why])?;
        Ok(Opened { log, sockets })
    }

    /// Uses what was read.
    fn take(&mut self, fresh: Fresh, opened: Opened, core: &mut Core, parts: &mut Parts) -> NewConfig {
        let (Fresh { mut config, findings }, Opened { log, sockets }) = (fresh, opened);
        if let Some(log) = log {
            core.log.go_on_in(log, core.now);
            parts.streams.watch_lines_of(&core.log);
        }
        startup::say_findings(&mut core.log, &findings);
        let mut touched = take_sockets(sockets, core, parts);
        let Setup { cwd, endpoint, .. } = &core.setup;
        let watchers = startup::watchers(&mut config, cwd, endpoint, &mut core.log);
        let warmup_delay = config.circus.warmup_delay;
        touched.extend(self.take_options(config.circus, core));
        let mut access = Access::new(&config.access.options, &core.setup.options, &mut core.log);
        let has_other_token = access.succeed(&core.setup.access, &mut core.log);
        core.setup.access = access;
        parts.clients.judge_again(has_other_token, &mut core.cx(Key::clients));
        NewConfig { watchers, warmup_delay, touched, ..NewConfig::default() }
    }

    /// Takes the options of `[circus]` that can change while circus runs. The answer are the watchers whose
    /// processes get another umask now.
    fn take_options(&mut self, mut new: CircusOptions, core: &mut Core) -> Vec<WatcherId> {
        let mut late = Vec::new();
        for row in CIRCUS.iter().filter(|row| row.live == Live::Fixed && row.built == Built::Works) {
            let wanted = row.get(&new);
            if wanted == row.get(&core.setup.options) || self.command_line.has(row.key) {
                self.late.remove(row.key);
            } else if self.late.insert(row.key, wanted.clone()) != Some(wanted) {
                late.push(row.key);
            }
            copy(row, &core.setup.options, &mut new);
        }
        if !late.is_empty() {
            let keys = late.join(", ");
            core.log.warning(format_args!(
                "[circus]: {keys}: what has changed there needs a new start of circus"
            ));
        }
        core.log.level = startup::log_level(&self.command_line, &new);
        #[cfg(feature = "logs")]
        core.log.take_form(new.logformat.as_deref());
        let umask_changed = new.umask != core.setup.options.umask;
        core.setup.options = new;
        if !umask_changed {
            return Vec::new();
        }
        let mask = core.setup.options.umask.and_then(|mask| u32::try_from(mask).ok()).or(self.first_umask);
        let before = mask.map(process::set_umask);
        self.first_umask = self.first_umask.or(before);
        let theirs = core.arbiter.watchers().filter(|watcher| watcher.config.options.umask.is_none());
        theirs.map(|watcher| watcher.id).collect()
    }
}

/// What the files say, of which nothing is used yet.
#[cfg(feature = "deploy")]
fn look(mut config: Config, core: &mut Core, parts: &Parts) -> NewConfig {
    let mut beside = parts.sockets.compare(std::mem::take(&mut config.sockets));
    let options = differing(CIRCUS, &core.setup.options, &config.circus);
    let keys: Vec<String> =
        options.filter(|row| row.built == Built::Works).map(|row| row.key.to_string()).collect();
    if !keys.is_empty() {
        beside.push(Planned { name: "[circus]".into(), step: "set", keys });
    }
    let Setup { cwd, endpoint, .. } = &core.setup;
    let watchers = startup::watchers(&mut config, cwd, endpoint, &mut core.log);
    NewConfig { watchers, beside, ..NewConfig::default() }
}

/// Changes the sockets. The answer are the watchers whose processes get others now.
fn take_sockets(prepared: Prepared, core: &mut Core, parts: &mut Parts) -> Vec<WatcherId> {
    let changes = prepared.changes;
    let before = if changes { given(core, parts) } else { Vec::new() };
    let replaced = parts.sockets.replace(prepared);
    core.setup.sockets = parts.sockets.offered();
    replaced.lines.iter().for_each(|line| core.log.info(format_args!("{line}")));
    replaced.failures.iter().for_each(|line| core.log.error(format_args!("{line}")));
    if !changes {
        return Vec::new();
    }
    // They hold numbers of descriptors, and so do watchers that wait for a socket to be used.
    parts.processes.templates.clear();
    parts.sockets.watch_all_again(&mut core.cx(Key::sockets));
    let both = before.into_iter().zip(given(core, parts));
    both.filter(|(before, after)| before != after).map(|(_, (id, _))| id).collect()
}

/// The sockets that the processes of each watcher would get now.
fn given(core: &Core, parts: &Parts) -> Vec<(WatcherId, Given)> {
    let offered = parts.sockets.offered();
    let of = |watcher: &Watcher| (watcher.id, Given::to(&watcher.config, &offered));
    core.arbiter.watchers().map(of).collect()
}

/// What is wrong with sockets whose options cannot be used. At the start they are left out; while circus runs,
/// a typing mistake must not close a socket that is in use, so the whole file is refused.
fn broken_sockets(config: &Config, findings: &[Finding]) -> Vec<String> {
    let broken = config.sockets.iter().filter(|socket| socket.broken.is_some());
    let errors = findings.iter().filter(|finding| finding.severity != Severity::Warning);
    let about = |socket: &SocketConfig, finding: &Finding| {
        socket.origins.keys.values().any(|origin| *origin == finding.origin)
    };
    broken.flat_map(|socket| errors.clone().filter(move |finding| about(socket, finding))).map(say).collect()
}

impl Options {
    /// Whether the command line says what an option of `[circus]` says too; then it counts.
    fn has(&self, key: &str) -> bool {
        match key {
            global::loglevel => self.log_level.is_some(),
            global::logoutput => self.log_output.is_some(),
            global::pidfile => self.pidfile.is_some(),
            _ => false,
        }
    }
}

fn say(finding: &Finding) -> String {
    format!("{}: {}", finding.origin, finding.message)
}
