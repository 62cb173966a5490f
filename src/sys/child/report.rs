//! What a child with memory of its own tells circus when it fails: one small message in a pipe, which its execve closes.

use std::ffi::{CString, c_int};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use super::{Child, STEPS, SpawnError, Step};
use crate::sys::{Pid, process, socket};

/// The numbers at the head of a message: the step, what it was about, the errno.
const NUMBERS: usize = 3;
/// All of a message; the text behind the numbers is cut there. Far below what a pipe takes in one piece.
const LONGEST: usize = 1024;

/// How often a child that only waits for a processor is given more time.
const ROUNDS: u32 = 8;

/// Whether a child has failed or become its program before so many milliseconds are over. On a busy machine it may not
/// have had its turn by then; nobody can keep it waiting so for long, and a failure that shows late would cost a reload
/// the old processes, so it gets some more time.
pub(super) fn comes_within(report: RawFd, child: Pid, milliseconds: c_int) -> bool {
    let came = |time| process::poll(report, libc::POLLIN, time).unwrap_or(false);
    (0..ROUNDS).any(|_| came(milliseconds) || !is_runnable(child)) && came(0)
}

fn is_runnable(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('R'))
}

/// Tells of a failure; runs in the child, and does not allocate.
pub(super) fn send(report: RawFd, child: &Child, failure: &SpawnError) {
    let numbers: [i32; NUMBERS] = [failure.step as i32, failure.number, failure.errno];
    let path = match failure.step {
        Step::Exec if failure.path.is_empty() => child.programs.get(failure.program()),
        Step::Chdir => child.working_dir.as_ref(),
        _ => None,
    };
    let text = path.map_or(failure.path.as_bytes(), |path: &CString| path.to_bytes());
    let mut message = [0; LONGEST];
    let bytes = numbers.iter().flat_map(|number| number.to_ne_bytes()).chain(text.iter().copied());
    let length = message.iter_mut().zip(bytes).map(|(place, byte)| *place = byte).count();
    // SAFETY: the pointer and the length are those of one array, of which the length is a part.
    unsafe { libc::write(report, message.as_ptr().cast(), length) };
}

/// What a child has told, if it has failed. `None` when it has become its program, or has told nothing yet.
pub(super) fn receive(report: OwnedFd) -> Option<SpawnError> {
    let mut message = [0; LONGEST];
    let length = File::from(report).read(&mut message).ok()?;
    let mut rest = message.get(..length)?;
    let mut number = || {
        let (first, others) = rest.split_first_chunk()?;
        rest = others;
        Some(i32::from_ne_bytes(*first))
    };
    let (step, number, errno) = (number()?, number()?, number()?);
    let (step, _) = *STEPS.iter().find(|(known, _)| *known as i32 == step)?;
    Some(SpawnError { step, errno, number, path: String::from_utf8_lossy(rest).into_owned() })
}

/// Whether the child has become its program, or ended, and told nothing.
pub(super) fn is_over(report: &OwnedFd) -> bool {
    let ended = process::poll(report.as_raw_fd(), libc::POLLIN, 0).unwrap_or(false);
    ended && socket::pending_bytes(report.as_raw_fd()).is_ok_and(|bytes| bytes == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_arrives_as_it_was() {
        let child = Child { programs: vec![c"/a".into(), c"/b".into()], ..Child::default() };
        for (errno, (step, _)) in (1..).zip(STEPS) {
            let (reader, writer) = process::pipe().unwrap();
            let failure = SpawnError { step, errno, number: 1, path: String::new() };
            assert!(!is_over(&reader));
            send(writer.as_raw_fd(), &child, &failure);
            let path = if step == Step::Exec { "/b".into() } else { String::new() };
            assert!(!is_over(&reader));
            assert_eq!(receive(reader), Some(SpawnError { path, ..failure }));
        }
    }

    #[test]
    fn silence_and_what_is_too_short_are_no_failure() {
        let (reader, writer) = process::pipe().unwrap();
        assert_eq!(receive(reader.try_clone().unwrap()), None);
        // SAFETY: one byte is read from the array.
        unsafe { libc::write(writer.as_raw_fd(), [1_u8].as_ptr().cast(), 1) };
        drop(writer);
        assert_eq!(receive(reader.try_clone().unwrap()), None);
        assert!(is_over(&reader));
    }
}
