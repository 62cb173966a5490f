//! Paths that only circus's user can have arranged, and others. Those with the directories of other users need root.

use super::*;
use crate::parts::streams::tests::Directory as Scratch;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, chown, lchown, symlink};

const USER: u32 = 47_011;
const OTHER: u32 = 47_012;

/// A directory in which everybody may write.
fn open_directory(scratch: &Scratch, name: &str) -> PathBuf {
    let path = scratch.path(name);
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o777)).unwrap();
    path
}

/// A directory of a user's; none where circus may not make one.
fn foreign(scratch: &Scratch, name: &str, uid: u32) -> Option<PathBuf> {
    let path = scratch.path(name);
    fs::create_dir(&path).unwrap();
    chown(&path, Some(uid), Some(uid)).ok().map(|()| path)
}

fn append(path: &Path) -> Result<(), String> {
    let file = Location::find(path).and_then(|location| location.append(user::current_uid()));
    file.and_then(|mut file| file.write_all(b"more\n")).map_err(|error| crate::sys::io_words(&error))
}

#[test]
fn where_nobody_else_can_write_links_are_followed_and_files_taken_as_they_are() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("disk")).unwrap();
    symlink("disk", scratch.path("logs")).unwrap();
    symlink(scratch.path("logs/../disk/real"), scratch.path("out")).unwrap();
    fs::write(scratch.path("disk/real"), "").unwrap();
    fs::hard_link(scratch.path("disk/real"), scratch.path("second")).unwrap();
    let location = Location::find(&scratch.path("out")).unwrap();
    assert!(!location.is_exposed());
    assert_eq!(location.path(), fs::canonicalize(scratch.path("disk/real")).unwrap());
    for name in ["out", "second", "logs/real", "logs/./../logs/real"] {
        append(&scratch.path(name)).unwrap();
    }
    assert_eq!(scratch.read("disk/real"), "more\n".repeat(4));
    symlink("round", scratch.path("round")).unwrap();
    assert!(append(&scratch.path("round")).unwrap_err().contains("symbolic links"));
    assert!(append(&scratch.path("disk/..")).unwrap_err().contains("directory"));
}

#[test]
fn where_others_can_write_a_file_with_a_second_name_is_refused() {
    let scratch = Scratch::new();
    let open = open_directory(&scratch, "open");
    fs::write(scratch.path("precious"), "").unwrap();
    fs::hard_link(scratch.path("precious"), open.join("out")).unwrap();
    let why = append(&open.join("out")).unwrap_err();
    assert!(why.contains("second name") && why.contains("others than root"), "{why}");
    assert_eq!(scratch.read("precious"), "");
    append(&open.join("own")).unwrap();
    append(&open.join("own")).unwrap();
    assert_eq!(fs::read_to_string(open.join("own")).unwrap(), "more\n".repeat(2));
    // What lies below it can be exchanged with it.
    fs::create_dir(open.join("below")).unwrap();
    assert!(Location::find(&open.join("below/out")).unwrap().is_exposed());
}

#[test]
fn in_a_sticky_directory_what_is_ours_stays_ours() {
    let scratch = Scratch::new();
    let open = open_directory(&scratch, "tmp");
    fs::set_permissions(&open, Permissions::from_mode(0o1777)).unwrap();
    fs::create_dir(open.join("own")).unwrap();
    assert!(!Location::find(&open.join("own/out")).unwrap().is_exposed());
    assert!(Location::find(&open.join("out")).unwrap().is_exposed());
}

#[test]
fn what_is_done_concerns_the_directory_that_was_walked_to() {
    let scratch = Scratch::new();
    let open = open_directory(&scratch, "open");
    let (moved, victim) = (scratch.path("moved"), scratch.path("victim"));
    fs::create_dir(&victim).unwrap();
    fs::write(victim.join("out"), "precious").unwrap();
    let location = Location::find(&open.join("out")).unwrap();
    fs::rename(&open, &moved).unwrap();
    symlink(&victim, &open).unwrap();
    location.append(user::current_uid()).unwrap().write_all(b"text").unwrap();
    location.rename(location.name(), OsStr::new("out.1")).unwrap();
    assert_eq!(fs::read_to_string(moved.join("out.1")).unwrap(), "text");
    location.remove(OsStr::new("out.1")).unwrap();
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(victim.join("out")).unwrap(), "precious");
}

#[test]
fn a_link_of_a_user_leads_only_into_a_directory_of_this_users() {
    let scratch = Scratch::new();
    let Some(home) = foreign(&scratch, "home", USER) else { return };
    let shared = foreign(&scratch, "shared", USER).unwrap();
    let others = foreign(&scratch, "others", OTHER).unwrap();
    fs::create_dir(scratch.path("root")).unwrap();
    fs::write(scratch.path("root/out"), "").unwrap();
    fs::create_dir(home.join("below")).unwrap();
    let link = |to: &Path, name: &str| {
        symlink(to, home.join(name)).unwrap();
        lchown(home.join(name), Some(USER), Some(USER)).unwrap();
    };
    link(&scratch.path("root/out"), "file");
    link(&scratch.path("root"), "directory");
    link(&others, "others");
    link(&shared, "current");
    link(&shared.join("new"), "new");
    for (name, why) in [
        ("file", "root is not a directory of this user's"),
        ("directory/out", "root is not a directory of this user's"),
        ("others/out", "others is not a directory of this user's"),
        ("below/../../root/out", "root is not a directory of this user's"),
    ] {
        let found = append(&home.join(name)).unwrap_err();
        assert!(found.contains(why) && found.contains(&USER.to_string()), "{name}: {found}");
    }
    assert_eq!(scratch.read("root/out"), "");
    append(&home.join("current/out")).unwrap();
    append(&home.join("new")).unwrap();
    assert!(shared.join("out").exists() && shared.join("new").exists());
    // Root's own link could be moved to another name.
    symlink(scratch.path("root"), home.join("roots")).unwrap();
    assert!(append(&home.join("roots/out")).is_err());
}

#[test]
fn files_of_root_the_watcher_and_the_owner_of_the_directory_go_on_working() {
    let scratch = Scratch::new();
    let Some(home) = foreign(&scratch, "home", USER) else { return };
    let open = |watcher| Location::find(&home.join("out")).and_then(|location| location.append(watcher));
    drop(open(0).unwrap());
    drop(open(0).unwrap());
    chown(home.join("out"), Some(USER), None).unwrap();
    drop(open(0).unwrap());
    fs::hard_link(home.join("out"), home.join("snapshot")).unwrap();
    drop(open(0).expect("a second name of the user's own file lends nothing"));
    fs::remove_file(home.join("snapshot")).unwrap();
    chown(home.join("out"), Some(OTHER), None).unwrap();
    drop(open(OTHER).unwrap());
    let why = open(0).unwrap_err().to_string();
    assert!(why.contains(&format!("belongs to user {OTHER}")), "{why}");
}

#[test]
fn a_link_of_proc_to_an_open_file_is_followed() {
    let scratch = Scratch::new();
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(scratch.path("out")).unwrap();
    for path in [format!("/proc/self/fd/{}", file.as_raw_fd()), format!("/dev/fd/{}", file.as_raw_fd())] {
        append(Path::new(&path)).unwrap();
    }
    append(Path::new(&format!("/proc/self/root{}", scratch.path("out").display()))).unwrap();
    assert_eq!(scratch.read("out"), "more\n".repeat(3));
}

#[test]
fn a_new_file_gets_mode_and_owner_of_the_old_one() {
    let scratch = Scratch::new();
    fs::write(scratch.path("old"), "").unwrap();
    fs::set_permissions(scratch.path("old"), Permissions::from_mode(0o640)).unwrap();
    let root = chown(scratch.path("old"), Some(USER), Some(OTHER)).is_ok();
    let new = Location::find(&scratch.path("new")).unwrap().create_new(OsStr::new("new")).unwrap();
    make_alike(&new, &fs::metadata(scratch.path("old")).unwrap()).unwrap();
    let meta = new.metadata().unwrap();
    assert_eq!(meta.mode() & 0o777, 0o640);
    assert!(!root || (meta.uid(), meta.gid()) == (USER, OTHER));
}

#[test]
fn a_socket_that_somebody_has_exchanged_is_not_given_away() {
    let scratch = Scratch::new();
    let path = scratch.path("sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let file = OwnFile::of_socket(&path, None).unwrap();
    file.give_to(Some(user::current_uid()), None).unwrap();
    fs::rename(&path, scratch.path("moved")).unwrap();
    fs::write(&path, "precious").unwrap();
    assert!(file.give_to(Some(USER), None).is_err());
    file.set_mode(0o777).unwrap();
    assert_ne!(fs::metadata(&path).unwrap().mode() & 0o777, 0o777);
    drop(file);
    assert_eq!(scratch.read("sock"), "precious", "nor is it removed");
    drop(listener);
    assert!(OwnFile::of_socket(&path, None).is_err() && Aside::put(&path).is_err());
    let moved = scratch.path("moved");
    drop(Aside::put(&moved).unwrap());
    Aside::put(&moved).inspect(|_| assert!(!moved.exists())).unwrap().remove();
    assert_eq!(fs::read_dir(scratch.path("")).unwrap().count(), 1);
}
