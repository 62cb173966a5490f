//! What is known of sockets besides their options: protocols by name, programs that want them to block, and what
//! processes are told.

#[cfg(feature = "check")]
use super::{expand, model::WatcherConfig, value::listed};

use super::value::{Kind, Value};
use super::words;

/// Programs that wait for connections in accept(2), and end or spin when it does not wait for them. What follows in
/// their names is a version.
const WAIT_IN_ACCEPT: &[&str] = &["php-fpm", "php-cgi", "fcgiwrap"];

#[cfg(feature = "check")]
impl WatcherConfig {
    /// The sockets that the command line refers to, in lower case.
    pub fn named_sockets(&self) -> impl Iterator<Item = String> {
        [&self.options.cmd, &self.options.args].into_iter().flat_map(|text| expand::sockets(text))
    }

    /// The sockets that `sockets` lists, in lower case.
    pub fn listed_sockets(&self) -> impl Iterator<Item = String> {
        let listed = listed(self.options.sockets.as_deref().unwrap_or_default());
        listed.into_iter().map(str::to_lowercase)
    }
}

/// The number of the protocol that `text` names, or that it is; `None` when it is neither. /etc/protocols, which small
/// systems have not, is not read.
pub fn protocol(text: &str) -> Option<i32> {
    match text.to_ascii_lowercase().as_str() {
        "ip" => Some(0),
        "icmp" => Some(1),
        "tcp" => Some(6),
        "udp" => Some(17),
        "ipv6-icmp" => Some(58),
        "sctp" => Some(132),
        "udplite" => Some(136),
        "mptcp" => Some(262),
        number => number.parse().ok().filter(|number| *number >= 0),
    }
}

/// How many seconds `defer_accept` says; none: connections are passed on at once.
pub fn deferral(text: &str) -> Option<i32> {
    match Kind::Bool.parse(text) {
        Ok(value) => (value == Value::Bool(true)).then_some(1),
        Err(_) => text.parse().ok().filter(|seconds| *seconds > 0),
    }
}

/// Whether `text` is a value of `defer_accept`.
///
/// # Errors
/// What it should be.
pub fn is_deferral(text: &str) -> Result<(), String> {
    let is_one = Kind::Bool.parse(text).is_ok() || deferral(text).is_some();
    if is_one { Ok(()) } else { Err("is neither True, False, nor a number of seconds".into()) }
}

/// The name of a socket as LISTEN_FDNAMES has it: sd_listen_fds(3) allows printable ASCII but the colon.
pub fn handed_down(name: &str) -> String {
    let allowed = |c: char| c != ':' && (c == ' ' || c.is_ascii_graphic());
    name.chars().map(|c| if allowed(c) { c } else { '_' }).collect()
}

/// The program of a command that is known to wait in accept(2).
pub fn accepter(cmd: &str) -> Option<String> {
    let is_version = |rest: &str| rest.chars().all(|c| c.is_ascii_digit() || c == '.');
    let waits =
        |name: &&str| WAIT_IN_ACCEPT.iter().any(|known| name.strip_prefix(known).is_some_and(is_version));
    let words = words::split(cmd).ok()?;
    words.iter().map(|word| word.rsplit('/').next().unwrap_or_default()).find(waits).map(str::to_string)
}

#[cfg(test)]
mod tests {
    use super::{deferral, is_deferral, protocol};

    #[test]
    fn protocols_have_names_and_numbers() {
        assert_eq!([protocol("TCP"), protocol("mptcp"), protocol("132")], [Some(6), Some(262), Some(132)]);
        assert_eq!([protocol("nonsense"), protocol("-1"), protocol("")], [None; 3]);
    }

    #[test]
    fn connections_are_deferred_by_a_word_or_by_seconds() {
        assert_eq!(["True", "1", "30", "0", "no"].map(deferral), [Some(1), Some(1), Some(30), None, None]);
        assert!(["yes", "30", "0"].iter().all(|text| is_deferral(text).is_ok()));
        assert!(["", "-1", "soon", "99999999999"].iter().all(|text| is_deferral(text).is_err()));
    }
}
