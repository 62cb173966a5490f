//! A life that breaks a rule is cut to the shortest that still breaks it at the same place.

use super::plan::{End, Plan, Step};
use super::*;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    /// The line of the rule. Pids and times in the text differ from one life to the other.
    place: String,
    text: String,
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What `play` gives, or the rule that it breaks; nothing is printed of that.
pub(super) fn attempt<T>(play: impl FnOnce() -> T) -> Result<T, Fault> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if QUIET.get() {
                PLACE.replace(info.location().map(ToString::to_string).unwrap_or_default());
            } else {
                before(info);
            }
        }));
    });
    QUIET.set(true);
    let result = catch_unwind(AssertUnwindSafe(play));
    QUIET.set(false);
    result.map_err(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string));
        Fault { place: PLACE.take(), text: text.unwrap_or_default() }
    })
}

/// How many lives are played to find a shorter one; `CIRCUS_SIM_ATTEMPTS` says another number.
const ATTEMPTS: u64 = 4_000;

struct Search<'a> {
    best: Plan,
    fault: Fault,
    left: u64,
    play: &'a dyn Fn(&Plan),
}

impl Search<'_> {
    /// Takes another plan if it breaks the same rule.
    fn take(&mut self, plan: Plan) -> bool {
        if self.left == 0 || plan == self.best {
            return false;
        }
        self.left -= 1;
        match attempt(|| (self.play)(&plan)) {
            Err(fault) if fault.place == self.fault.place => {
                (self.best, self.fault) = (plan, fault);
                true
            }
            _ => false,
        }
    }

    /// Leaves out steps: half of them, then a quarter, down to each single one.
    fn cut_steps(&mut self) {
        let mut size = self.best.steps.len().div_ceil(2);
        while size > 0 {
            let mut at = 0;
            while at < self.best.steps.len() {
                let mut plan = self.best.clone();
                plan.steps.drain(at..(at + size).min(plan.steps.len()));
                if !self.take(plan) {
                    at += size;
                }
            }
            size /= 2;
        }
    }

    /// Leaves out watchers, options, hooks and what else is not needed.
    fn cut_watchers(&mut self) {
        for at in (0..self.best.watchers.len()).rev() {
            let mut plan = self.best.clone();
            plan.watchers.remove(at);
            if self.take(plan) {
                continue;
            }
            let plain = watcher("", 1);
            for (key, _) in table::differences(&self.best.watchers[at], &plain) {
                let mut plan = self.best.clone();
                table::copy(key, &plain, &mut plan.watchers[at]);
                self.take(plan);
            }
            for hook in self.best.watchers[at].hooks.keys().cloned().collect::<Vec<_>>() {
                let mut plan = self.best.clone();
                plan.watchers[at].hooks.remove(&hook);
                self.take(plan);
            }
            let mut plan = self.best.clone();
            plan.watchers[at].plugin = None;
            self.take(plan);
        }
    }

    /// Makes what happens plainer.
    fn smooth(&mut self) {
        let best = self.best.clone();
        self.take(Plan { warmup_delay: 0.0, no_sockets: false, ..best });
        for at in 0..self.best.steps.len() {
            let plainer = match &self.best.steps[at] {
                Step::Order(order) => Step::Order(Order { waiting: false, ..order.clone() }),
                Step::Run(_) => Step::Run(10.0),
                Step::Script(name, Script { broken: true, .. }) => {
                    Step::Script(name.clone(), Script { broken: true, ..GOOD })
                }
                Step::Script(name, script) => {
                    Step::Script(name.clone(), Script { lives: script.lives, code: script.code, ..GOOD })
                }
                _ => continue,
            };
            let mut plan = self.best.clone();
            plan.steps[at] = plainer;
            self.take(plan);
        }
    }
}

/// The shortest plan that was found to break the rule that `plan` breaks when it is played, and that rule.
pub(super) fn shrink(plan: &Plan, fault: Fault, play: &dyn Fn(&Plan)) -> (Plan, Fault) {
    let left = searches::number("CIRCUS_SIM_ATTEMPTS").unwrap_or(ATTEMPTS);
    let mut search = Search { best: plan.clone(), fault, left, play };
    loop {
        let before = search.best.clone();
        search.cut_steps();
        search.cut_watchers();
        search.smooth();
        if search.best == before || search.left == 0 {
            return (search.best, search.fault);
        }
    }
}

/// Plays a plan; a rule that it breaks is told with the shortest life that breaks it.
pub(super) fn try_plan<T>(seed: u64, plan: &Plan, play: &dyn Fn(&Plan) -> T) -> Result<T, String> {
    attempt(|| play(plan)).map_err(|fault| {
        let (plan, fault) = shrink(plan, fault, &|plan| drop(play(plan)));
        format!(
            "life {seed} breaks a rule at {}\n{}\nthe shortest such life:\n{plan}",
            fault.place, fault.text
        )
    })
}

/// A rule that nobody keeps: no process of `b` is ever ended by SIGKILL while three watchers run.
#[test]
fn a_life_is_cut_to_the_steps_that_break_the_rule() {
    let play = |plan: &Plan| {
        let world = plan.play();
        let b = world.modes.iter().filter(|(_, (id, _))| *id == WatcherId(1));
        let killed = b.filter(|(pid, _)| world.exits.get(pid) == Some(&Exit::Signal(9))).count();
        assert!(killed == 0, "{killed} were killed");
    };
    let seed = (1..).find(|seed| attempt(|| play(&Plan::random(*seed))).is_err()).unwrap();
    let plan = Plan { end: End::Hurry(1.0), ..Plan::random(seed) };
    let told = try_plan(seed, &plan, &play).unwrap_err();
    assert!(told.contains("1 were killed") && told.contains("[watcher:b]"), "{told}");
    let steps = told.lines().filter(|line| line.starts_with("  ")).count();
    assert!(plan.steps.len() > 60 && steps <= 10, "{told}");
}
