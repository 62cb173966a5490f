//! Metrics: serves what circus measures to Prometheus and its kin.

use super::builtin::{Builtin, Input, Wrong};
use super::world::World;
use crate::arbiter::Level;
use crate::config::builtin::Settings;
use crate::config::url::{self, Place};

/// After so many seconds it tries again, if somebody else has the place.
const AGAIN: f64 = 10.0;

/// The plugin.
pub struct Metrics {
    place: Place,
    /// How it is called.
    listen: String,
}

impl Metrics {
    /// The plugin with these options.
    ///
    /// # Errors
    /// The place is none.
    pub fn new(settings: &Settings<'_>) -> Result<Metrics, Wrong> {
        let listen = settings.text("listen");
        let place = url::listen(listen).map_err(|why| ("listen", format!("{listen}: it {why}")))?;
        Ok(Metrics { place, listen: listen.into() })
    }
}

impl Builtin for Metrics {
    fn handle(&mut self, input: Input<'_>, world: &mut dyn World) {
        if !matches!(input, Input::Begin | Input::Due) {
            return;
        }
        match world.serve(&self.place) {
            Ok(()) => {
                world.mended("listen", format_args!("{} is free now", self.listen));
                world.log(Level::Info, format_args!("serves /metrics and /health at {}", self.listen));
            }
            Err(why) => {
                world.wake_at(Some(world.now().plus(AGAIN)));
                world.trouble("listen", format_args!("cannot listen at {}: {why}", self.listen));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::builtin::tests::{Fake, Play, Wish};
    use super::*;
    use crate::config::model;

    #[test]
    fn a_place_that_is_taken_is_tried_again() {
        let options = [("listen", "127.0.0.1:5558")];
        let refusal = Some("Address already in use".to_string().into());
        let world = Fake { refusal, ..Fake::default() };
        let (mut play, wishes) = Play::begin(model::Builtin::Metrics, &options, world);
        let place = Place::Inet("127.0.0.1:5558".parse().unwrap());
        let text = "cannot listen at 127.0.0.1:5558: Address already in use";
        assert_eq!(wishes, [Wish::Serve(place.clone()), Wish::Trouble("listen", text.into())]);
        assert_eq!(play.pass(9.0), []);
        play.world.refusal = None;
        let wishes = play.pass(2.0);
        assert_eq!(wishes.first(), Some(&Wish::Serve(place)));
        assert_eq!(
            wishes.last(),
            Some(&Wish::Log(Level::Info, "serves /metrics and /health at 127.0.0.1:5558".into()))
        );
        assert_eq!(play.world.due, None);
    }
}
