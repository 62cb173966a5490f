//! What circus tells about itself and its processes: answers to questions, made from the arbiter and /proc.

pub(crate) mod answer;
#[cfg_attr(not(feature = "metrics"), path = "no_metrics.rs")]
pub(crate) mod metrics;
pub(crate) mod status;
pub(crate) mod survey;
pub(crate) mod tail;
pub(crate) mod targets;
pub(crate) mod usage;
#[cfg_attr(not(feature = "history"), path = "no_why.rs")]
pub(crate) mod why;
