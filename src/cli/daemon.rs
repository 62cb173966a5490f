//! `circus [OPTIONS] CONFIG`: reads the options of the daemon and runs it.

use crate::arbiter::Level;
use crate::reactor::startup::{self, Options};
use getopts::{Options as Getopts, ParsingStyle};

/// The exit code for options that are none.
const USAGE: u8 = 100;
/// The exit code when the system refuses.
const SYSTEM: u8 = 111;

/// The help, as a text: making it from the options would cost ten kilobytes of code.
const HELP: &str = "\
usage: circus [OPTIONS] CONFIG
       circus ctl [OPTIONS] COMMAND [ARGS]
       circus check [--json] CONFIG
       circus top [OPTIONS]
       circus run [OPTIONS] -- CMD ARGS

circus binds sockets, starts processes that inherit them, keeps them running and collects their output, as
CONFIG says. `circus ctl` controls it; `circus check` reads a configuration without running it;
`circus top` shows what it does; `circus run` is the init of one command, without a configuration.

Options:
        --log-level LEVEL
                        debug, info, warning, error or critical
        --log-output DEST
                        where the log goes: a file, syslog:///PATH?FACILITY,
                        syslog://HOST[:PORT]?FACILITY, or - for the standard
                        error output
        --logger-config FILE
                        accepted and ignored: it is for Python's logging
        --pidfile FILE  write the pid to this file
        --daemon        go into the background when everything is ready
        --check         read the configuration, say what is wrong with it, and
                        end
    -h, --help          show this help
        --version       show the version
";

fn getopts() -> Getopts {
    let mut options = Getopts::new();
    options.parsing_style(ParsingStyle::FloatingFrees);
    options.optopt("", "log-level", "", "LEVEL");
    options.optopt("", "log-output", "", "DEST");
    options.optopt("", "logger-config", "", "FILE");
    options.optopt("", "pidfile", "", "FILE");
    options.optflag("", "daemon", "");
    options.optflag("", "check", "");
    options.optflag("h", "help", "");
    options.optflag("", "version", "");
    options
}

/// Runs the daemon. The answer is its exit code.
pub fn main(args: &[String]) -> u8 {
    let matches = match getopts().parse(args) {
        Ok(matches) => matches,
        Err(why) => return misused(&why.to_string()),
    };
    if matches.opt_present("help") {
        return answer(HELP);
    }
    if matches.opt_present("version") {
        return answer(concat!("circus ", env!("CARGO_PKG_VERSION"), "\n"));
    }
    let [config] = matches.free.as_slice() else {
        return misused(if matches.free.is_empty() {
            "the configuration file is missing"
        } else {
            "there is more than one configuration file; use include in the first"
        });
    };
    if matches.opt_present("check") {
        return super::run_command("check", vec![config.clone()]);
    }
    let level = matches.opt_str("log-level");
    let log_level = level.as_deref().map(Level::from_name);
    if let (Some(level), Some(None)) = (level, log_level) {
        return misused(&format!("--log-level {level}: none of debug, info, warning, error, critical"));
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

/// Prints what was asked for; the exit code.
fn answer(text: &str) -> u8 {
    if super::answer(text) { 0 } else { SYSTEM }
}

fn misused(why: &str) -> u8 {
    super::print(&mut std::io::stderr(), &format!("circus: {why} (try circus --help)\n"));
    USAGE
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_help_has_every_option() {
        assert_eq!(crate::cli::options_in(super::HELP), crate::cli::options_in(&super::getopts().usage("")));
    }
}
