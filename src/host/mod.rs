//! Everything that can do harm: to spawn, to kill, to bind, to open for writing, to create, rename and remove files, to
//! enter a cgroup. Whoever wants it done asks here.

#[cfg_attr(not(feature = "cgroup"), path = "no_cgroup.rs")]
pub(crate) mod cgroup;
pub(crate) mod child;
#[cfg_attr(not(feature = "tree"), path = "no_descendants.rs")]
pub(crate) mod descendants;
pub(crate) mod disk;
pub(crate) mod endpoint;
pub(crate) mod files;
#[cfg(feature = "run")]
pub(crate) mod init;
pub(crate) mod kill;
pub(crate) mod leftovers;
pub(crate) mod listen;
pub(crate) mod looks;
#[cfg(feature = "cgroup")]
pub(crate) mod oom;
#[cfg(feature = "orphans")]
pub(crate) mod orphans;
pub(crate) mod pidfile;
pub(crate) mod processes;
pub(crate) mod procfs;
pub(crate) mod reap;
pub(crate) mod resolve;
pub(crate) mod spawn_template;
#[cfg_attr(not(feature = "orphans"), path = "no_state_file.rs")]
pub(crate) mod state_file;
pub(crate) mod surroundings;
pub(crate) mod termination_message;
pub(crate) mod token;
pub(crate) mod trouble;
#[cfg(all(feature = "details", feature = "tail"))]
pub(crate) mod waiting;
