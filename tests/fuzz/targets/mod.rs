//! What inputs are fed to. Each target has its share of the inputs and the memory that one of them may take.

mod config;
mod control;
mod machine;
mod output;
mod ring;
mod state;
mod strangers;
mod text;
mod watchdog;
mod wire;

use super::seeds::Examples;

/// Something that reads inputs.
pub struct Target {
    pub name: &'static str,
    /// Of all inputs, in proportion to the others.
    pub share: u64,
    /// The most bytes that one input may take.
    pub memory: u64,
    pub run: fn(&[u8]),
    /// Which of the examples are like its inputs.
    examples: fn(&Examples) -> Vec<Vec<u8>>,
}

impl Target {
    pub fn examples(&self, examples: &Examples) -> Vec<Vec<u8>> {
        (self.examples)(examples)
    }
}

fn texts(examples: &Examples) -> Vec<Vec<u8>> {
    examples.texts.clone()
}

/// Variables may fill 256 MiB of a configuration, and are there twice while they are replaced.
const CONFIG: u64 = 640 << 20;
const SMALL: u64 = 32 << 20;

pub static ALL: &[Target] = &[
    Target { name: "expand", share: 10, memory: SMALL, run: text::expand, examples: text::variables },
    Target { name: "words", share: 10, memory: SMALL, run: text::words, examples: texts },
    Target { name: "patterns", share: 10, memory: SMALL, run: text::patterns, examples: texts },
    Target { name: "values", share: 10, memory: SMALL, run: text::values, examples: texts },
    Target { name: "grammars", share: 5, memory: SMALL, run: text::grammars, examples: texts },
    Target { name: "names", share: 5, memory: SMALL, run: text::names, examples: texts },
    Target { name: "regex", share: 5, memory: SMALL, run: text::regex, examples: texts },
    Target { name: "http", share: 5, memory: SMALL, run: text::http, examples: texts },
    Target { name: "requests", share: 10, memory: SMALL, run: control::requests, examples: control::lines },
    Target { name: "replies", share: 5, memory: SMALL, run: control::replies, examples: control::lines },
    Target { name: "frames", share: 5, memory: SMALL, run: control::frames, examples: control::lines },
    Target { name: "state", share: 5, memory: SMALL, run: state::run, examples: state::files },
    Target { name: "wire", share: 10, memory: SMALL, run: wire::run, examples: wire::conversations },
    Target { name: "shown", share: 5, memory: SMALL, run: output::shown, examples: texts },
    Target { name: "formats", share: 5, memory: SMALL, run: output::formats, examples: texts },
    Target {
        name: "notify",
        share: 2,
        memory: SMALL,
        run: strangers::notify,
        examples: strangers::datagrams,
    },
    Target {
        name: "metrics",
        share: 3,
        memory: SMALL,
        run: strangers::metrics,
        examples: strangers::requests,
    },
    Target { name: "token", share: 2, memory: SMALL, run: strangers::token, examples: strangers::tokens },
    Target { name: "watchdog", share: 5, memory: SMALL, run: watchdog::run, examples: watchdog::datagrams },
    Target {
        name: "proc",
        share: 3,
        memory: SMALL,
        run: machine::proc,
        examples: machine::names_of_processes,
    },
    Target { name: "passwd", share: 3, memory: SMALL, run: machine::passwd, examples: machine::entries },
    Target { name: "passed", share: 3, memory: SMALL, run: machine::passed, examples: machine::variables },
    Target { name: "backups", share: 3, memory: SMALL, run: machine::backups, examples: machine::files },
    Target { name: "access", share: 3, memory: SMALL, run: machine::access, examples: machine::rights },
    Target { name: "ring", share: 5, memory: SMALL, run: ring::run, examples: ring::steps },
    // The last one: the C library keeps some of its memory, which would hide what others take.
    Target { name: "config", share: 15, memory: CONFIG, run: config::run, examples: config::examples },
];
