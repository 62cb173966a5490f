//! Why there is no process.

use crate::host::spawn_template::SpawnTemplate;
use crate::sys;
use crate::sys::child::{SpawnError, Step};

/// Why there is no process.
pub struct NotSpawned {
    pub reason: String,
    /// The machine was short of something.
    pub shortage: bool,
}

impl NotSpawned {
    /// With the system's reason, and all in words.
    pub fn by(errno: i32, reason: String) -> NotSpawned {
        NotSpawned { shortage: sys::is_shortage(errno) || sys::tells_of_shortage(&reason), reason }
    }

    /// As the child has told it after it had been made.
    pub fn late(error: &SpawnError) -> NotSpawned {
        NotSpawned::by(error.errno, say_late(error))
    }
}

impl From<String> for NotSpawned {
    fn from(reason: String) -> NotSpawned {
        NotSpawned { shortage: sys::tells_of_shortage(&reason), reason }
    }
}

/// Why there is none.
pub fn gone() -> NotSpawned {
    "the watcher is gone".to_string().into()
}

/// Why there is no pipe.
pub fn no_pipe(error: std::io::Error) -> NotSpawned {
    NotSpawned::by(error.raw_os_error().unwrap_or(0), format!("pipe: {}", sys::io_words(&error)))
}

/// What went wrong, with the path it is about, as far as the child has told.
fn say_late(error: &SpawnError) -> String {
    match error.step {
        Step::Chdir => format!("working_dir {}: {}", error.path, sys::errno_words(error.errno)),
        _ => error.to_string(),
    }
}

/// What went wrong, with the path it is about.
pub fn say(error: &SpawnError, template: &SpawnTemplate) -> String {
    let (child, words) = (&template.child, sys::errno_words(error.errno));
    match (error.step, child.uid) {
        (Step::Exec, _) if child.prepare.is_some() => say_late(error),
        (Step::Exec, _) if error.errno == sys::ENOENT => {
            format!("{}: {words}", template.not_found(error.program()))
        }
        (Step::Exec, _) => format!("exec {}: {words}", template.program(error.program())),
        (Step::Chdir, Some(uid)) if error.errno == sys::EACCES => {
            format!("working_dir {}: {words} (uid {uid} may not enter it)", template.working_dir())
        }
        (Step::Chdir, _) => format!("working_dir {}: {words}", template.working_dir()),
        _ => error.to_string(),
    }
}
