"""A circus with one watcher of each kind, which is put through its paces while a system call of its fails."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
CIRCUS = os.path.abspath(os.environ.get("CIRCUS_BIN", os.path.join(TARGET, "release", "circus")))
# The longest that a command may take, in seconds, whatever fails.
PATIENCE = 15

CONFIGURATION = """
[circus]
endpoint = {0}/sock
pidfile = {0}/pid
[socket:web]
path = {0}/web.sock
[socket:lazy]
path = {0}/lazy.sock
[watcher:steady]
cmd = {0}/sleep 1000
numprocesses = 2
graceful_timeout = 1
[watcher:web]
cmd = {0}/sleep 1001
use_sockets = True
graceful_timeout = 1
[watcher:lazy]
cmd = {0}/sleep 1002
use_sockets = True
on_demand = True
graceful_timeout = 1
[watcher:talker]
cmd = {0}/sh {0}/talker
graceful_timeout = 1
stdout_stream.class = FileStream
stdout_stream.filename = {0}/talk.log
stdout_stream.max_bytes = 4000
stdout_stream.backup_count = 50
[watcher:hooked]
cmd = {0}/sleep 1003
hooks.before_start = true
hooks.after_stop = true
hook_timeout = 1
graceful_timeout = 1
[watcher:tree]
cmd = {0}/sh -c "setsid {0}/sleep 1004 & wait"
kill_mode = tree
graceful_timeout = 1
"""
# It counts, for itself, the lines that it was told to say.
TALKER = """exec 3<>{0}/orders
n=0
while read -r word count <&3; do
    case $word in
    say) while [ "$count" -gt 0 ]; do n=$((n + 1)); count=$((count - 1)); echo "line $n of $$ says nothing new"; done ;;
    esac
    echo "$$ $n" >> {0}/said
done
"""
WANTED = {"steady": 2, "web": 1, "talker": 1, "hooked": 1, "tree": 1}


class Fault:
    """What fails: a call, with what, which time (`3`, or `3+` for then and always), in which phase of a life."""

    def __init__(self, phase, call="", errno="", when=""):
        self.phase, self.call, self.errno, self.when = phase, call, errno, when

    def __str__(self):
        return f"{self.phase} {self.call} {self.errno} {self.when}"

    def strace(self, directory, *what):
        if not self.call:
            return ["strace", *(["-D", "-I", "2"] if self.phase == "start" else []), "-o", f"{directory}/trace",
                    *(["-f"] if self.phase == "child" else []), "-e", "signal=none", *what]
        children = ["-f"] if self.phase == "child" else []
        apart = ["-D", "-I", "2"] if self.phase == "start" else []
        return ["strace", *apart, *children, "-o", f"{directory}/trace", "-e", f"trace={self.call}", "-e", "signal=none",
                "-e", f"inject={self.call}:error={self.errno}:when={self.when}", *what]


def stat_of(pid):
    """The words of /proc/PID/stat after the name."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
        return stat.read().rsplit(")", 1)[1].split()


class Scene:
    def __init__(self, fault):
        self.fault, self.wrong, self.notes = fault, [], []
        self.directory = tempfile.mkdtemp(prefix="circus-fault-")
        self.tracer = self.daemon = None
        self.pid = 0
        # Whether the call came so often that one failed.
        self.happened, self.traced = False, ""

    # the scene

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text.replace("{0}", self.directory))

    def text(self, name):
        with contextlib.suppress(OSError), open(self.path(name), encoding="utf-8", errors="replace") as file:
            return file.read()
        return ""

    def build(self):
        for program in ("sleep", "sh"):
            os.symlink(shutil.which(program), self.path(program))
        self.write("talker", TALKER)
        self.write("circus.ini", CONFIGURATION)
        os.mkfifo(self.path("orders"))

    def start(self):
        argv = [CIRCUS, self.path("circus.ini")]
        if self.fault.phase == "start":
            argv = self.fault.strace(self.directory, *argv)
        with open(self.path("log"), "wb") as log:
            self.daemon = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory,
                                           start_new_session=True)
        self.pid = self.daemon.pid
        return self.until(lambda: "waiting for commands" in self.text("log") or self.daemon.poll() is not None, 20)

    def attach(self):
        if self.fault.phase in ("start",):
            return
        self.tracer = subprocess.Popen(self.fault.strace(self.directory, "-p", str(self.pid)), stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
        line = self.tracer.stderr.readline()
        if b"attached" not in line:
            raise AssertionError(f"strace: {line}")

    def heal(self):
        """From here on nothing fails any more."""
        if self.fault.phase == "start":
            tracer = re.search(r"TracerPid:\s*(\d+)", self.text(f"/proc/{self.pid}/status"))
            if tracer and tracer[1] != "0":
                os.kill(int(tracer[1]), signal.SIGTERM)
                self.until(lambda: "TracerPid:\t0" in self.text(f"/proc/{self.pid}/status"))
        elif self.tracer:
            self.tracer.terminate()
            try:
                self.tracer.wait(3)
            except subprocess.TimeoutExpired:
                self.tracer.kill()
                self.tracer.wait()
            self.tracer.stderr.close()
            self.tracer = None

    def alive(self):
        with contextlib.suppress(OSError):
            return stat_of(self.pid)[0] != "Z"
        return False

    def until(self, look, seconds=PATIENCE):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = look()
            if found:
                return found
            time.sleep(0.004)
        return look()

    # what is done to it

    def ctl(self, *words):
        """What a command answers. What waits for a goal may wait as long as the fault lasts; nothing else may."""
        argv = [CIRCUS, "ctl", "--endpoint", self.path("sock"), *words]
        waits = "--waiting" in words
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=4 if waits else PATIENCE, check=False)
            return done.stdout.decode(errors="replace")
        except subprocess.TimeoutExpired:
            (self.notes if waits else self.wrong).append(f"no answer to {' '.join(words)}")
            return ""

    def talk(self):
        """The talker says 150 lines; it may be held up by what fails, or not be there."""
        before = self.text("said").count("\n")
        with contextlib.suppress(OSError):
            descriptor = os.open(self.path("orders"), os.O_RDWR | os.O_NONBLOCK)
            os.write(descriptor, b"say 150\n")
            self.until(lambda: self.text("said").count("\n") > before, 3)
            os.close(descriptor)

    def knock(self):
        """Somebody connects to the socket of what starts on demand."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            client.connect(self.path("lazy.sock"))

    def work(self):
        self.talk()
        victims = [pid for pid, line in self.processes() if line[1:2] == ["1000"]]
        if victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victims[0], signal.SIGKILL)
        self.ctl("stats")
        self.ctl("incr", "steady")
        self.ctl("decr", "steady")
        self.ctl("restart", "steady", "--waiting")
        self.knock()
        self.ctl("reload", "web", "--waiting")
        self.ctl("stop", "hooked", "--waiting")
        self.ctl("start", "hooked", "--waiting")
        self.ctl("restart", "tree", "--waiting")
        self.write("circus.ini", CONFIGURATION.replace("1003", "1013"))
        self.ctl("reloadconfig", "--waiting")
        self.talk()

    # what must hold

    def processes(self):
        """The processes of this scene, with their command lines, by the directory that their programs are named by."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
                line = file.read().decode(errors="replace").split("\0")
                if line[0].startswith(self.directory) and stat_of(pid)[0] != "Z":
                    found.append((int(pid), line))
        return found

    def settled(self):
        """All that is wanted runs, once, and circus knows of it."""
        listed = {}
        for name in WANTED:
            answer = self.ctl("list", name).strip()
            listed[name] = {int(word) for word in answer.split(",") if word.isdigit()}
        if any(len(listed[name]) != count for name, count in WANTED.items()):
            return f"circus has {({name: len(pids) for name, pids in listed.items()})}"
        known = set().union(*listed.values())
        left = [(pid, line) for pid, line in self.processes() if pid not in known and line[1] not in ("1002", "1004")]
        missing = known - {pid for pid, _ in self.processes()}
        trees = sum(line[1] == "1004" for _, line in self.processes())
        if left or missing or trees != 1:
            return f"unknown to circus: {left}; not there: {missing}; in the tree: {trees}"
        return ""

    def goals(self):
        last = ["?"]

        def look():
            last[0] = self.settled()
            return not last[0] or not self.alive()
        if not self.until(look, 8):
            stopped = [line for line in self.ctl("status").splitlines() if "stopped" in line and "lazy" not in line]
            if stopped:
                self.notes.append(f"stopped: {' '.join(line.split(':')[0] for line in stopped)}")
            self.ctl("set", "steady", "numprocesses", "2")
            self.ctl("start", "--waiting")
            if not self.until(look, 8):
                self.judge(last[0], self.told("is still there .* goes on without it"))

    def lines(self):
        told = [line.split() for line in self.text("said").splitlines()]
        if any(len(words) != 2 for words in told):
            return  # what failed was the redirection in the talker itself, which wrote its lines elsewhere
        said = dict(told)
        names = sorted((name for name in os.listdir(self.directory) if name.startswith("talk.log")),
                       key=lambda name: -int("0" + name[len("talk.log."):]))
        seen = {}
        for text in map(self.text, names):
            for number, pid in re.findall(r"^line (\d+) of (\d+) says nothing new$", text, re.M):
                seen.setdefault(pid, []).append(int(number))
        for pid, count in said.items():
            numbers = seen.get(pid, [])
            # What fails in a child may be its word of how many it has said.
            if numbers != list(range(1, max(int(count), len(numbers)) + 1)):
                lost, doubled = int(count) - len(set(numbers)), len(numbers) - len(set(numbers))
                told = self.told("lost|dropped|cannot be (written|read)|no room|without it")
                self.judge(f"lines: {lost} of {count} lost, {doubled} doubled", told and not doubled)

    def quiet(self):
        log = [re.sub(r"\d+", "N", line[20:]) for line in self.text("log").splitlines() if " circus[" in line]
        for line in set(log):
            if log.count(line) > 25:
                self.wrong.append(f"said {log.count(line)} times: {line}")
        if "panicked" in self.text("log"):
            self.wrong.append("panic")
        # A look at all processes of the machine is a call or three for each.
        calls, others = self.text("trace").count("\n"), sum(map(str.isdigit, os.listdir("/proc")))
        if calls > 12000 + 20 * others:
            self.wrong.append(f"{calls} calls")

    def spent(self):
        with contextlib.suppress(OSError):
            words = stat_of(self.pid)
            return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
        return 0

    def end(self):
        if self.fault.phase == "end":
            self.attach()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        ended = self.until(lambda: not self.alive(), PATIENCE)
        self.heal()
        if not ended and not self.until(lambda: not self.alive(), 8):
            self.wrong.append("does not end")
        else:
            code = self.daemon.wait()
            if code != 0:
                self.wrong.append(f"exit code {code}")
        self.until(lambda: not self.processes(), 2)
        self.nothing_left()

    def nothing_left(self):
        """What circus could not end is named, or that it will not see what its processes leave behind."""
        left = self.processes()
        if left:
            named = all(self.told(rf"process {pid} .* is still there") for pid, _ in left)
            self.judge(f"left over: {[line[1] for _, line in left]}", named or self.told("orphans will not come"))

    def told(self, pattern):
        return re.search(pattern, self.text("log"))

    def judge(self, text, right):
        (self.notes if right else self.wrong).append(text)

    # all of it

    def run(self):
        try:
            self.build()
            self.start()
            if self.fault.phase == "start" and not self.alive():
                self.refused()
            else:
                self.play()
        except Exception as error:  # pylint: disable=broad-except
            self.wrong.append(f"the scene itself: {error!r}")
        finally:
            self.traced = self.text("trace")
            self.happened = "(INJECTED)" in self.traced
            self.clear()
        return self.wrong, self.notes, self.happened

    def count(self):
        """How often each call comes in this phase when nothing fails: in a child, in the one with the most."""
        self.run()
        found = {}
        for pid, call in re.findall(r"^(?:(\d+) +)?(\w+)\(", self.traced, re.M):
            of_pid = found.setdefault(pid, {})
            of_pid[call] = of_pid.get(call, 0) + 1
        found.pop(str(self.pid), None)
        return {call: max(counts.get(call, 0) for counts in found.values()) for counts in found.values() for call in counts}

    def play(self):
        if self.fault.phase in ("steady", "child"):
            self.attach()
            self.work()
        elif self.fault.phase == "start":
            self.until(lambda: not self.settled(), 1.5)
        spent = self.spent()
        before = time.monotonic()
        if self.fault.when.endswith("+"):
            time.sleep(0.3)
            if self.spent() - spent > 0.15:
                self.wrong.append(f"spins: {self.spent() - spent:.2f} s of CPU in {time.monotonic() - before:.2f} s")
        if self.fault.phase != "end":
            self.heal()
            if not self.alive():
                self.wrong.append("circus has ended")
                return
        self.goals()
        self.end()
        self.lines()
        self.quiet()

    def refused(self):
        """It did not start: that is right when it says why, and leaves nothing."""
        code = self.daemon.wait(PATIENCE)
        mute = self.fault.call == "write" and self.fault.when.endswith("+")
        if code <= 0 or not (mute or self.text("log").strip()):
            self.wrong.append(f"exit code {code}, and says {self.text('log')[-200:]!r}")
        self.notes.append(f"does not start, exit code {code}")
        self.nothing_left()

    def clear(self):
        for process in (self.tracer, self.daemon):
            if process and process.poll() is None:
                process.kill()
                process.wait()
        if self.pid and self.alive():
            os.kill(self.pid, signal.SIGKILL)
        for pid, _ in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.wrong and os.environ.get("CIRCUS_KEEP_FAULTS"):
            shutil.copy(self.path("log"), os.path.join(os.environ["CIRCUS_KEEP_FAULTS"], str(self.fault).replace(" ", "-")))
        shutil.rmtree(self.directory, ignore_errors=True)
