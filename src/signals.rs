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

/// A row for each: its constant, its name without SIG, its number.
macro_rules! signals {
    ($($constant:ident $name:literal $number:expr;)*) => {
        $(pub const $constant: i32 = $number;)*

        /// `(name without SIG, number)`.
        pub const NAMES: &[(&str, i32)] = &[$(($name, $constant),)*];
    };
}

signals! {
    SIGHUP "HUP" 1;
    SIGINT "INT" 2;
    SIGQUIT "QUIT" 3;
    SIGILL "ILL" 4;
    SIGTRAP "TRAP" 5;
    SIGABRT "ABRT" 6;
    SIGBUS "BUS" number(7, 10, 10);
    SIGFPE "FPE" 8;
    SIGKILL "KILL" 9;
    SIGUSR1 "USR1" number(10, 16, 30);
    SIGSEGV "SEGV" 11;
    SIGUSR2 "USR2" number(12, 17, 31);
    SIGPIPE "PIPE" 13;
    SIGALRM "ALRM" 14;
    SIGTERM "TERM" 15;
    SIGSTKFLT "STKFLT" number(16, 0, 0);
    SIGCHLD "CHLD" number(17, 18, 20);
    SIGCONT "CONT" number(18, 25, 19);
    SIGSTOP "STOP" number(19, 23, 17);
    SIGTSTP "TSTP" number(20, 24, 18);
    SIGTTIN "TTIN" number(21, 26, 21);
    SIGTTOU "TTOU" number(22, 27, 22);
    SIGURG "URG" number(23, 21, 16);
    SIGXCPU "XCPU" number(24, 30, 24);
    SIGXFSZ "XFSZ" number(25, 31, 25);
    SIGVTALRM "VTALRM" number(26, 28, 26);
    SIGPROF "PROF" number(27, 29, 27);
    SIGWINCH "WINCH" number(28, 20, 28);
    SIGIO "IO" number(29, 22, 23);
    SIGPWR "PWR" number(30, 19, 29);
    SIGSYS "SYS" number(31, 12, 12);
    // The first real-time signal, and the highest signal of all.
    SIGRTMIN "RTMIN" 34;
    LAST "RTMAX" number(64, 127, 64);
}

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
