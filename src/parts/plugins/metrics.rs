//! Metrics: serves what circus measures to Prometheus and its kin.

use super::builtin::{Builtin, Input, Pace, Wish, Wishes, Wrong};
use super::world::World;
use crate::arbiter::Level;
use crate::arbiter::time::Time;
use crate::config::builtin::Settings;
use crate::config::url::{self, Place};

/// The plugin.
pub struct Metrics {
    place: Place,
    /// How it is called.
    listen: String,
    /// When it tries again, if somebody else has the place.
    again: Pace,
}

impl Metrics {
    /// The plugin with these options.
    ///
    /// # Errors
    /// The place is none.
    pub fn new(settings: &Settings<'_>) -> Result<Metrics, Wrong> {
        let listen = settings.text("listen");
        let place = url::listen(listen).map_err(|why| ("listen", format!("{listen}: it {why}")))?;
        Ok(Metrics { place, listen: listen.into(), again: Pace::of(10.0) })
    }
}

impl Builtin for Metrics {
    fn handle(&mut self, now: Time, input: Input<'_>, _: &mut dyn World, wishes: &mut Wishes) {
        match input {
            Input::Begin | Input::Due => {
                self.again.stop();
                wishes.add(Wish::Serve(self.place.clone()));
            }
            Input::Served(Ok(())) => {
                wishes.mended("listen", format_args!("{} is free now", self.listen));
                wishes.log(Level::Info, format_args!("serves /metrics at {}", self.listen));
            }
            Input::Served(Err(why)) => {
                self.again.wind(now);
                wishes.trouble("listen", format_args!("cannot listen at {}: {why}", self.listen));
            }
            _ => {}
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.again.next()
    }
}

#[cfg(test)]
mod tests {
    use super::super::builtin::tests::{Fake, Play};
    use super::*;
    use crate::config::model;

    #[test]
    fn a_place_that_is_taken_is_tried_again() {
        let options = [("listen", "127.0.0.1:9100")];
        let (mut play, wishes) = Play::begin(model::Builtin::Metrics, &options, Fake::default());
        let place = Place::Inet("127.0.0.1:9100".parse().unwrap());
        assert_eq!(wishes, [Wish::Serve(place.clone())]);
        let wishes = play.tell(Input::Served(Err("Address already in use".into())));
        let text = "cannot listen at 127.0.0.1:9100: Address already in use";
        assert_eq!(wishes, [Wish::Trouble("listen", text.into())]);
        assert_eq!(play.pass(9.0), []);
        assert_eq!(play.pass(2.0), [Wish::Serve(place)]);
        let wishes = play.tell(Input::Served(Ok(())));
        assert_eq!(wishes.last(), Some(&Wish::Log(Level::Info, "serves /metrics at 127.0.0.1:9100".into())));
        assert_eq!(play.plugin.deadline(), None);
    }
}
