//! Real children, asked what they got.

use super::*;
use crate::sys::{children_lock, process, signal::Signals, user, wait};
use std::cell::Cell;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

mod held;

fn strings(texts: &[&str]) -> Vec<CString> {
    texts.iter().map(|&text| CString::new(text).unwrap()).collect()
}

fn program(argv: &[&str]) -> Child {
    Child {
        programs: strings(&argv[..1]),
        argv: strings(argv),
        env: strings(&["PATH=/usr/bin:/bin"]),
        ..Child::default()
    }
}

fn shell(script: &str) -> Child {
    program(&["/bin/sh", "-c", script])
}

thread_local! {
    /// Children get memory of their own.
    static IN_A_COPY: Cell<bool> = const { Cell::new(false) };
}

/// Does the same with children in circus's memory and with such as could be held.
fn both_ways(test: impl Fn()) {
    let _children = children_lock();
    for in_a_copy in [false, true] {
        IN_A_COPY.set(in_a_copy);
        test();
    }
}

fn spawner() -> Spawner {
    // Where nobody knows what is mounted, every child could be held.
    let mounts = IN_A_COPY.get().then(Mounts::default);
    Spawner { mounts, ..Spawner::new().unwrap() }
}

fn wait_for(pid: Pid) -> i32 {
    let mut status = 0;
    // SAFETY: `status` is ours to be written to.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    status
}

/// Runs a child with a pipe as its stdout and returns what it wrote.
fn output_of(spawner: &mut Spawner, child: Child) -> String {
    let (reader, writer) = process::pipe().unwrap();
    process::set_nonblocking(reader.as_raw_fd(), false).unwrap();
    let pid = spawner.spawn(&Child { stdout: Stdio::Fd(writer.as_raw_fd()), ..child }).unwrap();
    drop(writer);
    let mut text = String::new();
    File::from(reader).read_to_string(&mut text).unwrap();
    assert_eq!(wait_for(pid), 0, "{text}");
    text
}

fn output(child: Child) -> String {
    output_of(&mut spawner(), child)
}

fn error(child: Child) -> SpawnError {
    let mut spawner = spawner();
    // On a busy machine it may come late.
    let late = |spawner: &mut Spawner, pid| {
        wait_for(pid);
        spawner.late_failure(pid).unwrap()
    };
    // One with memory of its own is not waited for without end.
    let is_forked = spawner.may_be_held(&child);
    let error = spawner.spawn(&child).map_or_else(|error| error, |pid| late(&mut spawner, pid));
    while is_forked && wait::children_exist() {
        // SAFETY: a null status is allowed; waitpid touches no memory then.
        unsafe { libc::waitpid(-1, ptr::null_mut(), 0) };
    }
    assert!(!wait::children_exist(), "{error} has left a child");
    error
}

/// A file of its own for one test, removed at its end.
struct TempFile(PathBuf);

impl TempFile {
    fn new(name: &str, mode: u32) -> Self {
        let path = std::env::temp_dir().join(format!("circus-child-{}-{name}", process::pid()));
        fs::write(&path, "no program").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        TempFile(path)
    }

    fn open(&self) -> OwnedFd {
        File::open(&self.0).unwrap().into()
    }

    fn text(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}

/// One field of /proc/self/status.
fn status_field<'t>(status: &'t str, name: &str) -> &'t str {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in {status}")).trim()
}

#[test]
fn a_child_gets_arguments_environment_directory_and_mask() {
    both_ways(|| {
        let child = Child {
            argv: strings(&["name", "-c", "echo \"$0 $1 $A $B\"; env; pwd; umask", "zero", "one two"]),
            env: strings(&["A=1", "B=x y"]),
            working_dir: Some(c"/proc".into()),
            umask: Some(0o027),
            ..shell("")
        };
        let text = output(child);
        assert_eq!(text.lines().next(), Some("zero one two 1 x y"));
        assert!(
            text.contains("\nA=1\n") && text.contains("\nB=x y\n") && text.ends_with("\n/proc\n0027\n"),
            "{text}"
        );
        assert!(!text.contains("LISTEN_PID") && !text.contains("CARGO"), "{text}");
    });
}

#[test]
fn a_program_that_is_not_there_is_reported_and_leaves_no_zombie() {
    both_ways(|| {
        let error = error(program(&["/no/such/program"]));
        assert_eq!((error.step, error.errno, error.program()), (Step::Exec, libc::ENOENT, 0));
        let path = if IN_A_COPY.get() { " /no/such/program" } else { "" };
        assert_eq!(error.to_string(), format!("exec{path}: No such file or directory"));
        let left = fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
        assert_eq!(left, "");
    });
}

#[test]
fn candidates_are_tried_in_order() {
    both_ways(|| {
        let forbidden = TempFile::new("forbidden", 0o644);
        let below_a_file = format!("{}/x", forbidden.text());
        let tried = |programs: &[&str]| error(Child { programs: strings(programs), ..shell("true") });
        let tried = |programs: &[&str]| {
            let error = tried(programs);
            (error.step, error.errno, error.program())
        };
        let failed = |errno, program| (Step::Exec, errno, program);

        let found = Child {
            programs: strings(&["/nowhere", forbidden.text(), &below_a_file, "/bin/sh"]),
            ..shell("echo ran")
        };
        assert_eq!(output(found), "ran\n");
        assert_eq!(tried(&["/nowhere", forbidden.text(), "/nowhere"]), failed(libc::EACCES, 1));
        assert_eq!(tried(&["/nowhere", &below_a_file]), failed(libc::ENOTDIR, 1));
        assert_eq!(tried(&[]), failed(libc::ENOENT, 0));
    });
}

#[test]
fn a_candidate_that_is_no_program_ends_the_search() {
    both_ways(|| {
        let broken = TempFile::new("broken", 0o755);
        let error =
            error(Child { programs: strings(&["/nowhere", broken.text(), "/bin/sh"]), ..shell("true") });
        assert_eq!((error.step, error.errno, error.program()), (Step::Exec, libc::ENOEXEC, 1));
    });
}

#[test]
fn a_directory_that_is_not_there_is_reported() {
    both_ways(|| {
        let error = error(Child { working_dir: Some(c"/no/such/directory".into()), ..shell("true") });
        assert_eq!((error.step, error.errno), (Step::Chdir, libc::ENOENT));
        let path = if IN_A_COPY.get() { " /no/such/directory" } else { "" };
        assert_eq!(error.to_string(), format!("chdir{path}: No such file or directory"));
    });
}

#[test]
fn ids_are_dropped_entirely_or_the_spawn_fails() {
    both_ways(|| {
        let id = 65534;
        let child = Child {
            groups: Some(vec![7, 9]),
            gid: Some(id),
            uid: Some(id),
            ..program(&["/bin/cat", "/proc/self/status"])
        };
        if user::current_uid() != 0 {
            assert_eq!(error(child).to_string(), "setgroups: Operation not permitted");
            return;
        }
        let status = output(child);
        let four = format!("{id}\t{id}\t{id}\t{id}");
        assert_eq!(status_field(&status, "Uid"), four);
        assert_eq!(status_field(&status, "Gid"), four);
        assert_eq!(status_field(&status, "Groups"), "7 9");
        assert_eq!(status_field(&status, "CapEff"), "0000000000000000");
    });
}

#[test]
fn the_id_that_means_unchanged_is_refused() {
    both_ways(|| {
        let user = error(Child { uid: Some(u32::MAX), ..shell("true") });
        assert_eq!((user.step, user.errno), (Step::Setuid, libc::EINVAL));
        let group = error(Child { gid: Some(u32::MAX), ..shell("true") });
        assert_eq!((group.step, group.errno), (Step::Setgid, libc::EINVAL));
    });
}

/// What the child's descriptors are, as (number, target); without the one by which `ls` looks.
fn descriptors(spawner: &mut Spawner, child: Child) -> Vec<(RawFd, String)> {
    let listed =
        Child { argv: strings(&["ls", "-l", "/proc/self/fd"]), programs: strings(&["/bin/ls"]), ..child };
    let text = output_of(spawner, listed);
    let parse = |line: &str| {
        let (left, target) = line.split_once(" -> ")?;
        let number = left.rsplit(' ').next()?.parse().ok()?;
        (!target.starts_with("/proc/")).then(|| (number, target.to_owned()))
    };
    let mut found: Vec<_> = text.lines().filter_map(parse).collect();
    found.sort();
    found
}

#[test]
fn a_child_has_three_descriptors_and_its_sockets() {
    both_ways(|| {
        let file = TempFile::new("descriptors", 0o644);
        let (first, second) = (file.open(), File::open("/dev/zero").unwrap());
        // SAFETY: works on a number.
        let leak = unsafe { libc::dup(first.as_raw_fd()) };
        let mut spawner = spawner();
        assert!(spawner.close_range);
        for close_range in [true, false] {
            spawner.close_range = close_range;
            let child = Child {
                stdin: Stdio::Null,
                sockets: vec![(first.as_raw_fd(), 3), (second.as_raw_fd(), 7)],
                ..program(&["ls"])
            };
            let found = descriptors(&mut spawner, child);
            let numbers: Vec<_> = found.iter().map(|(number, _)| *number).collect();
            assert_eq!(numbers, [0, 1, 2, 3, 7]);
            assert_eq!(found[0].1, "/dev/null");
            assert!(found[1].1.starts_with("pipe:"), "{found:?}");
            assert_eq!((found[3].1.as_str(), found[4].1.as_str()), (file.text(), "/dev/zero"));
        }
        // SAFETY: the descriptor is ours alone.
        unsafe { libc::close(leak) };
    });
}

#[test]
fn descriptors_may_change_places_and_stay_where_they_are() {
    both_ways(|| {
        let files = ["/dev/zero", "/dev/full", "/dev/urandom"].map(|path| File::open(path).unwrap());
        let [zero, full, random] = files.each_ref().map(|file| file.as_raw_fd());
        let child = Child {
            stdin: Stdio::Fd(2),
            stderr: Stdio::Fd(zero),
            sockets: vec![(zero, full), (full, zero), (random, random)],
            ..program(&["ls"])
        };
        let own_two = fs::read_link("/proc/self/fd/2").unwrap().display().to_string();
        let found = descriptors(&mut spawner(), child);
        let target = |fd| found.iter().find(|(number, _)| *number == fd).map(|(_, target)| target.as_str());
        assert_eq!((target(zero), target(full)), (Some("/dev/full"), Some("/dev/zero")));
        assert_eq!(target(random), Some("/dev/urandom"));
        assert_eq!((target(0), target(2)), (Some(own_two.as_str()), Some("/dev/zero")));
        assert_eq!(found.len(), 6);
    });
}

#[test]
fn a_descriptor_that_is_not_open_is_reported() {
    both_ways(|| {
        let error = error(Child { sockets: vec![(900_000, 3)], ..shell("true") });
        assert_eq!(error.to_string(), "dup2 of descriptor 900000: Bad file descriptor");
    });
}

#[test]
fn pids_in_the_environment_are_the_childs_own() {
    both_ways(|| {
        let script = "echo $LISTEN_PID $WATCHDOG_PID $$; env | grep -c _PID=";
        for (listen_pid, watchdog_pid) in [(true, false), (false, true), (true, true)] {
            let text = output(Child { listen_pid, watchdog_pid, ..shell(script) });
            let words: Vec<_> = text.split_whitespace().collect();
            let own = words[words.len() - 2];
            let wanted = 1 + usize::from(listen_pid && watchdog_pid);
            assert_eq!(words.len(), wanted + 2, "{text}");
            assert!(words[..wanted].iter().all(|word| *word == own), "{text}");
            assert_eq!(words.last(), Some(&wanted.to_string().as_str()), "{text}");
        }
    });
}

#[test]
fn the_own_pid_may_be_any_number() {
    for pid in [0, 7, 10, 4711, 4_194_304, u32::MAX] {
        let slot = OwnPid::new(b"WATCHDOG_PID=");
        slot.fill(pid);
        // SAFETY: the slot ends with a null.
        let text = unsafe { std::ffi::CStr::from_ptr(slot.as_ptr()) };
        assert_eq!(text.to_str().unwrap(), format!("WATCHDOG_PID={pid}"));
    }
}

fn assert_clean_signals(spawner: &mut Spawner) {
    let status = output_of(spawner, program(&["/bin/cat", "/proc/self/status"]));
    for field in ["SigBlk", "SigIgn", "SigCgt"] {
        assert_eq!(status_field(&status, field), "0000000000000000", "{field}");
    }
}

#[test]
fn signals_are_unblocked_and_at_their_defaults() {
    both_ways(|| {
        let _handled = Signals::new(&[libc::SIGTERM, libc::SIGCHLD]).unwrap();
        // SAFETY: ignoring a signal runs no code.
        let before = unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
        // SAFETY: all zeros are a valid set.
        let mut blocked: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: the set is ours to be written to.
        unsafe { libc::sigaddset(&mut blocked, libc::SIGUSR1) };
        // SAFETY: the set is filled; a null old one is allowed.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &blocked, ptr::null_mut()) };

        assert_clean_signals(&mut spawner());
        let own = fs::read_to_string("/proc/thread-self/status").unwrap();
        assert_eq!(status_field(&own, "SigBlk"), "0000000000000200");
        // SAFETY: as above.
        unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &blocked, ptr::null_mut()) };
        // SAFETY: puts back what stood there.
        unsafe { libc::signal(libc::SIGHUP, before) };
    });
}

#[test]
fn limits_are_set_and_the_number_of_files_is_given_back() {
    both_ways(|| {
        let hard = limit::get(limit::NOFILE).unwrap().hard;
        let nofile = |soft| Limit { resource: limit::NOFILE, soft, hard };
        let mut spawner = spawner();
        spawner.original_nofile = Some(nofile(123));
        assert_eq!(output_of(&mut spawner, shell("ulimit -Sn; ulimit -Hn")), format!("123\n{hard}\n"));
        let core = Limit { resource: limit::resource("core").unwrap(), soft: 0, hard: 0 };
        let child = Child { limits: vec![nofile(77), core], ..shell("ulimit -Sn; ulimit -c") };
        assert_eq!(output_of(&mut spawner, child), "77\n0\n");
    });
}

#[test]
fn a_limit_below_the_descriptors_does_not_keep_them_from_the_child() {
    both_ways(|| {
        let file = File::open("/dev/zero").unwrap();
        let two = Limit { resource: limit::NOFILE, soft: 2, hard: 2 };
        let child = Child {
            limits: vec![two],
            sockets: vec![(file.as_raw_fd(), 3)],
            stderr: Stdio::Null,
            ..shell("true")
        };
        // The dynamic loader cannot open its libraries then: that the program has begun is what counts.
        let pid = spawner().spawn(&child).unwrap();
        wait_for(pid);
    });
}

#[test]
fn a_limit_that_cannot_be_set_is_reported_by_name() {
    both_ways(|| {
        let upside_down = Limit { resource: limit::NOFILE, soft: 2, hard: 1 };
        let error = error(Child { limits: vec![upside_down], ..shell("true") });
        assert_eq!(error.to_string(), "setrlimit nofile: Invalid argument");
    });
}

#[test]
fn a_session_is_the_childs_own_only_when_asked() {
    both_ways(|| {
        for session in [true, false] {
            let text = output(Child { session, ..program(&["/bin/cat", "/proc/self/stat"]) });
            let (pid, rest) = text.split_once(' ').unwrap();
            let fields: Vec<_> = rest.rsplit(") ").next().unwrap().split(' ').collect();
            assert_eq!([fields[2] == pid, fields[3] == pid], [session; 2], "{text}");
        }
    });
}

#[test]
fn many_children_leave_nothing_behind() {
    both_ways(|| {
        let mut spawner = spawner();
        let child = Child { stdin: Stdio::Null, session: true, ..program(&["/bin/true"]) };
        let pids: Vec<_> = (0..50).map(|_| spawner.spawn(&child).unwrap()).collect();
        for &pid in &pids {
            assert_eq!(wait_for(pid), 0);
            assert_eq!(wait::reap(pid).unwrap_err().raw_os_error(), Some(libc::ECHILD));
        }
        assert!(
            Path::new("/proc/self/fd").join(spawner.null.as_ref().unwrap().as_raw_fd().to_string()).exists()
        );
    });
}

#[test]
fn a_mask_has_what_was_blocked() {
    let _children = crate::sys::children_lock();
    let before = mask::block_all();
    let all = mask::block_all();
    mask::block(&before);
    assert!(
        (1..=64)
            .filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal))
            .all(|signal| all.has(signal))
    );
    assert!(![libc::SIGKILL, libc::SIGSTOP, 0, -1, 65, i32::MAX].into_iter().any(|signal| all.has(signal)));
    assert!(!Mask::default().has(1));
}
