//! The protocols that a socket may have, by name. /etc/protocols, which small systems have not, is not read.

/// The number of the protocol that `text` names, or that it is; `None` when it is neither.
pub fn parse(text: &str) -> Option<i32> {
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

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn protocols_have_names_and_numbers() {
        assert_eq!([parse("TCP"), parse("mptcp"), parse("132")], [Some(6), Some(262), Some(132)]);
        assert_eq!([parse("nonsense"), parse("-1"), parse("")], [None; 3]);
    }
}
