//! A user, and what the modes of files let it do. Access control lists are not read.

use crate::config::Files;
use crate::config::include::Owned;
use crate::config::text;

/// A user with its groups.
pub struct User {
    /// What it is called.
    pub name: String,
    /// Its number.
    pub uid: u32,
    gids: Vec<u32>,
}

impl User {
    /// The user by this name or number, with the group that is set beside it, as /etc/passwd and /etc/group have them.
    pub fn of(files: &dyn Files, user: &str, group: Option<&str>) -> Option<User> {
        let (users, groups) = (table(files, "/etc/passwd"), table(files, "/etc/group"));
        let field = |row: &[String], n: usize| row.get(n)?.parse::<u32>().ok();
        let named = |rows: &[Vec<String>], name: &str| {
            let number = name.parse::<u32>().ok();
            let is_it = |row: &&Vec<String>| match number {
                Some(number) => field(row, 2) == Some(number),
                None => row.first().is_some_and(|own| own == name),
            };
            rows.iter().find(is_it).cloned()
        };
        let row = named(&users, user)?;
        let name = row.first()?.clone();
        let is_member =
            |row: &&Vec<String>| row.get(3).is_some_and(|names| names.split(',').any(|one| one == name));
        let mut gids: Vec<u32> = groups.iter().filter(is_member).filter_map(|row| field(row, 2)).collect();
        match group {
            Some(group) => gids.push(group.parse().ok().or_else(|| field(&named(&groups, group)?, 2))?),
            None => gids.extend(field(&row, 3)),
        }
        Some(User { uid: field(&row, 2)?, name, gids })
    }

    /// Whether it may do this with a file: 4 to read, 1 to execute it or pass through it.
    pub fn may(&self, owned: &Owned, bit: u32) -> bool {
        let shift = match () {
            () if self.uid == 0 => return bit != 1 || owned.is_dir() || owned.mode & 0o111 != 0,
            () if self.uid == owned.uid => 6,
            () if self.gids.contains(&owned.gid) => 3,
            () => 0,
        };
        owned.mode >> shift & bit != 0
    }
}

/// The fields of the lines of a file such as /etc/passwd.
pub fn table(files: &dyn Files, file: &str) -> Vec<Vec<String>> {
    let text = files.read(file).map(|bytes| text::from_bytes(&bytes)).unwrap_or_default();
    text.lines().map(|line| line.split(':').map(str::to_string).collect()).collect()
}
