//! Tests of `protocol`.

use super::*;
use crate::arbiter::request::Question;
use serde_json::json;

fn id(json: Json) -> Id {
    Id::new(&json).expect("an id")
}

fn refusal(line: &str) -> (Id, bool, Errno, String) {
    let incoming = decode(line.as_bytes());
    let refusal = incoming.request.expect_err(line);
    (incoming.id, incoming.cast, refusal.errno, refusal.reason)
}

fn parsed(line: &[u8]) -> Json {
    assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
    assert_eq!(line.last(), Some(&b'\n'));
    serde_json::from_slice(line).expect("a reply is JSON")
}

#[test]
fn a_line_is_a_request_with_its_envelope() {
    let incoming = decode(br#"{"command": "List", "id": [1, "x"], "msg_type": "cast", "properties": {}}"#);
    assert_eq!(incoming.request, Ok(Request::Question(Question::List(None))));
    assert_eq!((incoming.id, incoming.cast), (id(json!([1, "x"])), true));
    let short = decode(b" {\"command\": \"list\", \"properties\": null}\r");
    assert_eq!((short.id, short.cast), (Id::default(), false));
    assert!(short.request.is_ok());
}

#[test]
fn an_id_comes_back_as_it_came_or_is_refused() {
    for id in
        ["18446744073709551615", "-9223372036854775808", "1.5", "0.1e3", r#"{"a":[1,"x"]}"#, "true", "1e15"]
    {
        let line = format!(r#"{{"command": "list", "id": {id}}}"#);
        let incoming = decode(line.as_bytes());
        assert_eq!(
            (incoming.request.is_ok(), parsed(format!("{}\n", incoming.id.0).as_bytes())),
            (true, parsed(format!("{id}\n").as_bytes())),
            "{id}"
        );
    }
    for id in ["18446744073709551616", "-9223372036854775809", r#"{"a":[1,100000000000000000001]}"#, "1e30"] {
        let (back, cast, errno, reason) = refusal(&format!(r#"{{"command": "list", "id": {id}}}"#));
        assert_eq!((back, cast, errno), (Id::default(), false, Errno::Message), "{id}");
        assert!(reason.starts_with("'id' holds a number of more than 64 bits"), "{reason}");
    }
}

#[test]
fn an_id_is_kept_as_text_and_has_a_largest_size() {
    let line = |id: String| format!(r#"{{"command": "quit", "id": {id}}}"#);
    for (id, taken) in [
        (format!("\"{}\"", "x".repeat(1022)), true),
        (format!("\"{}\"", "x".repeat(1023)), false),
        (format!("[{}0]", "0,".repeat(5_000)), false),
        (format!("[{}0]", "{},".repeat(5_000)), false),
    ] {
        assert_eq!(decode(line(id).as_bytes()).request.is_ok(), taken);
    }
    assert_eq!(refusal(&line(format!("\"{}\"", "x".repeat(2000)))).3, "'id' is longer than 1024 bytes");
}

#[test]
fn a_line_of_too_many_values_is_not_read() {
    for (before, value, behind) in [("[", "0,", "0]"), ("[", "{\"\":0},", "0]"), ("{", "\"\":0,", "\"\":0}")]
    {
        for place in ["id", "properties", "more"] {
            let line =
                format!(r#"{{"command": "list", "{place}": {before}{}{behind}}}"#, value.repeat(20_000));
            assert_eq!(refusal(&line).3, "json invalid: it holds more than 10000 values");
        }
    }
    let text = format!(r#"{{"command": "list", "more": "{}"}}"#, ",[{\\\"".repeat(20_000));
    assert!(decode(text.as_bytes()).request.is_ok(), "what stands within a text is no value");
    let many = format!(r#"{{"command": "list", "more": [{}0]}}"#, "0, ".repeat(9_900));
    assert!(decode(many.as_bytes()).request.is_ok());
}

#[test]
fn a_bad_line_is_answered_too() {
    let deep = "[".repeat(100_000);
    for (line, errno, reason) in [
        ("", Errno::NotJson, "json invalid"),
        ("{", Errno::NotJson, "json invalid"),
        ("nonsense", Errno::NotJson, "json invalid"),
        (&deep, Errno::NotJson, "json invalid"),
        ("[]", Errno::NotJson, "json invalid: it is not an object"),
        ("{}", Errno::Message, "message invalid 'command' is missing"),
        (r#"{"command": null}"#, Errno::Message, "message invalid 'command' is missing"),
        (r#"{"command": 3}"#, Errno::Message, "'command' isn't a string"),
        (r#"{"command": "it's"}"#, Errno::UnknownCommand, "unknown command: \"it's\""),
        (r#"{"command": "zz"}"#, Errno::UnknownCommand, "unknown command: 'zz'"),
        (r#"{"command": "list", "properties": []}"#, Errno::Message, "'properties' isn't a valid object"),
    ] {
        assert_eq!(refusal(line), (Id::default(), false, errno, reason.into()));
    }
    assert_eq!(decode(b"\xff\xfe").request.map_err(|r| r.reason), Err("json invalid".into()));
    assert_eq!(refusal(r#"{"id": 7, "command": "zz", "msg_type": "cast"}"#).0, id(json!(7)));
    assert_eq!(too_long().request.map_err(|r| r.errno), Err(Errno::NotJson));
    assert_eq!(cut_off().request.map_err(|r| r.errno), Err(Errno::NotJson));
}

#[test]
fn replies_have_the_shapes_of_circus() {
    let reply = |reply: Reply| String::from_utf8(encode_reply(&id(json!("i")), &reply, 1.5)).expect("UTF-8");
    assert_eq!(reply(Reply::Ok), "{\"status\":\"ok\",\"time\":1.5,\"id\":\"i\"}\n");
    assert_eq!(
        reply(Reply::error(Errno::Message, "program \"zz\" not\nfound")),
        "{\"status\":\"error\",\"reason\":\"program \\\"zz\\\" not\\nfound\",\"tb\":null,\"time\":1.5,\"errno\":3,\
         \"id\":\"i\"}\n"
    );
    for (given, keys) in [
        (Reply::Stopped, json!({"info": null})),
        (
            Reply::Info { started: vec![1, 2], stopped: Some(vec![]), kept: vec![3] },
            json!({"info": {"started": [1, 2], "stopped": [], "kept": [3]}}),
        ),
        (
            Reply::Info { started: vec![1], stopped: None, kept: vec![] },
            json!({"info": {"started": [1], "kept": []}}),
        ),
        (Reply::Added { started: vec![1], kept: vec![] }, json!({"started": [1], "kept": []})),
        (Reply::Numprocesses { count: 2, singleton: false }, json!({"numprocesses": 2})),
        (Reply::Numprocesses { count: 1, singleton: true }, json!({"numprocesses": 1, "singleton": true})),
    ] {
        let mut expected = json!({"status": "ok", "time": 1795433620.2180812, "id": null});
        let Json::Object(map) = &mut expected else { panic!() };
        map.extend(keys.as_object().cloned().unwrap_or_default());
        assert_eq!(parsed(&encode_reply(&Id::default(), &given, 1795433620.2180812)), expected);
    }
}

#[test]
fn an_answer_may_replace_the_status() {
    let answer = encode_answer(&Id::default(), &super::super::one("status", "active".into()), 2.0);
    assert_eq!(answer, b"{\"status\":\"active\",\"time\":2.0,\"id\":null}\n");
}

#[test]
fn an_event_is_a_topic_with_data() {
    let data = Map::from_iter([("process_pid".to_string(), json!(3)), ("time".to_string(), json!(1.25))]);
    let line = encode_event("watcher.a.spawn", &data);
    assert_eq!(line, b"{\"topic\":\"watcher.a.spawn\",\"data\":{\"process_pid\":3,\"time\":1.25}}\n");
}

/// Numbers by chance that are the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit.max(1) as u64).expect("small")
    }
}

/// Property names and values that the decoder knows, mixed up.
fn property(chance: &mut Chance) -> (String, Json) {
    const KEYS: [&str; 24] = [
        "name",
        "cmd",
        "args",
        "options",
        "start",
        "waiting",
        "nb",
        "pid",
        "process",
        "childpid",
        "signum",
        "match",
        "graceful_timeout",
        "keys",
        "option",
        "topics",
        "children",
        "recursive",
        "nostop",
        "graceful",
        "sequential",
        "extended",
        "command",
        "id",
    ];
    let values = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1.5),
        json!(""),
        json!("web"),
        json!("9"),
        json!("\0"),
        json!([]),
        json!(["a", 1]),
        json!({}),
        json!({"a": {}}),
        json!({"numprocesses": 1, "env": {"A": "b"}}),
        json!({"hooks": {"before_start": [1]}, "rlimit_": []}),
        json!({"stdout_stream": {"class": 1, "x": null}}),
        json!({"stdout_stream.": "", "hooks.": 1, "": ""}),
    ];
    (KEYS[chance.below(KEYS.len())].into(), values[chance.below(values.len())].clone())
}

#[test]
fn whatever_comes_gets_one_reply() {
    let mut chance = Chance(0x9E37_79B9_7F4A_7C15);
    for round in 0..20_000 {
        let command = commands::COMMANDS[chance.below(commands::COMMANDS.len())].name;
        let properties: Map = (0..chance.below(6)).map(|_| property(&mut chance)).collect();
        let mut line = encode_request(command, &properties);
        if round % 2 == 0 {
            for _ in 0..chance.below(4) + 1 {
                let at = chance.below(line.len());
                match chance.below(3) {
                    0 => line[at] = u8::try_from(chance.below(256)).expect("a byte"),
                    1 => line.truncate(at.max(1)),
                    _ => line.insert(at, b"{}[]\",:\\0"[chance.below(9)]),
                }
            }
        }
        let incoming = decode(&line);
        let reply = match incoming.request {
            Ok(_) => Reply::Ok,
            Err(refusal) => {
                assert!(!refusal.reason.is_empty() && refusal.reason.len() < 4096, "{}", refusal.reason);
                refusal.into()
            }
        };
        let answer = parsed(&encode_reply(&incoming.id, &reply, 1.0));
        assert_eq!(
            answer.get("id").cloned().map(id),
            Some(incoming.id),
            "{}",
            String::from_utf8_lossy(&line)
        );
    }
}
