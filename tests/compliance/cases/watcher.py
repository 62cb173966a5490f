"""test_watcher, test_command_* and test_runner: lives of watchers and processes, signals, and the events about them."""

import os
import signal
import socket

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
@differs("one line says which file is missing", key="said",
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
@differs("only the watcher that cannot be started stays down", theirs=("starting", "stopped"), ours=("stopped", "active"))
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
@differs("one process runs, with a warning; Circus leaves the watcher out", key="statuses", theirs={"z": "active"},
         ours={"many": "active", "z": "active"})
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
    start = d.events.position()
    d.ok("reload", name="graceful", waiting=True)
    d.wait_event("watcher.graceful.reload", start)
    topics = [topic.split(".")[-1] for topic, _ in d.events.seen[start:] if topic.startswith("watcher.graceful.")]
    return topics.index("kill") > topics.index("spawn") + 1, len(d.pids("graceful")), all(not runs(pid) for pid in before)


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
    d.ok("set", name="changed", options={"cmd": d.fill("{child} report {dir}/changed b"), "env": {"X": "y"}}, waiting=True)
    wait_until(lambda: d.report("changed")["environment"].get("X"), "the new environment")
    return d.report("changed")["argv"], d.report("changed")["environment"]["X"]


kills = Group("kills", """
    [watcher:single]
    cmd = /bin/sleep 1000
    """, mixed=True)


@kills
def kill_with_a_signal_that_is_obeyed(d):
    d.add("obeys", "{child} signals {dir}/obeys")
    pid = d.watched("obeys")
    reply = d.ok("kill", name="obeys", signum=2, waiting=True)
    return reply, d.lines("obeys", 1), d.gone(pid), len(d.until_pids("obeys", lambda pids: pids and pid not in pids))


@kills
def kill_that_is_ignored(d):
    d.add("ignores", "{child} signals {dir}/ignores INT")
    pid = d.watched("ignores")
    reply = d.ok("kill", name="ignores", pid=pid, signum="sigint", graceful_timeout=0.5, waiting=True)
    return reply, d.lines("ignores", 1)[:1], d.gone(pid)


@kills
def kill_one_of_two(d):
    first, second = d.add("couple", SLEEP, numprocesses=2)
    reply = d.ok("kill", name="couple", pid=first, waiting=True)
    now = d.until_pids("couple", lambda pids: len(pids) == 2 and first not in pids)
    return reply, second in now


@kills
def signal_to_all(d):
    d.add("all", "{child} signals {dir}/all-$(circus.wid)", numprocesses=2)
    for wid in (1, 2):
        d.watched(f"all-{wid}")
    reply = d.ok("signal", name="all", signum="usr1")
    return reply, d.lines("all-1", 1), d.lines("all-2", 1), len(d.pids("all"))


@kills
@differs("an unknown process is an error; Circus says ok", key="unknown", theirs=("no error", "ok"),
         ours=(3, "process 1 not found in 'single'"))
@differs("an unknown signal is an error that is said", key="bad", theirs=(5, "command"), ours=(3, "signal invalid"))
@differs("an unknown process is an error that is said", key="its child", theirs=(5, "command"),
         ours=(3, "process 1 not found in 'single'"))
def signal_to_nobody(d):
    def short(errno, reason):
        return errno, reason["status"] if isinstance(reason, dict) else reason.split(" ")[0] if errno == 5 else reason

    return {"unknown": short(*d.refused("signal", name="single", signum=10, pid=1)),
            "its child": short(*d.refused("signal", name="single", signum=10, pid=1, children=True)),
            "bad": short(*d.refused("signal", name="single", signum="nonsense"))}


def family(d, name):
    """A process with a child and a grandchild: the pids."""
    d.add(name, f"{{child}} family {{dir}}/{name}")
    return [d.watched(name + end) for end in ("", ".1", ".2")]


def received(d, name):
    """What each of them has got, when the last of them has heard of WINCH."""
    for end in ("", ".1", ".2"):
        os.kill(d.watched(name + end), signal.SIGWINCH)
    # A handler may come in the middle of another.
    return [sorted(d.lines(name + end, lambda lines: "WINCH" in lines)) for end in ("", ".1", ".2")]


@kills
def signal_to_the_parent(d):
    pids = family(d, "fam1")
    d.ok("signal", name="fam1", signum=10, pid=pids[0])
    return received(d, "fam1")


@kills
def signal_to_the_children(d):
    pids = family(d, "fam2")
    d.ok("signal", name="fam2", signum=10, pid=pids[0], children=True)
    return received(d, "fam2")


@kills
def signal_to_one_child(d):
    pids = family(d, "fam3")
    d.ok("signal", name="fam3", signum=10, pid=pids[0], childpid=pids[1])
    return received(d, "fam3")


@kills
def signal_to_all_descendants(d):
    family(d, "fam4")
    d.ok("signal", name="fam4", signum=10, recursive=True)
    return received(d, "fam4")


@kills
@differs("when the process has gone, the rest of its group gets the signal too; in Circus it stays", theirs=[[], [], True],
         ours=[["TERM"], ["TERM"], False])
def stop_of_a_family(d):
    pids = family(d, "fam5")
    d.ok("stop", name="fam5", waiting=True)
    seen = [d.read(name).splitlines() if d.exists(name) else [] for name in ("fam5.1", "fam5.2")]
    left = runs(pids[2])
    for pid in pids[1:]:
        if runs(pid):
            os.kill(pid, signal.SIGKILL)
    return [*seen, left]


@kills
def stop_children(d):
    """The parent stays for a while: Circus looks for its children after it has sent the signal."""
    d.add("fam6", "{child} family {dir}/fam6 INT", stop_children=True, stop_signal=2, graceful_timeout=1)
    pids = [d.watched("fam6" + end) for end in ("", ".1", ".2")]
    d.ok("stop", name="fam6", waiting=True)
    seen = [d.lines("fam6", 1), d.lines("fam6.1", 1), [d.gone(pid) for pid in pids[:2]]]
    if runs(pids[2]):
        os.kill(pids[2], signal.SIGKILL)
    return seen


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
@differs("a process that ends is an event, whatever ended it", theirs=["spawn", "kill", "reload"],
         ours=["spawn", "kill", "reap", "reload"])
def of_a_reload(d):
    d.add("reloaded", SLEEP)
    return names(d.story("reloaded", lambda: d.ok("reload", name="reloaded", waiting=True)))


@events
def of_incr(d):
    d.add("grown", SLEEP)
    return names(d.story("grown", lambda: d.ok("incr", name="grown", nb=2, waiting=True)))


@events
@differs("a process that ends is an event, whatever ended it", theirs=["kill"], ours=["kill", "reap"])
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
        start = d.events.position()
        name = f"code{code}"
        # Circus forgets the event of a process that ends while its watcher is being started.
        d.add(name, f"{{child}} once {{dir}}/{name} {code} 0.5", respawn=False)
        seen.append(d.wait_event(f"watcher.{name}.reap", start)["exit_code"])
    return seen


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

    start = d.events.position()
    change()
    d.ok("set", name="test", options={"warmup_delay": 0}, waiting=True)
    d.wait_event("watcher.test.updated", start)
    return [topic for topic, _ in d.events.seen[start:] if topic.startswith("watcher.tuned.")]


@events
def of_rm(d):
    d.add("leaves", SLEEP)
    start = d.events.position()
    d.ok("rm", name="leaves", waiting=True)
    d.wait_event("watcher.leaves.stop", start)
    found = [topic.split(".")[-1] for topic, _ in d.events.seen[start:] if topic.startswith("watcher.leaves.")]
    return found


demand = Group("on_demand")


@demand.alone("""
    [socket:web]
    host = 127.0.0.1
    port = 0
    [watcher:first]
    cmd = {child} report {dir}/first $(circus.sockets.web)
    use_sockets = True
    on_demand = True
    """, down=("first",))
def starts_at_a_connection(d):
    before = d.status("first"), d.pids("first")
    place = d.ok("listsockets")["sockets"][0]
    with socket.create_connection((place["host"], place["port"])):
        seen = d.report("first")["sockets"] != {}
        return before, seen, d.until("first", "active")


@demand.alone("""
    [socket:one]
    host = 127.0.0.1
    port = 0
    [socket:two]
    host = 127.0.0.1
    port = 0
    [watcher:first]
    cmd = {child} report {dir}/first $(circus.sockets.one)
    use_sockets = True
    on_demand = True
    [watcher:second]
    cmd = {child} report {dir}/second $(circus.sockets.two)
    use_sockets = True
    on_demand = True
    """, down=("first", "second"))
@differs("a watcher starts by its own sockets; in Circus the first one does, by any", theirs=("active", "stopped"),
         ours=("stopped", "active"))
def starts_by_its_own_socket(d):
    place = next(found for found in d.ok("listsockets")["sockets"] if found["name"] == "two")
    with socket.create_connection((place["host"], place["port"])):
        d.report("first" if d.side == "theirs" else "second")
        d.until("first" if d.side == "theirs" else "second", "active")
        return d.status("first"), d.status("second")


python = Group("python")
SITE = "lib/python3.11/site-packages"


@python.alone("""
    [watcher:w]
    cmd = {child} report {dir}/report
    copy_env = True
    virtualenv = {dir}/venv
    virtualenv_py_ver = 3.11
    """, files=((f"venv/{SITE}/module.py", ""), (f"venv/{SITE}/more.pth", "{dir}/public\n# x\nimport os\n/no/such\n"),
                ("venv/bin/x", "")), environment=(("PYTHONPATH", "/outer"),))
def virtualenv(d):
    environment = d.report("report")["environment"]
    return {name: environment.get(name) for name in ("PATH", "PYTHONPATH")}


@python.alone("""
    [watcher:w]
    cmd = sleep 1000
    virtualenv = {dir}/venv
    virtualenv_py_ver = 3.11
    [watcher:none]
    cmd = sleep 1000
    copy_env = True
    virtualenv = {dir}/none
    [watcher:z]
    cmd = sleep 1000
    """, files=((f"venv/{SITE}/module.py", ""), ("venv/bin/x", "")), manual=True)
@differs("a watcher that cannot run is there, and stopped", theirs=["z"], ours=["none", "w", "z"])
def virtualenv_that_cannot_be(d):
    """Without copy_env, and without the directory."""
    d.launch()
    wait_until(d.answers, "an answer")
    d.until("z", "active")
    return d.ok("list")["watchers"]


@python.alone("""
    [watcher:w]
    cmd = {child} report {dir}/report
    copy_env = True
    copy_path = True
    """, environment=(("PYTHONPATH", "/outer/one:/outer/two"),))
def copy_path(d):
    return d.report("report")["environment"]["PYTHONPATH"]


others = Group("others")


@others.alone("""
    [circus]
    statsd = True
    stats_endpoint = ipc://{dir}/stats.sock
    httpd = False
    [watcher:w]
    cmd = sleep 1000
    """)
@differs("statistics are on the control socket; no process makes them", theirs=["circusd-stats", "w"], ours=["w"])
def statsd(d):
    return d.ok("list")["watchers"]


@others.alone("""
    [circus]
    endpoint_owner = root
    [watcher:w]
    cmd = sleep 1000
    uid = root
    """, manual=True)
def endpoint_owner(d):
    d.launch()
    d.wait_ready()
    seen = [d.refused("add", name="x", cmd=SLEEP), d.refused("add", name="x", cmd=SLEEP, options={"uid": "daemon"})]
    return [*seen, d.ok("add", name="x", cmd=SLEEP, options={"uid": "root"})]
