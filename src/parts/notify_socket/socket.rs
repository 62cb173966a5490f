//! The socket behind NOTIFY_SOCKET: where it stands, and how much is read from it.
//!
//! Many clients take its address for a path, and an abstract name is not seen from other network namespaces; so it is a
//! file where processes of any user can reach one and nobody else can write, next to the control socket or in the
//! default directory. Where there is no such place, it has an abstract name that nobody can guess and take before.

use crate::control::endpoint;
use crate::host::endpoint::make_directory;
use crate::host::files::{NewDirectory, OwnFile};
use crate::host::listen::{self, Obstacle};
use crate::sys::address::Address;
use crate::sys::socket::{BindError, Kind, SocketSpec};
use crate::sys::{process, user};
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

/// How many names are tried in the default directory; each that is taken is that of another circus of this user.
const NAMES: u32 = 10_000;

/// How many datagrams are read at once, after a time with fewer; and how many a second in the long run.
const BURST: u32 = 2048;
/// How long nothing is read when there were more; whoever sends waits for the kernel's queue meanwhile.
pub const PAUSE: Duration = Duration::from_millis(50);

/// The socket.
pub struct OpenSocket {
    pub socket: UnixDatagram,
    /// What processes are told: a path, or a name behind `@`.
    pub address: String,
    file: Option<OwnFile>,
}

impl OpenSocket {
    /// Opens it for a circus whose control socket is at `endpoint`; anything but an absolute path says nothing about a
    /// directory.
    ///
    /// # Errors
    /// The kernel has none.
    pub fn open(endpoint: &str) -> Result<OpenSocket, String> {
        let beside =
            Path::new(endpoint).parent().filter(|parent| endpoint.starts_with('/') && is_suitable(parent));
        if let Some(Ok(socket)) = beside.map(|_| bind(Address::Unix(format!("{endpoint}.notify").into()))) {
            return Ok(socket);
        }
        if let Some(socket) = in_default_directory() {
            return Ok(socket);
        }
        let random = process::random().map_err(|error| crate::sys::io_words(&error))?;
        let name = format!("circus/notify-{random:032x}");
        bind(Address::Abstract(name.into_bytes())).map_err(|obstacle| obstacle.to_string())
    }

    /// Whether somebody has removed its file.
    pub fn has_vanished(&self) -> bool {
        self.file.as_ref().is_some_and(OwnFile::has_vanished)
    }
}

/// The first name in the default directory that no circus has.
fn in_default_directory() -> Option<OpenSocket> {
    let runtime = std::env::var("XDG_RUNTIME_DIR").ok();
    let directory = endpoint::directory(user::current_uid(), runtime.as_deref());
    make_directory(&directory).ok()?.into_iter().for_each(NewDirectory::keep);
    if !is_suitable(Path::new(&directory.path)) {
        return None;
    }
    for number in 0..NAMES {
        let number = if number == 0 { String::new() } else { format!("-{number}") };
        match bind(Address::Unix(format!("{}/notify{number}", directory.path).into())) {
            Ok(socket) => return Some(socket),
            Err(Obstacle::InUse) => {}
            Err(Obstacle::NotASocket | Obstacle::Kernel(_)) => return None,
        }
    }
    None
}

fn bind(address: Address) -> Result<OpenSocket, Obstacle> {
    let text = address.to_string();
    let spec = SocketSpec { kind: Kind::Dgram, ..SocketSpec::unix(address, 0o666) };
    let (fd, file) = listen::take(&spec)?;
    let socket = UnixDatagram::from(fd);
    crate::sys::socket::pass_credentials(socket.as_fd())
        .map_err(|error| Obstacle::Kernel(BindError { step: "SO_PASSCRED", error }))?;
    Ok(OpenSocket { socket, address: text, file })
}

/// Whether nobody but root and circus can put something into a directory or in its place, and all whom circus may run
/// processes as can reach what is in it.
fn is_suitable(directory: &Path) -> bool {
    const OTHERS_WRITE: u32 = 0o022;
    const OTHERS_ENTER: u32 = 0o001;
    const STICKY: u32 = 0o1000;
    let own = user::current_uid();
    let Ok(directory) = directory.canonicalize() else { return false };
    directory.ancestors().all(|place| {
        let Ok(meta) = place.metadata() else { return false };
        let shared = meta.mode() & OTHERS_WRITE != 0;
        // In a sticky directory others may make files, but not move ours.
        let harmless =
            !shared || meta.mode() & STICKY != 0 && place.as_os_str() != OsStr::new(directory.as_os_str());
        let reachable = own != 0 || meta.mode() & OTHERS_ENTER != 0;
        [0, own].contains(&meta.uid()) && harmless && reachable
    })
}

/// How many datagrams may still be read: a burst, and what time has brought since.
pub struct Allowance {
    left: u32,
    counted: Option<Instant>,
}

impl Default for Allowance {
    fn default() -> Allowance {
        Allowance { left: BURST, counted: None }
    }
}

impl Allowance {
    /// How many are left.
    pub fn left(&mut self, now: Instant) -> usize {
        let since = now.saturating_duration_since(*self.counted.get_or_insert(now));
        let grown = u32::try_from(since.as_micros() * u128::from(BURST) / 1_000_000).unwrap_or(u32::MAX);
        if grown > 0 {
            self.left = self.left.saturating_add(grown).min(BURST);
            self.counted = Some(now);
        }
        self.left as usize
    }

    /// One was read.
    pub fn spend(&mut self) {
        self.left = self.left.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    fn directory(name: &str) -> std::path::PathBuf {
        let dir = std::env::temp_dir().join(format!("circus-notify-{name}-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
        dir
    }

    #[test]
    fn it_is_a_file_next_to_the_control_socket_that_goes_with_it() {
        let dir = directory("beside");
        let endpoint = dir.join("sock").to_str().unwrap().to_string();
        let expected = format!("{endpoint}.notify");
        let first = OpenSocket::open(&endpoint).unwrap();
        assert_eq!(first.address, expected);
        assert_eq!(fs::metadata(&expected).unwrap().mode() & 0o777, 0o666);
        UnixDatagram::unbound().unwrap().send_to(b"READY=1", &expected).unwrap();
        drop(first);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
        // What a circus that was killed has left is replaced.
        drop(UnixDatagram::bind(&expected).unwrap());
        let second = OpenSocket::open(&endpoint).unwrap();
        assert_eq!(second.address, expected);
        assert!(!second.has_vanished());
        fs::remove_file(&expected).unwrap();
        assert!(second.has_vanished());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn it_is_not_where_others_can_write_or_where_others_cannot_come() {
        let dir = directory("others");
        let mut wrong = vec![0o777, 0o1777, 0o775];
        wrong.extend((user::current_uid() == 0).then_some(0o700));
        for mode in wrong {
            fs::set_permissions(&dir, Permissions::from_mode(mode)).unwrap();
            assert!(!is_suitable(&dir), "{mode:o}");
            let socket = OpenSocket::open(dir.join("sock").to_str().unwrap()).unwrap();
            assert!(!socket.address.starts_with(dir.to_str().unwrap()), "{}", socket.address);
        }
        fs::set_permissions(&dir, Permissions::from_mode(0o711)).unwrap();
        assert!(is_suitable(&dir));
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn any_number_of_them_may_be_open_without_a_directory() {
        let all: Vec<OpenSocket> = (0..40).map(|_| OpenSocket::open("none").unwrap()).collect();
        for socket in &all {
            assert_eq!(all.iter().filter(|other| other.address == socket.address).count(), 1);
        }
    }

    #[test]
    fn what_is_read_has_a_bound_in_the_long_run_and_none_that_a_start_would_notice() {
        let start = Instant::now();
        let mut allowance = Allowance::default();
        let mut read_all = |now: Instant| {
            let left = allowance.left(now);
            (0..left).for_each(|_| allowance.spend());
            left
        };
        assert_eq!(read_all(start), BURST as usize, "a thousand processes may be ready at once");
        assert_eq!(read_all(start), 0);
        let read: usize = (1..=40).map(|pause| read_all(start + PAUSE * pause)).sum();
        assert!((BURST as usize * 19 / 10..=BURST as usize * 2).contains(&read), "{read} in two seconds");
        let later = start + Duration::from_secs(3600);
        assert_eq!((read_all(later), read_all(later)), (BURST as usize, 0));
    }
}
