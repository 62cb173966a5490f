//! The list of all parts: what the loop knows of them.

use super::part::Part;
use crate::host::processes::Processes;
use crate::parts::clients::Clients;
use crate::parts::helpers::Helpers;
use crate::parts::manager_notify::ManagerNotify;
use crate::parts::notify_socket::NotifySocket;
use crate::parts::plugins::run::Builtins;
use crate::parts::probes::Probes;
use crate::parts::shutdown_progress::ShutdownProgress;
use crate::parts::sockets::Sockets;
use crate::parts::streams::Streams;
use crate::parts::surveys::Surveys;

macro_rules! registry {
    ($($name:ident: $part:ty,)*) => {
        /// All parts.
        pub struct Parts { $(pub(crate) $name: $part,)* }

        /// Names a part.
        #[allow(non_camel_case_types, reason = "they are the names of the fields")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Key { $($name,)* }

        /// The parts in the order in which they have their turn.
        pub const KEYS: &[Key] = &[$(Key::$name,)*];

        impl Parts {
            /// A part by its name.
            pub fn get(&mut self, key: Key) -> &mut dyn Part {
                match key { $(Key::$name => &mut self.$name,)* }
            }
        }
    };
}

registry! {
    notify_socket: NotifySocket,
    processes: Processes,
    sockets: Sockets,
    streams: Streams,
    helpers: Helpers,
    probes: Probes,
    surveys: Surveys,
    clients: Clients,
    builtins: Builtins,
    manager: ManagerNotify,
    shutdown_progress: ShutdownProgress,
}
