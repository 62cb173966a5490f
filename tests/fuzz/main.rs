//! Feeds nonsense to everything that reads what comes from outside: configurations, variables, command lines,
//! patterns, numbers, requests, replies, regular expressions, output.
//!
//! Inputs are made by changing known ones, from a seed, so that a run can be had again. Each must neither panic nor
//! take long nor take much memory, and what a reader answers is compared with a simpler way to the same answer
//! where there is one. `cargo test` plays a few thousand; `make fuzz INPUTS=N [CORPUS=DIR]` as many as are wanted,
//! with the files below DIR as further examples of configurations. The environment says the same:
//!
//! - `FUZZ_INPUTS`: how many in all, shared out among the targets;
//! - `FUZZ_SEED`: another seed than the one of the tests;
//! - `FUZZ_CORPUS`: the directory;
//! - `FUZZ_TARGET`: only the target of this name;
//! - `FUZZ_KEEP`: set, the inputs that reach what no other one does are kept in tests/fuzz/corpus.
//!
//! Built as the Makefile does it, with `-C instrument-coverage --cfg coverage`, it sees which inputs reach what none has
//! reached before, and makes others of those.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod corpus;
mod coverage;
mod guard;
mod mutator;
mod seeds;
mod targets;

use coverage::Coverage;
use guard::{Fault, Guard, Inputs, processor_time};
use mutator::Mutator;
use seeds::Examples;
use std::env::{var, var_os};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use targets::Target;

/// How many inputs `cargo test` plays, slow as its builds are.
const FEW: u64 = 20_000;

/// Memory is that of the process, so that only one test may measure it at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn number(name: &str, otherwise: u64) -> u64 {
    var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[test]
fn no_input_does_harm() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (inputs, seed) = (number("FUZZ_INPUTS", FEW), number("FUZZ_SEED", 1));
    let corpus = var("FUZZ_CORPUS").ok().filter(|dir| !dir.is_empty());
    let examples = Examples::read(corpus.as_deref().map(Path::new));
    let only = var("FUZZ_TARGET").ok().filter(|name| !name.is_empty());
    let chosen: Vec<&Target> =
        targets::ALL.iter().filter(|t| only.as_deref().is_none_or(|o| o == t.name)).collect();
    assert!(!chosen.is_empty(), "there is no target {only:?}");
    let shares: u64 = chosen.iter().map(|target| target.share).sum();
    let mut faults = Vec::new();
    for target in chosen {
        let found = play(target, &examples, inputs * target.share / shares, seed);
        faults.extend(found.map(|fault| format!("{}: {fault}", target.name)));
    }
    assert!(faults.is_empty(), "seed {seed}:\n{}", faults.join("\n"));
}

/// Inputs made of examples, and of those inputs that have reached something new.
struct Guided<'a> {
    mutator: Mutator<'a>,
    seed: u64,
    coverage: Coverage,
    /// The inputs that have reached something new.
    found: Vec<Vec<u8>>,
}

impl<'a> Guided<'a> {
    fn new(examples: Vec<Vec<u8>>, words: &'a [String], seed: u64) -> Guided<'a> {
        let mutator = Mutator::new(examples, words);
        Guided { mutator, seed, coverage: Coverage::new(), found: Vec::new() }
    }
}

impl Inputs for Guided<'_> {
    fn input(&mut self, n: u64) -> Vec<u8> {
        let input = self.mutator.input(self.seed, n);
        self.coverage.begin();
        input
    }

    fn played(&mut self, input: &[u8]) {
        if self.coverage.is_new() {
            self.mutator.learn(input);
            self.found.push(input.to_vec());
        }
    }
}

/// Plays inputs of one target until one of them does harm.
fn play(target: &Target, examples: &Examples, inputs: u64, seed: u64) -> Option<Fault> {
    let begun = processor_time();
    let mut first = corpus::kept(target.name);
    first.extend(target.examples(examples));
    let mut guided = Guided::new(first, &examples.words, seed);
    let mut guard = Guard::new(target.run, target.memory, guard::SLOW);
    let fault = guard.play(inputs, &mut guided);
    // Other programs may have the machine too.
    let taken = (processor_time() - begun).as_secs_f64();
    let slowest = guard.slowest.as_secs_f64() * 1e3;
    let reached = match guided.coverage.extent() {
        (0, _) => "made blindly".to_string(),
        (all, reached) => format!("{reached} of {all} places reached by {} of them", guided.found.len()),
    };
    println!(
        "{:10} {inputs} inputs in {taken:.1} s, {:.0} a second, the slowest {slowest:.1} ms; {reached}",
        target.name,
        inputs as f64 / taken
    );
    if fault.is_none() && var_os("FUZZ_KEEP").is_some() {
        corpus::keep(target.name, target.run, &target.examples(examples), guided.found);
    }
    fault
}

/// What counts as slow in the test below.
const SHORT: Duration = Duration::from_millis(200);

/// What a fuzzer that does not look would miss.
#[test]
fn what_is_planted_is_found() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let examples = vec![b"harmless".to_vec()];
    let words = vec!["needle".to_string()];
    let found = |run: fn(&[u8])| {
        Guard::new(run, 24 << 20, SHORT).play(3000, &mut Guided::new(examples.clone(), &words, 1))
    };
    assert!(found(|_| {}).is_none());
    fn has(input: &[u8]) -> bool {
        input.starts_with(b"needle")
    }
    match found(|input| assert!(!has(input), "it hurts")) {
        Some(Fault::Panic { input, message }) => {
            assert_eq!(String::from_utf8_lossy(&input), "needle", "not made smaller");
            assert!(message.contains("it hurts"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    // So large that the C library takes it from the kernel each time.
    match found(|input| drop(has(input).then(|| std::hint::black_box(vec![1_u8; 40 << 20])))) {
        Some(Fault::Memory { input, bytes }) => assert!(has(&input) && bytes > 24 << 20, "{bytes}"),
        other => panic!("{other:?}"),
    }
    fn slow(input: &[u8]) {
        if has(input) {
            let until = processor_time() + SHORT * 2;
            while processor_time() < until {}
        }
    }
    match found(slow) {
        Some(Fault::Slow { input, .. }) => assert!(has(&input)),
        other => panic!("{other:?}"),
    }
}

/// Three steps, of which each is seldom taken by chance: an input that took one is a good beginning for the next.
#[cfg(coverage)]
#[test]
fn what_lies_deep_is_found_by_its_traces() {
    fn run(input: &[u8]) {
        let mut depth = 0;
        for (byte, wanted) in input.iter().zip(b"\x01\x02\x04") {
            if byte != wanted {
                break;
            }
            depth += 1;
            match depth {
                1 => std::hint::black_box(()),
                2 => drop(std::hint::black_box(vec![2_u8])),
                _ => panic!("found"),
            }
        }
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let words = vec!["word".to_string()];
    let mut guided = Guided::new(vec![vec![0; 3]], &words, 1);
    let found = Guard::new(run, 24 << 20, guard::SLOW).play(1_000_000, &mut guided);
    assert!(matches!(found, Some(Fault::Panic { .. })), "{found:?}; these went deeper: {:?}", guided.found);
}
