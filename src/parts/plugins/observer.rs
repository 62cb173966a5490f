//! HttpObserver and RedisObserver: ask a server again and again, tell statsd what they learn, and may restart a watcher
//! when there is no answer.
//!
//! Of a web server the head of the answer is enough: a status from 200 to 399 is a success, and redirections are not
//! followed. A Redis server is sent PING and INFO in its own protocol; one that answers with an error is alive, and
//! nothing is restarted for it.

use super::builtin::{Builtin, Input, Wrong, rate};
use super::statsd::Statsd;
use super::world::World;
use crate::arbiter::time::Time;
use crate::config::builtin::Settings;
use crate::config::number;
use crate::config::url::{self, Place};
use crate::control::http;
use crate::host::trouble::Trouble;

/// What Circus calls the status when there was no answer at all.
const NO_ANSWER: i64 = 599;

/// The fields of INFO that are sent, if the server has them.
const FIELDS: &str = " blocked_clients client_biggest_input_buf client_longest_output_list connected_clients \
    connected_slaves evicted_keys expired_keys keyspace_hits keyspace_misses lru_clock mem_fragmentation_ratio \
    pubsub_channels pubsub_patterns total_commands_processed total_connections_received uptime_in_seconds used_cpu_sys \
    used_cpu_sys_children used_cpu_user used_memory used_memory_peak used_memory_rss ";

/// The plugin.
pub struct Observer {
    statsd: Statsd,
    /// Seconds between two looks.
    every: f64,
    place: Place,
    question: Vec<u8>,
    /// How many replies of Redis the answer has; 0: it is one of HTTP.
    replies: usize,
    timeout: f64,
    restart: String,
    /// When the question was asked that is not answered yet.
    asked: Option<Time>,
}

/// What an answer means.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// All is well; what INFO has told.
    Fine(String),
    /// The server says that something is wrong.
    Alive(String),
    /// Something is wrong, with this status of HTTP.
    Dead(i64, String),
}

impl Observer {
    fn new(settings: &Settings<'_>, place: Place, question: Vec<u8>, replies: usize) -> Observer {
        let restart = settings.text(if replies == 0 { "restart_on_error" } else { "restart_on_timeout" });
        Observer {
            statsd: Statsd::new(settings),
            every: rate(settings).unwrap_or(60.0),
            place,
            question,
            replies,
            timeout: settings.number("timeout").unwrap_or(5.0),
            restart: restart.into(),
            asked: None,
        }
    }

    /// HttpObserver with these options.
    ///
    /// # Errors
    /// The URL cannot be used.
    pub fn http(settings: &Settings<'_>) -> Result<Observer, Wrong> {
        let url = url::parse(settings.text("check_url"), "http://", 80).map_err(|why| ("check_url", why))?;
        let question = url.request().into_bytes();
        Ok(Observer::new(settings, url.place, question, 0))
    }

    /// RedisObserver with these options.
    ///
    /// # Errors
    /// The URL cannot be used.
    pub fn redis(settings: &Settings<'_>) -> Result<Observer, Wrong> {
        let url =
            url::parse(settings.text("redis_url"), "redis://", 6379).map_err(|why| ("redis_url", why))?;
        let mut question = Vec::new();
        if let Some(login) = url.login {
            let (user, password) = login.split_once(':').unwrap_or(("", login));
            let words = ["AUTH", user, password].map(url::decoded);
            let words = words.iter().filter(|word| !word.is_empty());
            question.extend(format!("*{}\r\n", words.clone().count()).into_bytes());
            for word in words {
                question.extend(format!("${}\r\n", word.len()).into_bytes());
                question.extend_from_slice(word);
                question.extend_from_slice(b"\r\n");
            }
        }
        question.extend_from_slice(b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nINFO\r\n");
        let replies = 2 + usize::from(url.login.is_some());
        Ok(Observer::new(settings, url.place, question, replies))
    }

    /// What an answer means; `None` when it is not there as a whole.
    fn judge(&self, answer: &[u8]) -> Option<Verdict> {
        if self.replies > 0 {
            return redis(&String::from_utf8_lossy(answer), self.replies);
        }
        http::has_head(answer).then(|| match http::success(answer) {
            Ok(()) => Verdict::Fine(String::new()),
            Err((status, why)) => Verdict::Dead(status.unwrap_or(NO_ANSWER), why),
        })
    }

    fn answered(&mut self, answer: Result<&[u8], Trouble>, world: &mut dyn World) {
        let Some(asked) = self.asked.take() else { return };
        let (now, next) = (world.now(), asked.plus(self.every));
        // A look that was missed by want of an answer is left out.
        world.wake_at(Some(if answer.is_err() && next <= now { now.plus(self.every) } else { next }));
        let verdict = match answer.map(|answer| self.judge(answer)) {
            Ok(Some(verdict)) => verdict,
            Ok(None) => Verdict::Dead(NO_ANSWER, "the answer is not whole".into()),
            Err(Trouble { shortage: true, .. }) => return, // nothing is known
            Err(Trouble { why, .. }) => Verdict::Dead(NO_ANSWER, why),
        };
        let of = if self.replies == 0 { "http_stats" } else { "redis_stats" };
        let (status, why) = match verdict {
            Verdict::Fine(info) => {
                world.mended("answer", format_args!("the server answers again"));
                if self.replies == 0 {
                    let milliseconds = (now.since(asked) * 1000.0) as u64;
                    self.statsd.time(format_args!("{of}.request_time"), milliseconds, world);
                }
                self.send_info(&info, world);
                return;
            }
            Verdict::Alive(why) => (None, why),
            Verdict::Dead(status, why) => (Some(status), why),
        };
        world.trouble("answer", format_args!("the server: {why}"));
        self.statsd.count(format_args!("{of}.error"), world);
        if let Some(status) = status.filter(|_| self.replies == 0) {
            self.statsd.count(format_args!("{of}.error.{status}"), world);
        }
        if status.is_some() && !self.restart.is_empty() {
            world.restart(&self.restart);
            self.statsd.count(format_args!("{of}.restart_on_error"), world);
        }
    }

    fn send_info(&self, info: &str, world: &mut dyn World) {
        for (field, value) in info.lines().filter_map(|line| line.split_once(':')) {
            let is_number =
                value.len() < 30 && value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            if is_number && FIELDS.contains(&format!(" {field} ")) {
                self.statsd.gauge(format_args!("redis_stats.{field}"), value, world);
            }
        }
    }
}

/// So many replies, the last one that to INFO: `+TEXT`, `-ERROR`, or `$LENGTH` with text on the next line.
fn redis(mut answer: &str, replies: usize) -> Option<Verdict> {
    let mut error = None;
    let mut last = "";
    for _ in 0..replies {
        let (line, mut rest) = answer.split_once("\r\n")?;
        if let Some(why) = line.strip_prefix('-') {
            error = error.or(Some(why));
        } else if let Some(length) = line.strip_prefix('$').and_then(number::whole) {
            let Some(length) = usize::try_from(length).ok() else {
                return Some(Verdict::Dead(NO_ANSWER, "it has nothing to tell".into()));
            };
            last = rest.get(..length)?;
            rest = rest.get(length.saturating_add(2)..)?;
        } else if !line.starts_with('+') {
            return Some(Verdict::Dead(NO_ANSWER, "it does not speak the protocol of Redis".into()));
        }
        answer = rest;
    }
    Some(error.map_or_else(|| Verdict::Fine(last.into()), |why| Verdict::Alive(why.into())))
}

impl Builtin for Observer {
    fn handle(&mut self, input: Input<'_>, world: &mut dyn World) {
        match input {
            Input::Due if self.asked.is_some() => {
                world.hang_up();
                self.answered(Err("no answer in time".to_string().into()), world);
            }
            Input::Due => {
                let now = world.now();
                self.asked = Some(now);
                world.wake_at(Some(now.plus(self.timeout)));
                if let Err(trouble) = world.ask(&self.place, &self.question) {
                    self.answered(Err(trouble), world);
                }
            }
            Input::Answer(answer) => self.answered(answer, world),
            _ => {}
        }
    }

    fn is_complete(&self, answer: &[u8]) -> bool {
        self.judge(answer).is_some()
    }
}

#[cfg(test)]
mod tests;
