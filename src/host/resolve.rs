//! The addresses of a host, whether it is given by a number or by its name.
//!
//! For a name the C library loads further parts of itself, as /etc/nsswitch.conf has them, and a static binary that
//! does so crashes. So a static circus reads /etc/hosts itself, and asks no name server.

use crate::sys::io_words;
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

/// The first address of a host in one family. Names are looked up before circus is ready, when waiting harms nobody;
/// a static binary knows numbers and what is in /etc/hosts.
pub fn first(host: &str, v6: bool, may_wait: bool) -> Result<IpAddr, String> {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    match (bare, v6) {
        ("localhost", false) => return Ok(Ipv4Addr::LOCALHOST.into()),
        ("localhost", true) => return Ok(Ipv6Addr::LOCALHOST.into()),
        ("" | "*", false) => return Ok(Ipv4Addr::UNSPECIFIED.into()),
        ("" | "*", true) => return Ok(Ipv6Addr::UNSPECIFIED.into()),
        _ => {}
    }
    let family = if v6 { "AF_INET6" } else { "AF_INET" };
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return match ip.is_ipv6() == v6 {
            true => Ok(ip),
            false => Err(format!("host = {host} is not an address of family = {family}")),
        };
    }
    if !may_wait {
        return Err(format!(
            "host = {host}: names are looked up at the start of circus only; give the address, or start it anew"
        ));
    }
    let found = addresses(bare).map_err(|error| format!("host = {host}: {}", io_words(&error)))?;
    let ip = found.into_iter().find(|ip| ip.is_ipv6() == v6);
    ip.ok_or_else(|| format!("host = {host} has no address of family = {family}"))
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
