//! The terminal at which somebody types: its mode while a line is edited, and its width.
//!
//! However the program ends, the terminal is as it was before: a signal that ends it restores the mode first.

use std::io::{self, IsTerminal};
use std::mem;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use signal_hook::low_level;

use super::cvt;

/// Signals that end the program.
const ENDING: [i32; 5] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGABRT, libc::SIGTERM];

/// What the signal handlers look at.
struct Shared {
    fd: RawFd,
    /// The mode that the terminal had at first.
    before: libc::termios,
    raw: AtomicBool,
    /// The connection that SIGINT ends; -1: none.
    connection: AtomicI32,
    interrupted: AtomicBool,
}

impl Shared {
    fn restore(&self) {
        if self.raw.swap(false, Ordering::SeqCst) {
            // SAFETY: `before` is a mode that the kernel gave. The call may be made in a signal handler.
            unsafe { libc::tcsetattr(self.fd, libc::TCSANOW, &self.before) };
        }
    }

    /// Runs as a signal handler: atomics and system calls, nothing else.
    fn handle(&self, signal: i32) {
        if signal == libc::SIGINT && !self.raw.load(Ordering::SeqCst) {
            self.interrupted.store(true, Ordering::SeqCst);
            let connection = self.connection.load(Ordering::SeqCst);
            if connection >= 0 {
                // SAFETY: works on a number. The descriptor is open as long as it stands here.
                unsafe { libc::shutdown(connection, libc::SHUT_RDWR) };
            }
            return;
        }
        self.restore();
        // It fails for no signal that is handled here.
        let _ = low_level::emulate_default_handler(signal);
    }
}

/// The terminal on the standard input.
pub struct Terminal(Arc<Shared>);

impl Terminal {
    /// The terminal, if the standard input and output are one. From now on the signals that end the program restore
    /// it first. SIGINT, which comes from the keyboard only when it is not raw, does not end the program any more.
    pub fn open() -> Option<Self> {
        let stdin = io::stdin();
        if !stdin.is_terminal() || !io::stdout().is_terminal() {
            return None;
        }
        let shared = Arc::new(Shared {
            fd: stdin.as_fd().as_raw_fd(),
            before: mode(stdin.as_fd().as_raw_fd()).ok()?,
            raw: AtomicBool::new(false),
            connection: AtomicI32::new(-1),
            interrupted: AtomicBool::new(false),
        });
        for signal in ENDING {
            let handled = Arc::clone(&shared);
            // SAFETY: the action makes only calls that are allowed in a signal handler.
            unsafe { low_level::register(signal, move || handled.handle(signal)) }.ok()?;
        }
        Some(Terminal(shared))
    }

    /// Until [`Self::cooked`], each key is read as it is pressed, and none is shown or means a signal.
    ///
    /// # Errors
    /// The terminal has gone away.
    pub fn raw(&self) -> io::Result<()> {
        let mut mode = self.0.before;
        mode.c_iflag &= !(libc::BRKINT | libc::ICRNL | libc::INPCK | libc::ISTRIP | libc::IXON);
        mode.c_lflag &= !(libc::ECHO | libc::ICANON | libc::IEXTEN | libc::ISIG);
        mode.c_cflag |= libc::CS8;
        mode.c_cc[libc::VMIN] = 1;
        mode.c_cc[libc::VTIME] = 0;
        self.0.raw.store(true, Ordering::SeqCst);
        // SAFETY: `mode` is one that the kernel gave, with flags of its own kind changed.
        cvt(unsafe { libc::tcsetattr(self.0.fd, libc::TCSANOW, &mode) }).map(drop)
    }

    /// The mode that the terminal had at first.
    pub fn cooked(&self) {
        self.0.restore();
    }

    /// Stops the program as Ctrl-Z does, and comes back when it goes on.
    pub fn suspend(&self) {
        self.cooked();
        // SAFETY: takes a number and touches no memory. 0 is the group of this process, its job.
        unsafe { libc::kill(0, libc::SIGTSTP) };
    }

    /// Until the next call, SIGINT shuts down this connection.
    pub fn on_interrupt(&self, connection: Option<RawFd>) {
        self.0.connection.store(connection.unwrap_or(-1), Ordering::SeqCst);
    }

    /// Whether there was such a SIGINT since the last call.
    pub fn take_interrupted(&self) -> bool {
        self.0.interrupted.swap(false, Ordering::SeqCst)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.cooked();
    }
}

fn mode(fd: RawFd) -> io::Result<libc::termios> {
    // SAFETY: all zeros are a valid termios.
    let mut mode: libc::termios = unsafe { mem::zeroed() };
    // SAFETY: tcgetattr writes one termios.
    cvt(unsafe { libc::tcgetattr(fd, &mut mode) })?;
    Ok(mode)
}

/// How many columns the terminal on the standard output has; 80 when it does not know.
pub fn columns() -> usize {
    // SAFETY: all zeros are a valid winsize.
    let mut size: libc::winsize = unsafe { mem::zeroed() };
    // SAFETY: TIOCGWINSZ writes one winsize.
    let known = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &mut size) } == 0;
    if known && size.ws_col > 0 { size.ws_col.into() } else { 80 }
}
