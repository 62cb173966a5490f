//! The list of all parts: what the loop knows of them.

use super::part::Part;
use crate::host::processes::Processes;
use crate::parts::clients::Clients;
#[cfg(feature = "helpers")]
use crate::parts::helpers::Helpers;
use crate::parts::manager_notify::ManagerNotify;
#[cfg(feature = "health")]
use crate::parts::notify_socket::NotifySocket;
#[cfg(feature = "plugins")]
use crate::parts::plugins::run::Builtins;
#[cfg(feature = "health")]
use crate::parts::probes::Probes;
use crate::parts::shutdown_progress::ShutdownProgress;
use crate::parts::sockets::Sockets;
use crate::parts::streams::Streams;
use crate::parts::surveys::Surveys;

macro_rules! registry {
    ($($(#[$built:meta])* $name:ident: $part:ty,)*) => {
        /// All parts.
        #[derive(Default)]
        pub struct Parts { $($(#[$built])* pub(crate) $name: $part,)* }

        /// Names a part.
        #[allow(non_camel_case_types, reason = "they are the names of the fields")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Key { $($(#[$built])* $name,)* }

        /// The parts in the order in which they have their turn.
        pub const KEYS: &[Key] = &[$($(#[$built])* Key::$name,)*];

        impl Parts {
            /// A part by its name.
            pub fn get(&mut self, key: Key) -> &mut dyn Part {
                match key { $($(#[$built])* Key::$name => &mut self.$name,)* }
            }
        }
    };
}

registry! {
    #[cfg(feature = "health")]
    notify_socket: NotifySocket,
    processes: Processes,
    sockets: Sockets,
    streams: Streams,
    #[cfg(feature = "health")]
    probes: Probes,
    #[cfg(feature = "helpers")]
    helpers: Helpers,
    surveys: Surveys,
    clients: Clients,
    #[cfg(feature = "plugins")]
    builtins: Builtins,
    manager: ManagerNotify,
    shutdown_progress: ShutdownProgress,
}
