//! From the command line to a daemon that is ready: everything that may go wrong and end the program goes wrong
//! here, with exit code 100 for what the user can mend in the configuration and 111 for what the system refuses.

use crate::arbiter::exit_policy::CriticalExit;
use crate::arbiter::{Arbiter, Level, Pid};
use crate::config::check::check;
use crate::config::load::read;
use crate::config::{CircusOptions, Config, Finding, Severity, WatcherConfig, syslog, text};
use crate::host::child::Host;
use crate::host::disk::Disk;
use crate::host::endpoint::{self, Fault};
use crate::host::files::OwnFile;
use crate::host::pidfile::PidFile;
use crate::host::processes::Processes;
use crate::host::state_file::Home;
use crate::host::surroundings::{complain, current_dir, environ, whole_environ};
use crate::host::{looks, termination_message};
use crate::parts::clients::Clients;
use crate::parts::clients::access::Access;
use crate::parts::log::Log;
use crate::parts::manager_notify::ManagerNotify;
#[cfg(feature = "plugins")]
use crate::parts::plugins::{self, Surroundings};
use crate::parts::sockets::{Passed, Sockets};
use crate::reactor::eventloop::Daemon;
use crate::reactor::part::{Core, Setup};
use crate::reactor::perform::HANDLED;
use crate::reactor::reconfigure::Reconfigure;
use crate::reactor::registry::{Key, Parts};
use crate::signals::{HALTS, SIGXFSZ};
use crate::sys::daemonize::{Notifier, Role, daemonize};
use crate::sys::limit::{self, Limit};
use crate::sys::signal::{self, Signals};
use crate::sys::{io_words, memory, process};
use crate::views::tail::last_output;
#[cfg(feature = "check")]
use crate::{
    config::check::{reach, way::Once, writable},
    host::surroundings::around,
};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The user's fault: the configuration or the arguments.
const USER: u8 = 100;
/// The system's fault: something could not be had.
const SYSTEM: u8 = 111;

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The configuration file.
    pub config: String,
    /// The log level; else that of the file, else info.
    pub log_level: Option<Level>,
    /// Where the log goes; else where the file says, else to the standard error output.
    pub log_output: Option<String>,
    /// A configuration of Python's logging was given.
    pub logger_config: bool,
    /// The pid file; else that of the configuration.
    pub pidfile: Option<String>,
    /// Go into the background.
    pub daemon: bool,
}

/// Why circus could not start.
pub(crate) struct Failure {
    code: u8,
    pub(crate) message: String,
}

fn system(message: String) -> Failure {
    Failure { code: SYSTEM, message }
}

fn interrupted() -> Failure {
    let message = "asked to end while waiting for what a circus that was killed has left".into();
    Failure { code: 0, message }
}

/// Starts the daemon and runs it to its end. The answer is its exit code.
pub fn run(options: &Options) -> u8 {
    if let Err(error) = process::ensure_stdio() {
        return report(None, &system(format!("standard descriptors: {}", io_words(&error))));
    }
    if process::pid() == 1 {
        // It gets no signal that it does not handle yet; one that is blocked waits.
        signal::block_all();
    }
    let passed = Passed::new(&whole_environ());
    looks::keep();
    let cwd = current_dir();
    let (config, findings) = read(&options.config, &Disk, &environ(), &cwd);
    let stone = config.as_ref().and_then(|config| config.circus.tombstone.clone());
    let say = |f: &Finding| format!("{}: {}: {}", f.origin, f.severity.word(), f.message);
    let fatal: Vec<String> = findings.iter().filter(|f| f.severity == Severity::Fatal).map(say).collect();
    let Some(config) = config.filter(|_| fatal.is_empty()) else {
        fatal.iter().for_each(|line| complain(&format!("circus: {line}")));
        bury(stone.as_deref(), USER, fatal.first().map_or("", String::as_str));
        return USER;
    };
    let launcher = process::pid();
    // PID 1 must stay: with it ends everything that is in its namespace.
    let background = options.daemon && process::pid() != 1;
    let notifier = match background.then(daemonize).transpose() {
        Ok(None) => None,
        Ok(Some(Role::Daemon(notifier))) => {
            // The terminal is given back; what goes wrong from here on is said by the one that waits.
            let _ = process::detach_stdio();
            Some(notifier)
        }
        Ok(Some(Role::Parent(outcome))) => {
            if !outcome.message.is_empty() {
                complain(&format!("circus: {}", outcome.message));
            }
            return outcome.code;
        }
        Err(error) => {
            return report(None, &system(format!("going into the background: {}", io_words(&error))));
        }
    };
    match start(options, config, &findings, cwd, passed, launcher) {
        Err(failure) => {
            bury(stone.as_deref(), failure.code, &failure.message);
            report(notifier, &failure)
        }
        Ok((mut daemon, pidfile)) => {
            if let Some(notifier) = notifier {
                // The one that waits may have been killed; the daemon runs all the same.
                let _ = notifier.say(0, "");
            }
            memory::reserve();
            daemon.run();
            let fall = daemon.fall.take();
            fall.iter().for_each(|fall| tell_of_fall(&mut daemon, fall));
            daemon.end(pidfile);
            fall.map_or(0, |fall| fall.code)
        }
    }
}

/// Writes down why circus cannot start, if somebody wants to know.
fn bury(tombstone: Option<&str>, code: u8, reason: &str) {
    if let Some(Err(why)) = tombstone.map(|path| termination_message::write(path, code, reason, None, &[])) {
        complain(&format!("circus: {why}"));
    }
}

/// Writes down why circus ends, if somebody wants to know.
fn tell_of_fall(daemon: &mut Daemon, fall: &CriticalExit) {
    let Some(path) = &daemon.core.setup.options.tombstone else { return };
    let output = last_output(&daemon.parts.streams.rings, fall.watcher, termination_message::LINES);
    let texts = output.as_array().into_iter().flatten().filter_map(|line| line.get("text")?.as_str());
    let output: Vec<String> = texts.map(str::to_string).collect();
    if let Err(why) = termination_message::write(path, fall.code, &fall.reason, Some(fall), &output) {
        daemon.core.log.error(format_args!("{why}"));
    }
}

/// Says why circus does not start, to whoever waits for it.
fn report(notifier: Option<Notifier>, failure: &Failure) -> u8 {
    match notifier {
        Some(notifier) => {
            let _ = notifier.say(failure.code, &failure.message);
        }
        None => complain(&format!("circus: {}", failure.message)),
    }
    failure.code
}

/// Comes before there is anything that a signal could leave behind.
fn catch_signals() -> std::io::Result<Signals> {
    // A log that has reached a limit is an error of write(2), not the end.
    signal::ignore(SIGXFSZ);
    let halts: &[i32] = if process::pid() == 1 { &HALTS } else { &[] };
    let signals = Signals::new(&[&HANDLED, halts].concat())?;
    signal::unblock_all();
    Ok(signals)
}

fn start(
    options: &Options,
    mut config: Config,
    findings: &[Finding],
    cwd: String,
    mut passed: Passed,
    launcher: Pid,
) -> Result<(Daemon, Option<PidFile>), Failure> {
    let kernel = |what: &str, error: std::io::Error| system(format!("{what}: {}", io_words(&error)));
    let (mut log, new_log) = open_first_log(options, &config.circus)?;
    let mut signals = catch_signals().map_err(|e| kernel("signals", e))?;
    let umask = config.circus.umask.and_then(|mask| u32::try_from(mask).ok());
    let first_umask = umask.map(process::set_umask);
    // What two circuses cannot both have comes first, and nothing is changed that a failure could not put back.
    let opened = endpoint::open_all(&config, &mut log).map_err(|refused| Failure {
        code: if refused.fault == Fault::User { USER } else { SYSTEM },
        message: refused.message,
    })?;
    let pidfile = options.pidfile.as_deref().or(config.circus.pidfile.as_deref());
    let pidfile = pidfile.map(|path| PidFile::claim(path, &mut log)).transpose();
    let mut pidfile = pidfile.map_err(system)?.flatten();
    let original = raise_descriptors();
    let clients = Clients::serve_on(opened);
    let home = Home::new(&config.circus, clients.listeners.endpoint(), &options.config, &cwd);
    let settled = home.settle(launcher, &config.circus, &mut log, &mut signals).map_err(system)?;
    let (identity, state) = settled.ok_or_else(interrupted)?;
    let sockets = Sockets::bind(&config.sockets, &mut passed).map_err(system)?;
    let host = Host::new(original, identity).map_err(|e| kernel("memory for children", e))?;
    let checked = advice(&config, clients.listeners.endpoint(), &cwd);
    let seed = crate::sys::clock::monotonic_ns() ^ u64::from(std::process::id());
    let watchers = watchers(&mut config, &cwd, clients.listeners.endpoint(), &mut log);
    let arbiter = Arbiter::new(watchers, config.circus.warmup_delay, seed);
    let (endpoint, addresses) = (clients.listeners.endpoint().to_string(), clients.listeners.addresses());
    let access = Access::new(&config.access.options, &config.circus, &mut log);
    let offered = sockets.offered();
    let setup = Setup { options: config.circus, access, cwd, sockets: offered, endpoint, addresses };
    let core = Core::new(arbiter, log, setup, host).map_err(|e| kernel("event loop", e))?;
    let reconfigure = Reconfigure::new(options.clone(), first_umask);
    let (processes, manager) = (Processes::with(state), ManagerNotify::new(&whole_environ()));
    let parts = Parts { processes, sockets, clients, manager, ..Parts::default() };
    let mut daemon = Daemon::new(core, parts, reconfigure, signals).map_err(|e| kernel("event loop", e))?;
    pidfile.as_mut().map_or(Ok(()), |file| file.write(&mut daemon.core.log)).map_err(system)?;
    // From here on nothing fails.
    new_log.into_iter().for_each(OwnFile::leave);
    daemon.parts.sockets.keep_all();
    daemon.parts.clients.listeners.keep();
    // Before there is a process: were circus killed now, the next one would know that there may be some.
    daemon.parts.processes.write_state(&mut daemon.core.cx(Key::processes));
    let log = &mut daemon.core.log;
    say_findings(log, findings);
    say_findings(log, &checked);
    say_what_has_no_effect(log, options, &passed);
    if let Err(error) = process::set_subreaper() {
        log.warning(format_args!("orphans will not come to circus: {}", io_words(&error)));
    }
    say_start(log, &daemon.parts.sockets, &daemon.parts.clients);
    Ok((daemon, pidfile))
}

/// Opens the log for the first time. With it comes its file if there was none before, which a start that fails removes.
fn open_first_log(options: &Options, circus: &CircusOptions) -> Result<(Log, Option<OwnFile>), Failure> {
    let output = options.log_output.as_deref().or(circus.logoutput.as_deref()).unwrap_or_default();
    let path = OsStr::from_bytes(&text::to_bytes(output)).to_owned();
    let is_new = Path::new(&path).symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound);
    let mut log = open_log(options, circus, true)?;
    let file = log.destination.file().filter(|_| is_new);
    let file = file.and_then(|file| Some(OwnFile::new(file.path.clone(), file.id()?)));
    Ok((log, file))
}

/// The watchers of a configuration, those of its plugins too. `endpoint` is where the control socket is.
///
/// They come without what the daemon has no use for: where their options stand, about which everything has been said.
/// They are copied, since between them lies the memory that reading took, which goes back to the system only by the
/// page.
#[cfg_attr(not(feature = "plugins"), allow(unused_variables, reason = "plugins alone need them"))]
pub(crate) fn watchers(config: &mut Config, cwd: &str, endpoint: &str, log: &mut Log) -> Vec<WatcherConfig> {
    #[cfg(feature = "plugins")]
    let plugins = plugins::watchers(&Surroundings { config, environ: &environ(), cwd, endpoint }, log);
    let mut watchers = std::mem::take(&mut config.watchers);
    #[cfg(feature = "plugins")]
    watchers.extend(plugins);
    watchers.iter_mut().for_each(|watcher| watcher.origins = Default::default());
    watchers.clone()
}

/// Writes down what there is to say about a configuration.
pub(crate) fn say_findings(log: &mut Log, findings: &[Finding]) {
    for finding in findings {
        let level = if finding.severity == Severity::Warning { Level::Warning } else { Level::Error };
        log.log(level, format_args!("{}: {}", finding.origin, finding.message));
    }
}

/// What there is to say about a configuration that can be used: once, since to look at files may take its time.
#[cfg_attr(not(feature = "check"), allow(unused, reason = "there is no advice"))]
fn advice(config: &Config, endpoint: &str, cwd: &str) -> Vec<Finding> {
    let mut found = check(config, endpoint);
    #[cfg(feature = "check")]
    let machine = &Once::new(&Disk);
    #[cfg(feature = "check")]
    found.extend(writable::check(config, machine, around(&environ(), cwd), false));
    #[cfg(feature = "check")]
    found.extend(reach::check(config, machine, endpoint, cwd));
    found
}

/// Writes down what circus was given and has no use for.
fn say_what_has_no_effect(log: &mut Log, options: &Options, passed: &Passed) {
    let rest = passed.rest();
    if !rest.is_empty() {
        log.warning(format_args!(
            "no [socket:NAME] inherits what was passed to circus, and it is closed: {rest}"
        ));
    }
    if options.daemon && process::pid() == 1 {
        log.warning(format_args!("--daemon has no effect: PID 1 stays in the foreground"));
    }
}

/// From which level on messages are written.
pub(crate) fn log_level(options: &Options, circus: &CircusOptions) -> Level {
    let configured = circus.loglevel.as_deref().and_then(Level::from_name);
    options.log_level.or(configured).unwrap_or(Level::Info)
}

/// Opens the log. `may_wait`: the name of a host may be looked up.
///
/// # Errors
/// Why that cannot be.
pub(crate) fn open_log(options: &Options, circus: &CircusOptions, may_wait: bool) -> Result<Log, Failure> {
    let level = log_level(options, circus);
    let output = options.log_output.as_deref().or(circus.logoutput.as_deref());
    if let Some(Err(why)) = output.filter(|output| syslog::is_url(output)).map(syslog::parse) {
        return Err(Failure {
            code: USER,
            message: format!("log output {}: {why}", output.unwrap_or_default()),
        });
    }
    let mut log = Log::open(output, level, may_wait).map_err(|why| system(format!("log output: {why}")))?;
    #[cfg(feature = "logs")]
    log.take_form(circus.logformat.as_deref());
    if options.logger_config {
        log.warning(format_args!(
            "--logger-config configures Python's logging and has no effect; use --log-level and --log-output"
        ));
    }
    Ok(log)
}

/// The lines that scripts wait for, as Circus writes them.
fn say_start(log: &mut Log, sockets: &Sockets, clients: &Clients) {
    log.info(format_args!("Starting master on pid {}", std::process::id()));
    if !sockets.is_empty() {
        log.info(format_args!("sockets started"));
    }
    for line in clients.listeners.places() {
        log.info(format_args!("{line}"));
    }
    log.info(format_args!("Arbiter now waiting for commands"));
}

/// Two pipes a process may be needed. Children get back what was there before.
fn raise_descriptors() -> Option<Limit> {
    limit::raise_nofile().ok()
}
