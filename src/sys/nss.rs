//! Users and groups that stand in no file here: LDAP, sssd and the like, by the C library's name service switch.
//!
//! Not asked by a static build, where the switch would load a second C library and crash.

use std::ffi::{CStr, CString, OsStr, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::{io, mem, ptr};

use super::user::User;

/// Where a list of groups or the text of an entry is considered too long to be true.
const ROOM_LIMIT: usize = 1 << 20;

pub(super) fn user_by_name(name: &str) -> io::Result<Option<User>> {
    let Ok(name) = CString::new(name) else { return Ok(None) };
    let query = |entry: *mut libc::passwd, text: *mut c_char, room, found: *mut *mut libc::passwd| {
        // SAFETY: `name` has its null, `room` is the size of `text`, the others are places to write to.
        unsafe { libc::getpwnam_r(name.as_ptr(), entry, text, room, found) }
    };
    ask(query, user_from)
}

pub(super) fn user_by_uid(uid: u32) -> io::Result<Option<User>> {
    let query = |entry: *mut libc::passwd, text: *mut c_char, room, found: *mut *mut libc::passwd| {
        // SAFETY: `room` is the size of `text`, the others are places to write to.
        unsafe { libc::getpwuid_r(uid, entry, text, room, found) }
    };
    ask(query, user_from)
}

pub(super) fn gid_by_name(name: &str) -> io::Result<Option<u32>> {
    let Ok(name) = CString::new(name) else { return Ok(None) };
    let query = |entry: *mut libc::group, text: *mut c_char, room, found: *mut *mut libc::group| {
        // SAFETY: `name` has its null, `room` is the size of `text`, the others are places to write to.
        unsafe { libc::getgrnam_r(name.as_ptr(), entry, text, room, found) }
    };
    ask(query, |entry| Some(entry.gr_gid))
}

/// All groups of a user, `gid` among them.
pub(super) fn groups_of(name: &str, gid: u32) -> io::Result<Vec<u32>> {
    let name = CString::new(name)?;
    let mut groups: Vec<u32> = vec![0; 64];
    loop {
        let mut count = c_int::try_from(groups.len()).unwrap_or(c_int::MAX);
        // SAFETY: `name` has its null, and `count` says how many groups there is room for.
        let listed = unsafe { libc::getgrouplist(name.as_ptr(), gid, groups.as_mut_ptr(), &mut count) };
        if listed >= 0 {
            groups.truncate(usize::try_from(count).unwrap_or(0));
            return Ok(groups);
        }
        if groups.len() >= ROOM_LIMIT {
            return Err(io::Error::from_raw_os_error(libc::E2BIG));
        }
        groups.resize(groups.len() * 4, 0);
    }
}

/// Calls one of the get*_r functions with more and more room for its text until that is enough.
fn ask<E, T>(
    query: impl Fn(*mut E, *mut c_char, usize, *mut *mut E) -> c_int,
    convert: impl Fn(&E) -> Option<T>,
) -> io::Result<Option<T>> {
    let mut text: Vec<c_char> = vec![0; 1024];
    loop {
        let mut entry = mem::MaybeUninit::<E>::uninit();
        let mut found: *mut E = ptr::null_mut();
        let error = query(entry.as_mut_ptr(), text.as_mut_ptr(), text.len(), &mut found);
        match error {
            libc::EINTR => continue,
            libc::ERANGE if text.len() < ROOM_LIMIT => {
                text.resize(text.len() * 4, 0);
                continue;
            }
            // What the functions return for "there is none", depending on the service asked.
            0 | libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM => {}
            _ => return Err(io::Error::from_raw_os_error(error)),
        }
        // SAFETY: null, or a pointer to `entry`, which is filled then; both are used only while `text` lives.
        let found = unsafe { found.as_ref() };
        return Ok(found.and_then(&convert));
    }
}

fn user_from(entry: &libc::passwd) -> Option<User> {
    Some(User {
        name: String::from_utf8(bytes(entry.pw_name)).ok()?,
        uid: entry.pw_uid,
        gid: entry.pw_gid,
        home: PathBuf::from(OsStr::from_bytes(&bytes(entry.pw_dir))),
        shell: PathBuf::from(OsStr::from_bytes(&bytes(entry.pw_shell))),
    })
}

/// Copies a string of an entry that one of the get*_r functions has filled.
fn bytes(string: *const c_char) -> Vec<u8> {
    if string.is_null() {
        return Vec::new();
    }
    // SAFETY: not null, so it is a string with its null in the text that `ask` keeps.
    let string = unsafe { CStr::from_ptr(string) };
    string.to_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_switch_agrees_with_the_files() {
        let root = user_by_name("root").unwrap().unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(user_by_uid(0).unwrap().unwrap(), root);
        assert_eq!(gid_by_name("root").unwrap(), Some(0));
        assert!(groups_of("root", 12345).unwrap().contains(&12345));
    }

    #[test]
    fn who_is_nowhere_is_not_found() {
        assert_eq!(user_by_name("no such user").unwrap(), None);
        assert_eq!(user_by_name("nul\0inside").unwrap(), None);
        assert_eq!(gid_by_name("no such group").unwrap(), None);
        assert_eq!(user_by_uid(4_000_000_000).unwrap(), None);
    }
}
