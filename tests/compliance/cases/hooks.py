"""The hooks of test_watcher: when each is called, and what its answer does. They are Python functions, as in Circus."""

from processes import wait_until
from suite import Group

HOOKS = r'''
def note(watcher, name, kwargs):
    keys = sorted(key for key in kwargs if key in ("exit_code", "signum"))
    with open(f"{dir}/notes-{watcher.name}", "a") as file:
        file.write(" ".join([name, *(f"{key}={kwargs[key]}" for key in keys)]) + "\n")

def yes(watcher, arbiter, hook_name, **kwargs):
    note(watcher, hook_name, kwargs)
    return True

def no(watcher, arbiter, hook_name, **kwargs):
    note(watcher, hook_name, kwargs)
    return False

def none(watcher, arbiter, hook_name, **kwargs):
    note(watcher, hook_name, kwargs)

def fails(watcher, arbiter, hook_name, **kwargs):
    note(watcher, hook_name, kwargs)
    raise ValueError("the hook has failed")

def adds(watcher, arbiter, hook_name, pid, stats, **kwargs):
    note(watcher, hook_name, {})
    stats["added"] = [hook_name, watcher.name, pid == stats["pid"]]

def facts(watcher, arbiter, hook_name, **kwargs):
    with open("{dir}/facts", "w") as file:
        file.write(repr((watcher.name, watcher.numprocesses, watcher.cmd, hook_name)))
    return True
'''

ALL = ("before_start after_start before_stop after_stop before_spawn after_spawn before_signal after_signal "
       "before_reap after_reap").split()
FILES = (("lib/compliance_hooks.py", HOOKS),)


# Which hooks of a watcher are which functions.
WATCHERS = {
    "every": dict.fromkeys(ALL, "yes"),
    "facts": {"before_start": "facts"},
    "adds": {"extended_stats": "adds"},
    "set": {},
    **{f"{hook}-{function}": {hook: function} for hook in ALL for function in ("no", "fails", "none")},
    **{f"{hook}-ignored": {hook: "fails, true"} for hook in ALL if hook.endswith(("start", "spawn"))},
}


def section(name, hooks):
    lines = [f"hooks.{hook} = compliance_hooks.{function}" for hook, function in hooks.items()]
    return "\n".join([f"[watcher:{name}]", "cmd = /bin/sleep 1000", "autostart = False", "copy_env = True",
                      "graceful_timeout = 0.5", *lines])


SECTIONS = [section(*watcher) for watcher in WATCHERS.items()]
group = Group("hooks", "\n".join([*SECTIONS, "[env:*]", "PYTHONPATH = {dir}/lib"]),
              down=tuple(WATCHERS), files=FILES)


def life(d, name):
    """Starts and stops a watcher: its state between, what the hooks noted, and the events."""
    start = d.mark(name) + 1
    d.call("start", name=name, waiting=True)
    up = d.status(name)
    d.call("stop", name=name, waiting=True)
    d.until(name, "stopped")
    end = d.mark(name)
    prefix = f"watcher.{name}."
    events = [(topic.removeprefix(prefix), data.get("name")) for topic, data in d.events.seen[start:end]
              if topic.startswith(prefix)]
    notes = d.read(f"notes-{name}").splitlines() if d.exists(f"notes-{name}") else []
    return {"up": up, "notes": notes, "events": events}


@group
def every(d):
    seen = life(d, "every")
    successes = [name for what, name in seen["events"] if what == "hook_success"]
    return seen["up"], in_turn(seen["notes"]), in_turn(successes)


def in_turn(hooks):
    """The same with after_signal before before_reap: here the two run side by side."""
    if len(hooks) > 8 and hooks[6].startswith("before_reap") and hooks[7].startswith("after_signal"):
        return [*hooks[:6], hooks[7], hooks[6], *hooks[8:]]
    return hooks


def answers(name, hook):
    def case(d):
        seen = life(d, name)
        kinds = {what for what, found in seen["events"] if found == hook}
        return seen["up"], sorted(kinds), any(note.startswith(hook) for note in seen["notes"])

    case.__name__ = name.replace("-", "_")
    return group(case)


for _name, _hooks in WATCHERS.items():
    if len(_hooks) == 1 and _name not in ("facts", "adds"):
        answers(_name, *_hooks)


@group
def facts_of_the_watcher(d):
    d.call("start", name="facts", waiting=True)
    return d.file("facts")


@group
def extended_stats(d):
    d.call("start", name="adds", waiting=True)
    pid, = d.pids("adds")
    forms = ({"name": "adds"}, {"name": "adds", "extended": True}, {"name": "adds", "process": pid, "extended": True})
    seen = [d.ok("stats", **form)["info"] for form in forms]
    return [(info if "pid" in info else info[str(pid)]).get("added") for info in seen], d.read("notes-adds")


@group
def set_while_it_runs(d):
    d.ok("set", name="set", options={"hooks.before_stop": "compliance_hooks.yes"}, waiting=True)
    return life(d, "set")["notes"]


@group.alone("""
    [watcher:w]
    cmd = /bin/sleep 1000
    copy_env = True
    hooks.before_start = compliance_hooks.nothing_of_that_name
    [env:w]
    PYTHONPATH = {dir}/lib
    [watcher:z]
    cmd = sleep 1000
    """, files=FILES, manual=True)
def missing_function(d):
    d.launch()
    wait_until(d.answers, "an answer")
    d.until("z", "active")
    return "nothing_of_that_name" in d.log()


SLOW = """
import time

def slow(watcher, arbiter, hook_name, **kwargs):
    time.sleep(0.3)
    return True
"""


@group.alone("""
    [watcher:w]
    cmd = /bin/sleep 1000
    copy_env = True
    hooks.before_stop = slow_hooks.slow
    [env:w]
    PYTHONPATH = {dir}/lib
    """, files=(("lib/slow_hooks.py", SLOW),))
def slow_hook_and_replies(d):
    """Each reply is that of its request."""
    stop = d.send({"id": "stop", "command": "stop", "properties": {"name": "w", "waiting": True}})
    listed = d.send({"id": "list", "command": "list"})
    return stop["id"], stop["status"], listed["id"], listed["watchers"], d.until("w", "stopped")
