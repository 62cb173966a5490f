//! Who has which role: by `[access]`, and where there is none by `endpoint_owner` and `endpoint_mode`.
//!
//! Users and groups are looked up when the configuration is read, so that a request costs no look at /etc. Who is at
//! the other end says the kernel, once, when a connection is made; what role that is, is asked for each request, so that
//! a right that is taken away is gone at once.

use super::client::Caller;
use super::limits::Limits;
use crate::config::grants::grants;
use crate::config::ini::shorten;
use crate::config::options::{AccessOptions, CircusOptions};
use crate::config::pattern::Pattern;
use crate::config::row::Role;
use crate::control::secrets;
use crate::host::token;
use crate::parts::log::Log;
use crate::sys::{io_words, user};
use std::io;

/// Who may do what.
#[derive(Default)]
pub struct Access {
    grants: Vec<Grant>,
    /// What each user may take who is not privileged.
    pub limits: Limits,
    /// There is an `[access]` that gives rights.
    is_on: bool,
    /// `endpoint_owner`, if there is such a user.
    owner: Option<u32>,
    has_owner: bool,
    /// Ports ask for this token; for none at all if it could not be read, and then nobody has it.
    token: Option<Option<String>>,
}

/// A role, and who has it for which watchers.
struct Grant {
    role: Role,
    uids: Vec<u32>,
    gids: Vec<u32>,
    /// None: for all.
    watchers: Vec<Pattern>,
}

impl Grant {
    fn is_for(&self, caller: &Caller) -> bool {
        self.uids.contains(&caller.uid) || caller.gids.iter().any(|gid| self.gids.contains(gid))
    }
}

impl Access {
    /// What the configuration says. A name that nobody has gives nothing to anybody, and is told of.
    pub fn new(options: &AccessOptions, circus: &CircusOptions, log: &mut Log) -> Access {
        let mut access = Access { is_on: options.gives_rights(), ..Access::default() };
        access.limits = Limits::new(options);
        let owner = circus.endpoint_owner.as_deref();
        access.token = options.token_file.as_deref().map(|path| {
            let token = token::read(path);
            token.inspect_err(|why| log.error(format_args!("[access]: {why}; ports accept no commands"))).ok()
        });
        access.has_owner = owner.is_some();
        access.owner = owner.and_then(|name| user::uid_of(name).ok().flatten());
        for (role, text) in options.roles() {
            // What is not a list of grants has been reported.
            for grant in grants(text).unwrap_or_default() {
                let mut ids = |names: &[&str], what: &str, look: fn(&str) -> io::Result<Option<u32>>| {
                    let id = |name: &&str| match look(name) {
                        Ok(Some(id)) => Some(id),
                        Ok(None) => unknown(role, what, name, "there is none", log),
                        Err(error) => unknown(role, what, name, &io_words(&error), log),
                    };
                    names.iter().filter_map(id).collect()
                };
                access.grants.push(Grant {
                    role,
                    uids: ids(&grant.users, "user", user::uid_of),
                    gids: ids(&grant.groups, "group", user::gid_of),
                    watchers: grant.watchers.iter().map(|name| Pattern::new(&name.to_lowercase())).collect(),
                });
            }
        }
        access
    }

    /// Whether somebody has places and time that others have not: root, the user of circus, and `admin`.
    pub fn is_privileged(&self, caller: &Caller) -> bool {
        caller.trusted || self.is_on && self.role(caller) == Some(Role::Admin)
    }

    /// Takes the place of what was configured before; whether another token holds now. While circus runs, a port that may be
    /// open to the network does not cease to ask for one.
    pub fn succeed(&mut self, before: &Access, log: &mut Log) -> bool {
        if before.token.is_some() && self.token.is_none() {
            log.warning(format_args!(
                "[access]: token_file: ports ask for the token until circus is started anew"
            ));
            self.token.clone_from(&before.token);
        }
        self.token != before.token
    }

    /// Whether somebody may still show the token.
    pub fn awaits_token(&self, caller: &Caller) -> bool {
        caller.by_port && self.token.is_some() && !caller.proven
    }

    /// Whether this is the token, or none is asked for.
    pub fn takes_token(&self, caller: &Caller, sent: &str) -> bool {
        match &self.token {
            Some(token) if caller.by_port => {
                token.as_ref().is_some_and(|token| secrets::is_token(sent, token))
            }
            Some(_) | None => true,
        }
    }

    /// Whether groups decide anything.
    pub fn knows_groups(&self) -> bool {
        self.grants.iter().any(|grant| !grant.gids.is_empty())
    }

    /// The role of somebody; none: not even to connect.
    pub fn role(&self, caller: &Caller) -> Option<Role> {
        if caller.trusted {
            return Some(Role::Admin);
        }
        if caller.plugin.is_some() {
            return Some(Role::Owner);
        }
        if caller.by_port && self.token.is_some() {
            return caller.proven.then_some(Role::Admin);
        }
        if self.is_on {
            let granted = self.grants.iter().filter(|grant| grant.is_for(caller)).map(|grant| grant.role);
            let owner = (self.owner == Some(caller.uid)).then_some(Role::Owner);
            // Which user is behind a port is not known.
            return granted.chain(owner).max().filter(|_| !caller.by_port);
        }
        match (caller.by_abstract_name, self.has_owner, caller.by_port) {
            (true, _, _) => None,
            (false, true, _) => Some(Role::Owner),
            (false, false, true) => Some(Role::Admin),
            (false, false, false) => Some(Role::Member),
        }
    }

    /// Whether somebody is told of no text that may hold a secret. Without `[access]` nobody has so low a role.
    pub fn is_low(&self, caller: &Caller) -> bool {
        self.is_on && self.role(caller) < Some(Role::Owner)
    }

    /// Whether somebody whose role is to operate may do so with a watcher.
    pub fn may_operate(&self, caller: &Caller, watcher: &str) -> bool {
        let name = watcher.to_lowercase();
        let is_meant = |grant: &Grant| {
            grant.watchers.is_empty() || grant.watchers.iter().any(|pattern| pattern.matches(&name))
        };
        let mut theirs = self.grants.iter().filter(|it| it.role >= Role::Operate && it.is_for(caller));
        theirs.any(is_meant)
    }

    /// Why somebody without a role is not served.
    pub fn stranger(&self, caller: &Caller) -> String {
        match (self.is_on, caller.by_port) {
            (_, true) if self.token.is_some() => {
                "this port wants a token before the first request, and this is none or a wrong one; circus ctl sends \
                 that of --token-file"
                    .into()
            }
            (false, _) => "this control socket serves root and the user of circus only".into(),
            (true, true) => {
                "[access] of the configuration gives roles to users, and a port tells of none: set token_file, or use the Unix socket"
                    .into()
            }
            (true, false) => {
                let Caller { uid, .. } = caller;
                format!("uid {uid} has no role here; look, operate or admin in [access] of the configuration gives one")
            }
        }
    }
}

fn unknown(role: Role, what: &str, name: &str, why: &str, log: &mut Log) -> Option<u32> {
    log.warning(format_args!("[access]: {}: {what} {}: {why}; it gets no right", role.key(), shorten(name)));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(text: [Option<&str>; 3]) -> Access {
        let [look, operate, admin] = text.map(|text| text.map(Into::into));
        let options = AccessOptions { look, operate, admin, ..AccessOptions::default() };
        let mut log = Log::open(Some("/dev/null"), crate::parts::log::Level::Info, false).ok().unwrap();
        Access::new(&options, &CircusOptions::default(), &mut log)
    }

    fn caller(uid: u32, gids: &[u32]) -> Caller {
        Caller { gids: gids.to_vec(), ..Caller::of(uid) }
    }

    #[test]
    fn users_and_groups_have_the_highest_role_that_is_given_to_them() {
        let access = access([
            Some("user:4001 group:5001"),
            Some("user:4001 web*, group:5002 Db, group:5003"),
            Some("group:5004"),
        ]);
        let role = |uid, gids: &[u32]| access.role(&caller(uid, gids));
        assert_eq!(role(4001, &[]), Some(Role::Operate));
        assert_eq!(role(4002, &[5001]), Some(Role::Look));
        assert_eq!(role(4002, &[1, 5004, 5001]), Some(Role::Admin));
        assert_eq!(role(4002, &[1]), None);
        assert_eq!(role(0, &[]), Some(Role::Admin));
        assert_eq!(access.role(&Caller { by_port: true, ..caller(4001, &[5004]) }), None);
        let may = |uid, gids: &[u32], name| access.may_operate(&caller(uid, gids), name);
        assert_eq!((may(4001, &[], "Web-1"), may(4001, &[], "db")), (true, false));
        assert_eq!((may(4001, &[5002], "db"), may(4001, &[5002], "db2")), (true, false));
        assert_eq!((may(1, &[5003], "db2"), may(1, &[5001], "web")), (true, false));
    }

    #[test]
    fn without_grants_the_file_of_the_socket_decides() {
        let none = access([None; 3]);
        let role = |change: fn(&mut Caller)| {
            let mut caller = caller(4001, &[]);
            change(&mut caller);
            none.role(&caller)
        };
        assert_eq!(role(|_| {}), Some(Role::Member));
        assert_eq!(role(|it| it.by_port = true), Some(Role::Admin));
        assert_eq!(role(|it| it.by_abstract_name = true), None);
        assert_eq!(role(|it| it.plugin = Some(1)), Some(Role::Owner));
    }
}
