//! Signals by name and number: THE table of them, for everybody. As text: `TERM`, `SIGTERM`, `sigterm`, `15`,
//! `SIGRTMIN+3`.
//!
//! Constants instead of libc's, since most of circus is pure; `sys/signal.rs` asserts at compile time that they agree.
//! The real-time signals are numbered as container managers do, from 34: musl begins at 35.
#![allow(missing_docs, reason = "the names say it")]

/// The number on this architecture: everywhere else, on MIPS, on SPARC. 0: there is no such signal.
const fn number(usual: i32, mips: i32, sparc: i32) -> i32 {
    if cfg!(any(target_arch = "mips", target_arch = "mips64")) {
        mips
    } else if cfg!(any(target_arch = "sparc", target_arch = "sparc64")) {
        sparc
    } else {
        usual
    }
}

pub const SIGHUP: i32 = 1;
pub const SIGINT: i32 = 2;
pub const SIGQUIT: i32 = 3;
pub const SIGILL: i32 = 4;
pub const SIGTRAP: i32 = 5;
pub const SIGABRT: i32 = 6;
pub const SIGBUS: i32 = number(7, 10, 10);
pub const SIGFPE: i32 = 8;
pub const SIGKILL: i32 = 9;
pub const SIGUSR1: i32 = number(10, 16, 30);
pub const SIGSEGV: i32 = 11;
pub const SIGUSR2: i32 = number(12, 17, 31);
pub const SIGPIPE: i32 = 13;
pub const SIGALRM: i32 = 14;
pub const SIGTERM: i32 = 15;
pub const SIGSTKFLT: i32 = number(16, 0, 0);
pub const SIGCHLD: i32 = number(17, 18, 20);
pub const SIGCONT: i32 = number(18, 25, 19);
pub const SIGSTOP: i32 = number(19, 23, 17);
pub const SIGTSTP: i32 = number(20, 24, 18);
pub const SIGTTIN: i32 = number(21, 26, 21);
pub const SIGTTOU: i32 = number(22, 27, 22);
pub const SIGURG: i32 = number(23, 21, 16);
pub const SIGXCPU: i32 = number(24, 30, 24);
pub const SIGXFSZ: i32 = number(25, 31, 25);
pub const SIGVTALRM: i32 = number(26, 28, 26);
pub const SIGPROF: i32 = number(27, 29, 27);
pub const SIGWINCH: i32 = number(28, 20, 28);
pub const SIGIO: i32 = number(29, 22, 23);
pub const SIGPWR: i32 = number(30, 19, 29);
pub const SIGSYS: i32 = number(31, 12, 12);
/// The first real-time signal.
pub const SIGRTMIN: i32 = 34;
/// The highest signal, SIGRTMAX.
pub const LAST: i32 = number(64, 127, 64);

/// `(name without SIG, number)`.
pub const NAMES: &[(&str, i32)] = &[
    ("HUP", SIGHUP),
    ("INT", SIGINT),
    ("QUIT", SIGQUIT),
    ("ILL", SIGILL),
    ("TRAP", SIGTRAP),
    ("ABRT", SIGABRT),
    ("BUS", SIGBUS),
    ("FPE", SIGFPE),
    ("KILL", SIGKILL),
    ("USR1", SIGUSR1),
    ("SEGV", SIGSEGV),
    ("USR2", SIGUSR2),
    ("PIPE", SIGPIPE),
    ("ALRM", SIGALRM),
    ("TERM", SIGTERM),
    ("STKFLT", SIGSTKFLT),
    ("CHLD", SIGCHLD),
    ("CONT", SIGCONT),
    ("STOP", SIGSTOP),
    ("TSTP", SIGTSTP),
    ("TTIN", SIGTTIN),
    ("TTOU", SIGTTOU),
    ("URG", SIGURG),
    ("XCPU", SIGXCPU),
    ("XFSZ", SIGXFSZ),
    ("VTALRM", SIGVTALRM),
    ("PROF", SIGPROF),
    ("WINCH", SIGWINCH),
    ("IO", SIGIO),
    ("PWR", SIGPWR),
    ("SYS", SIGSYS),
    ("RTMIN", SIGRTMIN),
    ("RTMAX", LAST),
];

const ALIASES: &[(&str, i32)] = &[("IOT", SIGABRT), ("CLD", SIGCHLD), ("POLL", SIGIO)];

/// How container managers ask PID 1 to end: SIGPWR (lxc, incus); SIGRTMIN+3 and +4 as for systemd (podman,
/// systemd-nspawn).
pub const HALTS: [i32; 3] = [SIGPWR, SIGRTMIN + 3, SIGRTMIN + 4];

/// Whether there is a signal of that number.
pub fn exists(number: i64) -> bool {
    (1..=i64::from(LAST)).contains(&number)
}

/// The number of the signal that `text` names; `None` when it names none.
pub fn parse(text: &str) -> Option<i32> {
    let (name, offset) = match text.split_once('+') {
        Some((name, offset)) => (name.trim(), offset.trim().parse::<i32>().ok()?),
        None => (text.trim(), 0),
    };
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    let number = match bare.parse::<i32>() {
        Ok(number) => number,
        Err(_) => NAMES.iter().chain(ALIASES).find(|(n, _)| *n == bare)?.1,
    };
    number.checked_add(offset).filter(|n| exists((*n).into()))
}

/// `SIGTERM` for 15, `SIGRTMIN+3` for 37, `signal 199` for what is none.
pub fn name(number: i32) -> String {
    match NAMES.iter().find(|(_, n)| *n == number) {
        Some((name, _)) => format!("SIG{name}"),
        None if (SIGRTMIN..LAST).contains(&number) => format!("SIGRTMIN+{}", number - SIGRTMIN),
        None => format!("signal {number}"),
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_meet() {
        for (name, number) in NAMES {
            assert_eq!(parse(name), Some(*number));
            assert_eq!(parse(&format!("sig{}", name.to_lowercase())), Some(*number));
            assert_eq!(super::name(*number), format!("SIG{name}"));
        }
        assert_eq!(parse("SIGRTMIN+3"), Some(37));
        assert_eq!(name(37), "SIGRTMIN+3");
        assert_eq!(parse("9"), Some(9));
        for bad in ["", "0", "65", "-1", "NOPE", "TERM+x", "SIG"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
