"""What the kernel says of processes, and how those of a run are ended."""

import ctypes
import os
import signal
import time

PATIENCE = 30.0  # seconds for anything to happen; only a failure takes so long
PR_SET_CHILD_SUBREAPER = 36


class NotReached(Exception):
    """A condition did not become true in time."""


def wait_until(condition, what, patience=PATIENCE):
    """Asks again and again until the answer is true, and gives it."""
    end = time.monotonic() + patience
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise NotReached(f"not within {patience:.0f} s: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def become_subreaper():
    """What the daemons leave behind becomes ours, so that it can be found and ended."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def stat(pid):
    """The fields of /proc/PID/stat behind the name: state, parent, group, session ...; None when it has gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def runs(pid):
    """Whether there is such a process and it has not ended."""
    fields = stat(pid)
    return fields is not None and fields[0] != "Z"


def children(parent):
    """The direct children of a process, zombies too."""
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    return [pid for pid in pids if (fields := stat(pid)) and int(fields[1]) == parent]


def end_all_children():
    """Kills and reaps one generation after the other: orphans become ours."""
    end = time.monotonic() + PATIENCE
    while pids := children(os.getpid()):
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
        if time.monotonic() > end:
            raise NotReached(f"these processes do not end: {pids}")


def end_group_of(pids):
    """Kills processes that a case leaves behind on purpose, with their groups."""
    for pid in pids:
        try:
            os.killpg(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
