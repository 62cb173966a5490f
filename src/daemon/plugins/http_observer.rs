//! HttpObserver: asks a web server again and again, tells statsd how long the answer took, and may restart a watcher
//! when there is none.
//!
//! The head of the answer is enough: a status from 200 to 399 is a success, redirections are not followed.

use super::builtin::{Builtin, Input, Pace, Wish, World, Wrong};
use super::statsd::Statsd;
use crate::arbiter::time::Time;
use crate::config::builtin::Settings;
use crate::config::url::{self, Http};

/// What Circus calls the status when there was no answer at all.
const NO_ANSWER: u32 = 599;

/// The plugin.
pub struct HttpObserver {
    statsd: Statsd,
    pace: Pace,
    target: Http,
    timeout: f64,
    restart: String,
    /// When the question was asked that is not answered yet.
    asked: Option<Time>,
}

impl HttpObserver {
    /// The plugin with these options.
    ///
    /// # Errors
    /// The URL cannot be used.
    pub fn new(settings: &Settings<'_>) -> Result<HttpObserver, Wrong> {
        Ok(HttpObserver {
            statsd: Statsd::new(settings),
            pace: Pace::new(settings),
            target: url::http(settings.text("check_url")).map_err(|why| ("check_url", why))?,
            timeout: settings.number("timeout").unwrap_or(10.0),
            restart: settings.text("restart_on_error").into(),
            asked: None,
        })
    }

    fn request(&self) -> Vec<u8> {
        let Http { host, path, .. } = &self.target;
        let version = env!("CARGO_PKG_VERSION");
        format!(
            "GET {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: circus/{version}\r\nConnection: close\r\n\r\n"
        )
        .into_bytes()
    }

    fn failed(&mut self, status: u32, why: &str, wishes: &mut Vec<Wish>) {
        self.statsd.count("http_stats.error", wishes);
        self.statsd.count(&format!("http_stats.error.{status}"), wishes);
        let Http { host, path, .. } = &self.target;
        wishes.push(Wish::Trouble("answer", format!("http://{host}{path}: {why}")));
        if !self.restart.is_empty() {
            wishes.push(Wish::Restart(self.restart.clone()));
            self.statsd.count("http_stats.restart_on_error", wishes);
        }
    }

    fn answered(&mut self, now: Time, answer: Result<&[u8], String>, wishes: &mut Vec<Wish>) {
        let Some(asked) = self.asked.take() else { return };
        match answer.map(status) {
            Ok(Some(status)) if (200..400).contains(&status) => {
                self.statsd.time("http_stats.request_time", (now.since(asked) * 1000.0) as u64, wishes);
                let Http { host, path, .. } = &self.target;
                wishes.push(Wish::Mended("answer", format!("http://{host}{path} answers again")));
            }
            Ok(Some(status)) => self.failed(status, &format!("the status is {status}"), wishes),
            Ok(None) => self.failed(NO_ANSWER, "the answer is none of HTTP", wishes),
            Err(why) => self.failed(NO_ANSWER, &why, wishes),
        }
    }
}

/// The status in the first line of an answer.
fn status(answer: &[u8]) -> Option<u32> {
    let line = answer.split(|byte| *byte == b'\n').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split_whitespace();
    let status = words.next().filter(|version| version.starts_with("HTTP/")).and(words.next())?;
    status.parse().ok().filter(|status| (100..1000).contains(status))
}

impl Builtin for HttpObserver {
    fn handle(&mut self, now: Time, input: Input<'_>, _: &mut dyn World, wishes: &mut Vec<Wish>) {
        match input {
            Input::Begin => self.pace.wind(now),
            Input::Due if self.asked.is_some() => {
                wishes.push(Wish::HangUp);
                self.pace.catch_up(now);
                self.answered(now, Err("no answer in time".into()), wishes);
            }
            Input::Due => {
                self.pace.wind(now);
                self.asked = Some(now);
                wishes.push(Wish::Ask(self.target.place.clone(), self.request()));
            }
            Input::Answer(answer) => self.answered(now, answer, wishes),
            _ => {}
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.asked.map(|asked| asked.plus(self.timeout)).or(self.pace.next())
    }

    fn is_complete(&self, answer: &[u8]) -> bool {
        answer.windows(4).any(|end| end == b"\r\n\r\n") || answer.windows(2).any(|end| end == b"\n\n")
    }
}

#[cfg(test)]
mod tests {
    use super::super::builtin::tests::{Fake, Play, sent};
    use super::*;
    use crate::config::model;

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
            (Ok(&b"SSH-2.0-OpenSSH\r\n"[..]), "599", "the answer is none of HTTP"),
            (Ok(&b"HTTP/1.1 \xff\n\n"[..]), "599", "the answer is none of HTTP"),
            (Ok(&b""[..]), "599", "the answer is none of HTTP"),
            (Err("Connection refused".to_string()), "599", "Connection refused"),
        ] {
            let mut play = play(&[("restart_on_error", "web")]);
            let wishes = play.tell(Input::Answer(answer));
            let wanted = ["error:1|c", &format!("error.{status}:1|c"), "restart_on_error:1|c"];
            assert_eq!(names(&wishes), wanted);
            assert!(wishes.contains(&Wish::Restart("web".into())));
            let text = format!("http://127.0.0.1:81/alive?x: {why}");
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
