//! The observers on a turned clock, with answers of all kinds.

use super::super::builtin::tests::{Fake, Play, Wish, sent};
use super::*;
use crate::config::model;

mod http {
    use super::*;

    fn play(options: &[(&str, &str)]) -> Play {
        let mut all =
            vec![("check_url", "http://127.0.0.1:81/alive?x"), ("timeout", "2"), ("loop_rate", "5")];
        all.extend(options);
        let (mut play, _) = Play::begin(model::Builtin::HttpObserver, &all, Fake::default());
        let wishes = play.pass(5.0);
        let [Wish::Ask(_, request)] = &wishes[..] else { panic!("{wishes:?}") };
        let request = String::from_utf8_lossy(request);
        assert!(request.starts_with("GET /alive?x HTTP/1.0\r\nHost: 127.0.0.1:81\r\n"), "{request}");
        assert!(play.plugin.is_complete(request.as_bytes()), "a head ends with an empty line");
        play
    }

    fn names(wishes: &[Wish]) -> Vec<String> {
        let name =
            |text: String| text.strip_prefix("circus.http_observer.watcher.http_stats.").map(str::to_string);
        sent(wishes).into_iter().filter_map(name).collect()
    }

    #[test]
    fn an_answer_is_timed() {
        let mut play = play(&[]);
        play.pass(0.25);
        let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
        assert_eq!(names(&play.tell(Input::Answer(Ok(answer)))), ["request_time:250|ms"]);
        let wishes = play.pass(4.75);
        assert!(matches!(&wishes[..], [Wish::Ask(..)]), "the next one comes {wishes:?}");
    }

    #[test]
    fn an_error_is_counted_and_may_restart() {
        for (answer, status, why) in [
            (Ok(&b"HTTP/1.0 500 Oh\r\n\r\n"[..]), "500", "the status is 500"),
            (Ok(&b"SSH-2.0-OpenSSH\r\n"[..]), "599", "the answer is not whole"),
            (Ok(&b"HTTP/1.1 \xff\n\n"[..]), "599", "it does not speak HTTP"),
            (Ok(&b""[..]), "599", "the answer is not whole"),
            (Err("Connection refused".to_string().into()), "599", "Connection refused"),
        ] {
            let mut play = play(&[("restart_on_error", "web")]);
            let wishes = play.tell(Input::Answer(answer));
            let wanted = ["error:1|c", &format!("error.{status}:1|c"), "restart_on_error:1|c"];
            assert_eq!(names(&wishes), wanted);
            assert!(wishes.contains(&Wish::Restart("web".into())));
            let text = format!("the server: {why}");
            assert!(wishes.contains(&Wish::Trouble("answer", text)), "{wishes:?}");
        }
    }

    #[test]
    fn silence_is_an_error_after_the_timeout() {
        let mut play = play(&[]);
        assert_eq!(play.pass(1.9), []);
        let wishes = play.pass(0.2);
        assert_eq!((&wishes[0], names(&wishes).len()), (&Wish::HangUp, 2));
        assert_eq!(
            play.tell(Input::Answer(Ok(b"HTTP/1.0 200 OK\r\n\r\n"))),
            [],
            "nobody waits for it any more"
        );
        assert!(matches!(&play.pass(3.0)[..], [Wish::Ask(..)]));
    }

    #[test]
    fn redirections_are_answers() {
        let mut play = play(&[]);
        assert_eq!(
            names(&play.tell(Input::Answer(Ok(b"HTTP/1.1 301 Moved\r\n\r\n")))),
            ["request_time:0|ms"]
        );
    }
}

mod redis {
    use super::*;

    fn play(url: &str) -> (Play, Vec<u8>) {
        let options =
            [("redis_url", url), ("loop_rate", "1"), ("timeout", "2"), ("restart_on_timeout", "redis")];
        let (mut play, _) = Play::begin(model::Builtin::RedisObserver, &options, Fake::default());
        match play.pass(1.0).remove(0) {
            Wish::Ask(_, request) => (play, request),
            wish => panic!("{wish:?}"),
        }
    }

    fn names(wishes: &[Wish]) -> Vec<String> {
        let name = |text: String| {
            text.strip_prefix("circus.redis_observer.watcher.redis_stats.").map(str::to_string)
        };
        sent(wishes).into_iter().filter_map(name).collect()
    }

    #[test]
    fn numbers_of_info_are_sent() {
        let (mut play, request) = play("redis://localhost:6379/0");
        assert_eq!(request, b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nINFO\r\n");
        let info = "# Clients\r\nconnected_clients:3\r\nused_memory:1024\r\nused_memory_human:1K\r\n\
                    mem_fragmentation_ratio:1.25\r\nlru_clock:none\r\n";
        let answer = format!("+PONG\r\n${}\r\n{info}\r\n", info.len());
        for part in 0..answer.len() {
            assert!(!play.plugin.is_complete(&answer.as_bytes()[..part]), "{part} bytes");
        }
        assert!(play.plugin.is_complete(answer.as_bytes()));
        let wishes = play.tell(Input::Answer(Ok(answer.as_bytes())));
        let wanted = ["connected_clients:3|g", "used_memory:1024|g", "mem_fragmentation_ratio:1.25|g"];
        assert_eq!(names(&wishes), wanted);
    }

    #[test]
    fn a_password_comes_first() {
        assert!(play("redis://:pw@localhost").1.starts_with(b"*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n*1\r\n"));
        let (mut play, request) = play("redis://me:pw@localhost");
        assert!(request.starts_with(b"*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$2\r\npw\r\n*1\r\n"));
        let answer = b"-WRONGPASS no\r\n-NOAUTH no\r\n-NOAUTH no\r\n";
        assert!(play.plugin.is_complete(answer));
        let wishes = play.tell(Input::Answer(Ok(answer)));
        assert_eq!(names(&wishes), ["error:1|c"], "it is alive and is not restarted");
        assert!(wishes.contains(&Wish::Trouble("answer", "the server: WRONGPASS no".into())));
    }

    #[test]
    fn no_answer_restarts() {
        let answers = [
            Ok(&b"+PONG\r\n"[..]),
            Ok(&b"HTTP/1.0 400\r\n\r\n"[..]),
            Ok(&b"$x\r\n\r\n"[..]),
            Err("no".to_string().into()),
        ];
        for answer in answers {
            let (mut play, _) = play("unix:///run/redis");
            let wishes = play.tell(Input::Answer(answer));
            assert_eq!(names(&wishes), ["error:1|c", "restart_on_error:1|c"]);
            assert!(wishes.contains(&Wish::Restart("redis".into())));
        }
        let (mut play, _) = play("redis://localhost");
        let wishes = play.pass(2.0);
        assert_eq!((&wishes[0], names(&wishes).len()), (&Wish::HangUp, 2));
    }

    #[test]
    fn lengths_may_be_absurd() {
        assert_eq!(redis("$4294967295\r\n", 1), None);
        for text in ["$-1\r\n", "$99999999999999999999\r\n", "$x\r\n", ":1\r\n"] {
            assert!(matches!(redis(text, 1), Some(Verdict::Dead(..))), "{text}");
        }
    }
}
