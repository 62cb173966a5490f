//! The terminal at which somebody types: its mode while a line is edited.
//!
//! However the program ends, the terminal is as it was before: a signal that ends it restores the mode first.

use std::io::{self, IsTerminal};
use std::mem;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

use signal_hook::low_level;

use super::cvt;

/// Signals that end the program.
const ENDING: [i32; 5] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGABRT, libc::SIGTERM];

/// Keeps what is on the screen, shows an empty one, and hides the cursor.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[2J";
/// The reverse.
const LEAVE: &[u8] = b"\x1b[0m\x1b[?25h\x1b[?1049l";

/// Writes to the terminal, in a signal handler too.
fn put(bytes: &[u8]) {
    // SAFETY: the pointer and the length are those of one slice.
    unsafe { libc::write(libc::STDOUT_FILENO, bytes.as_ptr().cast(), bytes.len()) };
}

/// What the signal handlers look at.
struct Shared {
    fd: RawFd,
    /// The mode that the terminal had at first.
    before: libc::termios,
    raw: AtomicBool,
    /// The whole screen is in use.
    screen: AtomicBool,
    /// The connection that SIGINT ends; -1: none.
    connection: AtomicI32,
    interrupted: AtomicBool,
}

impl Shared {
    fn restore(&self) {
        if self.screen.swap(false, Ordering::SeqCst) {
            put(LEAVE);
        }
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
            screen: AtomicBool::new(false),
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

    /// Takes the whole screen, which is empty then, until [`Self::cooked`]; keys come as with [`Self::raw`]. What
    /// was on it comes back.
    ///
    /// # Errors
    /// The terminal has gone away.
    pub fn screen(&self) -> io::Result<()> {
        self.raw()?;
        self.0.screen.store(true, Ordering::SeqCst);
        put(ENTER);
        Ok(())
    }

    /// From now on a change of the terminal's size wakes up [`Self::wait`].
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn watch_size(&self) -> io::Result<()> {
        // Nobody looks at the flag. That the signal is handled makes it interrupt a wait.
        signal_hook::flag::register(libc::SIGWINCH, Arc::default()).map(drop)
    }

    /// Waits for keys or for something on a connection, at most so long. Which of the two there is; neither when the
    /// time is over or the terminal has another size.
    pub fn wait(&self, connection: RawFd, most: Duration) -> (bool, bool) {
        let of = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut fds = [of(self.0.fd), of(connection)];
        let most = i32::try_from(most.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the pointer and the number are those of one array.
        let found = unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, most) };
        (found > 0 && fds[0].revents != 0, found > 0 && fds[1].revents != 0)
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
