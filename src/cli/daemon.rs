//! `circus [OPTIONS] CONFIG`: reads the options of the daemon and runs it.

use super::habits;
use super::program::Program;
use crate::arbiter::Level;
use crate::reactor::startup::{self, Options};
use getopts::Matches;
use std::path::Path;

const HELP: &str = "\
usage: circus [OPTIONS] CONFIG
       circus ctl [OPTIONS] COMMAND [ARGS]
       circus check [--json] [--offline] CONFIG
       circus init [--systemd | --container] [FILE]
       circus top [OPTIONS]
       circus run [OPTIONS] -- CMD ARGS

circus binds sockets, starts processes that inherit them, keeps them running and collects their output.
CONFIG names them. `circus ctl` controls the daemon; `circus check` reports every mistake in a
configuration; `circus init` prints a starter file; `circus top` shows watchers and processes live;
`circus run` runs one command as its init, without a configuration.

Options:
        --log-level LEVEL
                        debug, info, warning, error or critical
        --log-output DEST
                        where the log goes: a file, syslog:///PATH?FACILITY,
                        syslog://HOST[:PORT]?FACILITY, or - for standard error
        --logger-config FILE
                        ignored: it configures Python's logging
        --pidfile FILE  write the pid to this file
        --daemon        go into the background once everything is ready
        --check         the same as `circus check CONFIG`
    -h, --help          show this help
    -V, --version       show the version
";

/// The daemon.
pub(super) static PROGRAM: Program = Program::new("circus", HELP, " (try circus --help)", (100, 111), run);

fn run(program: &Program, matches: &Matches) -> u8 {
    let Some(config) = matches.free.first() else {
        return program.misused("the configuration file is missing");
    };
    if let Some(hint) = habits::misplaced(config).filter(|_| !Path::new(config).exists()) {
        return program.misused(&format!("there is no file {config}; {hint}"));
    }
    if matches.free.len() > 1 {
        return program.misused("there is more than one configuration file; use include in the first");
    }
    if matches.opt_present("check") {
        return super::run_command("check", vec![config.clone()]);
    }
    let level = matches.opt_str("log-level");
    let log_level = level.as_deref().map(Level::from_name);
    if let (Some(level), Some(None)) = (level, log_level) {
        let why = format!("--log-level {level}: none of debug, info, warning, error, critical");
        return program.misused(&why);
    }
    startup::run(&Options {
        config: config.clone(),
        log_level: log_level.flatten(),
        log_output: matches.opt_str("log-output"),
        logger_config: matches.opt_present("logger-config"),
        pidfile: matches.opt_str("pidfile"),
        daemon: matches.opt_present("daemon"),
    })
}
