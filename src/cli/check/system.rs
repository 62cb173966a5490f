//! What a configuration asks of this machine: users, groups, programs and directories.
//!
//! Everything is looked up by [`Files`], so that the tests need no machine. Only /etc/passwd and /etc/group are
//! known here; who stands elsewhere, in a directory service, is reported with that restriction.

use crate::config::check::programs::{Around, Program, is_settled, programs, scripts};
use crate::config::check::usable;
use crate::config::check::user::User;
use crate::config::check::way::follow;
use crate::config::check::{Checker, background};
use crate::config::grants::grants;
use crate::config::include::{join, tidy};
use crate::config::ini::{excerpt, shorten};
use crate::config::options::{self, global, socket, watcher};
use crate::config::{
    Config, Files, Finding, Names, Origins, PluginConfig, PluginKind, SocketConfig, WatcherConfig, plugin,
};
use crate::control::endpoint::{self, Place};
use crate::host::spawn_template::DEFAULT_PATH;
#[cfg(feature = "health")]
use crate::parts::streams::log_match::wrong_line;
#[cfg(feature = "logs")]
use crate::{config::StreamKind, parts::streams::syslog::Address};

use crate::sorted::{Sorted, sort};
use std::io::ErrorKind;

/// Everything that this machine lacks.
pub fn check(config: &Config, files: &dyn Files, around: Around<'_>) -> Vec<Finding> {
    let (listed, ids, found) = (Sorted::new(), Sorted::new(), Checker::default());
    let cwd = around.cwd;
    let mut system = System { files, around, cwd, listed, ids, found };
    let (circus, origins) = (&config.circus, &config.origins);
    system.id(("user", "/etc/passwd"), (origins, global::endpoint_owner), circus.endpoint_owner.as_deref());
    let access = &config.access;
    for (role, text) in access.options.roles() {
        let place = (&access.origins, role.key());
        for grant in grants(text).unwrap_or_default() {
            grant.users.iter().for_each(|user| system.id(("user", "/etc/passwd"), place, Some(user)));
            grant.groups.iter().for_each(|group| system.id(("group", "/etc/group"), place, Some(group)));
        }
    }
    let files = [
        (global::pidfile, &circus.pidfile),
        (global::logoutput, &circus.logoutput),
        (global::tombstone, &circus.tombstone),
    ];
    for (key, path) in files {
        let is_file = |path: &&str| !matches!(*path, "-" | "stdout") && !path.starts_with("syslog:");
        if let Some(path) = path.as_deref().filter(is_file) {
            system.file((origins, key), path);
        }
    }
    if let Some(dir) = circus.state_dir.as_deref() {
        system.directory((origins, global::state_dir), &join(cwd, dir));
    }
    for (key, text) in
        [(global::endpoint, &circus.endpoint), (global::pubsub_endpoint, &circus.pubsub_endpoint)]
    {
        system.endpoint((origins, key), text.as_deref().unwrap_or_default());
    }
    config.watchers.iter().for_each(|watcher| system.watcher(watcher));
    config.sockets.iter().for_each(|socket| system.socket(socket));
    config.plugins.iter().for_each(|plugin| system.plugin(plugin, around.environ));
    system.found.findings
}

struct System<'a> {
    files: &'a dyn Files,
    around: Around<'a>,
    cwd: &'a str,
    /// The names in each directory that was looked at; `None` for one that cannot be read.
    listed: Sorted<String, Listing>,
    /// The names and numbers in /etc/passwd and /etc/group, by file.
    ids: Sorted<&'static str, Vec<String>>,
    found: Checker,
}

/// What is known of a directory.
enum Listing {
    /// In order.
    Names(Vec<String>),
    Missing,
    Unknown,
}

impl System<'_> {
    /// A socket for clients or subscribers. The directory that stands for a port is made by circus.
    fn endpoint(&mut self, place: (&Origins, &str), text: &str) {
        let is_own = !text.trim().is_empty() && !text.contains("tcp://");
        match endpoint::places(Some(text), endpoint::Around { uid: 0, runtime: None, container: 0 })
            .as_deref()
        {
            Ok([Place::Path(path), ..]) if is_own => self.socket_file(place, path),
            Ok(_) => {}
            Err(why) => self.found.error(place, why.clone()),
        }
    }

    fn watcher(&mut self, watcher: &WatcherConfig) {
        let (options, origins) = (&watcher.options, &watcher.origins);
        self.id(("user", "/etc/passwd"), (origins, watcher::uid), options.uid.as_deref());
        self.id(("group", "/etc/group"), (origins, watcher::gid), options.gid.as_deref());
        self.id(("user", "/etc/passwd"), (origins, watcher::hooks_uid), options.hooks_uid.as_deref());
        let dir = join(self.cwd, options.working_dir.as_deref().unwrap_or_default());
        let is_there = self.directory((origins, watcher::working_dir), &dir);
        let user = self.user(watcher);
        if let Some(user) = &user
            && options.working_dir.is_some()
            && let Ok(found) = follow(&dir, self.files)
            && let Some(why) = usable::out_of_reach(&dir, &found, user, (1, "enter"))
        {
            self.found.error((origins, watcher::working_dir), why);
        }
        // What would be looked for in a directory that is missing needs no second line.
        self.programs(watcher, Some(dir.as_str()).filter(|_| is_there), user.as_ref());
        #[cfg(feature = "health")]
        if let Some(why) = wrong_line(watcher) {
            self.found.error((origins, watcher::ready), why);
        }
        self.environment(watcher);
        for (which, stream) in watcher.streams() {
            if let Some(path) = stream.file() {
                self.file((origins, &format!("{which}.filename")), path);
            }
            #[cfg(feature = "logs")]
            if stream.kind() == StreamKind::Syslog
                && let address = stream.options.address.as_deref()
                && let Err(why) = Address::of(address.filter(|address| is_settled(address)))
            {
                self.found.error((origins, &format!("{which}.address")), why);
            }
        }
    }

    /// The file of more variables, and the virtual environment.
    fn environment(&mut self, watcher: &WatcherConfig) {
        let wanted = watcher.options.env_file.as_deref().filter(|path| !path.starts_with('-'));
        let venv = watcher.options.virtualenv.as_deref().map(|venv| join(venv, "lib"));
        for (key, path) in [(watcher::env_file, wanted), (watcher::virtualenv, venv.as_deref())] {
            let Some(path) = path.filter(|path| is_settled(path)).map(|path| join(self.cwd, path)) else {
                continue;
            };
            if !self.exists(&path) {
                let message = format!("there is no `{}`", excerpt(&path));
                self.found.error((&watcher.origins, key), message);
            } else if key == watcher::env_file {
                self.file((&watcher.origins, key), &path);
            }
        }
    }

    fn socket(&mut self, socket: &SocketConfig) {
        if let Some(path) = socket.options.path.as_ref().filter(|path| !path.starts_with('@')) {
            self.socket_file((&socket.origins, socket::path), path);
        }
        let (options, origins) = (&socket.options, &socket.origins);
        self.id(("user", "/etc/passwd"), (origins, socket::owner), options.owner.as_deref());
        self.id(("group", "/etc/group"), (origins, socket::group), options.group.as_deref());
        let interface = socket.options.interface.as_deref().unwrap_or_default();
        if let Listing::Names(known) = self.list("/sys/class/net")
            && !interface.is_empty()
            && known.iter().all(|name| name != interface)
        {
            let message = format!("there is no network interface `{}`", shorten(interface));
            self.found.error((&socket.origins, socket::interface), message);
        }
    }

    /// What runs a plugin.
    fn plugin(&mut self, plugin: &PluginConfig, environ: &Names) {
        let cmd = plugin.options.cmd.as_deref().unwrap_or_default();
        match plugin.kind() {
            Some(PluginKind::Program) => self.watcher(&plugin.watcher(cmd.into(), environ.clone(), false)),
            Some(PluginKind::Python) => {
                let path = environ.get("PATH").map_or(DEFAULT_PATH, String::as_str);
                if !path.split(':').any(|dir| self.exists(&join(&join(self.cwd, dir), plugin::RUNNER))) {
                    let class = shorten(plugin.options.class.as_deref().unwrap_or_default());
                    let message = format!("`{class}` is a Python class, and {}", plugin::NO_RUNNER);
                    self.found.error((&plugin.origins, options::plugin::class), message);
                }
            }
            Some(PluginKind::Builtin(_)) => {
                #[cfg(feature = "plugins")]
                if let Some((key, why)) = crate::parts::plugins::wrong_expression(plugin) {
                    self.found.error((&plugin.origins, key), format!("{key} = {why}"));
                }
            }
            None => {}
        }
    }

    /// A user or group, by name or number. A number may stand in no file.
    fn id(&mut self, (what, file): (&str, &'static str), place: (&Origins, &str), id: Option<&str>) {
        let Some(id) = id.filter(|id| is_settled(id) && !id.is_empty()) else { return };
        let files = self.files;
        let known = self.ids.get_or_insert_with(file, || read_ids(files, file));
        if known.is_empty() || known.iter().any(|known| known == id) {
            return;
        }
        let shown = shorten(id);
        if id.bytes().all(|b| b.is_ascii_digit()) {
            self.found.warn(place, format!("no {what} in {file} has the number {shown}"));
        } else {
            self.found.error(place, format!("there is no {what} `{shown}` in {file}"));
        }
    }

    /// The user that a watcher's processes are to be, if it is another one than circus. Only root can become another.
    fn user(&mut self, watcher: &WatcherConfig) -> Option<User> {
        let options = &watcher.options;
        let name = options.uid.as_deref().filter(|name| is_settled(name))?;
        let group = options.gid.as_deref().filter(|group| is_settled(group));
        let user = User::of(self.files, name, group)?;
        let (own, shown) = (self.around.ids.0, shorten(name));
        if own != 0 && own != user.uid {
            let message = format!(
                "only a circus of root can run processes as `{shown}`; this is checked for a circus of the user {own}, \
                 which can not: start circus as root, or leave out `uid`"
            );
            self.found.warn((&watcher.origins, watcher::uid), message);
        }
        Some(user)
    }

    /// The programs and scripts of a watcher, whose processes run in `dir`, if it exists. Python alone knows its
    /// functions.
    fn programs(&mut self, watcher: &WatcherConfig, dir: Option<&str>, user: Option<&User>) {
        for program in programs(watcher, dir, self.around) {
            let Program { key, name, places, path: (path, of), .. } = &program;
            // Hooks are run by another user.
            let user = user.filter(|_| program.user == watcher.options.uid.as_deref());
            if places.iter().any(|place| self.exists(place)) {
                if let Some(why) = usable::program(&program, self.files, user) {
                    self.found.error((&watcher.origins, key), why);
                }
                continue;
            }
            let is_path = name.contains('/');
            let shown = if is_path { excerpt(&places.concat()) } else { shorten(name) };
            let where_to =
                if is_path { "".into() } else { format!(" in the PATH of {of} ({})", excerpt(path)) };
            let quotes = if name.contains(' ') { ": quotes make one word of it; leave them out" } else { "" };
            self.found
                .error((&watcher.origins, key), format!("there is no program `{shown}`{where_to}{quotes}"));
        }
        if let Some(why) = background::by_its_file(&watcher.options, self.files) {
            self.found.warn((&watcher.origins, watcher::cmd), why);
        }
        for script in dir.map(|dir| scripts(watcher, dir)).unwrap_or_default() {
            if let Some(why) = usable::script(&script, self.files, user) {
                self.found.error((&watcher.origins, &script.key), why);
            }
        }
    }

    /// A file that is to be read or written, and the directory that it is in.
    fn file(&mut self, place: (&Origins, &str), path: &str) {
        self.parent(place, path);
        let path = join(self.cwd, path);
        if is_settled(&path) && follow(&path, self.files).is_ok_and(|found| found.owned.is_dir()) {
            self.found.error(place, format!("`{}` is a directory and no file", excerpt(&path)));
        }
    }

    /// The path of a Unix socket. circus takes the place of a socket, but of nothing else.
    fn socket_file(&mut self, place: (&Origins, &str), path: &str) {
        self.parent(place, path);
        let path = join(self.cwd, path);
        if is_settled(&path) && follow(&path, self.files).is_ok_and(|found| !found.owned.is_socket()) {
            let message = format!(
                "`{0}` exists and is not a socket: remove it, or choose another path",
                excerpt(&path)
            );
            self.found.error(place, message);
        }
    }

    /// The directory that a file is to be written to.
    fn parent(&mut self, place: (&Origins, &str), path: &str) {
        let path = join(self.cwd, path);
        if let Some((dir, _)) = path.rsplit_once('/').filter(|(dir, _)| !dir.is_empty()) {
            self.directory(place, dir);
        }
    }

    /// Whether a directory may exist.
    fn directory(&mut self, place: (&Origins, &str), dir: &str) -> bool {
        let is_missing = is_settled(dir) && matches!(self.list(dir), Listing::Missing);
        if is_missing {
            let exists = follow(dir, self.files).is_ok();
            let dir = excerpt(dir);
            self.found.error(
                place,
                match exists {
                    true => format!("`{dir}` is not a directory"),
                    false if dir.contains("/~") => {
                    format!("the directory `{dir}` does not exist: write the whole path, `~` is not expanded here")
                }
                false => format!("the directory `{dir}` does not exist"),
                },
            );
        }
        !is_missing
    }

    /// Whether a file exists, as far as one can know.
    fn exists(&mut self, path: &str) -> bool {
        let (dir, name) = path.rsplit_once('/').unwrap_or((".", path));
        match self.list(if dir.is_empty() { "/" } else { dir }) {
            Listing::Names(names) => names.binary_search_by(|other| other.as_str().cmp(name)).is_ok(),
            Listing::Missing => false,
            Listing::Unknown => true,
        }
    }

    fn list(&mut self, dir: &str) -> &Listing {
        let (files, dir) = (self.files, tidy(dir));
        self.listed.get_or_insert_with(dir.clone(), || match files.list(&dir) {
            Ok(names) => Listing::Names(sort(names)),
            Err(why) if matches!(why.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Listing::Missing
            }
            Err(_) => Listing::Unknown,
        })
    }
}

/// The names and numbers in a file such as /etc/passwd; none when it cannot be read.
fn read_ids(files: &dyn Files, file: &str) -> Vec<String> {
    let text = files.read(file).map(|bytes| crate::config::text::from_bytes(&bytes)).unwrap_or_default();
    let mut ids = Vec::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        ids.extend([fields.next(), fields.nth(1)].into_iter().flatten().map(str::to_string));
    }
    ids
}

#[cfg(test)]
mod disk_tests;
#[cfg(test)]
mod tests;
