//! Everything that can do harm: to spawn, to kill, to bind, to open for writing, to create, rename and remove files, to
//! enter a cgroup. Whoever wants it done asks here.

pub(crate) mod cgroup;
pub(crate) mod child;
pub(crate) mod descendants;
pub(crate) mod disk;
pub(crate) mod endpoint;
pub(crate) mod files;
pub(crate) mod init;
pub(crate) mod kill;
pub(crate) mod leftovers;
pub(crate) mod looks;
pub(crate) mod oom;
pub(crate) mod pidfile;
pub(crate) mod processes;
pub(crate) mod procfs;
pub(crate) mod reap;
pub(crate) mod resolve;
pub(crate) mod spawn;
pub(crate) mod spawn_template;
pub(crate) mod termination_message;
pub(crate) mod trouble;
