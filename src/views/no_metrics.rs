//! A build without the feature `metrics` collects nothing for them.

use crate::control::metrics::Metrics;
use crate::reactor::eventloop::Daemon;

impl Daemon {
    pub(crate) fn metrics(&self) -> Metrics {
        Metrics
    }
}
