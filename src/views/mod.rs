//! What circus tells about itself and its processes: answers to questions, made from the arbiter and /proc.

pub(crate) mod answer;
pub(crate) mod metrics;
pub(crate) mod status;
pub(crate) mod survey;
pub(crate) mod tail;
pub(crate) mod targets;
pub(crate) mod usage;
pub(crate) mod why;
