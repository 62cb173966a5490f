"""test_watcher and test_runner: lives of watchers and their processes."""

import os
import signal

from processes import runs, wait_until
from suite import Group, differs

SLEEP = "/bin/sleep 1000"

watcher = Group("watcher", """
    [watcher:test]
    cmd = /bin/sleep 1000
    [watcher:two]
    cmd = /bin/sleep 1000
    numprocesses = 2
    [watcher:no-respawn]
    cmd = /bin/sleep 1000
    respawn = False
    [watcher:aging]
    cmd = /bin/sleep 1000
    numprocesses = 3
    max_age = 1
    max_age_variance = 0
    [watcher:single]
    cmd = /bin/sleep 1000
    singleton = True
    """)


@watcher
def runs_and_writes_its_file(d):
    """test_runner."""
    d.add("runner", "{child} once {dir}/ran 0", respawn=False)
    return len(d.lines("ran", 1)), d.until("runner", "stopped")


@watcher
def decr_below_zero_and_incr(d):
    d.add("zero", SLEEP)
    seen = [d.ok("decr", name="zero", nb=5, waiting=True), d.pids("zero")]
    return [*seen, d.ok("incr", name="zero", waiting=True), len(d.pids("zero"))]


@watcher
def killed_process_is_replaced(d):
    before = d.pids("two")
    os.kill(before[0], signal.SIGKILL)
    now = d.until_pids("two", lambda pids: len(pids) == 2 and before[0] not in pids)
    return before[1] in now, len(now), d.status("two")


@watcher
def killed_processes_are_replaced_and_wids_used_again(d):
    before = d.pids("two")
    for pid in before:
        os.kill(pid, signal.SIGTERM)
    now = d.until_pids("two", lambda pids: len(pids) == 2 and not set(pids) & set(before))
    infos = d.ok("stats", name="two")["info"]
    return sorted(infos[str(pid)]["wid"] for pid in now)


@watcher
def max_age(d):
    before = d.pids("aging")
    now = d.until_pids("aging", lambda pids: len(pids) == 3 and not set(pids) & set(before))
    seen = len(now)
    d.ok("stop", name="aging", waiting=True)
    return seen


@watcher
def without_respawn(d):
    pid, = d.pids("no-respawn")
    os.kill(pid, signal.SIGTERM)
    d.until("no-respawn", "stopped")
    seen = [d.pids("no-respawn")]
    d.ok("start", name="no-respawn", waiting=True)
    return [*seen, d.status("no-respawn"), len(d.pids("no-respawn"))]


@watcher
def without_respawn_one_of_two(d):
    pids = d.add("pair", SLEEP, numprocesses=2, respawn=False)
    start = d.events.position()
    os.kill(pids[0], signal.SIGTERM)
    d.wait_event("watcher.pair.reap", start)
    left = d.until_pids("pair", lambda found: pids[0] not in found)
    # To start it now is a gamble with Circus: one process, two, or a daemon that hangs.
    return left == [pids[1]], d.status("pair")


@watcher
def nothing_is_spawned_while_it_stops(d):
    d.add("stopping", "{child} signals {dir}/stopping TERM", graceful_timeout=1.5)
    pid = d.watched("stopping")
    d.ok("stop", name="stopping")
    d.lines("stopping", 1)
    seen = [d.status("stopping"), d.pids("stopping") == [pid]]
    return [*seen, d.until("stopping", "stopped"), d.pids("stopping")]


@watcher
def missing_program(d):
    d.ok("add", name="missing", cmd="/no/such/program", options={"max_retry": 2})
    d.ok("start", name="missing")
    d.logged("error in 'missing'")
    return d.until("missing", "stopped")


@watcher
@differs("one line says which file is missing", manual="system errors are in words", key="said",
         theirs="[WARNING] error in 'missing2': [Errno 2] No such file or directory: '/no/such/program'",
         ours="[WARNING] error in 'missing2': exec /no/such/program: No such file or directory")
def missing_program_in_the_log(d):
    d.ok("add", name="missing2", cmd="/no/such/program", options={"max_retry": 1})
    d.ok("start", name="missing2")
    return {"said": d.logged("error in 'missing2'"), "then": d.until("missing2", "stopped")}


@watcher
def missing_directory(d):
    d.ok("add", name="nowhere", cmd=SLEEP, options={"max_retry": 1, "working_dir": "/no/such/directory"})
    d.ok("start", name="nowhere")
    return "/no/such/directory" in d.logged("error in 'nowhere'"), d.until("nowhere", "stopped")


@watcher
def zero_processes(d):
    d.ok("add", name="nobody", cmd=SLEEP, options={"numprocesses": 0})
    d.ok("start", name="nobody")
    return d.until("nobody", "stopped")


@watcher.alone("""
    [watcher:empty]
    numprocesses = 1
    [watcher:z]
    cmd = sleep 1000
    """, manual=True)
@differs("only the watcher that cannot be started stays down", manual="affect only that watcher",
         theirs=("starting", "stopped"), ours=("stopped", "active"))
def empty_command(d):
    d.launch()
    wait_until(d.answers, "an answer")
    if d.side == "theirs":
        d.logged("IndexError")
    else:
        d.until("z", "active")
        d.until("empty", "stopped")
    return d.status("empty"), d.status("z")


@watcher.alone("""
    [watcher:bad]
    cmd = sleep 1000
    uid = no-such-user
    max_retry = 1
    [watcher:z]
    cmd = sleep 1000
    """, manual=True)
def unknown_user(d):
    d.launch()
    wait_until(d.answers, "an answer")
    return d.until("z", "active"), d.until("bad", "stopped"), "no-such-user" in d.log()


@watcher.alone("""
    [watcher:many]
    cmd = sleep 1000
    singleton = True
    numprocesses = 2
    [watcher:z]
    cmd = sleep 1000
    """, manual=True)
@differs("one process runs, with a warning; Circus leaves the watcher out", manual="runs one process, with a warning",
         key="statuses", theirs={"z": "active"}, ours={"many": "active", "z": "active"})
def singleton_with_two_processes(d):
    d.launch()
    wait_until(d.answers, "an answer")
    d.until("z", "active")
    return {"statuses": d.ok("status")["statuses"], "warned": "WARNING" in d.log()}


@watcher
def send_hup(d):
    d.add("hup", "{child} signals {dir}/hup", send_hup=True)
    pid = d.watched("hup")
    reply = d.ok("reload", name="hup", waiting=True)["info"]
    return {key: len(value) for key, value in reply.items()}, d.lines("hup", 1), d.pids("hup") == [pid]


@watcher
def reload_that_terminates(d):
    before = d.add("hard", SLEEP)
    info = d.ok("reload", name="hard", graceful=False, waiting=True)["info"]
    return {key: len(value) for key, value in info.items()}, d.pids("hard") != before


@watcher
def new_processes_come_before_old_ones_go(d):
    d.add("order", "{child} once {dir}/order 0", respawn=False)
    d.until("order", "stopped")
    before = d.add("graceful", "{child} signals {dir}/graceful-$(circus.wid)", numprocesses=2)
    for wid in (1, 2):
        d.watched(f"graceful-{wid}")
    start = d.mark("graceful") + 1
    d.ok("reload", name="graceful", waiting=True)
    d.wait_event("watcher.graceful.reload", start)
    topics = [topic.split(".")[-1] for topic, _ in d.events.seen[start:] if topic.startswith("watcher.graceful.")]
    gone = all(not runs(pid) for pid in before)
    return topics.index("kill") > topics.index("spawn") + 1, len(d.pids("graceful")), gone


@watcher
def numprocesses_by_set(d):
    d.add("sized", SLEEP)
    seen = []
    for count in (3, 1, 0, 2):
        d.ok("set", name="sized", options={"numprocesses": count}, waiting=True)
        seen.append(len(d.until_pids("sized", lambda pids, count=count: len(pids) == count)))
    return seen, d.status("sized")


@watcher
def the_oldest_goes_first(d):
    first = d.add("ages", SLEEP)
    d.ok("incr", name="ages", waiting=True)
    both = d.pids("ages")
    d.ok("decr", name="ages", waiting=True)
    left = d.until_pids("ages", lambda pids: len(pids) == 1)
    return left == [pid for pid in both if pid not in first]


@watcher
def set_that_replaces_processes(d):
    d.add("changed", "{child} report {dir}/changed a")
    d.report("changed")
    os.remove(d.path("changed"))
    options = {"cmd": d.fill("{child} report {dir}/changed b"), "env": {"X": "y"}}
    d.ok("set", name="changed", options=options, waiting=True)
    wait_until(lambda: d.report("changed")["environment"].get("X"), "the new environment")
    return d.report("changed")["argv"], d.report("changed")["environment"]["X"]
