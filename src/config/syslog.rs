//! Where a syslog daemon is: `syslog://HOST[:PORT]?FACILITY` and `syslog:///PATH?FACILITY`, as Circus writes it.

use super::features;
use super::options::FACILITY;
use super::url::host_and_port;

/// The facility `user`, which stands in for one that is missing or unknown.
const USER: u8 = 1;

/// A syslog daemon.
#[derive(Debug, PartialEq)]
pub struct Syslog<'a> {
    /// Where it listens.
    pub place: Place<'a>,
    /// The facility of the messages.
    pub facility: u8,
    /// The facility as it was written, when there is none of that name.
    pub unknown: Option<&'a str>,
}

/// Where a syslog daemon listens.
#[derive(Debug, PartialEq)]
pub enum Place<'a> {
    /// On another host, or on this one: name or address, and the UDP port.
    Host(&'a str, u16),
    /// On a local socket.
    Path(&'a str),
}

/// Whether this is the address of a syslog daemon at all, rather than the name of a file.
pub fn is_url(text: &str) -> bool {
    text.starts_with("syslog://")
}

/// Reads such an address.
///
/// # Errors
/// What is wrong with it.
pub fn parse(url: &str) -> Result<Syslog<'_>, String> {
    if let Some(why) = features::lack(Some(features::LOGS)) {
        return Err(format!("it {why}"));
    }
    let rest = url.strip_prefix("syslog://").unwrap_or(url);
    let (rest, name) = rest.split_once('?').map_or((rest, None), |(rest, name)| (rest, Some(name)));
    // The name that Python has for it besides.
    let known = |name: &str| {
        FACILITY.iter().position(|known| *known == if name == "security" { "auth" } else { name })
    };
    let facility = name.and_then(known).and_then(|number| u8::try_from(number).ok());
    let unknown = name.filter(|name| facility.is_none() && !name.is_empty());
    let place = if rest.starts_with('/') {
        Place::Path(rest)
    } else {
        // Circus's own parser leaves out a path behind the host.
        let found = host_and_port(rest.split('/').next().unwrap_or_default(), 514);
        let (host, port) = found
            .filter(|(host, _)| !host.is_empty())
            .ok_or("it is neither syslog://HOST[:PORT]?FACILITY nor syslog:///PATH?FACILITY")?;
        Place::Host(host, port)
    };
    Ok(Syslog { place, facility: facility.unwrap_or(USER), unknown })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        for (url, place, facility, unknown) in [
            ("syslog://localhost", Place::Host("localhost", 514), 1, None),
            ("syslog://log.example:5140?local7", Place::Host("log.example", 5140), 23, None),
            ("syslog://[::1]:99?daemon", Place::Host("[::1]", 99), 3, None),
            ("syslog://[::1]/?mail", Place::Host("[::1]", 514), 2, None),
            ("syslog:///dev/log?cron", Place::Path("/dev/log"), 9, None),
            ("syslog:///dev/log", Place::Path("/dev/log"), 1, None),
            ("syslog:///dev/log?", Place::Path("/dev/log"), 1, None),
            ("syslog:///dev/log?mine", Place::Path("/dev/log"), 1, Some("mine")),
        ] {
            assert_eq!(parse(url), Ok(Syslog { place, facility, unknown }), "{url}");
        }
        for url in ["syslog://", "syslog://?user", "syslog://h:x", "syslog://h:70000", "syslog://:514"] {
            assert!(parse(url).is_err(), "{url}");
        }
        assert!(is_url("syslog:///x") && !is_url("syslog.log"));
    }
}
