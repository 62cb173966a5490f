//! The options that say what the processes of a watcher may do and how they rank among others: from text to numbers.
//!
//! The file reader, `set` and the daemon all ask here, so that a value which one of them takes means the same to
//! the others.

use super::value::listed;

/// Capabilities by number, without the `CAP_` before their names.
const CAPABILITIES: &str = "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable \
     net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot \
     sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease \
     audit_write audit_control setfcap mac_override mac_admin syslog wake_alarm block_suspend audit_read \
     perfmon bpf checkpoint_restore";

/// How many paths `sandbox` may name.
const MOST_PATHS: usize = 16;

/// How many ports `sandbox.net` may name.
const MOST_PORTS: usize = 64;

/// Files of a cgroup that are circus's to write.
const OWN_FILES: [&str; 5] =
    ["cgroup.procs", "cgroup.threads", "cgroup.type", "cgroup.subtree_control", "cgroup.kill"];

/// `CLASS[:LEVEL]` as the number that ioprio_set(2) takes: the class from bit 13 on, the level below.
///
/// # Errors
/// A phrase that completes "`key = text` ...".
pub fn ionice(text: &str) -> Result<i32, String> {
    let (class, level) = text.split_once(':').map_or((text, None), |(class, level)| (class, Some(level)));
    let class = match class.trim().to_ascii_lowercase().as_str() {
        "none" | "0" => 0,
        "realtime" | "1" => 1,
        "best-effort" | "2" => 2,
        "idle" | "3" => 3,
        _ => return Err("is neither realtime, best-effort, idle nor none".into()),
    };
    match level.map(|level| level.trim().parse::<i32>()) {
        // The kernel's own level when nobody says anything.
        None if class == 1 || class == 2 => Ok(class << 13 | 4),
        None => Ok(class << 13),
        Some(Ok(level)) if (0..=7).contains(&level) && (class == 1 || class == 2) => Ok(class << 13 | level),
        Some(Ok(0)) => Ok(class << 13),
        Some(_) if class == 1 || class == 2 => Err("has a level that is not between 0 and 7".into()),
        Some(_) => Err("has a level, and only realtime and best-effort have one".into()),
    }
}

/// A list of capabilities as a bit for each.
///
/// # Errors
/// A phrase that completes "`key = text` ...".
pub fn capabilities(text: &str) -> Result<u64, String> {
    let mut set = 0;
    let lower = text.to_ascii_lowercase();
    for word in listed(&lower) {
        let name = word.strip_prefix("cap_").unwrap_or(word);
        match CAPABILITIES.split(' ').position(|known| known == name) {
            Some(number) => set |= 1 << number,
            None if word == "none" => {}
            None => {
                return Err(format!(
                    "names the capability `{word:.40}`, which does not exist; write such as net_bind_service, or none"
                ));
            }
        }
    }
    Ok(set)
}

/// The paths that stay writable in a sandbox.
///
/// # Errors
/// A phrase that completes "`key = text` ...".
pub fn writable(text: &str) -> Result<Vec<&str>, String> {
    let mut paths = listed(text);
    if paths.first() != Some(&"read-only") {
        return Err("does not begin with `read-only`; the paths that stay writable follow".into());
    }
    paths.remove(0);
    if let Some(path) = paths.iter().find(|path| !path.starts_with('/')) {
        return Err(format!("names `{path:.40}`, which is not an absolute path"));
    }
    if paths.len() > MOST_PATHS { Err(format!("names more than {MOST_PATHS} paths")) } else { Ok(paths) }
}

/// The TCP ports that `sandbox.net` lets processes use: whether each is bound to or connected to, and its number.
///
/// # Errors
/// A phrase that completes "`key = text` ...".
pub fn ports(text: &str) -> Result<Vec<(bool, u16)>, String> {
    let words = listed(text);
    if words == ["none"] {
        return Ok(Vec::new());
    }
    if words.is_empty() || words.len() > MOST_PORTS {
        return Err(format!(
            "names no ports, or more than {MOST_PORTS}; write none, bind:PORT, connect:PORT"
        ));
    }
    let port = |word: &&str| {
        let (kind, number) = word.split_once(':')?;
        let bind = match kind {
            "bind" => true,
            "connect" => false,
            _ => return None,
        };
        Some((bind, number.parse().ok()?))
    };
    let one = |word: &str| {
        port(&word)
            .ok_or_else(|| format!("names `{word:.40}`, which is neither none, bind:PORT nor connect:PORT"))
    };
    words.into_iter().map(one).collect()
}

/// Whether a watcher may set this file of its cgroup.
///
/// # Errors
/// A phrase that completes "`cgroup.NAME` ...".
pub fn is_cgroup_file(name: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let (controller, rest) = name.split_once('.').unwrap_or_default();
    if controller.is_empty() || rest.is_empty() || !name.bytes().all(plain) {
        Err("names no file of a cgroup; write such as cgroup.memory.max".into())
    } else if OWN_FILES.contains(&name) {
        Err("is circus's own to write".into())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_has_a_level_where_it_can_have_one() {
        assert_eq!(ionice("idle"), Ok(3 << 13));
        assert_eq!(ionice("best-effort:7"), Ok(2 << 13 | 7));
        assert_eq!(ionice("Realtime"), Ok(1 << 13 | 4));
        assert_eq!(ionice("2:0"), Ok(2 << 13));
        for wrong in ["", "idle:1", "best-effort:8", "best-effort:-1", "best-effort:x", "batch", "none:3"] {
            assert!(ionice(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn capabilities_are_a_set_of_bits() {
        assert_eq!(capabilities("none"), Ok(0));
        assert_eq!(capabilities("CAP_CHOWN, kill net_bind_service"), Ok(1 | 1 << 5 | 1 << 10));
        assert_eq!(capabilities("checkpoint_restore"), Ok(1 << 40));
        assert!(capabilities("net_bind_servise").unwrap_err().contains("`net_bind_servise`"));
    }

    #[test]
    fn a_sandbox_is_read_only_and_has_whole_paths() {
        assert_eq!(writable("read-only"), Ok(vec![]));
        assert_eq!(writable("read-only /tmp, /var/lib/x"), Ok(vec!["/tmp", "/var/lib/x"]));
        assert!(writable("").is_err());
        assert!(writable("/tmp").is_err());
        assert!(writable("read-only tmp").unwrap_err().contains("`tmp`"));
        assert!(writable(&format!("read-only{}", " /x".repeat(17))).is_err());
    }

    #[test]
    fn ports_are_bound_or_connected_to() {
        assert_eq!(ports("none"), Ok(vec![]));
        assert_eq!(ports("bind:80, connect:5432"), Ok(vec![(true, 80), (false, 5432)]));
        for wrong in ["", "80", "bind:", "bind:65536", "listen:80", "none bind:80", &"bind:1 ".repeat(65)] {
            assert!(ports(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_files_of_a_cgroup_can_be_set() {
        for file in ["memory.max", "cgroup.freeze", "hugetlb.2MB.max"] {
            assert_eq!(is_cgroup_file(file), Ok(()), "{file}");
        }
        for wrong in ["", "x", "../x.y", "cgroup.procs", ".x", "x."] {
            assert!(is_cgroup_file(wrong).is_err(), "{wrong}");
        }
    }
}
