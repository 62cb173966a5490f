//! What the options of `[access]` say: grants with commas between. A grant names users and groups, `user:NAME` and
//! `group:NAME`, and behind them the watchers that it is for, by name or shell pattern; without one it is for all.

/// The most users, groups and patterns of an option.
const MOST_WORDS: usize = 1000;
/// The longest of them, in bytes.
const LONGEST: usize = 1024;

/// Some people, and what they are given.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Grant<'a> {
    /// Users, by name or number.
    pub users: Vec<&'a str>,
    /// Groups, by name or number.
    pub groups: Vec<&'a str>,
    /// Patterns of the names of watchers; none: all.
    pub watchers: Vec<&'a str>,
}

/// The grants of a text.
///
/// # Errors
/// A phrase that completes "`key = value` ...".
pub fn grants(text: &str) -> Result<Vec<Grant<'_>>, String> {
    let words: usize = text.split(',').map(|grant| grant.split_whitespace().count()).sum();
    if words > MOST_WORDS {
        return Err(format!("has more than {MOST_WORDS} words"));
    }
    text.split(',').map(grant).collect()
}

fn grant(text: &str) -> Result<Grant<'_>, String> {
    let mut grant = Grant::default();
    for word in text.split_whitespace() {
        if word.len() > LONGEST {
            return Err(format!("has a word of more than {LONGEST} bytes"));
        }
        let (kind, name) = word.split_once(':').unwrap_or(("", word));
        let of = match kind {
            "user" => &mut grant.users,
            "group" => &mut grant.groups,
            _ => {
                grant.watchers.push(word);
                continue;
            }
        };
        if name.is_empty() {
            return Err(format!("has `{word}` without a name"));
        }
        if !grant.watchers.is_empty() {
            return Err(format!("has `{word}` behind the name of a watcher: a comma ends each grant"));
        }
        of.push(name);
    }
    if grant.users.is_empty() && grant.groups.is_empty() {
        let first = grant.watchers.first().unwrap_or(&"");
        return Err(format!("gives `{first}` to nobody: begin with user:NAME or group:NAME"));
    }
    Ok(grant)
}

/// Whether a text gives something to people, for all watchers.
///
/// # Errors
/// As [`grants`].
pub fn of_people(text: &str) -> Result<(), String> {
    match grants(text)?.iter().find_map(|grant| grant.watchers.first()) {
        Some(word) => Err(format!("has `{word}`, which is neither user:NAME nor group:NAME")),
        None => Ok(()),
    }
}

/// Whether a text gives something to people, for all watchers or some.
///
/// # Errors
/// As [`grants`].
pub fn of_watchers(text: &str) -> Result<(), String> {
    grants(text).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_name_people_and_then_watchers() {
        let grant = |users: &[&'static str], groups: &[&'static str], watchers: &[&'static str]| Grant {
            users: users.to_vec(),
            groups: groups.to_vec(),
            watchers: watchers.to_vec(),
        };
        assert_eq!(
            grants("user:deploy group:7 web* api,\n group:adm user:1001, user:x plugin:flapping"),
            Ok(vec![
                grant(&["deploy"], &["7"], &["web*", "api"]),
                grant(&["1001"], &["adm"], &[]),
                grant(&["x"], &[], &["plugin:flapping"]),
            ])
        );
    }

    #[test]
    fn what_gives_nothing_or_more_than_it_seems_is_refused() {
        for (text, why) in [
            ("deploy", "gives `deploy` to nobody: begin with user:NAME or group:NAME"),
            ("user:a,", "gives `` to nobody: begin with user:NAME or group:NAME"),
            ("user:a web user:b", "has `user:b` behind the name of a watcher: a comma ends each grant"),
            ("user:", "has `user:` without a name"),
        ] {
            assert_eq!(of_watchers(text), Err(why.into()));
        }
        assert_eq!(of_people("user:a group:b"), Ok(()));
        assert_eq!(of_people("user:a @b"), Err("has `@b`, which is neither user:NAME nor group:NAME".into()));
        assert!(grants(&"user:x ".repeat(1001)).is_err());
        assert!(grants(&format!("user:{}", "x".repeat(1025))).is_err());
    }
}
