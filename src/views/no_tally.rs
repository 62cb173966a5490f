//! A build without the feature `stats` does not look at what processes use.

pub type Found = ();
