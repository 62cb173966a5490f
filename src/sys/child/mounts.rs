//! Whether a path could lead to a file system that depends on another machine or process, which may not answer for ever.
//!
//! Paths lead anywhere, by links and by `..`, and to follow one is what could hang. So the question is only whether
//! such a file system is mounted at all. The kernel tells when the table has changed; it is read again then.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::AsRawFd;

use crate::sys::process;

/// File systems whose data is in memory or on a disk of this machine, and those of the kernel. One that is not known
/// may be on the other side of a network.
const LOCAL: &str = " aufs bcachefs binfmt_misc bpf btrfs cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs erofs \
    exfat ext2 ext3 ext4 f2fs fusectl hugetlbfs iso9660 jffs2 jfs mqueue nilfs2 nsfs ntfs3 overlay proc pstore ramfs \
    reiserfs rootfs rpc_pipefs securityfs selinuxfs squashfs sysfs tmpfs tracefs ubifs udf vfat xfs zfs ";

/// The table of mounts, and what it said last.
#[derive(Default)]
pub(super) struct Mounts {
    table: Option<File>,
    /// It has changed since it was read, or could not be read.
    stale: bool,
    foreign: bool,
}

impl Mounts {
    pub(super) fn new() -> Mounts {
        Mounts { table: File::open("/proc/self/mountinfo").ok(), stale: true, foreign: true }
    }

    /// Whether something is mounted that could hang. Without /proc nobody knows.
    pub(super) fn can_hang(&mut self) -> bool {
        let Some(table) = &mut self.table else { return true };
        // The kernel tells of a change as of an error, and an error of poll(2) itself counts as one too.
        self.stale |= process::poll(table.as_raw_fd(), libc::POLLPRI, 0).unwrap_or(true);
        if self.stale {
            let mut text = Vec::new();
            let read = table.rewind().and_then(|()| table.read_to_end(&mut text));
            self.stale = read.is_err();
            self.foreign = self.stale || text.split(|byte| *byte == b'\n').any(is_foreign);
        }
        self.foreign
    }
}

/// One line: the fifth field is the place, the first behind a lone `-` the type. systemd mounts some that wait for their
/// first use below /proc, and lxcfs its files: no program is there.
fn is_foreign(line: &[u8]) -> bool {
    let Ok(line) = std::str::from_utf8(line) else { return true };
    let place = line.split(' ').nth(4).unwrap_or_default();
    let kind = line.split_once(" - ").map_or("", |(_, rest)| rest.split(' ').next().unwrap_or_default());
    let of_the_kernel = ["/proc/", "/sys/"].iter().any(|dir| place.starts_with(dir));
    !line.is_empty() && !of_the_kernel && !LOCAL.contains(&format!(" {kind} "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_depends_on_others_is_foreign_and_so_is_what_nobody_knows() {
        let line =
            |place: &str, kind: &str| format!("36 35 98:0 / {place} rw,noatime master:1 - {kind} src rw");
        for kind in ["nfs4", "fuse.sshfs", "fuseblk", "9p", "cifs", "autofs", "virtiofs", "ext", "newfs"] {
            assert!(is_foreign(line("/mnt", kind).as_bytes()), "{kind}");
        }
        for kind in ["ext4", "aufs", "zfs", "tmpfs"] {
            assert!(!is_foreign(line("/", kind).as_bytes()), "{kind}");
        }
        assert!(!is_foreign(line("/proc/sys/fs/binfmt_misc", "autofs").as_bytes()));
        assert!(is_foreign(line("/process", "autofs").as_bytes()));
        assert!(is_foreign(b"half a line"));
        assert!(is_foreign(b"\xff"));
        assert!(!is_foreign(b""));
    }

    #[test]
    fn without_a_table_nobody_knows() {
        assert!(Mounts::default().can_hang());
        let table = File::open("/proc/self/mountinfo").unwrap();
        let mut mounts = Mounts { table: Some(table), stale: false, foreign: true };
        assert!(mounts.can_hang(), "nothing has changed: it is not read again");
    }
}
