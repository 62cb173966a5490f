//! Children that somebody keeps from becoming their program, and those of another user.

use super::*;

/// A lease on a program, for which each execve of it waits.
fn lease(program: &TempFile) -> File {
    // A wish to break it comes as a signal.
    crate::sys::signal::ignore(libc::SIGIO);
    let file = File::open(&program.0).unwrap();
    // SAFETY: works on a number.
    assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK) }, 0);
    file
}

#[test]
fn a_child_that_is_held_is_not_waited_for_and_goes_on_when_it_can() {
    both_ways(|| {
        let held = TempFile::new("held", 0o755);
        fs::copy("/bin/true", &held.0).unwrap();
        let lease = lease(&held);
        let mut spawner = spawner();
        let pid = spawner.spawn(&program(&[held.text()])).unwrap();
        assert_eq!(spawner.late.len(), 1, "it could not execute its program yet");
        drop(lease);
        assert_eq!(wait_for(pid), 0);
        assert_eq!(spawner.late_failure(pid), None);
    });
}

#[test]
fn a_child_that_is_held_can_be_killed_and_keeps_nothing_open() {
    both_ways(|| {
        let held = TempFile::new("killed", 0o755);
        fs::copy("/bin/true", &held.0).unwrap();
        let _lease = lease(&held);
        let mut spawner = spawner();
        let (reader, writer) = process::pipe().unwrap();
        let pid = spawner.spawn(&Child { session: true, ..program(&[held.text()]) }).unwrap();
        drop(writer);
        // The child has closed its copy, or this would wait for its end.
        process::set_nonblocking(reader.as_raw_fd(), false).unwrap();
        assert_eq!(File::from(reader).read(&mut [0]).unwrap(), 0);
        crate::sys::signal::kill_whole(pid, libc::SIGKILL).unwrap();
        assert_eq!(wait_for(pid) & 0x7f, libc::SIGKILL);
        assert_eq!(spawner.late_failure(pid), None);
    });
}

#[test]
fn what_goes_wrong_after_a_child_was_held_is_kept_for_its_end() {
    both_ways(|| {
        let held = TempFile::new("no-program", 0o755);
        let lease = lease(&held);
        let mut spawner = spawner();
        let pid = spawner.spawn(&program(&[held.text()])).unwrap();
        drop(lease);
        wait_for(pid);
        let failure = spawner.late_failure(pid).unwrap();
        assert_eq!(failure.to_string(), format!("exec {}: Exec format error", held.text()));
        assert_eq!(spawner.late_failure(pid), None, "it is told once");
    });
}

#[test]
fn a_group_that_is_not_there_yet_is_its_leader() {
    let _children = children_lock();
    let (reader, _writer) = process::pipe().unwrap();
    process::set_nonblocking(reader.as_raw_fd(), false).unwrap();
    let child = Child { stdin: Stdio::Fd(reader.as_raw_fd()), ..program(&["/bin/cat"]) };
    let pid = spawner().spawn(&child).unwrap();
    assert!(crate::sys::signal::kill_group(pid, libc::SIGKILL).is_err());
    crate::sys::signal::kill_whole(pid, libc::SIGKILL).unwrap();
    assert_eq!(wait_for(pid) & 0x7f, libc::SIGKILL);
}

#[test]
fn the_outputs_of_another_user_can_be_opened_by_path() {
    if user::current_uid() != 0 {
        return;
    }
    both_ways(|| {
        let script = "echo out > /dev/stdout; echo again > /proc/self/fd/1; echo err > /dev/stderr";
        let (reader, writer) = process::pipe().unwrap();
        let child = Child {
            uid: Some(65534),
            gid: Some(65534),
            groups: Some(vec![]),
            stderr: Stdio::Fd(writer.as_raw_fd()),
            ..shell(script)
        };
        assert_eq!(output(child), "out\nagain\n");
        let mut text = [0; 16];
        let length = File::from(reader).read(&mut text).unwrap();
        assert_eq!(&text[..length], b"err\n");
    });
}

#[test]
fn a_directory_is_entered_with_the_rights_of_the_childs_user() {
    if user::current_uid() != 0 {
        return;
    }
    both_ways(|| {
        let closed = std::env::temp_dir().join(format!("circus-child-{}-closed", process::pid()));
        fs::create_dir_all(&closed).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        let working_dir = Some(CString::new(closed.to_str().unwrap()).unwrap());
        let root = Child { working_dir, ..shell("pwd") };
        assert_eq!(output(root.clone()).trim_end(), closed.to_str().unwrap());
        // The capability to enter every directory is not in effect yet, even where it is kept.
        for capabilities in [None, Some(1 << 1)] {
            let restrictions = Restrictions { capabilities, ..Restrictions::default() };
            let other = Child { uid: Some(65534), gid: Some(65534), restrictions, ..root.clone() };
            let failure = error(other);
            assert_eq!((failure.step, failure.errno), (Step::Chdir, libc::EACCES));
        }
        fs::remove_dir(&closed).unwrap();
    });
}
