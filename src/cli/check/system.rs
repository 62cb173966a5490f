//! What a configuration asks of this machine: users, groups, programs and directories.
//!
//! Everything is looked up by [`Files`], so that the tests need no machine. Only /etc/passwd and /etc/group are
//! known here; who stands elsewhere, in a directory service, is reported with that restriction.

use crate::config::check::Checker;
use crate::config::check::programs::{Around, Program, is_settled, programs};
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

use crate::sorted::Sorted;
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
            system.parent((origins, key), path);
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
            Ok([Place::Path(path), ..]) if is_own => self.parent(place, path),
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
        // What would be looked for in a directory that is missing needs no second line.
        let dir = Some(dir.as_str()).filter(|_| is_there);
        self.programs(watcher, dir);
        #[cfg(feature = "health")]
        if let Some(why) = wrong_line(watcher) {
            self.found.error((origins, watcher::ready), why);
        }
        self.environment(watcher);
        for (which, stream) in watcher.streams() {
            if let Some(path) = stream.file() {
                self.parent((origins, &format!("{which}.filename")), path);
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
            }
        }
    }

    fn socket(&mut self, socket: &SocketConfig) {
        if let Some(path) = socket.options.path.as_ref().filter(|path| !path.starts_with('@')) {
            self.parent((&socket.origins, socket::path), path);
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

    /// The programs of a watcher, whose processes run in `dir`, if it exists. Python alone knows its functions.
    fn programs(&mut self, watcher: &WatcherConfig, dir: Option<&str>) {
        for Program { key, name, places, path: (path, of), .. } in programs(watcher, dir, self.around) {
            if places.iter().any(|place| self.exists(place)) {
                continue;
            }
            let is_path = name.contains('/');
            let shown = if is_path { excerpt(&places.concat()) } else { shorten(&name) };
            let where_to =
                if is_path { "".into() } else { format!(" in the PATH of {of} ({})", excerpt(&path)) };
            self.found.error((&watcher.origins, &key), format!("there is no program `{shown}`{where_to}"));
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
            self.found.error(place, format!("the directory `{}` does not exist", excerpt(dir)));
        }
        !is_missing
    }

    /// Whether a file exists, as far as one can know.
    fn exists(&mut self, path: &str) -> bool {
        let (dir, name) = path.rsplit_once('/').unwrap_or((".", path));
        match self.list(if dir.is_empty() { "/" } else { dir }) {
            Listing::Names(names) => names.iter().any(|other| other == name),
            Listing::Missing => false,
            Listing::Unknown => true,
        }
    }

    fn list(&mut self, dir: &str) -> &Listing {
        let (files, dir) = (self.files, tidy(dir));
        self.listed.get_or_insert_with(dir.clone(), || match files.list(&dir) {
            Ok(names) => Listing::Names(names),
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
mod tests {
    use super::*;
    use crate::config::load;
    use std::io;

    /// A machine with a few files; a directory exists when something is in it.
    struct Machine(&'static str);

    impl Files for Machine {
        fn read(&self, path: &str) -> io::Result<Vec<u8>> {
            match path {
                "/c" => Ok(self.0.into()),
                "/etc/passwd" => Ok("root:x:0:0::/root:/bin/sh\nwww:x:33:33::/:/bin/sh\n".into()),
                "/etc/group" => Ok("root:x:0:\nwww:x:33:\n".into()),
                _ => Err(ErrorKind::NotFound.into()),
            }
        }

        fn list(&self, dir: &str) -> io::Result<Vec<String>> {
            match dir {
                "/bin" => Ok(vec!["sh".into()]),
                "/sys/class/net" => Ok(vec!["lo".into()]),
                "/venv/bin" if self.0.contains("# venv") => Ok(vec!["circus-plugin".into()]),
                "/w" | "/w/sub" => Ok(vec!["run".into()]),
                "/secret" | "/secret/bin" => Err(ErrorKind::PermissionDenied.into()),
                _ => Err(ErrorKind::NotFound.into()),
            }
        }
    }

    #[test]
    fn a_message_quotes_a_value_with_a_bound() {
        for value in [
            format!("(?P<{0}>a)(?P<{0}>b)", "n".repeat(5000)),
            "x".repeat(5000),
            "/".to_string() + &"x/".repeat(2500),
            "9".repeat(5000),
        ] {
            let lines = "cmd = |executable = |working_dir = |env_file = |virtualenv = |uid = |gid = |hooks.after_start = |stop_command = \
                |stdout_stream.class = SyslogStream\nstdout_stream.address = |ready = exec:|ready = log:|ready = log:(|health = exec:|stdout_stream.filename = |sandbox = read-only ";
            for line in lines.split('|') {
                let cmd = if line == "cmd = " { "" } else { "cmd = sh\n" };
                let rest = "[env:a]\nPATH = V\n[socket:s]\npath = V\n[circus]\npidfile = V\n\
                    [plugin:p]\nuse = circus.plugins.watchdog.WatchDog\nwatchers_regex = (V\nmsg_regex = V";
                let text = format!("[watcher:a]\n{cmd}{line}V\n{rest}").replace('V', &value);
                for found in found(text.leak()) {
                    assert!(found.len() < 1000, "{} bytes: {found:.200}", found.len());
                }
            }
        }
    }

    fn found(text: &'static str) -> Vec<String> {
        let machine = Machine(text);
        let config = load("/c", &machine, &Names::new(), "/w").config.unwrap();
        let show = |f: &Finding| format!("{} {} {}", f.origin.line, f.severity.word(), f.message);
        let environ = Names::from_iter([("PATH".to_string(), "/bin:/venv/bin".to_string())]);
        let around = Around { environ: &environ, cwd: "/w", default_path: DEFAULT_PATH, ids: (0, 0) };
        check(&config, &machine, around).iter().map(show).collect()
    }

    #[test]
    fn what_is_there_is_not_reported() {
        let cases = [
            "[watcher:a]\ncmd = sh -c x\nuid = www\ngid = 33",
            "[watcher:a]\ncmd = ./run\nworking_dir = sub\nhooks.after_stop = sub/run\nhooks_uid = www",
            "[watcher:a]\ncmd = sub/run",
            "[watcher:a]\ncmd = x\nshell = 1",
            "[watcher:a]\ncmd = sh\nhooks.after_stop = sub/run x, true\nhooks.after_reap = module.function",
            "[watcher:a]\ncmd = /secret/bin/x\nworking_dir = /secret",
            "[watcher:a]\ncmd = $(circus.env.X) y\nuid = $(circus.env.X)\nworking_dir = /$(circus.wid)",
            "[watcher:a]\ncmd = sh\nstdout_stream.filename = x.log\nstderr_stream.filename = /x.log",
            "[circus]\nlogoutput = syslog:///dev/log\npidfile = run.pid\nendpoint_owner = root",
            "[circus]\nendpoint = ipc:///w/c.sock\npubsub_endpoint = sub/p.sock",
            "[circus]\nendpoint = tcp://127.0.0.1:5555\npubsub_endpoint = @name",
            "[circus]\nendpoint = none\npubsub_endpoint =",
            "[socket:a]\npath = /w/x",
            "[socket:a]\ninterface = lo",
            "[watcher:a]\ncmd = ls\nenv_file = run",
            "[watcher:a]\ncmd = sh\nenv_file = -none",
            "[plugin:a]\ncmd = sh -c x\nuid = www",
            "[plugin:a]\nuse = my.Plugin\n# venv",
        ];
        for text in cases {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn what_is_missing_is_reported() {
        let cases = [
            ("[watcher:a]\ncmd = sh\nuid = nobody", "3 error there is no user `nobody` in /etc/passwd"),
            ("[watcher:a]\ncmd = sh\ngid = staff", "3 error there is no group `staff` in /etc/group"),
            ("[watcher:a]\ncmd = sh\nuid = 99", "3 warning no user in /etc/passwd has the number 99"),
            ("[watcher:a]\ncmd = sh\nworking_dir = none", "3 error the directory `/w/none` does not exist"),
            (
                "[watcher:a]\ncmd = ls\n[env:a]\nPATH = /bin",
                "2 error there is no program `ls` in the PATH of the processes (/bin)",
            ),
            ("[watcher:a]\ncmd = ./no", "2 error there is no program `/w/./no`"),
            ("[watcher:a]\ncmd = sh\nhooks.after_stop = ./no x", "3 error there is no program `/w/./no`"),
            (
                "[watcher:a]\ncmd = /bin/sh\nhooks.after_stop = none\n[env:a]\nPATH = /sub",
                "3 error there is no program `none` in the PATH of circus (/bin:/venv/bin)",
            ),
            ("[watcher:a]\ncmd = sh\nhooks_uid = me", "3 error there is no user `me` in /etc/passwd"),
            ("[watcher:a]\ncmd = sh\nstop_command = ./no x", "3 error there is no program `/w/./no`"),
            (
                "[watcher:a]\ncmd = sh\nstdout_stream.filename = log/x",
                "3 error the directory `/w/log` does not exist",
            ),
            (
                "[watcher:a]\ncmd = sh\nstdout_stream.class = SyslogStream\nstdout_stream.address = 1.2.3.4:70000",
                "4 error address = 1.2.3.4:70000: the port is no number up to 65535",
            ),
            ("[watcher:a]\ncmd = sh\nhealth = exec:./no x", "3 error there is no program `/w/./no`"),
            ("[watcher:a]\ncmd = sh\nready = log:[x", "3 error `ready = log:[x`: a [ is never closed"),
            ("[watcher:a]\ncmd = sh\nenv_file = none", "3 error there is no `/w/none`"),
            ("[watcher:a]\ncmd = sh\ncopy_env = 1\nvirtualenv = none", "4 error there is no `/w/none/lib`"),
            ("[circus]\npidfile = /run/x/y", "2 error the directory `/run/x` does not exist"),
            ("[circus]\nendpoint = ipc:///run/x/y", "2 error the directory `/run/x` does not exist"),
            ("[circus]\npubsub_endpoint = no/y", "2 error the directory `/w/no` does not exist"),
            (
                "[circus]\npubsub_endpoint = udp://x:1",
                "2 error the endpoint udp://x:1 is none of ipc://PATH, unix://PATH, PATH, @NAME, tcp://HOST:PORT",
            ),
            ("[socket:a]\ninterface = nodev", "2 error there is no network interface `nodev`"),
            ("[socket:a]\npath = /w/s\nowner = me", "3 error there is no user `me` in /etc/passwd"),
            ("[socket:a]\npath = /w/s\ngroup = us", "3 error there is no group `us` in /etc/group"),
            ("[circus]\nendpoint_owner = me", "2 error there is no user `me` in /etc/passwd"),
            ("[access]\nlook = user:root user:me", "2 error there is no user `me` in /etc/passwd"),
            ("[access]\noperate = user:root w, group:us", "2 error there is no group `us` in /etc/group"),
            (
                "[plugin:a]\nuse = my.Plugin",
                "2 error `my.Plugin` is a Python class, and circus-plugin, which runs it, is not in the PATH of \
                 circus: pip install circus, or write `cmd = PROGRAM`",
            ),
            (
                "[plugin:a]\ncmd = ls",
                "2 error there is no program `ls` in the PATH of the processes (/bin:/venv/bin)",
            ),
            ("[plugin:a]\ncmd = sh\nuid = nobody", "3 error there is no user `nobody` in /etc/passwd"),
            ("[socket:a]\npath = /run/x/y", "2 error the directory `/run/x` does not exist"),
        ];
        for (text, wanted) in cases {
            assert_eq!(found(text), [wanted], "{text}");
        }
        let (dir, program) =
            ("3 error the directory `/w/none` does not exist", "2 error there is no program `/bin/no`");
        assert_eq!(found("[watcher:a]\ncmd = /bin/no\nworking_dir = none"), [dir, program]);
        for cmd in ["./run", "run\n[env:a]\nPATH = .:/bin"] {
            let text = format!("[watcher:a]\nworking_dir = none\ncmd = {cmd}");
            assert_eq!(found(text.leak()), [dir.replacen('3', "2", 1)]);
        }
    }
}
