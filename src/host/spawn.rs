//! Spawns processes.

use crate::arbiter::{Event, Pid, WatcherId};
use crate::config::PluginKind;
use crate::config::probe;
use crate::host::spawn_template::SpawnTemplate;
use crate::parts::notify_socket::{Ear, wants_socket};
use crate::parts::plugins;
use crate::parts::sockets::User;
use crate::reactor::eventloop::Daemon;
use crate::reactor::registry::Key;
use crate::sys;
use crate::sys::child::{Child, SpawnError, Stdio, Step};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

/// How many watchers' templates are kept: enough for those whose processes come and go just now. Making one takes
/// some ten microseconds.
const MOST_BLUEPRINTS: usize = 16;

impl Daemon {
    /// Spawns a process; the answer is the event that the arbiter waits for.
    pub(crate) fn spawn(&mut self, id: WatcherId, wid: u32) -> Event {
        match self.try_spawn(id, wid) {
            Ok(pid) => Event::Spawned { watcher: id, pid },
            Err(NotSpawned { reason, shortage }) => {
                self.parts.streams.take_outputs(id, wid, None, &mut self.core.cx(Key::streams));
                self.each(&mut |part, cx| part.vacated(id, wid, cx));
                Event::SpawnFailed { watcher: id, reason, shortage }
            }
        }
    }

    fn try_spawn(&mut self, id: WatcherId, wid: u32) -> Result<Pid, NotSpawned> {
        self.prepare_blueprint(id)?;
        let watcher = self.core.arbiter.watcher(id).ok_or_else(gone)?;
        let config = Rc::clone(watcher.making());
        let ear = Daemon::prepare_ear(&config, wid)?;
        let is_program = config.plugin == Some(PluginKind::Program);
        let connection = is_program.then(plugins::connection).transpose().map_err(no_pipe)?;
        let template = self.templates.get_mut(&id).ok_or_else(gone)?;
        let user = User { watcher: id, wid, replaces: watcher.replaces(), most: watcher.config.wanted() };
        let cgroup = self.cgroups.enter(id, &config, &mut self.core.log)?;
        let child = template.child(&config, user, &mut self.parts.sockets)?;
        let loan = Loan::of(child);
        let cx = &mut self.core.cx(Key::streams);
        self.parts.streams.lend_outputs(id, wid, &config, child, cx)?;
        loan.add(child, &ear, connection.as_ref().map(|(_, theirs)| theirs))?;
        child.restrictions.cgroup = cgroup;
        let is_tree = config.options.kill_mode == "tree";
        let mut tree = is_tree.then(|| self.descendants.begin(child, id, &mut self.cgroups));
        let mark = (!is_tree && wants_socket(&config)).then(|| self.descendants.mark(child));
        let uid = child.uid.unwrap_or_else(sys::user::current_uid);
        let spawned = match &mut tree {
            Some(tree) => tree.spawn(&mut self.spawner, child),
            None => self.spawner.spawn(child),
        };
        loan.end(child);
        let pid = spawned.map_err(|error| NotSpawned::by(error.errno, say(&error, template)))?;
        // A group of this number is over, else the process could not have it.
        self.groups.remove(&pid);
        self.told.forget(pid);
        if let Some(tree) = tree {
            self.descendants.plant(pid, tree);
        }
        self.parts.streams.take_outputs(id, wid, Some(pid), &mut self.core.cx(Key::streams));
        self.lend_ear(pid, ear);
        self.know_by(pid, mark);
        if let Some((ours, _)) = connection {
            self.take_in_plugin(ours, pid, uid);
        }
        Ok(pid)
    }

    /// A child is a zombie that has never become its program, which was not known when it was spawned.
    pub(crate) fn did_not_run(&mut self, pid: Pid, error: &SpawnError) {
        let NotSpawned { reason, shortage } = NotSpawned::by(error.errno, say_late(error));
        match self.core.arbiter.owner(pid) {
            Some(_) => self.dispatch(Event::NeverRan { pid, reason, shortage }),
            None => self.core.log.error(format_args!("process {pid} has not become its program: {reason}")),
        }
    }

    /// Makes the template of a watcher, unless it is there.
    fn prepare_blueprint(&mut self, id: WatcherId) -> Result<(), NotSpawned> {
        let config = Rc::clone(self.core.arbiter.watcher(id).ok_or_else(gone)?.making());
        if !self.templates.contains_key(&id) {
            let notify = self.notify_address(&config)?;
            let template = SpawnTemplate::telling(&config, &self.parts.sockets, notify)?;
            if self.templates.len() >= MOST_BLUEPRINTS {
                self.templates.pop_first();
            }
            self.templates.insert(id, template);
        }
        Ok(())
    }

    /// The options of a watcher have changed: what was made from them is made anew.
    pub(crate) fn remake(&mut self, id: WatcherId) {
        self.templates.remove(&id);
        self.each(&mut |part, cx| part.changed(id, cx));
        self.renew_builtin(id);
    }

    /// A watcher is gone.
    pub(crate) fn forget(&mut self, id: WatcherId) {
        self.end_following(id);
        self.cgroups.leave(id);
        self.each(&mut |part, cx| part.forgotten(id, cx));
        self.forget_builtin(id);
        self.templates.remove(&id);
        self.spawns.retain(|(watcher, _)| *watcher != id);
    }
}

/// What the template of a watcher has where one process gets descriptors of its own.
struct Loan {
    sockets: usize,
    stdio: (Stdio, Stdio, Stdio),
}

impl Loan {
    fn of(child: &Child) -> Loan {
        Loan { sockets: child.sockets.len(), stdio: (child.stdin, child.stdout, child.stderr) }
    }

    /// Gives a process that is about to be made its ends of what circus speaks with it by.
    fn add(&self, child: &mut Child, ear: &Ear, connection: Option<&UnixStream>) -> Result<(), String> {
        if let Ear::Newline(_, theirs, number) = ear {
            probe::collision(*number, self.sockets).map_or(Ok(()), Err)?;
            child.sockets.push((theirs.as_raw_fd(), *number));
        }
        if let Some(theirs) = connection {
            child.stdin = Stdio::Fd(theirs.as_raw_fd());
            child.stdout = child.stdin;
        }
        Ok(())
    }

    /// Takes them back.
    fn end(self, child: &mut Child) {
        child.sockets.truncate(self.sockets);
        (child.stdin, child.stdout, child.stderr) = self.stdio;
    }
}

/// Why there is no process.
pub struct NotSpawned {
    reason: String,
    /// The machine was short of something.
    shortage: bool,
}

impl NotSpawned {
    fn by(errno: i32, reason: String) -> NotSpawned {
        NotSpawned { shortage: sys::is_shortage(errno) || sys::tells_of_shortage(&reason), reason }
    }
}

impl From<String> for NotSpawned {
    fn from(reason: String) -> NotSpawned {
        NotSpawned { shortage: sys::tells_of_shortage(&reason), reason }
    }
}

fn gone() -> NotSpawned {
    "the watcher is gone".to_string().into()
}

/// Why there is no pipe.
pub fn no_pipe(error: std::io::Error) -> NotSpawned {
    NotSpawned::by(error.raw_os_error().unwrap_or(0), format!("pipe: {}", sys::io_words(&error)))
}

/// What went wrong, with the path it is about, as far as the child has told.
fn say_late(error: &SpawnError) -> String {
    match error.step {
        Step::Chdir => format!("working_dir {}: {}", error.path, sys::errno_words(error.errno)),
        _ => error.to_string(),
    }
}

/// What went wrong, with the path it is about.
fn say(error: &SpawnError, template: &SpawnTemplate) -> String {
    let (child, words) = (template.prepared(), sys::errno_words(error.errno));
    match (error.step, child.uid) {
        (Step::Exec, _) if child.prepare.is_some() => say_late(error),
        (Step::Exec, _) if error.errno == sys::ENOENT => {
            format!("{}: {words}", template.not_found(error.program))
        }
        (Step::Exec, _) => format!("exec {}: {words}", template.program(error.program)),
        (Step::Chdir, Some(uid)) if error.errno == sys::EACCES => {
            format!("working_dir {}: {words} (uid {uid} may not enter it)", template.working_dir())
        }
        (Step::Chdir, _) => format!("working_dir {}: {words}", template.working_dir()),
        _ => error.to_string(),
    }
}
