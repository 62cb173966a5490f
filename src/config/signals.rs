//! Signal names and numbers of Linux, as text: `TERM`, `SIGTERM`, `sigterm`, `15`, `SIGRTMIN+3`.
//!
//! A table instead of libc, since the configuration is pure. The numbers are those of every Linux architecture
//! that Rust has, except MIPS and SPARC.

/// `(name without SIG, number)`, by number.
pub const NAMES: &[(&str, i32)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
    ("RTMIN", 34),
    ("RTMAX", 64),
];

const ALIASES: &[(&str, i32)] = &[("IOT", 6), ("CLD", 17), ("POLL", 29)];

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
    number.checked_add(offset).filter(|n| (1..=64).contains(n))
}

/// `SIGTERM` for 15, `SIGRTMIN+3` for 37, `signal 99` for what is none.
pub fn name(number: i32) -> String {
    match NAMES.iter().find(|(_, n)| *n == number) {
        Some((name, _)) => format!("SIG{name}"),
        None if (35..64).contains(&number) => format!("SIGRTMIN+{}", number - 34),
        None => format!("signal {number}"),
    }
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
