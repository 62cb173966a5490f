//! The readers of strangers' bytes that stand in modules of their own rooms: the door by which tests/fuzz comes to them.

pub use crate::host::procfs::{parse_stat, uids_in};
pub use crate::host::token::token_in;
#[cfg(feature = "health")]
pub use crate::parts::notify_socket::notices;
#[cfg(feature = "plugins")]
pub use crate::parts::plugins::{
    builtin::{Input, make},
    server::answer,
    world::{Stamp, World},
};
pub use crate::parts::sockets::passed::announced;
#[cfg(feature = "logs")]
pub use crate::parts::streams::old_files::number_of;
pub use crate::reactor::part::Writer;
#[cfg(feature = "plugins")]
pub use crate::{host::trouble::Trouble, views::samples::Usage};
