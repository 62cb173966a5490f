//! A build without the feature `reloadconfig` reads its configuration once.

use super::startup::Options;

pub struct Reconfigure;

impl Reconfigure {
    pub fn new(_: Options, _: Option<u32>) -> Reconfigure {
        Reconfigure
    }
}
