//! The list of all parts: what the loop knows of them.

use super::part::Part;
use crate::host::processes::Processes;
use crate::parts;

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
    notify_socket: parts::notify_socket::NotifySocket,
    processes: Processes,
    sockets: parts::sockets::Sockets,
    streams: parts::streams::Streams,
    #[cfg(feature = "health")]
    probes: parts::probes::Probes,
    #[cfg(feature = "helpers")]
    helpers: parts::helpers::Helpers,
    #[cfg(feature = "stats")]
    surveys: parts::surveys::Surveys,
    clients: parts::clients::Clients,
    #[cfg(feature = "plugins")]
    builtins: parts::plugins::run::Builtins,
    manager: parts::manager_notify::ManagerNotify,
    #[cfg(feature = "details")]
    shutdown_progress: parts::shutdown_progress::ShutdownProgress,
}
