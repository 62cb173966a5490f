//! RedisObserver: asks a Redis server again and again how it is, tells statsd, and may restart a watcher when there is
//! no answer.
//!
//! PING and INFO are sent together, in the server's own protocol. A server that answers with an error is alive: nothing
//! is restarted for it.

use super::builtin::{Builtin, Input, Pace, Wish, World, Wrong};
use super::statsd::Statsd;
use crate::arbiter::time::Time;
use crate::config::builtin::Settings;
use crate::config::url::{self, Redis};

/// The fields of INFO that are sent, if the server has them.
const FIELDS: [&str; 22] = [
    "blocked_clients",
    "client_biggest_input_buf",
    "client_longest_output_list",
    "connected_clients",
    "connected_slaves",
    "evicted_keys",
    "expired_keys",
    "keyspace_hits",
    "keyspace_misses",
    "lru_clock",
    "mem_fragmentation_ratio",
    "pubsub_channels",
    "pubsub_patterns",
    "total_commands_processed",
    "total_connections_received",
    "uptime_in_seconds",
    "used_cpu_sys",
    "used_cpu_sys_children",
    "used_cpu_user",
    "used_memory",
    "used_memory_peak",
    "used_memory_rss",
];

/// The plugin.
pub struct RedisObserver {
    statsd: Statsd,
    pace: Pace,
    server: Redis,
    timeout: f64,
    restart: String,
    /// When the question was asked that is not answered yet.
    asked: Option<Time>,
}

/// The answer to one command.
#[derive(Debug, PartialEq)]
enum Reply<'a> {
    /// A line, or many.
    Text(&'a [u8]),
    /// The server refuses.
    Error(&'a [u8]),
}

impl RedisObserver {
    /// The plugin with these options.
    ///
    /// # Errors
    /// The URL cannot be used.
    pub fn new(settings: &Settings<'_>) -> Result<RedisObserver, Wrong> {
        Ok(RedisObserver {
            statsd: Statsd::new(settings),
            pace: Pace::new(settings),
            server: url::redis(settings.text("redis_url")).map_err(|why| ("redis_url", why))?,
            timeout: settings.number("timeout").unwrap_or(5.0),
            restart: settings.text("restart_on_timeout").into(),
            asked: None,
        })
    }

    fn request(&self) -> Vec<u8> {
        let login = self.server.login.as_ref().map(|(user, password)| match user.as_str() {
            "" => vec!["AUTH", password],
            user => vec!["AUTH", user, password],
        });
        let mut bytes = Vec::new();
        for words in login.into_iter().chain([vec!["PING"], vec!["INFO"]]) {
            bytes.extend(format!("*{}\r\n", words.len()).into_bytes());
            for word in words {
                bytes.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
            }
        }
        bytes
    }

    /// The replies to all commands, when they are there.
    fn replies<'a>(&self, mut answer: &'a [u8]) -> Option<Result<Vec<Reply<'a>>, String>> {
        let mut replies = Vec::new();
        for _ in 0..2 + usize::from(self.server.login.is_some()) {
            match reply(answer)? {
                Ok((reply, rest)) => {
                    replies.push(reply);
                    answer = rest;
                }
                Err(why) => return Some(Err(why)),
            }
        }
        Some(Ok(replies))
    }

    fn failed(&mut self, why: &str, dead: bool, wishes: &mut Vec<Wish>) {
        self.statsd.count("redis_stats.error", wishes);
        wishes.push(Wish::Trouble("answer", format!("the Redis server: {why}")));
        if dead && !self.restart.is_empty() {
            wishes.push(Wish::Restart(self.restart.clone()));
            self.statsd.count("redis_stats.restart_on_error", wishes);
        }
    }

    fn answered(&mut self, answer: Result<&[u8], String>, wishes: &mut Vec<Wish>) {
        if self.asked.take().is_none() {
            return;
        }
        let replies = match answer.map(|answer| self.replies(answer)) {
            Err(why) => return self.failed(&why, true, wishes),
            Ok(None) => return self.failed("the answer is incomplete", true, wishes),
            Ok(Some(Err(why))) => return self.failed(&why, true, wishes),
            Ok(Some(Ok(replies))) => replies,
        };
        let error = replies.iter().find_map(|reply| match reply {
            Reply::Error(text) => Some(String::from_utf8_lossy(text).into_owned()),
            Reply::Text(_) => None,
        });
        if let Some(error) = error {
            return self.failed(&error, false, wishes);
        }
        wishes.push(Wish::Mended("answer", "the Redis server answers again".into()));
        if let Some(Reply::Text(info)) = replies.last() {
            let info = String::from_utf8_lossy(info);
            let values = info.lines().filter_map(|line| line.split_once(':'));
            for (field, value) in values.filter(|(field, value)| FIELDS.contains(field) && is_number(value)) {
                self.statsd.gauge(&format!("redis_stats.{field}"), value.trim(), wishes);
            }
        }
    }
}

fn is_number(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && text.len() < 30 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// The first reply, and what follows; `None` when it is not there as a whole.
fn reply(bytes: &[u8]) -> Option<Result<(Reply<'_>, &[u8]), String>> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let (line, rest) = (bytes.get(1..end)?, bytes.get(end + 2..)?);
    match bytes.first()? {
        b'+' => Some(Ok((Reply::Text(line), rest))),
        b'-' => Some(Ok((Reply::Error(line), rest))),
        b'$' => {
            let length = std::str::from_utf8(line).ok().and_then(|digits| digits.parse::<usize>().ok());
            let Some(length) = length else { return Some(Err("the answer is none of Redis".into())) };
            let behind = rest.get(length.checked_add(2)?..)?;
            Some(Ok((Reply::Text(rest.get(..length)?), behind)))
        }
        _ => Some(Err("the answer is none of Redis".into())),
    }
}

impl Builtin for RedisObserver {
    fn handle(&mut self, now: Time, input: Input<'_>, _: &mut dyn World, wishes: &mut Vec<Wish>) {
        match input {
            Input::Begin => self.pace.wind(now),
            Input::Due if self.asked.is_some() => {
                wishes.push(Wish::HangUp);
                self.pace.catch_up(now);
                self.answered(Err("no answer in time".into()), wishes);
            }
            Input::Due => {
                self.pace.wind(now);
                self.asked = Some(now);
                wishes.push(Wish::Ask(self.server.place.clone(), self.request()));
            }
            Input::Answer(answer) => self.answered(answer, wishes),
            _ => {}
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.asked.map(|asked| asked.plus(self.timeout)).or(self.pace.next())
    }

    fn is_complete(&self, answer: &[u8]) -> bool {
        self.replies(answer).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::super::builtin::tests::{Fake, Play, sent};
    use super::*;
    use crate::config::model;

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
        assert!(wishes.contains(&Wish::Trouble("answer", "the Redis server: WRONGPASS no".into())));
    }

    #[test]
    fn no_answer_restarts() {
        let answers = [
            Ok(&b"+PONG\r\n"[..]),
            Ok(&b"HTTP/1.0 400\r\n\r\n"[..]),
            Ok(&b"$x\r\n\r\n"[..]),
            Err("no".into()),
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
        let text = format!("${}\r\n", usize::MAX);
        assert_eq!(reply(text.as_bytes()), None);
        assert!(reply(b"$-1\r\n").is_some_and(|reply| reply.is_err()));
    }
}
