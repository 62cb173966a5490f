"""test_command_kill and test_command_signal: signals to processes, their children and their descendants."""

import os
import signal

from processes import runs
from suite import Group, differs

SLEEP = "/bin/sleep 1000"

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
@differs("an unknown process is an error; Circus says ok", manual="refuse an unknown watcher or process",
         key="unknown", theirs=("no error", "ok"), ours=(3, "process 1 not found in 'single'"))
@differs("an unknown signal is an error that is said", manual="An error contains neither the request nor a traceback",
         key="bad", theirs=(5, "command"), ours=(3, "signal invalid"))
@differs("an unknown process is an error that is said", manual="refuse an unknown watcher or process",
         key="its child", theirs=(5, "command"), ours=(3, "process 1 not found in 'single'"))
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
@differs("when the process has gone, the rest of its group gets the signal too; in Circus it stays",
         manual="the rest of its group gets", theirs=[[], [], True], ours=[["TERM"], ["TERM"], False])
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


@kills
@differs("what a crash leaves in the group is ended before the successor starts",
         manual="is stopped before its successor starts", key="child runs", theirs=True, ours=False)
def what_a_crash_leaves(d):
    first, child, _ = family(d, "crashes")
    os.kill(first, signal.SIGKILL)
    d.until_pids("crashes", lambda pids: pids and first not in pids)
    return {"child runs": runs(child)}
