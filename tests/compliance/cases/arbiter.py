"""test_arbiter: watchers come and go, and so do their processes."""

import re

from processes import end_group_of, runs
from suite import Group, differs

SLEEP = "sleep 1000"

arbiter = Group("arbiter", """
    [watcher:test]
    cmd = /bin/sleep 1000
    [watcher:Upper]
    cmd = /bin/sleep 1000
    [watcher:late]
    cmd = /bin/sleep 1000
    autostart = False
    [watcher:single]
    cmd = /bin/sleep 1000
    singleton = True
    [watcher:wids]
    cmd = {child} report {dir}/wid-$(circus.wid)-$(circus.env.TAG)
    [watcher:four]
    cmd = {child} report {dir}/four-$(circus.wid)
    numprocesses = 4
    [env:wids]
    TAG = x
    """, mixed=True, down=("late",))


@arbiter
def numwatchers(d):
    return d.ok("numwatchers")


@arbiter
def numprocesses(d):
    return [d.ok("numprocesses", name=name) for name in ("test", "four", "FOUR", "late")]


@arbiter
def add_start_incr(d):
    pids = [len(d.add("grows", SLEEP))]
    for nb in (1, 2):
        pids += [d.ok("incr", name="grows", nb=nb, waiting=True), len(d.until_pids("grows", lambda p: len(p) > 1))]
    return pids


@arbiter
def added_name_is_listed(d):
    before = d.ok("list")["watchers"]
    d.ok("add", name="Listed", cmd=SLEEP)
    return sorted(set(d.ok("list")["watchers"]) - set(before)), "listed" in d.ok("list")["watchers"]


@arbiter
def add_without_start(d):
    return d.ok("add", name="idle", cmd=SLEEP), d.status("idle"), d.pids("idle")


@arbiter
def numwatchers_after_add_and_rm(d):
    before = d.ok("numwatchers")["numwatchers"]
    d.ok("add", name="counted", cmd=SLEEP)
    added = d.ok("numwatchers")["numwatchers"]
    d.ok("rm", name="counted", waiting=True)
    return added - before, d.ok("numwatchers")["numwatchers"] - before


@arbiter
@differs("a taken name is a conflict in both; Circus sends the request and the traceback of its error along",
         manual="An error contains neither the request nor a traceback", key="reason", theirs="command",
         ours="'TWICE' already exist")
def add_twice(d):
    d.ok("add", name="twice", cmd=SLEEP)
    errno, reason = d.refused("add", name="TWICE", cmd=SLEEP)
    # The lock is released: the next one succeeds.
    again = d.ok("add", name="twice2", cmd=SLEEP)
    return {"errno": errno, "reason": reason.split(" ")[0] if reason.startswith("command b") else reason, "then": again}


@arbiter
def add_with_args(d):
    d.add("args", "{child} report {dir}/args a")
    first = d.report("args")["argv"]
    d.ok("add", name="args2", cmd=d.fill("{child} report {dir}/args2"), args=["b c", "d"], start=True, waiting=True)
    second = d.report("args2")["argv"]
    d.ok("add", name="args3", cmd=d.fill("{child} report {dir}/args3"), args="e 'f g'", start=True, waiting=True)
    return first, second, d.report("args3")["argv"]


@arbiter
def add_then_start(d):
    d.ok("add", name="slow", cmd=SLEEP)
    return d.ok("start", name="slow"), d.until("slow", "active")


@arbiter
def add_with_start(d):
    reply = d.ok("add", name="quick", cmd=SLEEP, start=True, waiting=True)
    shape = {key: len(value) for key, value in reply.items()}
    return shape, d.status("quick")


@arbiter
def add_with_start_not_waiting(d):
    return d.ok("add", name="quick2", cmd=SLEEP, start=True), d.until("quick2", "active")


@arbiter
def add_with_an_option(d):
    d.ok("add", name="hup", cmd=SLEEP, options={"send_hup": True})
    return d.ok("options", name="hup")["options"]["send_hup"]


@arbiter
def rm_nostop_leaves_the_process(d):
    pid, = d.add("left", SLEEP)
    reply = d.ok("rm", name="left", nostop=True, waiting=True)
    seen = reply, "left" in d.ok("list")["watchers"], runs(pid)
    end_group_of([pid])
    return seen


@arbiter
def rm_stops(d):
    pid, = d.add("removed", SLEEP)
    return d.ok("rm", name="removed", waiting=True), runs(pid), d.refused("status", name="removed")


@arbiter
def reload_changes_pids(d):
    before = d.pids("test")
    info = d.ok("reload", name="test", waiting=True)["info"]
    now = d.until_pids("test", lambda pids: set(pids).isdisjoint(before) and len(pids) == 1)
    shape = {key: len(value) for key, value in info.items()}
    return shape, info["started"] == now, info["stopped"] == before


@arbiter
def reload_by_upper_case_name(d):
    before = d.pids("upper")
    d.ok("reload", name="UPPER", waiting=True)
    return len(d.until_pids("upper", lambda pids: pids and set(pids).isdisjoint(before)))


@arbiter
def reload_sequentially(d):
    before = d.pids("four")
    info = d.ok("reload", name="four", sequential=True, waiting=True)["info"]
    shape = {key: len(value) for key, value in info.items()}
    return shape, set(before).isdisjoint(d.pids("four"))


@arbiter
def wids_of_one_alternate(d):
    seen = []
    for _ in range(3):
        pid, = d.until_pids("wids", lambda pids: len(pids) == 1)
        info = d.ok("stats", name="wids", process=pid)["info"]
        seen.append(info["wid"])
        d.ok("reload", name="wids", waiting=True)
    return seen


@arbiter
def wids_of_four_alternate(d):
    d.add("wid4", SLEEP, numprocesses=4)
    seen = []
    for _ in range(3):
        pids = d.until_pids("wid4", lambda pids: len(pids) == 4)
        infos = d.ok("stats", name="wid4")["info"]
        seen.append(sorted(infos[str(pid)]["wid"] for pid in pids))
        d.ok("reload", name="wid4", waiting=True)
    return seen


@arbiter
def stop_and_start_by_name(d):
    d.add("byname", SLEEP)
    seen = [d.ok("stop", name="byname", waiting=True), d.status("byname"), d.pids("byname")]
    reply = d.ok("start", name="byname", waiting=True)["info"]
    return [*seen, {key: len(value) for key, value in reply.items()}, d.status("byname")]


@arbiter
def start_what_runs(d):
    pids = d.add("running", SLEEP)
    info = d.ok("start", name="running", waiting=True)["info"]
    return {key: len(value) for key, value in info.items()}, d.pids("running") == pids


@arbiter
def stop_what_is_stopped(d):
    d.ok("add", name="still", cmd=SLEEP)
    return d.ok("stop", name="still", waiting=True), d.status("still")


@arbiter
def restart_by_name(d):
    before = d.add("again", SLEEP)
    info = d.ok("restart", name="again", waiting=True)["info"]
    return {key: len(value) for key, value in info.items()}, info["stopped"] == before, d.status("again")


@arbiter
def restart_starts_what_is_stopped(d):
    d.ok("add", name="fresh", cmd=SLEEP)
    info = d.ok("restart", name="fresh", waiting=True)["info"]
    return {key: len(value) for key, value in info.items()}, d.status("fresh")


@arbiter
def singleton_is_not_increased(d):
    return d.ok("incr", name="single", waiting=True), len(d.pids("single")), d.ok("decr", name="single", waiting=True)


@arbiter
def autostart_false(d):
    before = d.status("late")
    d.ok("start", name="late", waiting=True)
    after = d.status("late")
    d.ok("stop", name="late", waiting=True)
    return before, after


@arbiter
def match_by_pattern(d):
    for name in ("match-a", "match-b"):
        d.add(name, SLEEP)
    seen = [d.ok("stop", name="MATCH-*", waiting=True), d.status("match-a"), d.status("match-b")]
    seen += [d.ok("start", name="match-[ab]", waiting=True), d.status("match-a"), d.status("match-b")]
    seen += [d.ok("stop", name="match.*a", match="regex", waiting=True), d.status("match-a"), d.status("match-b")]
    seen += [d.refused("stop", name="match", match="simple"), d.refused("stop", name="atch-.*", match="regex")]
    return [*seen, d.refused("stop", name="match-a", match="magic")]


@arbiter
@differs("an expression means what it says; Circus makes lower case of it", manual="keeps its case",
         theirs=("stopped", "active"), ours=("active", "stopped"))
def match_by_an_expression_with_a_capital(d):
    for name in ("case-1", "case-x"):
        d.add(name, SLEEP)
    d.ok("stop", name=r"case-\D", match="regex", waiting=True)
    return d.status("case-1"), d.status("case-x")


@arbiter.alone("""
    [watcher:late-a]
    cmd = /bin/sleep 1000
    autostart = False
    [watcher:late-b]
    cmd = /bin/sleep 1000
    autostart = False
    """, down=("late-a", "late-b"))
@differs("several watchers are restarted without those that do not start with circus",
         manual="those that do not start with circus", theirs=(False, "stopped", "stopped"),
         ours=(True, "active", "stopped"))
def restart_by_pattern_without_autostart(d):
    d.ok("start", name="late-a", waiting=True)
    pid, = d.pids("late-a")
    d.ok("restart", name="late-*", waiting=True)
    return runs(pid), d.status("late-a"), d.status("late-b")


all_watchers = Group("arbiter_all", """
    [watcher:first]
    cmd = sleep 1000
    [watcher:second]
    cmd = sleep 1000
    [watcher:late]
    cmd = sleep 1000
    autostart = False
    """, down=("late",))


@all_watchers
def stop_and_start(d):
    seen = [d.ok("stop", waiting=True), d.ok("status")]
    # What is added while everything is stopped can be started.
    seen += [d.ok("add", name="new", cmd=SLEEP), d.ok("start", name="new", waiting=True)["info"]["kept"]]
    seen += [d.status("new"), d.ok("start", waiting=True), d.ok("status")]
    return seen


@all_watchers
@differs("what was stopped stays stopped", manual="what was stopped stays stopped", key="late", theirs="active",
         ours="stopped")
def reload_of_everything(d):
    before = d.pids("first"), d.pids("second")
    reply = d.ok("reload", waiting=True)
    first, second = (d.until_pids(name, lambda pids: len(pids) == 1) for name in ("first", "second"))
    late = d.status("late")
    d.ok("stop", name="late", waiting=True)
    return {"reply": reply, "replaced": (first != before[0], second != before[1]), "late": late}


@all_watchers.alone("""
    [watcher:b]
    cmd = {child} report {dir}/b
    priority = 1
    [watcher:a]
    cmd = {child} report {dir}/a
    priority = 1
    [watcher:Z]
    cmd = {child} report {dir}/Z
    priority = 1
    [watcher:last]
    cmd = {child} report {dir}/last
    [watcher:first]
    cmd = {child} report {dir}/first
    priority = 20
    """)
def priorities(d):
    """issue680.ini: what has the higher priority starts first; else the names count."""
    return re.findall(r"\[INFO\] (\w+) started$", d.log(), re.M)


@all_watchers.alone("""
    [watcher:Same]
    cmd = sleep 1000
    [watcher:same]
    cmd = sleep 2000
    """, manual=True)
def duplicate_names(d):
    d.launch()
    d.logged("Arbiter now waiting")
    return d.until("same", "active"), d.ok("get", name="SAME", keys=["cmd"]), d.ok("list")
