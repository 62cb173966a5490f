//! A life as data: the watchers, what happens to them in which order, and how it ends. A plan can be made of a seed,
//! played, told to a person, and cut to what matters (shrink.rs).

use super::*;
use std::fmt;

/// One thing that happens from outside.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// From now on the processes of a watcher are such.
    Script(String, Script),
    /// And every other one of them is such.
    Others(String, Script),
    /// From now on a hook of a watcher is such.
    Hook(String, &'static str, HookScript),
    /// One of the processes that live is ended, whichever has this place among them.
    Kill9(usize),
    /// One of them ends by itself.
    Ends(usize, Exit),
    /// One of them asks for its end.
    Trigger(usize),
    /// One of them is ended for want of memory.
    OutOfMemory(usize),
    Order(Order),
    /// The files say something else now.
    Write(Result<NewConfig, String>),
    /// SIGHUP.
    Reload,
    Connect,
    DelayHooks,
    AnswerLate(Answer),
    Freeze(f64),
    /// Time passes.
    Run(f64),
}

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum End {
    /// Nothing goes wrong any more, all is as it should be after a while, and then it is asked to end.
    Calm,
    /// It is asked to end, and asked again after so many seconds.
    Hurry(f64),
}

/// A whole life.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) watchers: Vec<WatcherConfig>,
    pub(super) warmup_delay: f64,
    pub(super) no_sockets: bool,
    pub(super) steps: Vec<Step>,
    pub(super) end: End,
}

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

fn random_watcher(name: &str, dice: &mut Dice) -> WatcherConfig {
    let mut config = watcher(name, dice.roll(4) as i64);
    // From hardly any option to a dozen.
    for _ in 0..[0, 2, 5, 12][dice.roll(4) as usize] {
        table::change(&mut config, dice);
    }
    for hook in hooks::NAMES.iter().take(10) {
        if dice.roll(8) == 0 {
            config.hooks.insert(hook.to_string(), ("/hook".into(), dice.roll(3) == 0));
        }
    }
    config.plugin = match dice.roll(12) {
        0 => Some(PluginKind::Builtin(Builtin::WatchDog)),
        1 => Some(PluginKind::Python),
        _ => None,
    };
    config
}

/// Other files: each watcher has gone, is the same, has changed, or has come.
fn random_files(before: &mut Vec<WatcherConfig>, dice: &mut Dice) -> Result<NewConfig, String> {
    if dice.roll(8) == 0 {
        return Err("it is wrong".into());
    }
    let old = std::mem::take(before);
    for name in NAMES {
        match (old.iter().find(|config| config.name == name).cloned(), dice.roll(4)) {
            (None, 0) => before.push(random_watcher(name, dice)),
            (None, _) | (Some(_), 0) => {}
            (Some(same), 1) => before.push(same),
            (Some(mut config), _) => {
                table::change(&mut config, dice);
                before.push(config);
            }
        }
    }
    let touched = (0..4).filter(|_| dice.roll(6) == 0).map(WatcherId).collect();
    Ok(NewConfig {
        watchers: before.clone(),
        warmup_delay: dice.roll(2) as f64,
        touched,
        ..NewConfig::default()
    })
}

fn random_order(dice: &mut Dice) -> Order {
    let mut order = lives::random_order(dice);
    let any = |options: &mut Vec<(String, Value)>, dice: &mut Dice| {
        (0..=dice.roll(2)).for_each(|_| options.push(table::any_option(dice)));
    };
    match &mut order.what {
        Task::Edit(Edit::Set { options, .. }) if dice.roll(3) > 0 => {
            options.clear();
            any(options, dice);
        }
        Task::Edit(Edit::Add { options, .. }) => any(options, dice),
        Task::Kill { signum, .. } if dice.roll(3) == 0 => *signum = Some([2, 9][dice.roll(2) as usize]),
        _ => {}
    }
    match dice.roll(12) {
        0 => Task::Reloadconfig.waiting(order.waiting),
        1 => Task::Restart(Select::All).waiting(order.waiting),
        _ => order,
    }
}

impl Plan {
    /// That of a seed.
    pub(super) fn random(seed: u64) -> Plan {
        let mut dice = Dice::new(seed);
        let dice = &mut dice;
        let watchers: Vec<_> = NAMES.iter().take(4).map(|name| random_watcher(name, dice)).collect();
        let mut files = watchers.clone();
        let mut steps = Vec::new();
        for _ in 0..60 {
            steps.push(random_step(&mut files, dice));
            let most = [0, 10, 1000, 5000][dice.roll(4) as usize];
            if most > 0 {
                steps.push(Step::Run(dice.roll(most + 1) as f64 / 1000.0));
            }
        }
        let end = if dice.roll(3) > 0 { End::Calm } else { End::Hurry(1.0 + dice.roll(2) as f64) };
        Plan { watchers, warmup_delay: dice.roll(2) as f64, no_sockets: dice.roll(8) == 0, steps, end }
    }

    /// Plays it, up to its end or to a rule that is broken.
    pub(super) fn play(&self) -> World {
        let mut world = World::new(self.watchers.clone());
        world.no_sockets = self.no_sockets;
        world.set_warmup_delay(self.warmup_delay);
        world.send(Event::Start);
        for step in &self.steps {
            if world.arbiter.is_ending() {
                break; // it has lost a critical watcher
            }
            world.take(step);
            world.trace_views();
        }
        match self.end {
            End::Calm => lives::end_calmly(&mut world),
            End::Hurry(pause) => lives::end_in_a_hurry(&mut world, pause),
        }
        world
    }
}

fn random_step(files: &mut Vec<WatcherConfig>, dice: &mut Dice) -> Step {
    let name = NAMES[dice.roll(4) as usize].to_string();
    let at = dice.roll(12) as usize;
    match dice.roll(14) {
        0 if dice.roll(3) == 0 => Step::Others(name, lives::random_script(dice)),
        0 => Step::Script(name, lives::random_script(dice)),
        1 => Step::Kill9(at),
        2 => [Step::Reload, Step::Trigger(at), Step::OutOfMemory(at)][dice.roll(3) as usize].clone(),
        3 => Step::Write(random_files(files, dice)),
        4 => Step::Connect,
        5 => Step::DelayHooks,
        6 => Step::Hook(name, lives::random_hook_name(dice), lives::random_hook(dice)),
        7 => Step::AnswerLate(lives::random_hook(dice).1),
        8 => Step::Freeze(dice.roll(5000) as f64 / 1000.0),
        _ => Step::Order(random_order(dice)),
    }
}

impl World {
    /// The process that has this place among those that live.
    fn alive(&self, at: usize) -> Option<Pid> {
        let alive: Vec<Pid> = self.procs.iter().filter(|(_, p)| !p.zombie).map(|(pid, _)| *pid).collect();
        alive.get(at.checked_rem(alive.len())?).copied()
    }

    /// The process that a step ends, and how.
    pub(super) fn dying(&self, step: &Step) -> Option<(Pid, Exit)> {
        let Step::Ends(at, exit) = step else { return None };
        Some((self.alive(*at)?, *exit))
    }

    pub(super) fn take(&mut self, step: &Step) {
        match step.clone() {
            Step::Script(name, script) => drop(self.scripts.insert(name, script)),
            Step::Others(name, script) => drop(self.others.insert(name, script)),
            Step::Hook(name, hook, script) => drop(self.hook_scripts.insert((name, hook), script)),
            Step::Kill9(at) => self.alive(at).into_iter().for_each(|pid| self.kill9(pid)),
            Step::Ends(..) => {
                if let Some((pid, exit)) = self.dying(step) {
                    self.procs.get_mut(&pid).unwrap().ends = Some((self.now, exit));
                    self.exit(pid);
                }
            }
            Step::Trigger(at) => {
                let notice = Notice::Trigger;
                self.alive(at).into_iter().for_each(|pid| self.send(Event::Noticed { pid, notice }));
            }
            Step::OutOfMemory(at) => {
                if let Some(pid) = self.alive(at) {
                    self.send(Event::OutOfMemory { pid });
                    self.kill9(pid);
                }
            }
            Step::Order(order) => drop(self.order(order)),
            Step::Write(files) => self.files = files,
            Step::Reload => self.send(Event::Reload),
            Step::Connect => self.connect(),
            Step::DelayHooks => self.delay_hooks(),
            Step::AnswerLate(answer) => {
                self.run(0.0); // what is due by itself is not its doing
                self.answer_late(&answer);
            }
            Step::Freeze(seconds) => self.freeze(seconds),
            Step::Run(seconds) => self.run(seconds),
        }
    }
}

/// What is not as it mostly is.
struct Unlike<'a>(&'a Script);

impl fmt::Display for Unlike<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |script: &Script| format!("{script:?}").replace(" }", "");
        let (this, good) = (text(self.0), text(&GOOD));
        let differ: Vec<&str> =
            this.split(", ").zip(good.split(", ")).filter(|(a, b)| a != b).map(|(a, _)| a).collect();
        write!(f, "Script {{ {}, ..GOOD }}", differ.join(", ").replace("Script { ", ""))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Script(name, script) => write!(f, "Script({name:?}, {})", Unlike(script)),
            Step::Others(name, script) => write!(f, "Others({name:?}, {})", Unlike(script)),
            Step::Order(Order { what, waiting }) => write!(f, "Order({what:?}, waiting: {waiting})"),
            Step::Write(Ok(files)) => {
                write!(f, "Write, warmup_delay {}, touched {:?}:", files.warmup_delay, files.touched)?;
                files.watchers.iter().try_for_each(|config| tell(config, "    ", f))
            }
            other => write!(f, "{other:?}"),
        }
    }
}

fn tell(config: &WatcherConfig, before: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "\n{before}[watcher:{}]", config.name)?;
    if let Some(kind) = config.plugin {
        write!(f, " {kind:?}")?;
    }
    let options = table::differences(config, &WatcherConfig::default());
    options.iter().try_for_each(|(key, value)| write!(f, " {key} = {value:?}"))?;
    config.hooks.iter().try_for_each(|(hook, (_, lenient))| write!(f, " hooks.{hook} ({lenient})"))
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "warmup_delay {}, no_sockets {}, end: {:?}", self.warmup_delay, self.no_sockets, self.end)?;
        self.watchers.iter().try_for_each(|config| tell(config, "", f))?;
        self.steps.iter().try_for_each(|step| write!(f, "\n  {step}"))
    }
}
