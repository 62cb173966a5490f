//! The control socket, from both sides: bytes become lines, lines requests, requests orders that an arbiter obeys;
//! and what a daemon may answer is printed.

use crate::mutator::Random;
use crate::seeds::Examples;
use circus::arbiter::process::Exit;
use circus::arbiter::request::{Errno, Order, Request, Task, Ticket};
use circus::arbiter::time::Time;
use circus::arbiter::{Action, Arbiter, Event, WatcherId, Whom};
use circus::config::WatcherConfig;
use circus::control::args::{CliArgs, encode};
use circus::control::commands::COMMANDS;
use circus::control::frame::{Inbox, LIMIT, Lines};
use circus::control::protocol::{self, Id};
use circus::control::{Map, answers};
use serde_json::Value as Json;
use std::rc::Rc;

/// So many events at most follow a request: a life of circus in which processes end as soon as they may.
const EVENTS: usize = 300;

/// Requests of all commands, with the properties that they may have.
pub fn lines(examples: &Examples) -> Vec<Vec<u8>> {
    let properties = [
        r#"{"name":"a","waiting":true}"#,
        r#"{"name":"B","keys":["cmd","env","numprocesses"],"nb":3,"waiting":false}"#,
        r#"{"name":"a","options":{"numprocesses":2,"cmd":"x y","env":{"A":"1"},"stdout_stream":{"class":"FileStream","filename":"f"},"hooks":{"before_start":["x",true]},"rlimit_nofile":5,"stop_signal":"INT","max_age":1.5}}"#,
        r#"{"name":"new","cmd":"sleep 1","args":["a b","c"],"options":{"singleton":true,"flapping.window":"3"},"start":true}"#,
        r#"{"name":"a","pid":7,"signum":"SIGHUP","graceful_timeout":0.5,"childpid":3,"children":true,"recursive":true}"#,
        r#"{"name":"a*","match":"regex","graceful":false,"sequential":true,"nostop":true}"#,
        r#"{"topics":["watcher.","x"],"option":"check_delay","process":7,"extended":true}"#,
    ];
    let line = |name: &str, properties: &str| {
        format!("{{\"id\":\"x\",\"command\":\"{name}\",\"properties\":{properties}}}").into_bytes()
    };
    let all = COMMANDS.iter().flat_map(|command| properties.map(|p| line(command.name, p)));
    all.chain(examples.texts.iter().filter(|text| text.starts_with(b"{")).cloned()).collect()
}

fn watchers() -> Vec<WatcherConfig> {
    let watcher = |name: &str| {
        let mut config = WatcherConfig { name: name.into(), ..WatcherConfig::default() };
        config.options.cmd = "sleep".into();
        config
    };
    let mut all = ["a", "B", "c d"].map(watcher);
    all[1].options.numprocesses = 2;
    all[2].options.singleton = true;
    all.into()
}

/// An arbiter, and a world in which processes end as soon as they are asked to.
struct World {
    arbiter: Arbiter,
    now: Time,
    random: Random,
    events: Vec<Event>,
    pid: i32,
    answered: Vec<u64>,
    over: bool,
}

impl World {
    fn new(input: &[u8]) -> World {
        let seed = input.iter().fold(0, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
        World {
            arbiter: Arbiter::new(watchers(), 0.0, seed),
            now: Time(1_000_000_000),
            random: Random::new(seed, 0),
            events: Vec::new(),
            pid: 100,
            answered: Vec::new(),
            over: false,
        }
    }

    fn happen(&mut self, event: Event) {
        self.events.push(event);
        for _ in 0..EVENTS {
            let event = match self.events.is_empty() {
                false => self.events.remove(0),
                true => match self.arbiter.deadline() {
                    Some(at) if !self.over => {
                        self.now = self.now.max(at);
                        Event::Tick
                    }
                    _ => return,
                },
            };
            let mut actions = Vec::new();
            self.arbiter.handle(self.now, event, &mut actions);
            actions.into_iter().for_each(|action| self.perform(action));
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Spawn { watcher, .. } => {
                self.pid += 1;
                let pid = self.pid;
                self.events.push(match self.random.below(16) {
                    n @ 0..=1 => Event::SpawnFailed { watcher, reason: "no".into(), shortage: n == 1 },
                    _ => Event::Spawned { watcher, pid },
                });
            }
            Action::Ask { pid, signum, .. } if self.random.below(8) != 0 => self.end(pid, signum),
            Action::Signal { pid, signum: 9, whom: Whom::Group } => self.end(pid, 9),
            Action::Reap { pid } => {
                let group_left = self.random.below(16) == 0;
                self.events.push(Event::Reaped { pid, group_left });
                if group_left {
                    self.events.push(Event::GroupEmpty { pgid: pid });
                }
            }
            Action::Reply { ticket, reply } => {
                assert!(!self.answered.contains(&ticket.0), "two answers to one request");
                self.answered.push(ticket.0);
                whole_line(&protocol::encode_reply(&Id::default(), &reply, 1.5));
            }
            Action::Exit(_) => self.over = true,
            _ => {}
        }
    }

    fn end(&mut self, pid: i32, signum: i32) {
        self.events.push(Event::Exited { pid, exit: Exit::Signal(signum) });
    }

    fn order(&mut self, n: u64, order: Order) {
        let by_name = matches!(order.what, Task::Start(_) | Task::Stop(_) | Task::Restart(_));
        let some = by_name && self.random.below(2) == 0;
        let targets = some.then(|| (0..self.random.below(5) as u32).map(WatcherId).collect());
        self.happen(Event::Order { ticket: Ticket(n), order, targets, by: Rc::default() });
    }
}

/// A reply is one line of JSON.
fn whole_line(line: &[u8]) {
    let (end, line) = line.split_last().expect("a line");
    assert!(*end == b'\n' && !line.contains(&b'\n'), "no line");
    serde_json::from_slice::<Json>(line).expect("a reply is JSON");
}

pub fn requests(input: &[u8]) {
    let mut world = World::new(input);
    world.happen(Event::Start);
    for (n, line) in (0..).zip(input.split(|byte| *byte == b'\n')) {
        let incoming = protocol::decode(line);
        match incoming.request {
            Err(refusal) => {
                assert!(refusal.reason.len() < line.len() + 4096, "the reason is longer than the request");
                whole_line(&protocol::encode_outcome(&incoming.id, Err(refusal), 1.5));
            }
            Ok(Request::Order(order)) => world.order(n, order),
            Ok(
                Request::Question(_)
                | Request::Listen(_)
                | Request::Tail(_)
                | Request::Logs { .. }
                | Request::Token(_),
            ) => {}
        }
    }
    for watcher in world.arbiter.watchers() {
        answers::options(&watcher.config);
    }
    if !world.over {
        world.happen(Event::Terminate);
        // Whatever was asked for, circus can be ended: all processes end when they are told to for the second time.
        for _ in 0..EVENTS {
            if world.over {
                break;
            }
            world.happen(Event::Tick);
        }
        assert!(world.over, "circus does not end");
    }
}

/// What a daemon answers is printed; it may be any daemon, or something else that listens there.
pub fn replies(input: &[u8]) {
    let object = |line: &[u8]| match serde_json::from_slice::<Json>(line) {
        Ok(Json::Object(map)) => Some(map),
        _ => None,
    };
    let mut lines = input.split(|byte| *byte == b'\n');
    let reply = Json::Object(lines.next().and_then(object).unwrap_or_default());
    let asked = lines.next().and_then(object).unwrap_or_else(Map::new);
    for command in COMMANDS {
        (command.render)(&asked, &reply);
        let words: Vec<String> = asked.values().map(|value| value.to_string()).collect();
        let flags = command.flags().map(|flag| (flag.name, flag.value.and(words.last().cloned()))).collect();
        let Ok(properties) = encode(command, &CliArgs { words, flags }) else { continue };
        let line = protocol::encode_request(command.name, &properties);
        whole_line(&line);
        let incoming = protocol::decode(&line);
        let unknown = matches!(&incoming.request, Err(refusal) if refusal.errno == Errno::UnknownCommand);
        assert!(!unknown, "the client sends {} and the server does not know it", command.name);
    }
    whole_line(&protocol::encode_outcome(
        &Id::default(),
        Ok(reply.as_object().cloned().unwrap_or_default()),
        0.5,
    ));
}

/// However the bytes come, the lines are the same.
pub fn frames(input: &[u8]) {
    let mut random = Random::new(input.len() as u64, 7);
    // Seldom, and not by what inputs have in common that are made of each other: it takes as long as a thousand others.
    let sum = input.iter().fold(1, |sum: u32, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)));
    let huge = sum.is_multiple_of(1000);
    let huge = if huge { vec![b'x'; LIMIT - 2 + random.below(5)] } else { Vec::new() };
    let bytes = [&huge, input].concat();
    let (mut inbox, mut lines) = (Inbox::default(), Lines::default());
    let mut found: Vec<Option<Vec<u8>>> = Vec::new();
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let most = if huge.is_empty() { 100 } else { 100_000 };
        let (now, later) = rest.split_at(rest.len().min(1 + random.below(most)));
        inbox.push(now);
        while let Some(line) = lines.next(&mut inbox) {
            found.push(line.ok().map(<[u8]>::to_vec));
        }
        rest = later;
    }
    let mut parts: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let last = parts.pop().expect("at least one part");
    let line =
        |line: &&[u8]| (line.len() <= LIMIT).then(|| line.strip_suffix(b"\r").unwrap_or(line).to_vec());
    let mut expected: Vec<Option<Vec<u8>>> = parts.iter().map(line).collect();
    let too_long = last.len() > LIMIT;
    expected.extend(too_long.then_some(None));
    assert_eq!(found, expected);
    assert_eq!(inbox.rest(), if too_long { &[] } else { last });
}
