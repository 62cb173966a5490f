//! What the programs on the command line have in common: options that are those of the help, and the ways to end early.

use super::{answer, complain};
use getopts::{HasArg, Matches, Occur, Options, ParsingStyle};

/// A program with a command line of its own.
pub(super) struct Program {
    /// How it calls itself.
    pub name: &'static str,
    /// The help, which is the table of its options as well.
    pub help: &'static str,
    /// Whether options may stand behind other words.
    pub style: ParsingStyle,
    /// The option that may be given more than once.
    pub repeated: &'static str,
    /// What is added to a complaint about the command line; if nothing is, the whole help.
    pub hint: &'static str,
    /// The exit code for options that are none.
    pub usage: u8,
    /// The exit code when it cannot do what was asked for.
    pub failed: u8,
    /// Does what the command line says; the exit code.
    pub run: Run,
}

/// Does what a command line says; the exit code.
type Run = fn(&Program, &Matches) -> u8;

impl Program {
    /// One whose options may stand behind other words, each of them once.
    pub const fn new(
        name: &'static str,
        help: &'static str,
        hint: &'static str,
        (usage, failed): (u8, u8),
        run: Run,
    ) -> Program {
        Program { name, help, style: ParsingStyle::FloatingFrees, repeated: "", hint, usage, failed, run }
    }

    /// Runs it; the exit code.
    pub fn main(&self, args: &[String]) -> u8 {
        match self.options().parse(args) {
            Err(why) => self.misused(&why.to_string()),
            Ok(matches) if matches.opt_present("help") => self.answer(self.help),
            Ok(matches) if matches.opt_defined("version") && matches.opt_present("version") => {
                self.answer(&format!("{} {}\n", self.name.replace(' ', "-"), env!("CARGO_PKG_VERSION")))
            }
            Ok(matches) => (self.run)(self, &matches),
        }
    }

    /// The options that the help lists: `-h, --help` with two blanks behind it, or `--pidfile FILE`.
    pub fn options(&self) -> Options {
        let mut options = Options::new();
        options.parsing_style(self.style);
        for line in self.help.lines().map(str::trim_start).filter(|line| line.starts_with('-')) {
            let (short, long) = line.split_once("--").unwrap_or_default();
            let short = short.trim_matches(['-', ',', ' ']);
            let (name, rest) = long.split_once(' ').unwrap_or((long, ""));
            let takes = !rest.is_empty() && !rest.starts_with(' ');
            let has_arg = if takes { HasArg::Yes } else { HasArg::No };
            let occur = if name == self.repeated { Occur::Multi } else { Occur::Optional };
            options.opt(short, name, "", "", has_arg, occur);
        }
        options
    }

    /// Prints what was asked for; the exit code.
    pub fn answer(&self, text: &str) -> u8 {
        if answer(text) { 0 } else { self.failed }
    }

    /// Says what is wrong with the command line; the exit code.
    pub fn misused(&self, why: &str) -> u8 {
        let hint =
            if self.hint.is_empty() { format!("\n{}", self.help.trim_end()) } else { self.hint.into() };
        complain(&format!("{}: {why}{hint}", self.name), self.usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_are_those_of_the_help() {
        let help = "\
usage: x [--more]

    -h, --help      show -this
        --to PLACE  where --more
        --long-name NAME
                    of it
    -q, --quiet
";
        let run = |_: &Program, matches: &Matches| matches.free.len() as u8;
        let program = Program { repeated: "to", ..Program::new("x", help, "", (2, 1), run) };
        let words = ["--to", "a", "-q", "b", "--long-name", "c", "--to=d"].map(str::to_string);
        let matches = program.options().parse(&words).unwrap();
        assert_eq!(matches.opt_strs("to"), ["a", "d"]);
        assert_eq!(
            (matches.opt_str("long-name").as_deref(), matches.opt_present("quiet")),
            (Some("c"), true)
        );
        assert_eq!((matches.opt_defined("more"), matches.free), (false, vec!["b".to_string()]));
        for (words, code) in
            [("", 0), ("a --quiet b c", 3), ("--help", 0), ("--quiet=1", 2), ("--quiet --quiet", 2)]
        {
            let words: Vec<String> = words.split_whitespace().map(str::to_string).collect();
            assert_eq!(program.main(&words), code, "{words:?}");
        }
    }
}
