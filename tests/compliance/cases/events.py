"""The events that subscribers get, and what is in them."""

import os
import signal

from processes import NotReached
from suite import Group, differs

SLEEP = "/bin/sleep 1000"

events = Group("events", """
    [watcher:test]
    cmd = /bin/sleep 1000
    """, mixed=True)


def names(story):
    return [what for what, _ in story]


@events
def of_an_added_watcher(d):
    start = d.events.position()
    d.ok("add", name="Added One", cmd=SLEEP)
    return sorted(d.wait_event("watcher.added_one.add", start))


@events
def of_start_and_stop(d):
    d.ok("add", name="cycle", cmd=SLEEP)
    up = d.story("cycle", lambda: d.ok("start", name="cycle", waiting=True))
    down = d.story("cycle", lambda: d.ok("stop", name="cycle", waiting=True))
    code = [data["exit_code"] for what, data in down if what == "reap"]
    keys = {what: sorted(data) for what, data in up + down}
    return names(up), names(down), code, keys, all(isinstance(data["time"], float) for _, data in up + down)


@events
def of_a_restart(d):
    d.add("restarted", SLEEP)
    return names(d.story("restarted", lambda: d.ok("restart", name="restarted", waiting=True)))


@events
@differs("a process that ends is an event, whatever ended it", manual="Every process that ends is an event",
         theirs=["spawn", "kill", "reload"], ours=["spawn", "kill", "reap", "reload"])
def of_a_reload(d):
    d.add("reloaded", SLEEP)
    return names(d.story("reloaded", lambda: d.ok("reload", name="reloaded", waiting=True)))


@events
def of_incr(d):
    d.add("grown", SLEEP)
    return names(d.story("grown", lambda: d.ok("incr", name="grown", nb=2, waiting=True)))


@events
@differs("a process that ends is an event, whatever ended it", manual="Every process that ends is an event",
         theirs=["kill"], ours=["kill", "reap"])
def of_decr(d):
    d.add("shrunk", SLEEP, numprocesses=2)
    return names(d.story("shrunk", lambda: d.ok("decr", name="shrunk", waiting=True)))


@events
def of_a_death(d):
    pid, = d.add("dies", SLEEP)

    def die():
        os.kill(pid, signal.SIGKILL)
        d.until_pids("dies", lambda pids: pids and pid not in pids)

    story = d.story("dies", die)
    return [(what, data.get("exit_code"), data["process_pid"] == pid) for what, data in story]


@events
def exit_codes(d):
    seen = []
    for code in (0, 3, -15, -9):
        seen.append(exit_code(d, code, 5 if d.side == "theirs" else 1))
    return seen


def exit_code(d, code, attempts):
    """What an event says of a process that ends with this code. On a machine that is busy Circus forgets some."""
    start = d.events.position()
    name = f"code{code}-{attempts}"
    # It forgets always the event of a process that ends while its watcher is being started.
    d.add(name, f"{{child}} once {{dir}}/{name} {code} 0.5", respawn=False)
    try:
        return d.wait_event(f"watcher.{name}.reap", start)["exit_code"]
    except NotReached:
        if attempts == 1:
            raise
    return exit_code(d, code, attempts - 1)


@events
def of_a_kill_in_two_steps(d):
    d.add("stubborn", "{child} signals {dir}/stubborn TERM", graceful_timeout=0.3)
    d.watched("stubborn")
    story = d.story("stubborn", lambda: d.ok("stop", name="stubborn", waiting=True))
    return names(story), [data.get("exit_code") for what, data in story if what == "reap"]


@events
def of_set(d):
    d.add("tuned", SLEEP)

    def change():
        d.ok("set", name="tuned", options={"graceful_timeout": 5, "max_retry": 3}, waiting=True)

    start = d.mark("tuned") + 1
    change()
    d.ok("set", name="test", options={"warmup_delay": 0}, waiting=True)
    d.wait_event("watcher.test.updated", start)
    return [topic for topic, _ in d.events.seen[start:] if topic.startswith("watcher.tuned.")]


@events
def of_rm(d):
    d.add("leaves", SLEEP)
    start = d.mark("leaves") + 1
    d.ok("rm", name="leaves", waiting=True)
    d.wait_event("watcher.leaves.stop", start)
    found = [topic.split(".")[-1] for topic, _ in d.events.seen[start:] if topic.startswith("watcher.leaves.")]
    return found
