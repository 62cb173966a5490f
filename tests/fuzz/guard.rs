//! Plays inputs and notices when one of them does harm: a panic, much time, much memory, or no end at all.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

/// The most processor time that an input may take.
pub const SLOW: Duration = Duration::from_secs(2);
/// When an input has not come to its end after this time, it has none.
const ENDLESS: Duration = Duration::from_secs(120);
/// After so many inputs the memory is looked at.
const BATCH: u64 = 500;

/// What an input did.
#[derive(Debug)]
pub enum Fault {
    Panic { input: Vec<u8>, message: String },
    Slow { input: Vec<u8>, time: Duration },
    Memory { input: Vec<u8>, bytes: u64 },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (input, what) = match self {
            Fault::Panic { input, message } => (input, message.clone()),
            Fault::Slow { input, time } => (input, format!("it took {time:?}")),
            Fault::Memory { input, bytes } => (input, format!("it took {} kB", bytes / 1024)),
        };
        write!(f, "b\"{}\"\n    {what}", input.escape_ascii())
    }
}

/// Where inputs come from.
pub trait Inputs {
    /// The input of this number.
    fn input(&mut self, n: u64) -> Vec<u8>;
    /// It has been played, and did no harm.
    fn played(&mut self, input: &[u8]);
}

/// What is tried, and what an input may cost.
pub struct Guard {
    run: fn(&[u8]),
    memory: u64,
    time: Duration,
    /// The longest that an input took, by the clock.
    pub slowest: Duration,
    watched: Arc<Watched>,
}

/// What the thread that looks for an input without end knows.
struct Watched {
    current: Mutex<(Vec<u8>, Option<Instant>)>,
    over: AtomicBool,
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static MESSAGE: RefCell<String> = const { RefCell::new(String::new()) };
}

impl Guard {
    /// `memory`: the most bytes that an input may take; `time`: the most processor time.
    pub fn new(run: fn(&[u8]), memory: u64, time: Duration) -> Guard {
        catch_messages();
        let current = Mutex::new((Vec::new(), None));
        let watched = Arc::new(Watched { current, over: AtomicBool::new(false) });
        let other = watched.clone();
        std::thread::spawn(move || look_for_the_endless(&other));
        Guard { run, memory, time, slowest: Duration::ZERO, watched }
    }

    /// Plays the inputs from 0 to `count`, until one does harm.
    pub fn play(&mut self, count: u64, inputs: &mut dyn Inputs) -> Option<Fault> {
        for first in (0..count).step_by(BATCH as usize) {
            let mut batch = Vec::new();
            let before = forget_the_peak();
            for n in first..count.min(first + BATCH) {
                let input = inputs.input(n);
                if let Some(fault) = self.one(&input) {
                    return Some(fault);
                }
                inputs.played(&input);
                batch.push(input);
            }
            if peak().saturating_sub(before) > self.memory {
                // Which of them was it? The memory may also have grown by many that each took little.
                let greedy = batch.into_iter().find_map(|input| self.greedy(input));
                if greedy.is_some() {
                    return greedy;
                }
            }
        }
        None
    }

    fn greedy(&self, input: Vec<u8>) -> Option<Fault> {
        let before = forget_the_peak();
        self.run(&input).ok();
        let bytes = peak().saturating_sub(before);
        (bytes > self.memory).then_some(Fault::Memory { input, bytes })
    }

    fn one(&mut self, input: &[u8]) -> Option<Fault> {
        let begun = Instant::now();
        if let Err(message) = self.run(input) {
            return Some(Fault::Panic { input: smaller(input, |it| self.run(it).is_err()), message });
        }
        let time = begun.elapsed();
        self.slowest = self.slowest.max(time);
        let time = (time > self.time).then(|| self.time_of(input))?;
        (time > self.time).then(|| Fault::Slow { input: input.to_vec(), time })
    }

    /// Runs an input; the error is the message of its panic.
    fn run(&self, input: &[u8]) -> Result<(), String> {
        {
            let mut current = self.watched.current.lock().unwrap_or_else(PoisonError::into_inner);
            current.0.clear();
            current.0.extend_from_slice(input);
            current.1 = Some(Instant::now());
        }
        QUIET.set(true);
        let result = panic::catch_unwind(AssertUnwindSafe(|| (self.run)(input)));
        QUIET.set(false);
        self.watched.current.lock().unwrap_or_else(PoisonError::into_inner).1 = None;
        result.map_err(|_| MESSAGE.take())
    }

    /// The machine may have been busy with something else when the clock said that it took long.
    fn time_of(&self, input: &[u8]) -> Duration {
        let before = processor_time();
        self.run(input).ok();
        processor_time().saturating_sub(before)
    }
}

/// A smaller input of which the same is true: without this part, and without that.
pub fn smaller(input: &[u8], mut is_true: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let mut best = input.to_vec();
    let mut size = best.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < best.len() {
            let mut shorter = best.clone();
            shorter.drain(at..best.len().min(at + size));
            if is_true(&shorter) {
                best = shorter;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    best
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.watched.over.store(true, Ordering::Relaxed);
    }
}

/// What this thread has taken of a processor.
pub fn processor_time() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("the processor time (schedstat)");
    Duration::from_nanos(text.split(' ').next().and_then(|n| n.parse().ok()).expect("nanoseconds"))
}

/// Ends the program when an input has no end, after saying which.
fn look_for_the_endless(watched: &Watched) {
    while !watched.over.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(500));
        let current = watched.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.1.is_some_and(|since| since.elapsed() > ENDLESS) {
            eprintln!("this input has no end: b\"{}\"", current.0.escape_ascii());
            std::process::abort();
        }
    }
}

/// Panics of inputs are kept instead of printed.
fn catch_messages() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if QUIET.get() {
                MESSAGE.set(info.to_string().replace('\n', " "));
            } else {
                others(info);
            }
        }));
    });
}

/// Lets the kernel measure the peak of the memory anew; gives the memory now, in bytes.
fn forget_the_peak() -> u64 {
    fs::write("/proc/self/clear_refs", "5").expect("the peak of the memory can be reset (clear_refs)");
    status("VmRSS:")
}

fn peak() -> u64 {
    status("VmHWM:")
}

fn status(key: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").expect("/proc/self/status");
    let value = text.lines().find_map(|line| line.strip_prefix(key)).expect("memory in /proc/self/status");
    let kilobytes: u64 = value.trim().trim_end_matches(" kB").parse().expect("a number of kB");
    kilobytes * 1024
}
