"""A circus that much is done to, in a process namespace of its own, and what must hold once things are quiet.

Whatever runs in the namespace and is neither ours nor known to circus is one too many. What is wanted of each watcher is
kept here, from the answers to orders alone; what an unanswered order did is not known, so it is given again.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import time

from processes import stat
from scene import TALKER, Fault, Scene

CONFIGURATION = """
[circus]
endpoint = {0}/run/sock
pidfile = {0}/pid
state_dir = {0}/state
[socket:web]
path = {0}/run/web.sock
[socket:lazy]
path = {0}/run/lazy.sock
[watcher:steady]
cmd = {0}/sleep 1000
numprocesses = 3
[watcher:web]
cmd = {0}/sleep 1001
numprocesses = 2
use_sockets = True
[watcher:lazy]
cmd = {0}/sleep 1002
use_sockets = True
on_demand = True
[watcher:hooked]
cmd = {0}/sleep 1003
hooks.before_start = true
hooks.after_stop = true
hook_timeout = 2
[watcher:tree]
cmd = {0}/sh -c "setsid {0}/sleep 1004 & wait"
kill_mode = tree
[watcher:talker]
cmd = {0}/sh {0}/talker
stdout_stream.class = FileStream
stdout_stream.filename = {0}/disk/logs/talk.log
stdout_stream.max_bytes = 8000
stdout_stream.backup_count = {1}
""".replace("\ncmd =", "\nmax_retry = -1\nrespawn_delay_max = 1\ngraceful_timeout = 1\ncmd =")
# The command line of a process of each watcher, behind the program; a tree has two.
LINES = {"1000": "steady", "1001": "web", "1002": "lazy", "1003": "hooked", "1004": "tree", "1005": "extra", "-c": "tree"}
WANTED = {"steady": 3, "web": 2, "hooked": 1, "tree": 1, "talker": 1}
# What starts on demand may run or not; for how long is told by nobody.
FREE = "lazy"
TICK = 1e9


def inside(arguments):
    """Starts this program anew in a namespace in which nothing outlives it, or comes back there. The shell reaps."""
    if os.environ.get("CIRCUS_SOAK_NAMESPACE"):
        return
    os.environ["CIRCUS_SOAK_NAMESPACE"] = "1"
    unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    os.execvp("unshare", [*unshare, "sh", "-c", '"$@"; exit $?', "sh", *arguments])


class Yard(Scene):
    def __init__(self, backups=1000):
        super().__init__(Fault("yard"))
        self.backups = backups
        self.reset()
        self.starts, self.gone = 0, 0
        # What was said up to the last look, by talker; those whose lines may have gone with a circus or a directory.
        self.counted, self.exempt, self.forgiven = {}, set(), 0
        self.held, self.stopped = [], []

    def reset(self):
        """What is wanted of a circus that has just read its file."""
        self.wanted, self.orders = dict(WANTED), {}

    # the scene

    def build(self):
        super().build()
        self.write("circus.ini", CONFIGURATION.replace("{1}", str(self.backups)))
        for name in ("run", "state", "disk"):
            os.mkdir(self.path(name))
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", self.path("disk")], check=True)
        os.mkdir(self.path("disk/logs"))

    def start(self):
        """Whether circus is up; the log of the one before is kept."""
        self.starts += 1
        with contextlib.suppress(FileNotFoundError):
            os.rename(self.path("log"), self.path("log.old"))
        super().start()
        self.reset()
        self.forgiven = 0
        return self.alive()

    def clear(self):
        for client in self.held:
            client.close()
        subprocess.run(["umount", "-l", self.path("disk")], check=False)
        super().clear()

    def talk(self):
        """Only to somebody who can hear it."""
        if any(self.watcher_of(line) == "talker" and state not in "TZ" for _, state, line in self.others()):
            super().talk()

    # asking

    def connect(self, name="run/sock"):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(5)
        try:
            client.connect(self.path(name))
        except OSError:
            client.close()
            raise
        return client

    def ask(self, command, **properties):
        """The reply, or None when there is none."""
        request = json.dumps({"id": "y", "command": command, "properties": properties}).encode() + b"\n"
        with contextlib.suppress(OSError, ValueError), self.connect() as client, client.makefile("rb") as lines:
            client.sendall(request)
            return json.loads(lines.readline())
        return None

    def order(self, key, wanted, command, **properties):
        """An order after which so many processes of a watcher are wanted."""
        reply = self.ask(command, name=key, **properties)
        if reply is None:
            self.orders[key] = (wanted, command, properties)
            return
        self.orders.pop(key, None)
        if reply["status"] == "ok" or "already" in reply.get("reason", "") or "not found" in reply.get("reason", ""):
            self.wanted[key] = wanted
        else:
            self.notes.append(f"{command} {key}: {reply.get('reason')}")

    def again(self):
        for key, (wanted, command, properties) in list(self.orders.items()):
            self.order(key, wanted, command, **properties)

    # what must hold

    def others(self):
        """All processes of the namespace that are neither ours nor circus: pid, state and command line."""
        for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
            fields = stat(pid)
            if fields and pid not in (1, os.getpid(), self.pid):
                line = self.text(f"/proc/{pid}/cmdline").split("\0")
                yield pid, fields[0], line

    def watcher_of(self, line):
        if not line[0].startswith(self.directory) or len(line) < 2:
            return None
        return "talker" if line[1] == self.path("talker") else LINES.get(line[1])

    def unsettled(self):
        """What is not as it should be; empty when all is."""
        if self.orders:
            self.again()
            return f"orders without an answer: {sorted(self.orders)}"
        there, second, wrong = {}, 0, []
        for pid, state, line in self.others():
            name = self.watcher_of(line)
            if state == "Z" or not name:
                wrong.append(f"{'zombie' if state == 'Z' else 'stray'} {pid} {' '.join(line).strip()}")
            elif name == "tree" and line[1] == "1004":
                second += 1
            else:
                there.setdefault(name, set()).add(pid)
        for name in {*self.wanted, *there} - {FREE}:
            pids, wanted = there.get(name, set()), self.wanted.get(name, 0)
            listed = set((self.ask("list", name=name) or {}).get("pids", []))
            if len(pids) != wanted or listed != pids:
                wrong.append(f"{name}: {wanted} wanted, {sorted(pids)} there, {sorted(listed)} known")
        if second != self.wanted["tree"]:
            wrong.append(f"tree: {second} in sessions of their own")
        return "; ".join(wrong)

    def settle(self, seconds=20):
        last = ["?"]

        def look():
            last[0] = self.unsettled()
            return not last[0] or not self.alive()
        self.until(look, seconds)
        if last[0]:
            self.wrong.append(last[0])

    def logs(self):
        for directory, _, names in os.walk(self.path("disk")):
            yield from (os.path.join(directory, name) for name in names if name.startswith("talk.log"))

    def missing(self):
        """Lines that are in no file, less those of which circus has said that they are lost; and those there twice."""
        seen = {}
        for path in self.logs():
            for number, pid in re.findall(r"^line (\d+) of (\d+) says nothing new$", self.text(path), re.M):
                seen.setdefault(pid, []).append(int(number))
        lost = twice = 0
        for pid, count in self.said().items():
            numbers = [number for number in seen.get(pid, []) if number > self.counted.get(pid, 0)]
            if pid not in self.exempt:
                lost += len(set(range(self.counted.get(pid, 0) + 1, count + 1)) - set(numbers))
            twice += len(numbers) - len(set(numbers))
        return max(0, lost - (self.dropped() - self.forgiven)), twice

    def dropped(self):
        """The lines of which this circus has said that they are lost."""
        return sum(int(count) for count in re.findall(r"(\d+) lines \(\d+ bytes\) of output were dropped", self.text("log")))

    def said(self):
        return {pid: int(count) for pid, count in (line.split() for line in self.text("said").splitlines())}

    def excuse(self):
        """What talks now, or has, may lose lines without a word: circus is gone, or an administrator removed them."""
        self.exempt |= {str(pid) for pid, _, line in self.others() if self.watcher_of(line) == "talker"} | set(self.said())

    def lines(self):
        if not self.until(lambda: self.missing() == (0, 0), 12):
            lost, twice = self.missing()
            self.wrong.append(f"lines: {lost} lost without a word, {twice} twice")
        self.counted, self.forgiven = self.said(), self.dropped()
        self.exempt.clear()
        for path in self.logs():
            if path != self.path("disk/logs/talk.log"):
                os.unlink(path)

    def answers(self):
        begun = time.monotonic()
        if not self.ask("status") or time.monotonic() - begun > 1:
            self.wrong.append(f"an answer to status takes {time.monotonic() - begun:.1f} s")

    def idles(self):
        """The time that circus takes in a second in which nobody wants anything."""
        def spent():
            return int(self.text(f"/proc/{self.pid}/schedstat").split()[0])
        before = spent()
        time.sleep(1)
        if spent() - before > 0.02 * TICK:
            self.wrong.append(f"spins: {(spent() - before) / TICK:.3f} s of CPU in an idle second")

    def complaints(self):
        if "panicked" in self.text("log"):
            self.wrong.append("panic")

    def remove(self, name):
        shutil.rmtree(self.path(name), ignore_errors=True)
