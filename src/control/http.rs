//! As much of HTTP as circus needs: the head of an answer that says how a server is, and the first line of a request for
//! the page of metrics.

use crate::config::number;

/// Whether the head of a request or of an answer has come to its end.
pub fn has_head(bytes: &[u8]) -> bool {
    bytes.windows(3).any(|three| three == b"\n\r\n") || bytes.windows(2).any(|two| two == b"\n\n")
}

/// Whether an answer is a success. A status from 200 to 399 is one; redirections are not followed.
///
/// # Errors
/// The status, if it has one, and what is wrong.
pub fn success(answer: &[u8]) -> Result<(), (Option<i64>, String)> {
    let answer = String::from_utf8_lossy(answer);
    let mut words = answer.split_whitespace();
    let version = words.next().filter(|version| version.starts_with("HTTP/"));
    match version.and(words.next()).and_then(number::whole) {
        Some(200..400) => Ok(()),
        Some(status) => Err((Some(status), format!("the status is {status}"))),
        None => Err((None, "it does not speak HTTP".into())),
    }
}

/// The method of a request and the path that it is about; `None` when it is none.
pub fn request(head: &[u8]) -> Option<(String, String)> {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?, words.next()?);
    words.next().filter(|word| word.starts_with("HTTP/"))?;
    let path = target.split('?').next().unwrap_or_default();
    Some((method.into(), path.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_with_an_empty_line() {
        for whole in [&b"HTTP/1.1 200 OK\r\n\r\n"[..], b"HTTP/1.0 200\n\n", b"GET / HTTP/1.1\nA: b\n\r\n"] {
            assert!(has_head(whole), "{whole:?}");
        }
        for part in [&b""[..], b"HTTP/1.1 200 OK\r\n", b"\r\r", b"GET /\r\nA: \r\n"] {
            assert!(!has_head(part), "{part:?}");
        }
    }

    #[test]
    fn the_status_decides() {
        assert_eq!([success(b"HTTP/1.1 204 No\r\n"), success(b"HTTP/2 302")], [Ok(()), Ok(())]);
        for (answer, status) in [
            (&b"HTTP/1.0 500 Oh"[..], Some(500)),
            (b"HTTP/1.1 \xff\n\n", None),
            (b"SSH-2.0", None),
            (b"", None),
        ] {
            assert_eq!(success(answer).unwrap_err().0, status, "{answer:?}");
        }
    }

    #[test]
    fn a_request_has_three_words() {
        let asked = request(b"GET /metrics?x=1 HTTP/1.1\r\nHost: x\r\n");
        assert_eq!(asked, Some(("GET".into(), "/metrics".into())));
        assert_eq!([request(b"GET /metrics\r\n"), request(b"\xff\xfe"), request(b"")], [None, None, None]);
    }
}
