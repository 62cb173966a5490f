//! Whether the programs and scripts of a watcher can be run as they stand on the disk, by the user that is to run them.

use super::programs::Program;
use super::user::User;
use super::way::{Found, Lost, follow};
use crate::config::Files;
use crate::config::include::join;
use crate::config::ini::{excerpt, shorten};

/// A first line is read so far, as by the kernel.
const FIRST_LINE: usize = 256;

/// What keeps a program from being executed, as far as one can know. The kernel is asked for one place after the other,
/// and the first that can be executed is it.
pub fn program(program: &Program<'_>, files: &dyn Files, user: Option<&User>) -> Option<String> {
    let mut first = None;
    for place in &program.places {
        let why = match follow(place, files) {
            Err(Lost::Missing) => continue,
            Err(Lost::Unknown) => return None,
            Err(Lost::Dangling(to)) => Some(dangling(place, &to)),
            Ok(found) => of_file(place, &found, (program, files), user),
        };
        first = first.or(Some(why?));
    }
    first
}

/// What keeps an interpreter from reading its script.
pub fn script(script: &Program<'_>, files: &dyn Files, user: Option<&User>) -> Option<String> {
    let mut dangles = None;
    for place in &script.places {
        match follow(place, files) {
            Err(Lost::Missing) => {}
            Err(Lost::Unknown) => return None,
            Err(Lost::Dangling(to)) => dangles = Some(dangling(place, &to)),
            Ok(found) => return user.and_then(|user| out_of_reach(place, &found, user, (4, "read"))),
        }
    }
    let missing = || script.places.first().map(|place| format!("there is no script `{}`", excerpt(place)));
    dangles.or_else(missing)
}

fn dangling(place: &str, to: &str) -> String {
    format!("`{}` is a link to `{}`, which does not exist", excerpt(place), excerpt(to))
}

/// What keeps a user from a file, or from a directory.
pub fn out_of_reach(place: &str, found: &Found, user: &User, (bit, verb): (u32, &str)) -> Option<String> {
    let (name, shown) = (shorten(&user.name), excerpt(place));
    if let Some((dir, owned)) = found.dirs.iter().find(|(_, owned)| !user.may(owned, 1)) {
        let (dir, mode) = (excerpt(dir), owned.mode & 0o777);
        return Some(format!(
            "the user `{name}` cannot reach `{shown}`: `{dir}` has mode {mode:03o}; chmod o+x it, or choose a place outside"
        ));
    }
    let mode = found.owned.mode & 0o777;
    let may = user.may(&found.owned, bit);
    (!may).then(|| format!("the user `{name}` may not {verb} `{shown}`, which has mode {mode:03o}: chmod it, or choose another"))
}

fn of_file(
    place: &str,
    found: &Found,
    (program, files): (&Program<'_>, &dyn Files),
    user: Option<&User>,
) -> Option<String> {
    let shown = excerpt(place);
    if found.owned.is_dir() {
        return Some(format!("`{shown}` is a directory and no program"));
    }
    if !found.owned.is_regular() {
        return Some(format!("`{shown}` is not an executable file"));
    }
    if found.owned.mode & 0o111 == 0 {
        return Some(format!("`{shown}` is not executable: chmod +x it"));
    }
    if let Some(why) = user.and_then(|user| out_of_reach(place, found, user, (1, "execute"))) {
        return Some(why);
    }
    first_line(&shown, &files.begin(&found.place, FIRST_LINE).ok()?, program, files)
}

/// What is wrong with the beginning of a program, if that is text.
fn first_line(shown: &str, bytes: &[u8], program: &Program<'_>, files: &dyn Files) -> Option<String> {
    let Some(rest) = bytes.strip_prefix(b"#!") else {
        let is_text = !bytes.contains(&0) && !bytes.starts_with(b"\x7fELF");
        return is_text.then(|| {
            format!("`{shown}` does not begin with `#!` and the program that is to run it, as in `#!/bin/sh`")
        });
    };
    let line = rest.split(|b| *b == b'\n').next().unwrap_or_default();
    if line.ends_with(b"\r") {
        return Some(format!(
            "`{shown}` has the ends of lines of Windows, so the kernel looks for a program whose name ends with a \
             carriage return: sed -i 's/\\r$//' {shown}"
        ));
    }
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split_whitespace();
    let interpreter = words.next().filter(|path| path.starts_with('/'))?;
    if matches!(follow(interpreter, files), Err(Lost::Missing | Lost::Dangling(_))) {
        let interpreter = excerpt(interpreter);
        return Some(format!("`{shown}` is to be run by `{interpreter}`, which does not exist"));
    }
    let name = words.find(|word| !word.starts_with('-') && !word.contains('='));
    let name = name.filter(|name| interpreter.ends_with("/env") && !name.contains('/'))?;
    let mut dirs = program.venv.as_deref().into_iter().chain(program.path.0.split(':'));
    // Where the others are depends on the directory that they are looked for in.
    let may_be =
        |dir: &str| !dir.starts_with('/') || !matches!(follow(&join(dir, name), files), Err(Lost::Missing));
    let there = dirs.any(may_be);
    let (path, of) = (excerpt(&program.path.0), program.path.1);
    (!there).then(|| {
        let name = shorten(name);
        format!("`{shown}` is to be run by `{name}`, which is not in the PATH of {of} ({path})")
    })
}
