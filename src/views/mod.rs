//! What circus tells about itself and its processes: JSON and text, made from the arbiter and from /proc.
//!
//! A view changes nothing and is a function over what it reads, which the loop lends as a [`View`].

pub(crate) mod answer;
#[cfg_attr(not(feature = "details"), path = "no_details.rs")]
pub(crate) mod details;
#[cfg_attr(not(feature = "metrics"), path = "no_metrics.rs")]
pub(crate) mod metrics;
#[cfg(any(feature = "plugins", feature = "stats"))]
pub(crate) mod samples;
pub(crate) mod status;
#[cfg(feature = "stats")]
pub(crate) mod survey;
#[cfg_attr(not(feature = "tail"), path = "no_tail.rs")]
pub(crate) mod tail;
#[cfg_attr(not(feature = "stats"), path = "no_tally.rs")]
pub(crate) mod tally;
pub(crate) mod targets;
#[cfg(any(feature = "details", feature = "metrics", feature = "plugins", feature = "stats"))]
pub(crate) mod usage;
#[cfg_attr(not(feature = "history"), path = "no_why.rs")]
pub(crate) mod why;

use crate::arbiter::Arbiter;
use crate::arbiter::time::Time;
use crate::arbiter::watcher::Watcher;
use crate::config::options::CircusOptions;
use crate::control::{Refusal, answers};
use crate::host::spawn_template::Offered;
use crate::parts::sockets::Bound;
use crate::parts::streams::ring::Rings;
use std::os::fd::BorrowedFd;

/// What views are made from.
pub struct View<'a> {
    /// Decides, and knows what has happened.
    pub arbiter: &'a Arbiter,
    /// The time, as the arbiter counts it.
    pub now: Time,
    /// What holds of `[circus]`.
    pub options: &'a CircusOptions,
    /// Where Circus's clients give commands and where they get events, as they write it.
    pub addresses: (&'a str, &'a str),
    /// The sockets, by name.
    pub sockets: &'a [Bound],
    /// The same, as processes get them.
    pub offered: &'a [Offered],
    /// The newest output of the watchers.
    pub rings: &'a Rings,
    /// How long the turns of the loop took.
    pub turns: &'a metrics::Durations,
    /// How many connections to the control socket there are.
    pub clients: usize,
    /// What its processes use, for what asks for it.
    pub used: &'a tally::Found,
    /// The plugins that are part of circus.
    #[cfg(feature = "plugins")]
    pub builtins: &'a crate::parts::plugins::run::Builtins,
}

impl View<'_> {
    /// The watcher that the client calls `name`.
    ///
    /// # Errors
    /// There is none.
    fn watcher(&self, name: &str) -> Result<&Watcher, Refusal> {
        self.arbiter.find(name).ok_or_else(|| answers::no_watcher(name))
    }

    /// Every socket with each of its descriptors, of which it has several with `so_reuseport`.
    fn descriptors(&self) -> impl Iterator<Item = (&Bound, BorrowedFd<'_>)> {
        self.sockets.iter().flat_map(|socket| socket.fds().map(move |fd| (socket, fd)))
    }
}
