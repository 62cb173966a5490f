//! `circus [OPTIONS] CONFIG`: reads the options of the daemon and runs it.

use crate::arbiter::Level;
use crate::daemon::start::{self, Options};
use getopts::{Options as Getopts, ParsingStyle};
use std::process::ExitCode;

/// The exit code for options that are none.
const USAGE: u8 = 100;

fn getopts() -> Getopts {
    let mut options = Getopts::new();
    options.parsing_style(ParsingStyle::FloatingFrees);
    options.optopt("", "log-level", "debug, info, warning, error or critical", "LEVEL");
    options.optopt("", "log-output", "a file for the log, or - for the standard error output", "DEST");
    options.optopt("", "pidfile", "write the pid to this file", "FILE");
    options.optflag("", "daemon", "go into the background when everything is ready");
    options.optflag("", "check", "read the configuration, say what is wrong with it, and end");
    options.optflag("h", "help", "show this help");
    options.optflag("", "version", "show the version");
    options
}

const HELP: &str = "usage: circus [OPTIONS] CONFIG
       circus ctl [OPTIONS] COMMAND [ARGS]
       circus check [--json] CONFIG

circus binds sockets, starts processes that inherit them, keeps them running and collects their output, as
CONFIG says. `circus ctl` controls it; `circus check` reads a configuration without running it.";

/// Runs the daemon. The answer is its exit code.
pub fn main(args: &[String]) -> ExitCode {
    let parser = getopts();
    let matches = match parser.parse(args) {
        Ok(matches) => matches,
        Err(why) => return misused(&why.to_string()),
    };
    if matches.opt_present("help") {
        print!("{}", parser.usage(HELP));
        return ExitCode::SUCCESS;
    }
    if matches.opt_present("version") {
        println!("circus {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    let [config] = matches.free.as_slice() else {
        return misused(if matches.free.is_empty() {
            "the configuration file is missing"
        } else {
            "there is more than one configuration file; use include in the first"
        });
    };
    if matches.opt_present("check") {
        return super::check::main(vec![config.clone()]);
    }
    let level = matches.opt_str("log-level");
    let log_level = level.as_deref().map(Level::from_name);
    if let (Some(level), Some(None)) = (level, log_level) {
        return misused(&format!("--log-level {level}: none of debug, info, warning, error, critical"));
    }
    ExitCode::from(start::run(&Options {
        config: config.clone(),
        log_level: log_level.flatten(),
        log_output: matches.opt_str("log-output"),
        pidfile: matches.opt_str("pidfile"),
        daemon: matches.opt_present("daemon"),
    }))
}

fn misused(why: &str) -> ExitCode {
    eprintln!("circus: {why}\nTry 'circus --help'.");
    ExitCode::from(USAGE)
}
