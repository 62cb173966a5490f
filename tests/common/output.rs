//! What a program writes, read by a thread, so that the program never waits and the test can wait for a text.

use super::PATIENCE;
use mio::unix::pipe::Receiver;
use mio::{Events, Interest, Poll, Token};
use std::io::{ErrorKind, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

#[derive(Default)]
struct State {
    pipe: Option<Receiver>,
    bytes: Vec<u8>,
    ended: bool,
}

impl State {
    /// Takes what the pipe has.
    fn read(&mut self) {
        let mut buffer = [0; 16 << 10];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut buffer) {
                Ok(n) if n > 0 => self.bytes.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => (self.pipe, self.ended) = (None, true),
            }
        }
    }
}

/// The output so far: whoever looks sees all that was written before.
#[derive(Clone, Default)]
pub struct Output(Arc<(Mutex<State>, Condvar)>);

impl Output {
    /// Reads `pipe` to its end.
    pub fn of(pipe: Option<impl Into<Receiver>>) -> Output {
        let mut pipe: Receiver = pipe.expect("a pipe").into();
        pipe.set_nonblocking(true).expect("possible with a pipe");
        let mut poll = Poll::new().expect("a poll");
        poll.registry().register(&mut pipe, Token(0), Interest::READABLE).expect("possible with a pipe");
        let output = Output::default();
        output.0.0.lock().expect("nobody panics with it").pipe = Some(pipe);
        let shared = output.clone();
        std::thread::spawn(move || {
            while !shared.lock().ended {
                shared.0.1.notify_all();
                // Interrupted or not, it looks again.
                let _ = poll.poll(&mut Events::with_capacity(1), None);
            }
            shared.0.1.notify_all();
        });
        output
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.0.0.lock().expect("nobody panics with it");
        state.read();
        state
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
