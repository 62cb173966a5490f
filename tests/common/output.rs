//! What a program writes, read by a thread, so that the program never waits and the test can wait for a text.

use super::PATIENCE;
use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    ended: bool,
}

/// The output so far.
#[derive(Clone, Default)]
pub struct Output(Arc<(Mutex<State>, Condvar)>);

impl Output {
    /// Reads `pipe` to its end.
    pub fn of(pipe: Option<impl Read + Send + 'static>) -> Output {
        let mut pipe = pipe.expect("a pipe");
        let output = Output::default();
        let shared = output.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 16 << 10];
            loop {
                let read = pipe.read(&mut buffer).unwrap_or(0);
                let (state, changed) = &*shared.0;
                let mut state = state.lock().expect("nobody panics with it");
                state.bytes.extend_from_slice(&buffer[..read]);
                state.ended = read == 0;
                changed.notify_all();
                if state.ended {
                    return;
                }
            }
        });
        output
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().expect("nobody panics with it")
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.lock().bytes).into_owned()
    }

    pub fn count(&self, what: &str) -> usize {
        self.text().matches(what).count()
    }

    /// Everything, when all who could write to it have closed it.
    pub fn whole(&self) -> String {
        self.wait("the end of the output", |_, ended| ended.then_some(()));
        self.text()
    }

    /// Waits for a text, and gives the first line that has it.
    pub fn line(&self, what: &str) -> String {
        self.wait(&format!("{what:?}"), |text, _| {
            let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            lines.map(str::trim_end).find(|line| line.contains(what)).map(str::to_string)
        })
    }

    /// Waits until a text is there so many times.
    pub fn times(&self, what: &str, count: usize) {
        let enough = |text: &str, _| (text.matches(what).count() >= count).then_some(());
        self.wait(&format!("{what:?}, {count} times"), enough);
    }

    fn wait<T>(&self, what: &str, found: impl Fn(&str, bool) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.lock();
        loop {
            let text = String::from_utf8_lossy(&state.bytes);
            if let Some(found) = found(&text, state.ended) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let text = text.into_owned();
                drop(state); // so that it is not poisoned for whoever prints it
                panic!("waited {PATIENCE:?} for {what} in this output:\n{text}");
            }
            drop(text);
            state = self.0.1.wait_timeout(state, left).expect("nobody panics with it").0;
        }
    }
}
