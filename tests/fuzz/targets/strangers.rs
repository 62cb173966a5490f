//! What strangers send to sockets of circus: notifications, requests for metrics, tokens.

use crate::seeds::Examples;
use circus::arbiter::request::Request;
use circus::control::{http, protocol, secrets};
use circus::fuzzed::{answer, notices, token_in};

pub fn datagrams(_: &Examples) -> Vec<Vec<u8>> {
    let texts = [
        "READY=1",
        "WATCHDOG=1",
        "WATCHDOG=trigger",
        "STATUS=x\nREADY=1\nMAINPID=1\n",
        "BARRIER=1",
        "READY=10",
    ];
    texts.map(|text| text.as_bytes().to_vec()).into()
}

/// A datagram says what its lines say, in whatever order.
pub fn notify(input: &[u8]) {
    let mut lines: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    let said = notices(input);
    let mut by_lines = [None; 3];
    for line in &lines {
        for (all, one) in by_lines.iter_mut().zip(notices(line)) {
            *all = all.or(one);
        }
    }
    assert_eq!(said, by_lines, "lines together say something else");
    lines.reverse();
    assert_eq!(said, notices(&lines.join(&b'\n')), "the order counts");
    let known: [&[u8]; 3] = [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=trigger"];
    let count = known.iter().filter(|word| lines.contains(word)).count();
    assert_eq!(said.iter().flatten().count(), count, "{said:?}");
}

pub fn requests(_: &Examples) -> Vec<Vec<u8>> {
    let texts = [
        "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
        "HEAD /metrics?x=1 HTTP/1.0\n\n",
        "GET /health HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nX: ",
        "GET http://a/metrics HTTP/2\n\r\n",
    ];
    texts.map(|text| text.as_bytes().to_vec()).into()
}

/// The answer is one of a few, whole, and has nothing of the request in it.
pub fn metrics(input: &[u8]) {
    let page = "a page\n# EOF\n";
    let found =
        String::from_utf8(answer(input, Some(page), &|| None).expect("there is a page")).expect("a text");
    let (head, body) = found.split_once("\r\n\r\n").expect("a head");
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|head| head.get(..3)).expect("a status");
    let length =
        head.split_once("Content-Length: ").and_then(|(_, rest)| rest.split("\r\n").next()?.parse().ok());
    let texts = [
        page,
        "healthy\n",
        "too long\n",
        "not an HTTP request\n",
        "there are /metrics and /health\n",
        "only GET is allowed\n",
    ];
    assert!(body.is_empty() || texts.contains(&body) && Some(body.len()) == length, "{found}");
    let (method, path) = http::request(input).unwrap_or_default();
    assert_eq!(method == "HEAD", body.is_empty(), "{found}");
    let is_asked = ["GET", "HEAD"].contains(&method.as_str()) && http::has_head(input);
    assert_eq!(status == "200", is_asked && ["/metrics", "/health"].contains(&path.as_str()), "{found}");
    let ill = answer(input, None, &|| Some("ill".into()));
    assert_eq!(ill.is_none(), status == "200" && path == "/metrics", "the page alone is waited for");
    let is_ill = ill.is_some_and(|ill| ill.starts_with(b"HTTP/1.1 503"));
    assert_eq!(is_ill, status == "200" && path == "/health", "health alone depends on it");
}

pub fn tokens(_: &Examples) -> Vec<Vec<u8>> {
    let texts = [
        " 0123456789abcdef\n0123456789abcdef",
        "0123456789abcde\n",
        "{\"token\":\"x\"}\nx",
        "\u{e9}\u{10f8ff}23456789abcdef\n",
    ];
    texts.map(|text| text.as_bytes().to_vec()).into()
}

/// The first line stands in the file, what follows is sent.
pub fn token(input: &[u8]) {
    let input = String::from_utf8_lossy(input);
    let (file, sent) = input.split_once('\n').unwrap_or((&input, ""));
    assert_eq!(
        secrets::is_token(sent, file),
        sent == file,
        "another token is taken, or the right one is not"
    );
    let found = token_in(file);
    let Some(token) = found else { return };
    assert!((16..=1024).contains(&token.len()) && token == token.trim());
    assert_eq!(token_in(token), Some(token), "a token is read another way where there is nothing around it");
    let line = protocol::encode_token(token);
    match protocol::decode(line.strip_suffix(b"\n").expect("a line")).request {
        Ok(Request::Token(decoded)) => assert!(secrets::is_token(&decoded, token), "it does not survive"),
        _ => panic!("a token is taken for another request"),
    }
}
