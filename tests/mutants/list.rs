//! Deliberate faults of the arbiter. Each is one that somebody could make, and the random lives of the simulator have to
//! find it. They were chosen from what the arbiter does, before it was tried which of them are found.

/// One fault.
pub struct Mutant {
    /// The file below `src/arbiter`.
    pub file: &'static str,
    /// What stands there, exactly once.
    pub before: &'static str,
    /// What stands there instead.
    pub after: &'static str,
    /// What it breaks.
    pub breaks: &'static str,
}

/// All of them.
pub const MUTANTS: &[Mutant] = &[
    Mutant {
        file: "agenda.rs",
        before: "watcher.give_back(self.cx.now, seconds);\n            self.agenda.touch(*id);",
        after: "watcher.give_back(self.cx.now, seconds);",
        breaks: "after circus stood still, kill_at is not rescheduled",
    },
    Mutant {
        file: "spawning.rs",
        before: "self.processes.holding() + self.run().slots.len()",
        after: "self.processes.holding()",
        breaks: "a slot that waits for its retry is filled beside",
    },
    Mutant {
        file: "run.rs",
        before: "self.slots.extend(retry.map(|_| Slot { behind: None, retry }));",
        after: "let _ = retry;",
        breaks: "a retry is forgotten when the group before it has ended",
    },
    Mutant {
        file: "waiters.rs",
        before: "cx.outcome.done.push((waiter.ticket, reply));\n                false",
        after: "cx.outcome.done.push((waiter.ticket, reply));\n                true",
        breaks: "a client that waits is answered twice",
    },
    Mutant {
        file: "stop.rs",
        before: "let kill_at = cx.now.plus(timeout).min(kill_at);",
        after: "let _ = timeout;",
        breaks: "graceful_timeout does not begin with the answer of before_signal",
    },
    Mutant {
        file: "orders.rs",
        before: "ids = self.dependencies.in_order(ids);\n        ids.reverse();",
        after: "ids = self.dependencies.in_order(ids);",
        breaks: "several watchers stop in the order of their start",
    },
    Mutant {
        file: "watcher.rs",
        before: "let held_back = self.prerequisites.dependency.followed && !self.hooks.hurried;",
        after: "let held_back = false;",
        breaks: "a watcher stops before what depends on it",
    },
    Mutant {
        file: "reload.rs",
        before: "if self.processes.values().all(|p| p.generation == self.spawns.generation) =>",
        after: "=>",
        breaks: "a reload is over while its old processes are there",
    },
    Mutant {
        file: "spawning.rs",
        before: "self.config.options.singleton && (!self.processes.is_empty() || is_left())",
        after: "self.config.options.singleton && (self.processes.running() > 0 || is_left())",
        breaks: "a singleton runs twice while its process is on its way out",
    },
    Mutant {
        file: "spawning.rs",
        before: "if !gate_is_open {",
        after: "if false {",
        breaks: "warmup_delay is skipped",
    },
    Mutant {
        file: "stop.rs",
        before: "outlive.into_iter().for_each(|(wid, ..)| self.give_process_up(wid, cx));",
        after: "drop(outlive);",
        breaks: "a process that survives SIGKILL is not given up",
    },
    Mutant {
        file: "stop.rs",
        before: "cx.actions.extend(process.followers.map(|whom| Action::Signal { pid, signum, whom }));",
        after: "let _ = signum;",
        breaks: "the rest of a group is not asked to end",
    },
    Mutant {
        file: "exit_policy.rs",
        before: "ailment.is_some() || !succeeded(exit, &self.config.options)",
        after: "ailment.is_some() || succeeded(exit, &self.config.options)",
        breaks: "respawn = on-failure replaces what has ended well",
    },
    Mutant {
        file: "respawn.rs",
        before: "chain.bad.saturating_sub(1).min(31)",
        after: "chain.bad.saturating_sub(1).min(0)",
        breaks: "the pause before a respawn does not grow",
    },
    Mutant {
        file: "spawning.rs",
        before: "if self.goal != Goal::Up || self.status() == Status::Stopping {",
        after: "if false {",
        breaks: "a process that comes while its watcher stops is kept",
    },
    Mutant {
        file: "stop.rs",
        before: "sort_by(&mut candidates, |a, b| order(a) < order(b));",
        after: "sort_by(&mut candidates, |a, b| order(a) > order(b));",
        breaks: "decr ends the newest process",
    },
    Mutant {
        file: "spawning.rs",
        before: "chain.charged >= most.max(1)",
        after: "chain.charged > most.max(1)",
        breaks: "max_retry is off by one",
    },
    Mutant {
        file: "respawn.rs",
        before: "self.charged.saturating_add(u32::from(!shortage))",
        after: "self.charged.saturating_add(1)",
        breaks: "a shortage counts for max_retry",
    },
    Mutant {
        file: "startup.rs",
        before: "boot.waits = boot.gate > self.cx.now;",
        after: "boot.waits = false;",
        breaks: "the pause between the starts of two watchers is skipped",
    },
    Mutant {
        file: "orders.rs",
        before: "None => self.by_priority().into_iter().filter(autostart).collect(),",
        after: "None => self.by_priority(),",
        breaks: "start of all takes those with autostart = False along",
    },
    Mutant {
        file: "orders.rs",
        before: "if self.goal == Goal::Down && !self.queued {",
        after: "if false {",
        breaks: "what a watcher requires is not started with it",
    },
    Mutant {
        file: "spawning.rs",
        before: "let too_many = self.left.survivors.len().saturating_sub(wanted);",
        after: "let too_many = 0;",
        breaks: "processes that survive SIGKILL pile up",
    },
    Mutant {
        file: "health.rs",
        before: "Notice::Alive => liveness.heard = cx.now,",
        after: "Notice::Alive => {}",
        breaks: "watchdog ends a process that says WATCHDOG=1 in time",
    },
    Mutant {
        file: "agenda.rs",
        before: "call.deadline = call.deadline.plus(seconds);",
        after: "let _ = call;",
        breaks: "after circus stood still, hook_timeout goes on",
    },
    Mutant {
        file: "on_demand.rs",
        before: "let delay = if chain.bad > 0 { backoff.delay(chain, &mut cx.random) } else { 0.0 };",
        after: "let delay = 0.0;",
        breaks: "on_demand: there is no pause after processes that ended at once",
    },
    Mutant {
        file: "watcher.rs",
        before: "if !self.call(Hook::BeforeStop, About::default(), Then::Stop, cx) {\n            self.ask_all(cx);\n        }",
        after: "self.call(Hook::BeforeStop, About::default(), Then::Stop, cx);\n        self.ask_all(cx);",
        breaks: "a stop does not wait for before_stop",
    },
    Mutant {
        file: "reload.rs",
        before: "&& self.decides_at(left).is_some_and(|at| at <= cx.now) =>",
        after: "=>",
        breaks: "a reload ends the old processes before the new ones are ready",
    },
    Mutant {
        file: "generations.rs",
        before: "|| !self.is_reloading();\n        if old { self.proven() }",
        after: "|| !self.is_reloading();\n        if false && old { self.proven() }",
        breaks: "after a failed reload the new options make the processes",
    },
];
