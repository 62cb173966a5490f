//! What circus reads of the machine that others can write to: /proc, /etc/passwd and /etc/group, the variables that say
//! which sockets it was given, the names of old files, `[access]`.

use crate::seeds::Examples;
use circus::config::Names;
use circus::config::grants::{Grant, grants};
use circus::config::text;
use circus::fuzzed::{announced, number_of, parse_stat, uids_in};
use circus::sorted::Sorted;
use circus::sys::user::{groups_in, parse_group, parse_user};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

fn all(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub fn names_of_processes(_: &Examples) -> Vec<Vec<u8>> {
    all(&[
        "7 (a b) S 1 7 7 0 -1 0 0 0 0 0 3 4 0 0 20 -5 1 0 99 100 5 0",
        "x) R 2 3 4",
        "Name:\tx\nUid:\t1\t2\t3\t4\n",
        "Uid:\t0\t0\t0\t0",
        "7 (x) Z",
    ])
}

/// A process may call itself what it likes, and changes nothing by that but its name.
pub fn proc(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    parse_stat(&text);
    uids_in(&text);
    let fields = "S 11 12 13 0 -1 0 0 0 0 0 3 4 0 0 20 -5 1 0 99 100 5 0 0 0";
    let stat = parse_stat(&format!("7 ({text}) {fields}")).expect("the fields are there");
    let found = (stat.state, stat.ppid, stat.pgrp, stat.ticks, stat.nice, stat.start, stat.vsize, stat.rss);
    assert_eq!(found, ('S', 11, 12, 7, -5, 99, 100, 5), "a name has changed what is read");
    // The kernel writes the line feeds of a name in two characters.
    let name = text.replace('\\', "\\\\").replace('\n', "\\n");
    let status = format!("Name:\t{name}\nUmask:\t0022\nUid:\t5\t6\t7\t8\nGid:\t9\t9\t9\t9\n");
    assert_eq!(uids_in(&status), Some((5, 6)), "a name has changed who it is");
}

pub fn entries(_: &Examples) -> Vec<Vec<u8>> {
    all(&[
        "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
        "+::::::\n-x\n#c\nuser : x : 4294967295 : 0 ::\n",
        "wheel:x:10:root,user\nadm:x:4: user , a\nx:x:5:user",
        "user:x:7",
    ])
}

/// As they are read field by field.
pub fn passwd(input: &[u8]) {
    for line in input.split(|byte| *byte == b'\n') {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
        let text = |n: usize| {
            std::str::from_utf8(fields.get(n)?)
                .ok()
                .map(|field| field.trim_matches(|c: char| c.is_ascii_whitespace()))
        };
        let id = |n: usize| text(n)?.parse::<u32>().ok().filter(|id| *id != u32::MAX);
        let name = text(0).filter(|name| !name.is_empty() && !name.starts_with(['+', '-', '#']));
        let bytes = |n: usize| fields.get(n).copied().unwrap_or_default();
        let user = parse_user(line);
        let simple = || Some((name?.to_string(), id(2)?, id(3)?));
        assert_eq!(user.as_ref().map(|it| (it.name.clone(), it.uid, it.gid)), simple());
        assert!(
            user.is_none_or(|it| it.home.as_os_str().as_bytes() == bytes(5)
                && it.shell.as_os_str().as_bytes() == bytes(6))
        );
        assert_eq!(parse_group(line), name.and_then(|name| Some((name.to_string(), id(2)?))));
    }
    let groups = groups_in(input, "user", 100);
    let mut unique = groups.clone();
    unique.sort_unstable();
    unique.dedup();
    assert!(groups[0] == 100 && unique.len() == groups.len(), "{groups:?}");
    let own: Vec<u32> =
        input.split(|byte| *byte == b'\n').flat_map(|line| groups_in(line, "user", 100)).collect();
    assert!(own.iter().all(|gid| groups.contains(gid)) && groups.iter().all(|gid| own.contains(gid)));
}

pub fn variables(_: &Examples) -> Vec<Vec<u8>> {
    all(&[
        "LISTEN_PID=7\nLISTEN_FDS=2\nLISTEN_FDNAMES=a:b",
        "LISTEN_PID=7\nLISTEN_FDS=3\nLISTEN_FDNAMES=:b:c:d",
        "LISTEN_PID=7\nLISTEN_FDS=2147483647",
        "LISTEN_PID=8\nLISTEN_FDS=-1",
    ])
}

/// Variables, one a line.
pub fn passed(input: &[u8]) {
    let input = text::from_bytes(input);
    let variables: Names =
        input.lines().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect();
    let found: Vec<_> = announced(&variables, 7).collect();
    assert!(found.len() <= 1024 && found.iter().map(|(number, _)| *number).eq((3..).take(found.len())));
    let number = |name: &str| variables.get(name).and_then(|text| text.parse::<i32>().ok());
    let count = number("LISTEN_FDS").unwrap_or(0).clamp(0, 1024);
    assert_eq!(found.len() as i32, if number("LISTEN_PID") == Some(7) { count } else { 0 });
    let names = variables.get("LISTEN_FDNAMES").map_or("", String::as_str).split(':');
    for ((_, name), expected) in found.iter().zip(names.chain(std::iter::repeat(""))) {
        assert_eq!(name, expected);
    }
}

pub fn files(_: &Examples) -> Vec<Vec<u8>> {
    all(&[
        "f.1\nf",
        "f.2.gz\nf\nf.2",
        "f.20261123-2.gz\nf",
        "f.20261123\nf",
        "f.1.1\nf\nf.1",
        "f.20261123-+2\nf",
        "f.-1\nf",
        "f.1-1\nf",
    ])
}

/// The first line is the name of an entry, the others are those of the files in use.
pub fn backups(input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n');
    let entry = lines.next().unwrap_or_default();
    let used: Vec<&[u8]> = lines.collect();
    let names: Sorted<OsString, ()> = used.iter().map(|name| (OsStr::from_bytes(name).into(), ())).collect();
    let found = number_of(OsStr::from_bytes(entry), &names);
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let is_number = |end: &[u8]| match end.iter().position(|byte| *byte == b'-') {
        Some(at) => at >= 8 && digits(&end[..at]) && digits(&end[at + 1..]),
        None => digits(end),
    };
    let is_old = |name: &&&[u8]| {
        let end = entry.strip_prefix(**name).and_then(|end| end.strip_prefix(b"."));
        end.is_some_and(|end| is_number(end.strip_suffix(b".gz").unwrap_or(end)))
    };
    let expected = !used.contains(&entry) && used.iter().any(|name| is_old(&name));
    // A number may be too large to be one.
    let large = entry.iter().filter(|byte| byte.is_ascii_digit()).count() > 9;
    assert!(found.is_some() == expected || large && found.is_none(), "{found:?}, and it is one: {expected}");
    // What a rotation makes is known again.
    for (name, n) in used.iter().filter(|name| !name.is_empty()).zip(1_u64..) {
        for end in [format!(".{n}"), format!(".{n}.gz"), format!(".2026112{n}-{n}")] {
            let old = OsString::from(OsStr::from_bytes(&[name, end.as_bytes()].concat()));
            assert!(names.contains_key(&old) || n > 9 || number_of(&old, &names).is_some(), "{old:?}");
        }
    }
}

pub fn rights(_: &Examples) -> Vec<Vec<u8>> {
    all(&[
        "user:a group:7 web* api,\n group:adm user:1,user:x plugin:flapping",
        "user:,",
        "a user:b",
        "user:a web user:b",
    ])
}

/// What is granted is what stands there: written anew it is the same.
pub fn access(input: &[u8]) {
    let input = text::from_bytes(input);
    let Ok(found) = grants(&input) else { return };
    let write = |grant: &Grant<'_>| {
        assert!(!grant.users.is_empty() || !grant.groups.is_empty(), "a grant to nobody");
        let users = grant.users.iter().map(|name| format!("user:{name}"));
        let groups = grant.groups.iter().map(|name| format!("group:{name}"));
        let words = users.chain(groups).chain(grant.watchers.iter().map(|name| name.to_string()));
        words.collect::<Vec<_>>().join(" ")
    };
    let again = found.iter().map(write).collect::<Vec<_>>().join(",");
    assert_eq!(grants(&again).as_ref(), Ok(&found), "{again}");
    let words = |text: &str| text.split(',').flat_map(str::split_whitespace).count();
    assert_eq!(words(&again), words(&input), "words were left out");
}
