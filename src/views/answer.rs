//! Answers questions: collects the facts from the arbiter, the sockets and /proc; their form is control's.

use crate::arbiter::request::Question;
use crate::arbiter::watcher::Watcher;
use crate::config::options::watcher;
use crate::control::answers::{self, SocketFact, SocketPlace};
use crate::control::{Map, Refusal, metrics};
use crate::host::surroundings::current_dir;
use crate::reactor::eventloop::Daemon;
use crate::sys::address::Address;
use serde_json::Value as Json;

impl Daemon {
    /// Answers a question; nothing for one that takes a survey.
    ///
    /// # Errors
    /// There is no such watcher, process or option.
    pub(crate) fn answer(&self, question: &Question) -> Result<Option<Map>, Refusal> {
        let answer = match question {
            Question::List(None) => {
                Ok(answers::list(self.core.arbiter.watchers().map(|w| w.config.name.as_str())))
            }
            Question::List(Some(name)) => Ok(answers::pids(self.watcher_named(name)?.pids().into_iter())),
            Question::Status { name, check, details } => self.status(name.as_deref(), *check, *details),
            Question::Why(name) => self.why(name),
            Question::Numprocesses(None) => Ok(answers::numprocesses(
                self.core.arbiter.watchers().map(|w| w.processes().count()).sum(),
                None,
            )),
            Question::Numprocesses(Some(name)) => {
                Ok(answers::numprocesses(self.watcher_named(name)?.processes().count(), Some(name)))
            }
            Question::Numwatchers => Ok(answers::numwatchers(self.core.arbiter.watchers().count())),
            Question::Get { name, keys } => {
                answers::get(&self.watcher_named(name)?.config, keys).map(with_directory)
            }
            Question::Options(name) => {
                Ok(with_directory(answers::options(&self.watcher_named(name)?.config)))
            }
            Question::Globaloptions(option) => {
                let (endpoint, pubsub) = &self.core.setup.addresses;
                answers::globaloptions(&self.core.setup.options, (endpoint, pubsub), option.as_deref())
            }
            Question::Listsockets => Ok(answers::listsockets(self.socket_facts())),
            Question::Stats { .. } | Question::Dstats => return Ok(None),
            Question::Metrics => Ok(metrics::answer(&self.metrics())),
        };
        answer.map(Some)
    }

    pub(crate) fn watcher_named(&self, name: &str) -> Result<&Watcher, Refusal> {
        self.core.arbiter.find(name).ok_or_else(|| answers::no_watcher(name))
    }

    fn socket_facts(&self) -> Vec<SocketFact> {
        let fact = |socket: &crate::parts::sockets::Bound, fd: i32| SocketFact {
            fd,
            name: socket.name.clone(),
            backlog: socket.config.options.backlog,
            place: match &socket.address {
                Address::Inet(address) => SocketPlace::HostPort(address.ip().to_string(), address.port()),
                unix @ (Address::Unix(_) | Address::Abstract(_)) => SocketPlace::Path(unix.to_string()),
            },
        };
        let each =
            self.parts.sockets.all().iter().flat_map(|socket| socket.fds().map(move |fd| (socket, fd)));
        each.map(|(socket, fd)| fact(socket, fd)).collect()
    }
}

/// Fills in the directory of processes that have none of their own: that of circus.
fn with_directory(mut answer: Map) -> Map {
    let options = answer.get_mut("options").and_then(Json::as_object_mut);
    let directory = options.and_then(|options| options.get_mut(watcher::working_dir));
    directory.into_iter().filter(|it| it.is_null()).for_each(|it| *it = current_dir().into());
    answer
}
