//! Users and groups, by number and by name, from /etc/passwd and /etc/group.
//!
//! Read directly, so that a static build and an empty container work; only who stands in neither file is looked
//! for in the name service switch, where there is one.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::nss;

pub use std::os::unix::fs::chown;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// One entry of the user database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The login name.
    pub name: String,
    /// The user's number.
    pub uid: u32,
    /// The number of the user's own group.
    pub gid: u32,
    /// The home directory.
    pub home: PathBuf,
    /// The login shell.
    pub shell: PathBuf,
}

/// The effective user id of circus.
pub fn current_uid() -> u32 {
    // SAFETY: takes nothing and touches no memory; cannot fail.
    unsafe { libc::geteuid() }
}

/// The effective group id of circus.
pub fn current_gid() -> u32 {
    // SAFETY: takes nothing and touches no memory; cannot fail.
    unsafe { libc::getegid() }
}

/// Does something with the rights that another user and group have to files. Without the privilege for that, with
/// circus's own.
pub fn as_to_files<T>(uid: u32, gid: u32, act: impl FnOnce() -> T) -> T {
    let (own_uid, own_gid) = set_ids_for_files(uid, gid);
    let done = act();
    // To go back to one's own needs no privilege.
    set_ids_for_files(own_uid, own_gid);
    done
}

/// Those before are the answer.
fn set_ids_for_files(uid: u32, gid: u32) -> (u32, u32) {
    // SAFETY: takes a number, and sets one of this thread alone.
    let gid = unsafe { libc::setfsgid(gid) };
    // SAFETY: as above.
    let uid = unsafe { libc::setfsuid(uid) };
    (uid.cast_unsigned(), gid.cast_unsigned())
}

/// The entry of a user given by name or by number; a name of digits alone counts as a number.
pub fn find_user(name_or_uid: &str) -> io::Result<Option<User>> {
    match number(name_or_uid) {
        Some(uid) => user_by_uid(uid),
        None => user_by_name(name_or_uid),
    }
}

/// An id. The highest number is none: to the kernel it means "leave it as it is".
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|&id| id != u32::MAX)
}

/// The entry of the user of that name.
pub fn user_by_name(name: &str) -> io::Result<Option<User>> {
    let local = find(&read(PASSWD)?, parse_user, |user| user.name == name);
    local.map_or_else(|| unless_static(|| nss::user_by_name(name)), |user| Ok(Some(user)))
}

/// The entry of the user of that number.
pub fn user_by_uid(uid: u32) -> io::Result<Option<User>> {
    let local = find(&read(PASSWD)?, parse_user, |user| user.uid == uid);
    local.map_or_else(|| unless_static(|| nss::user_by_uid(uid)), |user| Ok(Some(user)))
}

/// What the name service switch says. In a static build it would load a second C library and crash.
fn unless_static<T>(ask: impl FnOnce() -> io::Result<Option<T>>) -> io::Result<Option<T>> {
    if cfg!(target_feature = "crt-static") { Ok(None) } else { ask() }
}

/// The number of a user given by name or by number. A number needs no entry.
pub fn uid_of(name_or_uid: &str) -> io::Result<Option<u32>> {
    match number(name_or_uid) {
        Some(uid) => Ok(Some(uid)),
        None => Ok(user_by_name(name_or_uid)?.map(|user| user.uid)),
    }
}

/// The number of a group given by name or by number. A number needs no entry.
pub fn gid_of(name_or_gid: &str) -> io::Result<Option<u32>> {
    if let Some(gid) = number(name_or_gid) {
        return Ok(Some(gid));
    }
    let local = find(&read(GROUP)?, parse_group, |(name, _)| name == name_or_gid);
    local.map_or_else(|| unless_static(|| nss::gid_by_name(name_or_gid)), |(_, gid)| Ok(Some(gid)))
}

/// The groups that a user is to have at the side of `gid`, `gid` itself first: what initgroups would set.
///
/// A user who stands in /etc/passwd has the groups of /etc/group and no others.
pub fn supplementary_groups(name: &str, gid: u32) -> io::Result<Vec<u32>> {
    let is_local = find(&read(PASSWD)?, parse_user, |user| user.name == name).is_some();
    let elsewhere = if is_local { None } else { unless_static(|| nss::groups_of(name, gid).map(Some))? };
    elsewhere.map_or_else(|| Ok(groups_in(&read(GROUP)?, name, gid)), Ok)
}

/// A file that is not there has no entries.
fn read(path: &str) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        text => text,
    }
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n')
}

fn find<T>(text: &[u8], parse: impl Fn(&[u8]) -> Option<T>, wanted: impl Fn(&T) -> bool) -> Option<T> {
    lines(text).filter_map(parse).find(wanted)
}

/// A field that is text; None if it is none.
fn text_field(field: Option<&[u8]>) -> Option<&str> {
    std::str::from_utf8(field?).ok().map(str::trim_ascii)
}

/// One line of /etc/passwd, `name:password:uid:gid:comment:home:shell`. None for comments, for the `+` and `-`
/// lines of NIS and for broken ones.
pub fn parse_user(line: &[u8]) -> Option<User> {
    let mut fields = line.split(|&byte| byte == b':');
    let name = entry_name(fields.next())?;
    let uid = number(text_field(fields.nth(1))?)?;
    let gid = number(text_field(fields.next())?)?;
    let mut path = |skipped| PathBuf::from(OsStr::from_bytes(fields.nth(skipped).unwrap_or_default()));
    Some(User { name, uid, gid, home: path(1), shell: path(0) })
}

/// One line of /etc/group, `name:password:gid:members`.
pub fn parse_group(line: &[u8]) -> Option<(String, u32)> {
    let mut fields = line.split(|&byte| byte == b':');
    let name = entry_name(fields.next())?;
    Some((name, number(text_field(fields.nth(1))?)?))
}

fn entry_name(field: Option<&[u8]>) -> Option<String> {
    let name = text_field(field)?;
    if name.is_empty() || name.starts_with(['#', '+', '-']) { None } else { Some(name.to_owned()) }
}

/// The groups of a user in a text like /etc/group, beside `gid`, which comes first.
pub fn groups_in(text: &[u8], user: &str, gid: u32) -> Vec<u32> {
    let mut groups = vec![gid];
    for line in lines(text) {
        let members = line.split(|&byte| byte == b':').nth(3).unwrap_or_default();
        let mut names = members.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        if !names.any(|name| name == user.as_bytes()) {
            continue;
        }
        groups.extend(parse_group(line).map(|(_, gid)| gid).filter(|gid| !groups.contains(gid)));
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD_TEXT: &[u8] = b"root:x:0:0:root:/root:/bin/bash\n\
        # a comment:x:1:1::/:/\n\
        broken:x:one:1::/:/bin/sh\n\
        short:x:7\n\
        +nis:x:8:8::/:/bin/sh\n\
        \xff\xfe:x:9:9::/:/bin/sh\n\
        web:x:1000:100:Web,,,:/srv/\xe9:/bin/false\n\
        bare:x:1001:100\n\
        web:x:2000:200:twice:/:/";

    const GROUP_TEXT: &[u8] = b"root:x:0:\nusers:x:100:web\nlog:x:4:root,web\nadm:x:5: web \n\
        other:x:6:webmaster\nbroken:x:six:web\nlog2:x:4:web";

    fn user(name: &str) -> Option<User> {
        find(PASSWD_TEXT, parse_user, |user| user.name == name)
    }

    #[test]
    fn a_user_is_read_with_all_fields_and_the_first_entry_counts() {
        let web = user("web").unwrap();
        assert_eq!((web.uid, web.gid), (1000, 100));
        assert_eq!(web.home.as_os_str().as_bytes(), b"/srv/\xe9");
        assert_eq!(web.shell, PathBuf::from("/bin/false"));
    }

    #[test]
    fn lines_that_are_no_entries_are_passed_over() {
        for name in ["# a comment", "broken", "short", "+nis", ""] {
            assert_eq!(user(name), None, "{name}");
        }
        let bare = user("bare").unwrap();
        assert_eq!((bare.uid, bare.home, bare.shell), (1001, PathBuf::new(), PathBuf::new()));
    }

    #[test]
    fn supplementary_groups_are_those_that_name_the_user_each_once() {
        assert_eq!(groups_in(GROUP_TEXT, "web", 100), [100, 4, 5]);
        assert_eq!(groups_in(GROUP_TEXT, "nobody", 7), [7]);
        assert_eq!(groups_in(b"", "web", 1), [1]);
    }

    #[test]
    fn groups_are_found_by_name() {
        let gid =
            |wanted: &str| find(GROUP_TEXT, parse_group, |(name, _)| name == wanted).map(|(_, gid)| gid);
        assert_eq!(gid("users"), Some(100));
        assert_eq!(gid("broken"), None);
    }

    #[test]
    fn this_machine_has_a_root() {
        let root = find_user("root").unwrap().unwrap();
        assert_eq!(find_user("0").unwrap().unwrap(), root);
        assert_eq!(uid_of("root").unwrap(), Some(0));
        assert_eq!(uid_of("4000000000").unwrap(), Some(4_000_000_000));
        assert_eq!(uid_of("no-such-user-here").unwrap(), None);
        assert_eq!(uid_of("4294967295").unwrap(), None);
        assert_eq!(gid_of("root").unwrap(), Some(0));
        assert_eq!(supplementary_groups("root", 0).unwrap().first(), Some(&0));
    }
}
