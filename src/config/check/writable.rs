//! What circus trusts and others can change: the files of the configuration, the programs and files that it names, and
//! the directories above each of them. Whoever can write there decides what runs, and as which user.
//!
//! Owners, groups and modes are looked at, no access control lists.

use super::Checker;
use super::programs::{Around, Program, is_settled, modules, programs, scripts};
use super::user::table;
use super::way::Way;
use crate::config::include::{Owned, join};
use crate::config::ini::excerpt;
use crate::config::model::{Config, Finding, Origin, Origins, Severity, WatcherConfig};
use crate::config::options::{access, global, watcher};
use crate::config::{Files, PluginKind, pattern, text};
use crate::sorted::Sorted;
use std::io::ErrorKind;

/// File systems that answer when somebody else does.
const REMOTE: &str = "fuse nfs cifs smb 9p ceph afs autofs";

/// A warning for each place that others can change. Unless it `may_wait`, nothing is looked at in a file system that may
/// never answer.
pub fn check(config: &Config, files: &dyn Files, around: Around<'_>, may_wait: bool) -> Vec<Finding> {
    let read = |file| files.read(file).map(|bytes| text::from_bytes(&bytes)).unwrap_or_default();
    let (right, found, own) = (Sorted::new(), Checker::default(), around.ids.0);
    // Below another root of users, all those of outside look like one.
    let knows_all = read("/proc/self/uid_map").contains("4294967295");
    let (users, groups) = (table(files, "/etc/passwd"), table(files, "/etc/group"));
    let mounts = if may_wait { String::new() } else { read("/proc/self/mounts") };
    let remote = mounts.lines().filter_map(remote_mount).collect();
    let mut system = Writable { files, around, users, groups, knows_all, remote, right, found };
    let starts = format!("what circus runs as {}", system.name(own));
    let main = config.files.first().map_or("", |file| file);
    let dir = main.rsplit_once('/').map_or("", |(dir, _)| if dir.is_empty() { "/" } else { dir });
    let place = |path: &str| join(around.cwd, &join(dir, path));
    for file in &config.files {
        let origin = Origin { file: file.clone(), line: 0 };
        system.judge(Some(&origin), &join(around.cwd, file), own, (&starts, false));
    }
    for (key, text) in
        [(global::include_dir, &config.circus.include_dir), (global::include, &config.circus.include)]
    {
        for word in text.as_deref().unwrap_or_default().split_whitespace().filter(|word| is_settled(word)) {
            // What matches a pattern may be put into the directory before it.
            let at =
                word.split_inclusive('/').take_while(|part| !pattern::is_pattern(part)).map(str::len).sum();
            let (before, is_dir) = (word.get(..at).unwrap_or_default(), at < word.len());
            let holds = is_dir || key == global::include_dir;
            system.judge(config.origins.of(key), &place(before), own, (&starts, holds));
        }
    }
    if let Some(file) = config.access.options.token_file.as_deref() {
        let origin = config.access.origins.of(access::token_file);
        system.judge(origin, &join(around.cwd, file), own, ("who commands circus by its port", false));
    }
    config.watchers.iter().for_each(|watcher| system.watcher(watcher));
    for plugin in config.plugins.iter().filter(|plugin| plugin.kind() == Some(PluginKind::Program)) {
        let cmd = plugin.options.cmd.as_deref().unwrap_or_default();
        system.watcher(&plugin.watcher(cmd.into(), around.environ.clone(), false));
    }
    system.found.findings
}

struct Writable<'a> {
    files: &'a dyn Files,
    around: Around<'a>,
    /// The fields of /etc/passwd and /etc/group.
    users: Vec<Vec<String>>,
    groups: Vec<Vec<String>>,
    /// Each number of a user is that of one user.
    knows_all: bool,
    /// Where file systems begin that are not looked at.
    remote: Vec<String>,
    /// The ways on which nothing is wrong, for which user and whether what they lead to holds files, and whether that
    /// exists: many watchers run the same program.
    right: Sorted<String, ((u32, bool), bool)>,
    found: Checker,
}

/// Somebody who can change a place, and what ends that.
struct Fault {
    who: String,
    remedy: String,
}

impl Writable<'_> {
    fn watcher(&mut self, watcher: &WatcherConfig) {
        let (options, around) = (&watcher.options, self.around);
        let dir = join(around.cwd, options.working_dir.as_deref().unwrap_or_default());
        let own = programs(watcher, Some(&dir), around).into_iter().chain(scripts(watcher, &dir));
        for program in own.chain(modules(watcher, around)) {
            self.program(&watcher.origins, &program);
        }
        let file = options.env_file.as_deref().map(|file| file.strip_prefix('-').unwrap_or(file));
        if let Some(file) = file.filter(|file| is_settled(file))
            && let Some(uid) = self.uid(options.uid.as_deref())
        {
            let what = format!("the environment of what runs as {}", self.name(uid));
            let origin = watcher.origins.of(watcher::env_file);
            self.judge(origin, &join(around.cwd, file), uid, (&what, false));
        }
    }

    /// The first place where there is a program, and the directories that are looked into before.
    fn program(&mut self, origins: &Origins, program: &Program<'_>) {
        let Some(uid) = self.uid(program.user) else { return };
        let (what, origin) = (format!("what runs as {}", self.name(uid)), origins.of(&program.key));
        for place in &program.places {
            if self.judge(origin, place, uid, (&what, false)) {
                return;
            }
            if let Some((dir, _)) = place.rsplit_once('/').filter(|_| program.places.len() > 1) {
                self.judge(origin, if dir.is_empty() { "/" } else { dir }, uid, (&what, true));
            }
        }
    }

    /// Says who else than root, circus and the user `uid` can change a place or what leads to it, and so decide `what`.
    /// What `holds` files is changed by any that is put there. The answer is whether there is something.
    fn judge(&mut self, origin: Option<&Origin>, path: &str, uid: u32, (what, holds): (&str, bool)) -> bool {
        if let Some((_, exists)) = self.right.get(path).filter(|(asked, _)| *asked == (uid, holds)) {
            return *exists;
        }
        let (exists, fault) = self.way(path, uid, holds);
        if fault.is_none() {
            self.right.insert(path.into(), ((uid, holds), exists));
        } else if let Some((Fault { who, remedy }, origin)) = fault.zip(origin) {
            let message = format!("{who}, and so decide {what}: {remedy}");
            // Each place is reported once, however many watchers it concerns.
            if self.found.findings.iter().all(|found| found.message != message) {
                let finding = Finding { severity: Severity::Warning, origin: origin.clone(), message };
                self.found.findings.push(finding);
            }
        }
        exists
    }

    /// Goes from the root to a place: whether it exists, and the first on the way that others can change.
    fn way(&mut self, path: &str, uid: u32, holds: bool) -> (bool, Option<Fault>) {
        let mut way = Way::to(path);
        // Who may put new files into the directory, but not replace those of others.
        let mut sticky: Option<Fault> = None;
        loop {
            let here = way.here();
            let owned = match self.look(here) {
                Ok(owned) => owned,
                Err(ErrorKind::NotFound) => return (false, sticky),
                Err(_) => return (true, None),
            };
            let fault = self.fault(here, &owned, uid);
            if let Some(link) = &owned.link {
                // A link is changed by whoever can replace it.
                if sticky.is_some() && fault.is_some() {
                    return (true, fault);
                }
                if !way.turn(link) {
                    return (true, None);
                }
                sticky = None;
            } else {
                let is_shared = owned.is_dir() && owned.mode & 0o1000 != 0 && self.is_trusted(owned.uid, uid);
                if fault.is_some() && !(is_shared && !(way.is_last() && holds)) {
                    return (true, fault);
                }
                sticky = fault;
            }
            if !way.step() {
                return (true, None);
            }
        }
    }

    /// Who can change a file or directory by itself.
    fn fault(&self, path: &str, owned: &Owned, uid: u32) -> Option<Fault> {
        if owned.is_fixed {
            return None;
        }
        let shown = || excerpt(path);
        if !self.is_trusted(owned.uid, uid) {
            let shown = shown();
            let who = format!("the user {} owns `{shown}` and can change it", self.name(owned.uid));
            return Some(Fault { who, remedy: format!("chown root {shown}") });
        }
        let (by_group, by_all) = (owned.mode & 0o020 != 0, owned.mode & 0o002 != 0);
        let is_plain = matches!(owned.mode & 0o170_000, 0o040_000 | 0o100_000);
        let (who, whose) = match (is_plain, by_all, by_group && self.is_shared_group(owned.gid, uid)) {
            (true, true, _) => ("every user".into(), if by_group { "go" } else { "o" }),
            (true, false, true) => (format!("the group {}", name(&self.groups, owned.gid)), "g"),
            _ => return None,
        };
        let shown = shown();
        let remedy = match owned.mode & 0o1000 {
            0 => format!("chmod {whose}-w {shown}"),
            _ => format!("what is trusted belongs elsewhere than below {shown}"),
        };
        Some(Fault { who: format!("{who} can write to `{shown}`"), remedy })
    }

    /// Whether this user decides anyway what runs as `uid`.
    fn is_trusted(&self, who: u32, uid: u32) -> bool {
        [0, self.around.ids.0, uid].contains(&who) || who == 65_534 && !self.knows_all
    }

    /// Whether a group has members that are not trusted. One that no file knows has, unless it is circus's own.
    fn is_shared_group(&self, gid: u32, uid: u32) -> bool {
        let is_trusted = |user: &Vec<String>| id_of(user).is_none_or(|id| self.is_trusted(id, uid));
        let number = gid.to_string();
        let own = || self.users.iter().filter(|user| user.get(3) == Some(&number));
        let entry = self.groups.iter().find(|group| id_of(group) == Some(gid));
        let names = entry.and_then(|group| group.get(3)).map_or("", String::as_str);
        let mut names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
        let named = |name: &str| self.users.iter().find(|user| user.first().is_some_and(|own| own == name));
        let is_known = entry.is_some() || own().next().is_some() || gid == self.around.ids.1;
        gid != 0
            && (!is_known || !own().all(is_trusted) || !names.all(|name| named(name).is_some_and(is_trusted)))
    }

    /// The number of the user that something runs as; `None` if it stands in no file.
    fn uid(&self, user: Option<&str>) -> Option<u32> {
        let Some(user) = user.filter(|user| !user.is_empty()) else { return Some(self.around.ids.0) };
        let entry = || self.users.iter().find(|entry| entry.first().is_some_and(|name| name == user));
        user.parse().ok().or_else(|| entry().and_then(|entry| id_of(entry)))
    }

    fn name(&self, uid: u32) -> String {
        name(&self.users, uid)
    }

    fn look(&self, path: &str) -> Result<Owned, ErrorKind> {
        if self.remote.iter().any(|mount| mount == path) {
            return Err(ErrorKind::WouldBlock);
        }
        self.files.owner(path).map_err(|why| why.kind())
    }
}

/// The place in a line of /proc/self/mounts, if what is there may not answer. What is at the root has answered.
fn remote_mount(line: &str) -> Option<String> {
    let mut words = line.split(' ').skip(1);
    let (place, kind) = (words.next()?, words.next()?);
    let is_remote = REMOTE.split(' ').any(|remote| kind.starts_with(remote)) && place != "/";
    let escaped = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\043", "#"), ("\\134", "\\")];
    is_remote.then(|| escaped.iter().fold(place.to_string(), |place, (from, to)| place.replace(from, to)))
}

/// The number in a line of /etc/passwd or /etc/group.
fn id_of(entry: &[String]) -> Option<u32> {
    entry.get(2)?.parse().ok()
}

/// The name of a number in /etc/passwd or /etc/group.
fn name(entries: &[Vec<String>], id: u32) -> String {
    let entry = entries.iter().find(|entry| id_of(entry) == Some(id));
    entry.and_then(|entry| entry.first()).map_or_else(|| id.to_string(), |name| format!("`{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Names, load};
    use std::io;

    /// A machine: a configuration, and `PATH MODE UID GID [LINK]` of each file that is not root's alone.
    struct Machine(&'static str, &'static str);

    impl Files for Machine {
        fn read(&self, path: &str) -> io::Result<Vec<u8>> {
            match path {
                "/etc/c.ini" => Ok(self.0.into()),
                "/etc/passwd" => Ok("root:x:0:0:::\nwww:x:33:33:::\nann:x:7:7:::\nbob:x:8:100:::\n".into()),
                "/etc/group" => Ok("root:x:0:ann\nwww:x:33:\nstaff:x:50:\nadm:x:4:ann\nann:x:7:\n".into()),
                "/proc/self/mounts" => {
                    Ok("x / nfs4 rw\nx /a\\040b fuse.x rw\nx /o/far nfs rw\nx /o/x ext4 rw\n".into())
                }
                "/proc/self/uid_map" => Ok("0 0 4294967295".into()),
                _ => Err(ErrorKind::NotFound.into()),
            }
        }

        fn list(&self, _: &str) -> io::Result<Vec<String>> {
            Ok(Vec::new())
        }

        fn owner(&self, path: &str) -> io::Result<Owned> {
            let plain = |mode| Ok(Owned { mode, ..Owned::default() });
            let own = self.1.lines().find(|line| line.split(' ').next() == Some(path));
            let Some(line) = own else {
                return match path.rsplit('/').next().unwrap() {
                    name if name.contains("none") => Err(ErrorKind::NotFound.into()),
                    "c.ini" | "run" | "m.py" | "V" | "token" => plain(0o100_755),
                    _ => plain(0o040_755),
                };
            };
            let words: Vec<&str> = line.split(' ').collect();
            let mode = u32::from_str_radix(words[1], 8).unwrap();
            let link = words.get(4).map(|link| link.to_string());
            let (uid, gid) = (words[2].parse().unwrap(), words[3].parse().unwrap());
            Ok(Owned { uid, gid, mode, link, is_fixed: false })
        }
    }

    fn found(text: &'static str, machine: &'static str, own: u32) -> Vec<String> {
        let machine = Machine(text, machine);
        let environ = Names::from_iter([("PATH".to_string(), "/none:/p:/bin".to_string())]);
        let config = load("/etc/c.ini", &machine, &environ, "/w").config.unwrap();
        let around = Around { environ: &environ, cwd: "/w", default_path: "/bin", ids: (own, own) };
        check(&config, &machine, around, false)
            .iter()
            .map(|f| format!("{} {}", f.origin.line, f.message))
            .collect()
    }

    const RUN: &str = "[watcher:a]\ncmd = /o/x/run\n";

    #[test]
    fn what_only_root_and_the_user_can_change_is_no_warning() {
        let www = "[watcher:a]\ncmd = /o/x/run\nuid = www\nenv_file = V\n";
        for (text, machine) in [
            (RUN, ""),
            (RUN, "/o 41777 0 0"),
            ("[watcher:a]\ncmd = /o/far/run", "/o/far 40777 0 0"),
            ("[watcher:a]\ncmd = '/a b/x/run'", "/a b/x/run 100777 0 0"),
            (RUN, "/o 40775 0 50"),
            (RUN, "/o/x/run 100775 0 0"),
            (RUN, "/o/x/run 120777 0 0 ../y\n/o/y 100755 0 0"),
            (RUN, "/o 41777 0 0\n/o/x 120777 0 0 /y"),
            (RUN, "/o/x/run 20666 0 4"),
            (RUN, "/o/x/run 120777 0 0 run"),
            (www, "/o 40775 33 33\n/w 40700 33 0"),
            ("[watcher:a]\ncmd = sh\nuid = elsewhere", "/bin 40777 0 0"),
            ("[watcher:a]\ncmd = /o/x/run\nshell = 1", "/o 40777 0 0"),
            ("[watcher:a]\ncmd = $(circus.env.X)/run", "/o 40777 0 0"),
            ("[watcher:a]\ncmd = sh $(circus.env.X)/run", "/o 40777 0 0"),
            ("[watcher:a]\ncmd = sh -c /o/run", "/o 40777 0 0"),
            ("[watcher:a]\ncmd = python -m /o/run", "/o 40777 0 0"),
            ("[watcher:a]\ncmd = mysh /o/run", "/o 40777 0 0"),
        ] {
            assert_eq!(found(text, machine, 0), [""; 0], "{text} {machine}");
        }
        assert_eq!(found(RUN, "/o 40775 7 7\n/etc/c.ini 100664 7 7", 7), [""; 0]);
    }

    #[test]
    fn who_can_change_a_program_is_named_with_the_remedy() {
        let all =
            |place: &str| format!("2 every user can write to `{place}`, and so decide what runs as `root`");
        for (machine, wanted) in [
            ("/o 40777 0 0", all("/o") + ": chmod go-w /o"),
            ("/o/x/run 100757 0 0", all("/o/x/run") + ": chmod o-w /o/x/run"),
            (
                "/o/x 40775 0 4",
                "2 the group `adm` can write to `/o/x`, and so decide what runs as `root`: chmod g-w /o/x".into(),
            ),
            ("/o/x 40775 0 100", "2 the group 100 can write to `/o/x`, and so decide what runs as `root`: chmod g-w /o/x".into()),
            ("/o/x 40775 0 99", "2 the group 99 can write to `/o/x`, and so decide what runs as `root`: chmod g-w /o/x".into()),
            (
                "/o 41777 0 0\n/o/x 40755 7 7",
                "2 the user `ann` owns `/o/x` and can change it, and so decide what runs as `root`: chown root /o/x".into(),
            ),
            (
                "/o 41777 0 0\n/o/x 120777 7 7 /y",
                "2 the user `ann` owns `/o/x` and can change it, and so decide what runs as `root`: chown root /o/x".into(),
            ),
            (
                "/o 41777 0 0\n/o/x 120777 0 0 none",
                all("/o") + ": what is trusted belongs elsewhere than below /o",
            ),
            ("/o/x 120777 0 0 ../y/../z\n/z 40707 0 0", all("/z") + ": chmod o-w /z"),
        ] {
            assert_eq!(found(RUN, machine, 0), [wanted], "{machine}");
        }
    }

    #[test]
    fn each_file_that_is_trusted_is_looked_at() {
        let open = |file: &str, what: &str| {
            format!("every user can write to `{file}`, and so decide {what}: chmod go-w {file}")
        };
        let circus = "what circus runs as `root`";
        for (text, file, line, what) in [
            ("[circus]", "/etc", 0, circus),
            ("[circus]", "/etc/c.ini", 0, circus),
            ("[circus]\ninclude_dir = d", "/etc/d", 2, circus),
            ("[circus]\ninclude = d/*.ini", "/etc/d", 2, circus),
            ("[access]\ntoken_file = token", "/w/token", 2, "who commands circus by its port"),
            (
                "[watcher:a]\ncmd = sh\nuid = www\nenv_file = V",
                "/w/V",
                4,
                "the environment of what runs as `www`",
            ),
            ("[watcher:a]\ncmd = sh\nuid = www\nstop_command = ./run", "/w/run", 4, "what runs as `www`"),
            ("[watcher:a]\ncmd = sh\nuid = 33\nhealth = exec:./run", "/w/run", 4, "what runs as `www`"),
            (
                "[watcher:a]\ncmd = sh\nuid = www\nhooks.after_stop = ./run",
                "/w/run",
                4,
                "what runs as `root`",
            ),
            (
                "[watcher:a]\ncmd = sh\nhooks_uid = www\nhooks.after_stop = ./run",
                "/w/run",
                4,
                "what runs as `www`",
            ),
            ("[watcher:a]\ncmd = sh\nhooks.after_stop = m.f", "/w/m.py", 3, "what runs as `root`"),
            ("[watcher:a]\ncmd = /bin/python3.11 -u m.py x.py", "/w/m.py", 2, "what runs as `root`"),
            ("[watcher:a]\ncmd = bash\nargs = -x run\nworking_dir = d", "/w/d/run", 2, "what runs as `root`"),
            ("[watcher:a]\ncmd = sh\nhooks.after_stop = run", "/p", 3, "what runs as `root`"),
            ("[plugin:a]\ncmd = /o/run", "/o/run", 2, "what runs as `root`"),
        ] {
            let is_file = file.contains(".ini")
                || file.contains('.')
                || ["run", "V", "token"].iter().any(|end| file.ends_with(end));
            let machine = format!("{file} {}777 0 0", if is_file { "100" } else { "40" });
            assert_eq!(found(text, machine.leak(), 0), [format!("{line} {}", open(file, what))], "{text}");
        }
        let sticky = found("[circus]\ninclude_dir = /t", "/t 41777 0 0", 0);
        assert_eq!(sticky.len(), 1, "in a sticky directory, too, others can put another file: {sticky:?}");
    }

    #[test]
    fn a_place_is_named_once() {
        let text = "[watcher:a]\ncmd = /o/x/run\n[watcher:b]\ncmd = /o/x/run\n[watcher:c]\ncmd = /o/run\n";
        assert_eq!(found(text, "/o 40777 0 0", 0).len(), 1);
    }

    #[test]
    fn a_way_that_is_right_for_one_user_is_judged_again_for_another() {
        let text = "[watcher:a]\ncmd = /o/x/run\nuid = www\n[watcher:b]\ncmd = /o/x/run\n";
        let wanted =
            "5 the user `www` owns `/o` and can change it, and so decide what runs as `root`: chown root /o";
        assert_eq!(found(text, "/o 40755 33 33", 0), [wanted]);
    }
}
