//! Whether those who have a role by `[access]` can get at the control socket: a role is worth nothing to a user whom a
//! directory on the way does not let pass.

use super::Checker;
use crate::config::Files;
use crate::config::grants::grants;
use crate::config::include::join;
use crate::config::ini::excerpt;
use crate::config::model::{Config, Finding};
use crate::config::row::Role;

/// A warning for the first directory before the control socket that lets nobody with a role pass. What does not exist
/// yet is not known. A directory that lets its group pass may be meant for a group that has a role.
pub fn check(config: &Config, files: &dyn Files, control: &str, cwd: &str) -> Option<Finding> {
    let access = &config.access;
    let roles: Vec<(Role, &str)> = access.options.roles().collect();
    let (first, _) = roles.first().filter(|_| !control.is_empty() && !control.starts_with('@'))?;
    let named = |text| grants(text).unwrap_or_default().iter().any(|grant| !grant.groups.is_empty());
    let needed = if roles.iter().any(|(_, text)| named(text)) { 0o011 } else { 0o001 };
    let path = join(cwd, control);
    let mut ways = path.match_indices('/').map(|(at, _)| path.get(..at).filter(|way| !way.is_empty()));
    let closed = ways.find_map(|way| {
        let way = way.unwrap_or("/");
        let owned = files.owner(way).ok().filter(|owned| owned.link.is_none() && owned.mode & needed == 0)?;
        Some((way, owned))
    });
    let (way, owned) = closed?;
    let mut checker = Checker::default();
    checker.warn(
        (&access.origins, first.key()),
        format!(
            "`{}` has mode {:03o} and lets no user with a role pass to the control socket {}: chmod o+x it, or set \
             endpoint in [circus] to another place",
            excerpt(way),
            owned.mode & 0o777,
            excerpt(control)
        ),
    );
    checker.findings.pop()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::include::Owned;
    use crate::config::{Names, load};
    use std::io;

    /// A configuration, and the directory that has another mode than 755.
    struct Machine<'a>(&'a str, &'a str, u32);

    impl Files for Machine<'_> {
        fn read(&self, path: &str) -> io::Result<Vec<u8>> {
            if path == "/c.ini" { Ok(self.0.into()) } else { Err(io::ErrorKind::NotFound.into()) }
        }

        fn list(&self, _: &str) -> io::Result<Vec<String>> {
            Ok(Vec::new())
        }

        fn owner(&self, path: &str) -> io::Result<Owned> {
            let mode = if path == self.1 { self.2 } else { 0o755 };
            Ok(Owned { uid: 0, gid: 0, mode: 0o040_000 | mode, ..Owned::default() })
        }
    }

    fn found(role: &str, control: &str, dir: &str, mode: u32) -> Option<String> {
        let text = format!("[access]\n{role}\n");
        let machine = Machine(&text, dir, mode);
        let config = load("/c.ini", &machine, &Names::default(), "/w").config.unwrap();
        check(&config, &machine, control, "/w").map(|found| found.message)
    }

    #[test]
    fn a_directory_that_lets_no_role_pass_is_named() {
        let told = "has mode 700 and lets no user with a role pass to the control socket";
        for (control, dir) in
            [("/run/c/sock", "/run/c"), ("/run/c/sock", "/run"), ("c/sock", "/w/c"), ("sock", "/w")]
        {
            let message = found("look = user:a", control, dir, 0o700).unwrap();
            assert!(message.starts_with(&format!("`{dir}` {told} {control}: ")), "{message}");
        }
        assert!(found("look = user:a", "/run/c/sock", "/run/c", 0o750).is_some(), "no role is a group's");
        for (role, control, dir, mode) in [
            ("look = user:a", "/run/c/sock", "/run/c", 0o711),
            ("look = group:a", "/run/c/sock", "/run/c", 0o750),
            ("look = user:a", "@c", "/", 0o700),
            ("look = user:a", "", "/", 0o700),
            ("connections = 3", "/run/c/sock", "/run/c", 0o700),
        ] {
            assert_eq!(found(role, control, dir, mode), None, "{role} {control}");
        }
    }
}
