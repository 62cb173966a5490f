//! The addresses of a host, whether it is given by a number or by its name.
//!
//! For a name the C library loads further parts of itself, as /etc/nsswitch.conf has them, and a static binary that
//! does so crashes. So a static circus reads /etc/hosts itself, and asks no name server.

use std::io::{self, Error};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};

/// All addresses of a host. May wait for a name server, unless circus is static.
///
/// # Errors
/// It has none, or nobody answers.
pub fn addresses(host: &str) -> io::Result<Vec<IpAddr>> {
    if let Ok(ip) = host.parse() {
        return Ok(vec![ip]);
    }
    if cfg!(target_feature = "crt-static") {
        return own(host);
    }
    let found = (host, 0).to_socket_addrs()?;
    Ok(found.map(|address| address.ip()).collect())
}

/// What a static circus knows.
fn own(host: &str) -> io::Result<Vec<IpAddr>> {
    let bytes = std::fs::read("/etc/hosts").unwrap_or_default();
    let found = listed(&String::from_utf8_lossy(&bytes), host);
    match found.as_slice() {
        [] if host == "localhost" => Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]),
        [] => {
            Err(Error::other("not in /etc/hosts, and a static circus asks no name server: give the address"))
        }
        [..] => Ok(found),
    }
}

/// The addresses that a file like /etc/hosts gives a name.
fn listed(hosts: &str, name: &str) -> Vec<IpAddr> {
    let of_line = |line: &str| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let ip = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(ip)
    };
    hosts.lines().filter_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_the_file() {
        let hosts =
            "127.0.0.1 localhost\n# 10.0.0.9 db\n10.0.0.1\tdb.local  DB # the old one\n::7 db\nnonsense db\n";
        let of = |name: &str| listed(hosts, name).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(of("db"), ["10.0.0.1", "::7"]);
        assert_eq!(of("db.local"), ["10.0.0.1"]);
        assert!(of("old").is_empty() && of("10.0.0.1").is_empty() && of("").is_empty());
    }

    #[test]
    fn what_a_static_circus_cannot_find_is_an_error_with_words() {
        assert!(own("localhost").unwrap().contains(&Ipv4Addr::LOCALHOST.into()));
        assert!(own("no.such.name").unwrap_err().to_string().contains("asks no name server"));
        assert_eq!(addresses("::1").unwrap(), [Ipv6Addr::LOCALHOST]);
    }
}
