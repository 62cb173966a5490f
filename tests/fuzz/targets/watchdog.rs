//! WatchDog: whatever comes by datagrams, only silent processes are ended, each once.

use crate::seeds::Examples;
use circus::arbiter::process::Exit;
use circus::arbiter::request::Task;
use circus::arbiter::time::Time;
use circus::arbiter::{Level, Pid, Published};
use circus::config::model::Builtin;
use circus::config::url::Place;
use circus::config::{Names, PluginKind, WatcherConfig};
use circus::fuzzed::{Input, Stamp, Trouble, Usage, World, make};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Arguments;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Seconds between two looks, and how many of them a process may be silent.
const EVERY: f64 = 1.0;
const PATIENCE: f64 = 2.0;

/// A world in which nothing can go wrong; only orders are written down.
#[derive(Default)]
struct Quiet {
    now: Time,
    due: Option<Time>,
    ended: Vec<Pid>,
}

impl World for Quiet {
    fn now(&self) -> Time {
        self.now
    }
    fn watchers(&self) -> Vec<String> {
        vec!["web".into()]
    }
    fn processes(&self, _: &str) -> Option<Vec<Pid>> {
        Some(vec![1, 2])
    }
    fn children(&self, _: Pid) -> Vec<Pid> {
        Vec::new()
    }
    fn usage(&mut self, _: Pid) -> Option<Usage> {
        None
    }
    fn config(&self, _: &str) -> Option<&WatcherConfig> {
        None
    }
    fn command(&self, _: &str) -> Vec<PathBuf> {
        Vec::new()
    }
    fn stamp(&self, _: &[PathBuf]) -> Option<Stamp> {
        None
    }
    fn death(&self, _: &str, _: Pid) -> Option<(f64, bool)> {
        None
    }
    fn wake_at(&mut self, at: Option<Time>) {
        self.due = at;
    }
    fn order(&mut self, task: Task) {
        match task {
            Task::Kill { pid: Some(pid), .. } => self.ended.push(pid),
            other => panic!("{other:?}"),
        }
    }
    fn restart(&mut self, watcher: &str) {
        panic!("{watcher} is restarted");
    }
    fn log(&mut self, _: Level, text: Arguments<'_>) {
        assert!(text.to_string().len() < 200, "{text}");
    }
    fn trouble(&mut self, _: &'static str, text: Arguments<'_>) {
        assert!(text.to_string().len() < 200, "{text}");
    }
    fn mended(&mut self, _: &'static str, _: Arguments<'_>) {}
    fn send(&mut self, to: SocketAddr, _: String) {
        panic!("something is sent to {to}");
    }
    fn bind(&mut self, address: SocketAddr) -> Result<SocketAddr, String> {
        Ok(address)
    }
    fn ask(&mut self, place: &Place, _: &[u8]) -> Result<(), Trouble> {
        panic!("{place:?} is asked");
    }
    fn hang_up(&mut self) {}
    fn serve(&mut self, _: &Place) -> Result<(), String> {
        Ok(())
    }
}

pub fn datagrams(_: &Examples) -> Vec<Vec<u8>> {
    let texts = [
        "\n1;12:00\n!tick\n2;x\n!tick\n!tick",
        "\n!spawn 5\n5;\n!tick\n!reap 5\n5;x\n!tick",
        "^alive (?P<pid>[0-9]+)$\nalive 1\n!tick\nalive 9\n!tick\n!tick",
        "(?P<pid>.*)\n99999999999999999999\n -1\n+2\n!tick",
    ];
    texts.map(|text| text.as_bytes().to_vec()).into()
}

/// The first line is the expression, if there is one; each other a datagram, or something that happens.
pub fn run(input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n');
    let expression = circus::config::text::from_bytes(lines.next().unwrap_or_default());
    let mut free: Names =
        [("loop_rate", "1"), ("max_count", "2")].map(|(k, v)| (k.into(), v.into())).into_iter().collect();
    let usual = expression.is_empty();
    if !usual {
        free.insert("msg_regex".into(), expression);
    }
    let plugin = Some(PluginKind::Builtin(Builtin::WatchDog));
    let Some(Ok(mut plugin)) = make(&WatcherConfig { free: free.into(), plugin, ..WatcherConfig::default() })
    else {
        return;
    };
    let mut world = Quiet { now: Time(1_000_000_000), ..Quiet::default() };
    plugin.tell(Input::Begin, &mut world);
    // When each one was heard of that is looked at.
    let mut heard: BTreeMap<Pid, Time> = [1, 2].map(|pid| (pid, world.now)).into();
    for line in lines.take(200) {
        let text = String::from_utf8_lossy(line);
        let pid = |rest: &str| rest.parse().ok().filter(|pid| *pid > 0);
        if let Some(pid) = text.strip_prefix("!spawn ").and_then(pid) {
            if let Entry::Vacant(place) = heard.entry(pid) {
                place.insert(world.now);
                plugin.tell(Input::Event("web", &Published::Spawn { pid }), &mut world);
            }
        } else if let Some(pid) = text.strip_prefix("!reap ").and_then(pid) {
            heard.remove(&pid);
            plugin.tell(
                Input::Event("web", &Published::Reap { pid, exit: Exit::Code(0), oom: false }),
                &mut world,
            );
        } else if text == "!tick" {
            let Some(due) = world.due else { continue };
            world.now = due;
            plugin.tell(Input::Due, &mut world);
            let mut ended = std::mem::take(&mut world.ended);
            ended.sort_unstable();
            let silent = |at: &Time| world.now.since(*at) >= PATIENCE;
            let (gone, left): (BTreeMap<_, _>, _) = heard.into_iter().partition(|(_, at)| silent(at));
            heard = left;
            if usual {
                assert!(ended.iter().eq(gone.keys()), "{ended:?} were ended, silent were {gone:?}");
            } else {
                assert!(ended.iter().all(|pid| gone.contains_key(pid)), "{ended:?} of {gone:?}");
                // An expression of its own decides who was heard: those live on.
                heard.extend(gone.into_iter().filter(|(pid, _)| !ended.contains(pid)));
            }
        } else {
            plugin.tell(Input::Datagram(line), &mut world);
            let said = text.rsplit_once(';').and_then(|(pid, _)| pid.trim().parse::<Pid>().ok());
            if let Some(at) = said.and_then(|pid| heard.get_mut(&pid)).filter(|_| usual) {
                *at = world.now;
            }
        }
        assert!(world.ended.is_empty(), "{:?} were ended out of turn", world.ended);
        assert!(world.due.is_none_or(|due| due > world.now && world.now.plus(EVERY) >= due));
    }
}
