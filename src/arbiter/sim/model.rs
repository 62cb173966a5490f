//! An independent model: which processes there must be once all is quiet, written from what is promised (the contract and
//! circus.ini(5)) and not from the arbiter. Random orders, deaths and failures are given to both, and what the world then
//! has is compared with what the model wants.

use super::plan::{End, Plan, Step};
use super::*;

/// What is wanted of a watcher.
#[derive(Clone, Debug)]
struct Wanted {
    config: WatcherConfig,
    /// It was started, and nobody has stopped it since. "comes back when the other is active again": what it requires may
    /// be missing meanwhile.
    up: bool,
    /// "a process that ends leaves its place empty until the next start"
    empty: usize,
    /// Those of its processes that have to be there still, the oldest first.
    stay: Vec<Pid>,
}

#[derive(Default)]
struct Model {
    watchers: BTreeMap<String, Wanted>,
}

impl Wanted {
    fn number(&self) -> usize {
        let number = usize::try_from(self.config.options.numprocesses).unwrap_or(0);
        if self.config.options.singleton { number.min(1) } else { number }
    }

    fn requires(&self) -> Option<&str> {
        self.config.options.requires.as_deref()
    }
}

impl Model {
    fn new(configs: &[WatcherConfig]) -> Model {
        let wanted =
            |config: &WatcherConfig| Wanted { config: config.clone(), up: false, empty: 0, stay: Vec::new() };
        let named = configs.iter().map(|config| (config.name.clone(), wanted(config)));
        let mut model = Model { watchers: named.collect() };
        model.start_all();
        model
    }

    /// "runs only while that is active"
    fn runs(&self, name: &str) -> bool {
        let Some(wanted) = self.watchers.get(name) else { return false };
        wanted.up && wanted.requires().is_none_or(|other| self.runs(other))
    }

    fn processes(&self, name: &str) -> usize {
        let Some(wanted) = self.watchers.get(name).filter(|_| self.runs(name)) else { return 0 };
        wanted.number().saturating_sub(wanted.empty)
    }

    /// "Who starts it starts the other too", and what that one requires. A start fills what has stayed empty.
    fn start(&mut self, name: &str) {
        let Some(wanted) = self.watchers.get_mut(name) else { return };
        (wanted.up, wanted.empty) = (true, 0);
        let mut next = self.requires(name);
        while let Some(name) = next {
            match self.watchers.get(&name).is_some_and(|other| other.up) {
                true => next = self.requires(&name),
                false => return self.start(&name),
            }
        }
    }

    fn requires(&self, name: &str) -> Option<String> {
        self.watchers.get(name)?.requires().map(str::to_owned)
    }

    /// "start and restart of several watchers leave out those with autostart = False"
    fn start_all(&mut self) {
        for name in NAMES {
            if self.watchers.get(name).is_some_and(|wanted| wanted.config.options.autostart) {
                self.start(name);
            }
        }
    }

    /// What a stop ends begins anew later, with all its places.
    fn stop(&mut self, name: &str) {
        if let Some(wanted) = self.watchers.get_mut(name) {
            (wanted.up, wanted.empty) = (false, 0);
            wanted.stay.clear();
        }
        let followers = self.watchers.iter().filter(|(_, other)| other.requires() == Some(name));
        let followers: Vec<String> = followers.map(|(name, _)| name.clone()).collect();
        followers.iter().for_each(|name| self.interrupt(name));
    }

    /// "When the other is stopped, restarted, removed or fails for good, it is stopped, and comes back"
    fn interrupt(&mut self, name: &str) {
        let up = self.watchers.get(name).is_some_and(|wanted| wanted.up);
        self.stop(name);
        self.watchers.get_mut(name).into_iter().for_each(|wanted| wanted.up = up);
    }

    fn restart(&mut self, name: &str) {
        self.interrupt(name);
        self.start(name);
    }

    /// "reload of a watcher that is stopped starts it"; a reload "spawns as many new processes as are wanted".
    fn reload(&mut self, name: &str) {
        let Some(wanted) = self.watchers.get_mut(name) else { return };
        if !wanted.up {
            self.start(name);
        } else if !wanted.config.options.send_hup {
            wanted.empty = 0;
            wanted.stay.clear();
        }
    }

    /// "numprocesses ± n, floor 0"; "A singleton keeps its one process."
    fn change(&mut self, name: &str, by: i64) {
        let Some(wanted) = self.watchers.get(name) else { return };
        let before = wanted.config.options.numprocesses;
        match wanted.config.options.singleton {
            true => self.set_number(name, before.max((before + by).clamp(0, 1))),
            false => self.set_number(name, (before + by).max(0)),
        }
    }

    /// "Singleton watcher has a single process". What is too much is ended, the oldest first.
    fn set_number(&mut self, name: &str, number: i64) {
        let Some(wanted) = self.watchers.get_mut(name) else { return };
        if wanted.config.options.singleton && number > 1 {
            return;
        }
        let running = wanted.number().saturating_sub(wanted.empty);
        wanted.config.options.numprocesses = number;
        // Nobody is ended as long as places that are empty anyway are enough.
        wanted.empty = wanted.empty.min(wanted.number().saturating_sub(running));
        wanted.stay.drain(..wanted.stay.len().saturating_sub(wanted.number()));
    }

    /// A process has ended by itself. "when the last one has ended, the watcher stops"
    fn ended(&mut self, name: &str, pid: Pid, exit: Exit) {
        let wanted = self.watchers.get_mut(name).unwrap();
        wanted.stay.retain(|other| *other != pid);
        let replaced = match wanted.config.options.respawn {
            Respawn::Always => true,
            Respawn::Never => false,
            Respawn::OnFailure => exit != Exit::Code(0),
        };
        wanted.empty += usize::from(!replaced);
        if wanted.empty >= wanted.number() {
            self.stop(name);
        }
    }

    /// What "active" means of one that has lost its last place is not compared where it matters to others.
    fn leaves_none(&self, task: &Task) -> bool {
        let Some((name, (set, by))) = numbers(task) else { return false };
        let related = self.watchers.values().any(|other| other.requires() == Some(name));
        let related = related || self.requires(name).is_some();
        let before = |wanted: &Wanted| set.unwrap_or(wanted.config.options.numprocesses);
        related && self.watchers.get(name).is_some_and(|wanted| before(wanted) + by < 1)
    }

    /// Which places are empty, and who is the oldest, is known when all are there; of a singleton there is but one.
    fn has_to_be_quiet(&self, task: &Task) -> bool {
        let wanted = numbers(task).and_then(|(name, _)| self.watchers.get(name));
        wanted.is_some_and(|wanted| !wanted.config.options.singleton)
    }

    fn obey(&mut self, task: &Task) {
        match task {
            Task::Start(Select::All) => self.start_all(),
            Task::Start(Select::Match { pattern, .. }) => self.start(pattern),
            Task::Stop(Select::Match { pattern, .. }) => self.stop(pattern),
            Task::Stop(Select::All) => NAMES.iter().for_each(|name| self.stop(name)),
            Task::Restart(Select::Match { pattern, .. }) => self.restart(pattern),
            Task::Reload { name: Some(name), graceful: true, .. } => self.reload(name),
            Task::Reload { name: Some(name), .. } => self.restart(name),
            Task::Change { name, by } => self.change(name, *by),
            Task::Edit(Edit::Set { name, .. }) => {
                let number = numbers(task).and_then(|(_, (number, _))| number);
                self.set_number(name, number.expect("the model knows this option alone"));
            }
            Task::Edit(Edit::Rm { name, .. }) => {
                self.stop(name);
                self.watchers.remove(name.as_str());
            }
            other => panic!("the model knows nothing of {other:?}"),
        }
    }
}

/// Whose number of processes an order changes: what it sets, or by how much it differs.
fn numbers(task: &Task) -> Option<(&str, (Option<i64>, i64))> {
    match task {
        Task::Change { name, by } => Some((name, (None, *by))),
        Task::Edit(Edit::Set { name, options }) => match options.as_slice() {
            [(key, Value::Int(number))] if key == "numprocesses" => Some((name, (Some(*number), 0))),
            _ => None,
        },
        _ => None,
    }
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn random_config(at: usize, dice: &mut Dice) -> WatcherConfig {
    let mut config = watcher(NAMES[at], 1 + dice.roll(3) as i64);
    let options = &mut config.options;
    options.autostart = dice.roll(4) > 0;
    options.priority = dice.roll(3) as i64;
    options.respawn = [Respawn::Never, Respawn::OnFailure, Respawn::Always][dice.roll(3) as usize];
    options.singleton = dice.roll(5) == 0;
    options.send_hup = dice.roll(6) == 0;
    options.warmup_delay = dice.roll(3) as f64 / 2.0;
    // No circle: each requires one of those before it.
    options.requires = (at > 0 && dice.roll(2) == 0).then(|| NAMES[dice.roll(at as u64) as usize].into());
    config
}

fn random_task(dice: &mut Dice) -> Task {
    let name = NAMES[dice.roll(4) as usize].to_string();
    let one = only(&name);
    match dice.roll(16) {
        0..3 => Task::Start(one),
        3 => Task::Start(Select::All),
        4..6 => Task::Stop(one),
        6 if dice.roll(3) == 0 => Task::Stop(Select::All),
        6..8 => Task::Restart(one),
        8..11 => Task::Reload { name: Some(name), graceful: dice.roll(4) > 0, sequential: dice.roll(2) == 0 },
        11 | 12 => {
            let number = Value::Int(dice.roll(4) as i64);
            Task::Edit(Edit::Set { name, options: vec![("numprocesses".into(), number)] })
        }
        15 if dice.roll(4) == 0 => Task::Edit(Edit::Rm { name, nostop: false }),
        _ => Task::Change { name, by: dice.roll(5) as i64 - 2 },
    }
}

/// A life for the model: orders, some of which overtake others, and deaths when all is quiet.
fn random_plan(seed: u64) -> Plan {
    let mut dice = Dice::new(seed);
    let dice = &mut dice;
    let mut watchers: Vec<_> = (0..4).map(|at| random_config(at, dice)).collect();
    // Whether one that is merely required has started already, or will when the turn of the other comes, is open.
    let required: Vec<_> = watchers.iter().filter_map(|config| config.options.requires.clone()).collect();
    for config in watchers.iter_mut().filter(|config| required.iter().any(|name| **name == *config.name)) {
        config.options.autostart = true;
    }
    let mut steps = Vec::new();
    for _ in 0..40 {
        if dice.roll(3) == 0 {
            let exit = [Exit::Code(0), Exit::Code(1), Exit::Signal(9)][dice.roll(3) as usize];
            steps.push(Step::Ends(dice.roll(12) as usize, exit));
        }
        for _ in 0..=dice.roll(3) {
            steps.push(Step::Order(random_task(dice).waiting(dice.roll(2) == 0)));
            steps.push(Step::Run([0.0, 0.0, 0.005, 0.7][dice.roll(4) as usize]));
        }
        steps.push(Step::Run(QUIET));
    }
    let end = if dice.roll(2) == 0 { End::Calm } else { End::Hurry(0.0) };
    Plan { watchers, warmup_delay: dice.roll(2) as f64, no_sockets: false, steps, end }
}

/// After so many seconds nothing is under way any more.
const QUIET: f64 = 100.0;

/// Plays a life, and compares what is there with what the model wants whenever all is quiet.
fn compare(plan: &Plan) -> World {
    let (mut model, mut world) = (Model::new(&plan.watchers), World::new(plan.watchers.clone()));
    world.promise_order();
    world.set_warmup_delay(plan.warmup_delay);
    world.send(Event::Start);
    world.run(QUIET);
    model.check(&world);
    check_start(plan, &world);
    for step in &plan.steps {
        match step {
            Step::Ends(..) => {
                world.run(QUIET);
                let Some((pid, exit)) = world.dying(step) else { continue };
                let name = world.owner(pid).unwrap().config.name.clone();
                model.check(&world);
                world.take(step);
                model.ended(&name, pid, exit);
                world.run(QUIET);
                model.check(&world);
            }
            Step::Order(Order { what, .. }) if model.leaves_none(what) => {}
            // One that waits for another one has a goal, but nothing to reload.
            Step::Order(Order { what: Task::Reload { name: Some(name), .. }, .. })
                if world.pids(name).is_empty() && model.requires(name).is_some() => {}
            Step::Order(Order { what, .. }) if model.has_to_be_quiet(what) => {
                world.run(QUIET);
                model.check(&world);
                model.take(step, &mut world);
            }
            Step::Order(_) => model.take(step, &mut world),
            _ => world.take(step),
        }
        if *step == Step::Run(QUIET) {
            model.check(&world);
        }
    }
    world.run(QUIET);
    model.check(&world);
    check_stop(plan, &mut world);
    world
}

/// The watchers that no other one concerns, "those of the largest priority first, those of equal priority by name".
fn alone(plan: &Plan) -> Vec<&WatcherConfig> {
    let requires = |config: &WatcherConfig| config.options.requires.clone();
    let required: Vec<_> = plan.watchers.iter().filter_map(requires).collect();
    let alone = |c: &&WatcherConfig| requires(c).is_none() && required.iter().all(|name| **name != *c.name);
    let mut alone: Vec<_> = plan.watchers.iter().filter(alone).collect();
    alone.sort_by_key(|config| (-config.options.priority, config.name.clone()));
    alone
}

/// "Between two starts lies the warmup_delay of \[circus]".
fn check_start(plan: &Plan, world: &World) {
    let first = |config: &&WatcherConfig| world.spawns.iter().find(|(_, name)| *name == config.name);
    let starts: Vec<_> = alone(plan).iter().filter_map(first).collect();
    for pair in starts.windows(2) {
        assert!(pair[1].0.since(pair[0].0) >= plan.warmup_delay, "{pair:?}");
        assert!(pair[0].0 <= pair[1].0, "{pair:?}");
    }
}

/// "All watchers are stopped together, those of the lowest priority asked first."
fn check_stop(plan: &Plan, world: &mut World) {
    let before = world.signals.len();
    match plan.end {
        End::Calm => drop(world.order(Task::Stop(Select::All))),
        End::Hurry(_) => world.send(Event::Terminate),
    }
    let owner = |(pid, _): &(Pid, i32)| world.owner(*pid).map(|watcher| watcher.config.name.as_str());
    let asked: Vec<&str> = world.signals.iter().skip(before).filter_map(owner).collect();
    let place = |config: &&WatcherConfig| asked.iter().position(|name| *name == config.name);
    let places: Vec<usize> = alone(plan).iter().rev().filter_map(place).collect();
    assert!(places.is_sorted(), "{asked:?}");
    world.run(QUIET);
    assert_eq!(world.procs.len(), 0, "something is left");
}

impl Model {
    /// An order, if anybody is meant.
    fn take(&mut self, step: &Step, world: &mut World) {
        let Step::Order(Order { what, .. }) = step else { return };
        if let Task::Start(select) | Task::Stop(select) | Task::Restart(select) = what
            && let Select::Match { pattern, .. } = select
            && world.arbiter.find(pattern).is_none()
        {
            return;
        }
        self.obey(what);
        world.take(step);
    }

    fn check(&mut self, world: &World) {
        for name in NAMES {
            let id = world.arbiter.find(name).map(|watcher| watcher.id);
            let of = |pid: &&Pid| Some(world.modes[pid].0) == id && !world.procs[pid].zombie;
            let there: Vec<Pid> = world.procs.keys().filter(of).copied().collect();
            assert_eq!(there.len(), self.processes(name), "{name}");
            let Some(wanted) = self.watchers.get_mut(name) else { continue };
            // Numbers rise: those that stay are the oldest of those that are there.
            assert!(there.starts_with(&wanted.stay), "{name}: {there:?}, and not {:?} still", wanted.stay);
            wanted.stay = there;
        }
    }
}

#[test]
fn the_arbiter_has_the_processes_that_the_model_wants() {
    searches::search(150, &compare, &random_plan);
}
