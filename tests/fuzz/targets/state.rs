//! The state file of a circus that was killed, and the mark in an environment.

use crate::seeds::Examples;
use circus::control::mark::{Identity, MARK, Mark};
use circus::control::state::{OfWatcher, Recorded, State, checksum};

const CIRCUS: Identity = Identity { place: 0xabc, pid: 7, start: 600 };

/// Files without their last lines, and environments.
pub fn files(_: &Examples) -> Vec<Vec<u8>> {
    let recorded = Recorded { pid: 41, start: 700, uid: 33, mark: 2 };
    let watcher = OfWatcher {
        name: "w\u{e9} \"x".into(),
        stop_signal: 15,
        graceful_timeout: 30_000,
        processes: vec![(recorded, 1), (Recorded { pid: 42, mark: 3, ..recorded }, 2)],
    };
    let bare = State { boot: "b-1".into(), circus: CIRCUS, ..State::default() };
    let (watchers, left) = (vec![watcher.clone(), watcher], vec![recorded]);
    let sockets = vec![("http".into(), "127.0.0.1:80".into())];
    let full = State { watchers, left, sockets, ..bare.clone() };
    let mut files: Vec<Vec<u8>> =
        [bare, full].iter().flat_map(|state| [whole(state), facts(state)]).collect();
    files.push(b"circus-state 2\nboot b\n".to_vec());
    files.push(format!("A=1\0{MARK}{}\0B=2\0", Mark { circus: CIRCUS, number: 9 }).into_bytes());
    files
}

fn whole(state: &State) -> Vec<u8> {
    state.to_text().into_bytes()
}

fn facts(state: &State) -> Vec<u8> {
    let text = state.to_text();
    let end = text.rfind("end ").expect("the last line");
    text.as_bytes()[..end].to_vec()
}

/// As it is, and with the last line that it would need: what the checksum keeps out is read too.
pub fn run(input: &[u8]) {
    let lines = String::from_utf8_lossy(input).lines().count();
    let end = format!("end {lines} {:x}\n", checksum(input));
    for bytes in [input, &[input, end.as_bytes()].concat()] {
        let Ok(state) = State::parse(bytes) else { continue };
        let again = whole(&state);
        assert_eq!(State::parse(&again).as_ref(), Ok(&state), "it does not survive writing");
        let processes = state.watchers.iter().flat_map(|watcher| &watcher.processes);
        assert!(processes.map(|(process, _)| process).chain(&state.left).all(|process| process.pid > 1));
        assert!(state.circus.pid > 0 && state.watchers.iter().all(|it| (1..=64).contains(&it.stop_signal)));
    }
    if let Some(mark) = Mark::among(input) {
        let environ = format!("A\0{MARK}{mark}\0");
        assert_eq!(Mark::among(environ.as_bytes()), Some(mark));
    }
}
