//! `so_reuseport`: several sockets at one address, one for each process of a watcher.
//!
//! circus keeps each of them as long as the watcher is to have so many processes, and hands it on to the process
//! that comes after the one that had it: a connection that waits in its queue is not lost when that one ends. What
//! no process has and none is to come for is closed, since the kernel would go on giving it connections. The last
//! socket at an address always stays, so that clients wait instead of being refused.

use crate::arbiter::WatcherId;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// One socket at an address, and whose it is.
pub struct Share {
    fd: OwnedFd,
    /// The watcher whose processes have it; none yet, or any that comes.
    owner: Option<WatcherId>,
    /// The processes that have it, by wid: one, and its successor for a while.
    users: Vec<u32>,
}

impl Share {
    /// A socket that is nobody's.
    pub fn new(fd: OwnedFd) -> Share {
        Share { fd, owner: None, users: Vec::new() }
    }

    /// Its descriptor in circus.
    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// A process that is about to be spawned.
#[derive(Clone, Copy, Debug)]
pub struct User {
    /// Of which watcher.
    pub watcher: WatcherId,
    /// Its number there.
    pub wid: u32,
    /// The process that it takes the place of while that one still runs.
    pub replaces: Option<u32>,
    /// How many processes the watcher is to have.
    pub most: usize,
}

/// The sockets at one address; there is always one.
pub struct Shares(Vec<Share>);

impl Shares {
    /// The first one.
    pub fn new(fd: OwnedFd) -> Shares {
        Shares(vec![Share::new(fd)])
    }

    /// The descriptors.
    pub fn fds(&self) -> impl Iterator<Item = RawFd> {
        self.0.iter().map(Share::fd)
    }

    /// The sockets themselves.
    pub fn all(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().map(|share| share.fd.as_fd())
    }

    /// The socket for a process, which it has from now on: that of the process it replaces; else one that nobody has;
    /// else a new one, by `bind`; and when there are enough, one that an older process has, whose successor it
    /// will be.
    ///
    /// # Errors
    /// Those of `bind`.
    pub fn take(&mut self, user: User, bind: &dyn Fn() -> Result<OwnedFd, String>) -> Result<RawFd, String> {
        let place = match self.place(user) {
            Some(place) => place,
            None => {
                self.0.push(Share::new(bind()?));
                self.0.len() - 1
            }
        };
        let share = self.0.get_mut(place).ok_or("the socket is gone")?;
        share.owner = Some(user.watcher);
        if !share.users.contains(&user.wid) {
            share.users.push(user.wid);
        }
        Ok(share.fd())
    }

    /// Where the socket for a process stands, if there is one already.
    fn place(&self, user: User) -> Option<usize> {
        let own = || self.0.iter().enumerate().filter(|(_, share)| share.owner == Some(user.watcher));
        let had_by = |wid: u32| own().find(|(_, share)| share.users.contains(&wid));
        let found = had_by(user.wid).or_else(|| had_by(user.replaces?));
        let found = found.or_else(|| own().find(|(_, share)| share.users.is_empty()));
        if let Some((place, _)) = found {
            return Some(place);
        }
        if own().count() < user.most.max(1) {
            return self.0.iter().position(|share| share.owner.is_none());
        }
        own().min_by_key(|(_, share)| share.users.len()).map(|(place, _)| place)
    }

    /// A process has ended.
    pub fn leave(&mut self, watcher: WatcherId, wid: u32) {
        for share in self.0.iter_mut().filter(|share| share.owner == Some(watcher)) {
            share.users.retain(|user| *user != wid);
        }
    }

    /// A watcher is gone. If it left processes behind, they have their sockets for themselves.
    pub fn forget(&mut self, watcher: WatcherId) {
        let own = self.0.iter_mut().filter(|share| share.owner == Some(watcher));
        own.for_each(|share| share.users.clear());
    }

    /// Takes out the sockets of a watcher that no process has, until it has only `keep`. The last one stays, and is
    /// nobody's then.
    pub fn prune(&mut self, watcher: WatcherId, keep: usize) -> Vec<OwnedFd> {
        let mut surplus =
            self.0.iter().filter(|share| share.owner == Some(watcher)).count().saturating_sub(keep);
        let mut closed = Vec::new();
        let mut n = self.0.len();
        while n > 0 && surplus > 0 {
            n -= 1;
            let idle = |share: &&mut Share| share.owner == Some(watcher) && share.users.is_empty();
            let only = self.0.len() == 1;
            let Some(share) = self.0.get_mut(n).filter(idle) else { continue };
            surplus -= 1;
            if only {
                share.owner = None;
            } else {
                closed.push(self.0.remove(n).fd);
            }
        }
        closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fd() -> Result<OwnedFd, String> {
        std::fs::File::open("/dev/null").map(OwnedFd::from).map_err(|why| why.to_string())
    }

    const WEB: WatcherId = WatcherId(1);

    struct World(Shares);

    impl World {
        fn take(&mut self, wid: u32, replaces: Option<u32>, most: usize) -> usize {
            let user = User { watcher: WEB, wid, replaces, most };
            let taken = self.0.take(user, &fd).unwrap();
            self.0.fds().position(|fd| fd == taken).unwrap()
        }

        fn prune(&mut self, keep: usize) -> usize {
            drop(self.0.prune(WEB, keep));
            self.0.0.len()
        }
    }

    #[test]
    fn each_process_has_its_own_and_its_replacement_gets_it() {
        let mut world = World(Shares::new(fd().unwrap()));
        assert_eq!([1, 2, 3].map(|wid| world.take(wid, None, 3)), [0, 1, 2]);
        assert_eq!(world.take(2, None, 3), 1, "once for each time that it is named");
        world.0.leave(WEB, 2);
        assert_eq!(world.prune(3), 3, "it is kept for the replacement");
        assert_eq!(world.take(2, None, 3), 1);
        assert_eq!(world.take(4, Some(3), 3), 2, "one that is too old hands on its own");
    }

    #[test]
    fn a_reload_pairs_old_and_new_processes() {
        let mut world = World(Shares::new(fd().unwrap()));
        assert_eq!([1, 2, 3].map(|wid| world.take(wid, None, 3)), [0, 1, 2]);
        assert_eq!([4, 5, 6].map(|wid| world.take(wid, None, 3)), [0, 1, 2]);
        (1..=3).for_each(|wid| world.0.leave(WEB, wid));
        assert_eq!(world.prune(3), 3);
        assert_eq!(world.take(5, None, 3), 1);
    }

    #[test]
    fn what_is_too_much_is_closed_when_its_process_has_gone() {
        let mut world = World(Shares::new(fd().unwrap()));
        assert_eq!([1, 2, 3, 4].map(|wid| world.take(wid, None, 4)), [0, 1, 2, 3]);
        assert_eq!(world.prune(2), 4, "all are in use");
        world.0.leave(WEB, 1);
        world.0.leave(WEB, 2);
        world.0.leave(WEB, 3);
        assert_eq!(world.prune(2), 2);
        world.0.leave(WEB, 4);
        assert_eq!(world.prune(0), 1, "the last one stays");
        let other = User { watcher: WatcherId(2), wid: 1, replaces: None, most: 5 };
        world.0.take(other, &fd).unwrap();
        assert_eq!(world.0.0.len(), 1, "and is taken by whoever comes");
    }
}
