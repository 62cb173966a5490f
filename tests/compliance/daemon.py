"""The daemons under test: Circus and circus, with one way to drive both."""

import dataclasses
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import zmq
from circus.client import CircusClient

from processes import PATIENCE, NotReached, runs, stat, wait_until
from suite import Setup

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TARGET = os.path.join(ROOT, os.environ.get("CARGO_TARGET_DIR") or "target")
BINARY = os.environ.get("CIRCUS_BIN") or os.path.join(TARGET, "release", "circus")
VENV = os.environ.get("CIRCUS_TEST_VENV") or os.path.join(TARGET, "venv")
PYTHON = os.path.join(VENV, "bin", "python")

# What stands before each configuration; the first of two equal keys counts in both programs.
HEAD = """\
[circus]
endpoint = ipc://{dir}/circus.sock
pubsub_endpoint = ipc://{dir}/pubsub.sock
check_delay = 0.1
"""


def missing_programs():
    needed = [BINARY, *(f"{VENV}/bin/{name}" for name in ("circusd", "circusctl", "circus-plugin"))]
    return [path for path in needed if shutil.which(path) is None]


class Events:
    """The events of a daemon, as they come."""

    def __init__(self, source):
        self.seen = []
        self.condition = threading.Condition()
        self.thread = threading.Thread(target=self._collect, args=(source,), daemon=True)
        self.thread.start()

    def _collect(self, source):
        for topic, data in source:
            with self.condition:
                self.seen.append((topic, data))
                self.condition.notify_all()

    def position(self):
        with self.condition:
            return len(self.seen)

    def wait(self, wanted, start=0):
        """The first event from `start` on for which `wanted(topic, data)` holds: (its place, topic, data)."""
        end = time.monotonic() + PATIENCE
        with self.condition:
            while True:
                for place in range(start, len(self.seen)):
                    if wanted(*self.seen[place]):
                        return place, *self.seen[place]
                if not self.condition.wait(max(0, end - time.monotonic())):
                    raise NotReached(f"an event; there were {self.seen[start:]}")


class Daemon:
    """One daemon in a directory of its own."""

    side = ""
    daemon_command = ()
    ctl_command = ()

    def __init__(self, setup: Setup):
        self.setup = setup
        self.dir = os.path.realpath(tempfile.mkdtemp(prefix=f"circus-{self.side}-"))
        self.name = os.path.basename(self.dir)
        os.chmod(self.dir, 0o755)  # Processes of other users are to find their way.
        self.process = None
        self.events = None
        self.local = threading.local()
        os.mkdir(self.path("public"))
        os.chmod(self.path("public"), 0o777)
        for name, text in setup.files:
            self.write(name, text)

    # The daemon as a program.

    def path(self, name):
        return os.path.join(self.dir, name)

    def fill(self, text):
        """A text of a case, with what it cannot know."""
        child = f"{PYTHON} -I -S {HERE}/child.py"
        ids = f"sh {HERE}/ids.sh"
        words = {"ids": ids, "dir": self.dir, "child": child, "venv": VENV}
        for key, value in words.items():
            text = text.replace("{" + key + "}", value)
        return text

    def hide(self, value):
        """The same value with the directory of this run taken out."""
        if isinstance(value, str):
            return value.replace(self.dir, "{dir}")
        if isinstance(value, dict):
            return {self.hide(key): self.hide(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.hide(item) for item in value]
        return value

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8", newline="") as file:
            file.write(self.fill(text))
        return self.path(name)

    def read(self, name):
        with open(self.path(name), encoding="utf-8", errors="replace") as file:
            return file.read()

    def exists(self, name):
        return os.path.lexists(self.path(name))

    def configure(self, ini, head=HEAD):
        """Writes the configuration, without the blanks before its lines."""
        lines = [line.strip() if not line.startswith("        |") else line[9:] for line in ini.splitlines()]
        return self.write("circus.ini", head + "\n".join(lines) + "\n")

    @property
    def environment(self):
        own = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": self.dir, "LANG": "C.UTF-8"}
        return own | {key: self.fill(value) for key, value in self.setup.environment}

    def popen(self, arguments, **more):
        """Starts the program of the daemon."""
        command = [*self.daemon_command, *(self.fill(argument) for argument in arguments)]
        kind = {"stdin": subprocess.DEVNULL, "env": self.environment, "cwd": self.dir, "umask": self.setup.umask}
        return subprocess.Popen(command, **(kind | more))

    def run(self, *arguments, **more):
        """Runs it to its end: (exit code, standard output, standard error output)."""
        return finish(self.popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more))

    def launch(self, ini=None):
        """Starts it without waiting for anything."""
        config = self.configure(self.setup.ini if ini is None else ini)
        with open(self.path("out"), "ab") as out, open(self.path("log"), "ab") as log:
            self.process = self.popen([*self.setup.arguments, config], stdout=out, stderr=log)

    def launch_with(self, *arguments):
        """Starts it with these arguments besides those of the setup."""
        self.setup = dataclasses.replace(self.setup, arguments=(*self.setup.arguments, *arguments))
        self.launch()

    def start(self, ini=None):
        """Starts it and waits until every watcher is up, but those that are to be down."""
        self.launch(ini)
        self.wait_ready()
        self.events = Events(self.listen())

    def wait_ready(self):
        def ready():
            if self.process.poll() is not None:
                raise NotReached(f"the daemon ended with {self.process.returncode}:\n{self.log()}")
            return self.answers() and self.all_up()

        wait_until(ready, "the start of the daemon")

    def all_up(self):
        states = self.call("status")["statuses"]
        return all(state == "active" or name in self.setup.down for name, state in states.items())

    def log(self):
        return self.read("log") if self.exists("log") else ""

    def logged(self, text):
        """The first line of the log with this text in it, once it is there, without time and number."""

        def line():
            found = next((line for line in self.log().splitlines() if text in line), None)
            return found and re.sub(r"^\S+ \S+ circus\[\d+\] ", "", found)

        return self.hide(wait_until(line, f"`{text}` in the log"))

    def end(self):
        """The exit code, once it has ended."""
        return self.process.wait(PATIENCE)

    def close(self):
        """Ends the daemon, and removes its directory."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                # Circus loses the signal when it is busy.
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    # The control socket.

    def answers(self):
        """Whether it answers."""
        raise NotImplementedError

    def send(self, message):
        """Sends a request, bytes or an object: the reply, or None when there is none."""
        raise NotImplementedError

    def listen(self):
        """Subscribes to all events: pairs of topic and data, for ever."""
        raise NotImplementedError

    def call(self, command, **properties):
        """The reply to a command; Circus is asked again while it is busy with something else."""

        def reply():
            found = self.send({"id": "x", "command": command, "properties": properties})
            if found is None:
                raise NotReached(f"no reply to {command}")
            busy = "already running" in str(found.get("reason")) or "is restarting" in str(found.get("reason"))
            return None if busy else found

        return wait_until(reply, f"an answer to {command}")

    def ok(self, command, **properties):
        """The keys of a reply that is no error, without those of the envelope."""
        reply = self.call(command, **properties)
        if reply["status"] == "error":
            raise NotReached(f"{command}: {reply['reason']}")
        keys = {key: value for key, value in reply.items() if key not in ("time", "id")}
        if keys["status"] == "ok":
            del keys["status"]
        return keys

    def refused(self, command, **properties):
        """Number and reason of an error."""
        reply = self.call(command, **properties)
        return (reply["errno"], reply["reason"]) if reply["status"] == "error" else ("no error", reply)

    def popen_ctl(self, *arguments, **more):
        """Starts circusctl."""
        command = [*self.ctl_command, *(self.fill(argument) for argument in arguments)]
        kind = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": self.dir}
        return subprocess.Popen(command, **(kind | {"env": self.environment} | more))

    def raw_ctl(self, *arguments, environment=(), endpoint=True):
        """Runs circusctl: (exit code, standard output, standard error output)."""
        where = ["--endpoint", f"ipc://{self.path('circus.sock')}"] if endpoint else []
        environment = self.environment | dict(environment)
        process = self.popen_ctl(*where, *arguments, env=environment, text=True)
        return tuple(self.hide(finish(process)))

    def ctl(self, *arguments, **more):
        """The same; Circus is asked again while it is busy with something else."""

        def done():
            ended = self.raw_ctl(*arguments, **more)
            return None if "already running" in ended[1] + ended[2] else ended

        return wait_until(done, f"the end of circusctl {arguments}")

    # What the daemon and its processes are doing.

    def pids(self, name):
        return self.ok("list", name=name)["pids"]

    def status(self, name):
        return self.call("status", name=name)["status"]

    def until(self, name, state):
        """Waits for a state of a watcher, and gives it."""
        wait_until(lambda: self.status(name) == state, f"{name} is {state}")
        return state

    def until_pids(self, name, wanted):
        """The processes of a watcher once `wanted(pids)` holds."""
        found = []

        def look():
            found[:] = self.pids(name)
            return wanted(found)

        wait_until(look, f"other processes of {name}")
        return list(found)

    def add(self, name, cmd, **options):
        """Adds a watcher and starts it; its processes."""
        self.ok("add", name=name, cmd=self.fill(cmd), options=options, start=True, waiting=True)
        return self.pids(name)

    def gone(self, pid):
        wait_until(lambda: not runs(pid), f"the end of process {pid}")
        return True

    def file(self, name):
        """The text of a file, once it is there."""
        wait_until(lambda: self.exists(name), f"the file {name}")
        return self.read(name)

    def made(self, name):
        """The mode of a file, once it is there, octal."""
        wait_until(lambda: self.exists(name), f"the file {name}")
        return oct(os.lstat(self.path(name)).st_mode)

    def ids(self, name):
        """User, groups and supplementary groups out of a copy of /proc/self/status, once it is whole."""
        wait_until(lambda: self.exists(name) and "ctxt_switches" in self.read(name), f"the file {name}")
        lines = dict(line.split(":", 1) for line in self.read(name).splitlines())
        return {key: lines[key].split() for key in ("Uid", "Gid", "Groups")}

    def report(self, name):
        """What a process that runs `child.py report` got, once it has written it down."""
        return self.hide(json.loads(self.file(name)))

    def watched(self, name):
        """Waits until a process that watches its signals is ready: its pid."""
        return int(self.file(name + ".pid"))

    def lines(self, name, wanted):
        """The lines of a file once `wanted(lines)` holds; how many, when it is a number."""
        enough = wanted if callable(wanted) else lambda lines: len(lines) >= wanted

        def look():
            lines = self.read(name).splitlines() if self.exists(name) else []
            return (lines,) if enough(lines) else None

        return wait_until(look, f"lines in {name}")[0]

    def parent_of(self, pid):
        fields = stat(pid)
        return fields and int(fields[1])

    # Events.

    def mark(self, name):
        """The place behind all events of a watcher so far, which an event that is made on purpose shows."""
        start = self.events.position()
        self.ok("set", name=name, options={"warmup_delay": 0}, waiting=True)
        return self.events.wait(lambda topic, _: topic == f"watcher.{name.lower()}.updated", start)[0]

    def story(self, name, action):
        """The events of a watcher that an action leads to: names and data."""
        start = self.mark(name) + 1
        action()
        end = self.mark(name)
        prefix = f"watcher.{name.lower()}."
        seen = self.events.seen[start:end]
        return [(topic.removeprefix(prefix), data) for topic, data in seen if topic.startswith(prefix)]

    def wait_event(self, topic, start=0):
        """The data of the first event of that topic."""
        return self.events.wait(lambda found, _: found == topic, start)[2]


def finish(process):
    """Waits for the end of a program: (exit code, standard output, standard error output)."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise NotReached(f"{process.args} does not end; it said:\n{out}{err}") from None
    return process.returncode, out, err


class ByZeroMQ(Daemon):
    """Driven by Circus's own clients."""

    ctl_command = (f"{VENV}/bin/circusctl",)

    def client(self):
        """The client of this thread."""
        if not hasattr(self.local, "client"):
            self.local.client = CircusClient(endpoint=f"ipc://{self.path('circus.sock')}", timeout=PATIENCE)
        return self.local.client

    def send(self, message):
        client = self.client()
        text = message if isinstance(message, bytes) else json.dumps(message).encode()
        client.socket.send(text)
        # What gets no reply at all is asked for by a case of its own, which is not to take long.
        patience = 1 if isinstance(message, bytes) else PATIENCE
        if not client.socket.poll(patience * 1000):
            return None
        return json.loads(client.socket.recv())

    def listen(self):
        sub = zmq.Context.instance().socket(zmq.SUB)
        sub.setsockopt(zmq.LINGER, 0)
        sub.setsockopt(zmq.SUBSCRIBE, b"")
        sub.connect(f"ipc://{self.path('pubsub.sock')}")
        # It hears nothing before its subscription has arrived: wait for an event that is made on purpose.
        name = "subscribed"
        poller = zmq.Poller()
        poller.register(sub, zmq.POLLIN)
        self.ok("add", name=name, cmd="true")

        def heard():
            self.ok("set", name=name, options={"warmup_delay": 0}, waiting=True)
            return poller.poll(20)

        wait_until(heard, "the first event")
        self.ok("rm", name=name, waiting=True)
        while sub.recv_multipart()[0] != b"watcher.subscribed.remove":
            pass
        return self._events(sub)

    @staticmethod
    def _events(sub):
        while True:
            topic, data = sub.recv_multipart()
            yield topic.decode(), json.loads(data)


class Theirs(ByZeroMQ):
    """Circus 0.19."""

    side = "theirs"
    daemon_command = (f"{VENV}/bin/circusd",)

    def answers(self):
        return self.exists("circus.sock")


class Ours(Daemon):
    """circus."""

    side = "ours"
    daemon_command = (BINARY,)
    ctl_command = (BINARY, "ctl")

    def connect(self):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(PATIENCE)
        try:
            connection.connect(self.path("circus.sock"))
        except OSError:
            connection.close()
            raise
        return connection

    def answers(self):
        try:
            self.connect().close()
        except OSError:
            return False
        return True

    def send(self, message):
        text = message if isinstance(message, bytes) else json.dumps(message).encode()
        with self.connect() as connection:
            connection.sendall(text + b"\n")
            connection.shutdown(socket.SHUT_WR)
            reply = b"".join(iter(lambda: connection.recv(65536), b""))
        return json.loads(reply) if reply else None

    def listen(self):
        connection = self.connect()
        connection.settimeout(None)
        connection.sendall(b'{"command": "listen"}\n')
        lines = connection.makefile("rb")
        assert json.loads(lines.readline())["status"] == "ok"
        return self._events(lines)

    @staticmethod
    def _events(lines):
        for line in lines:
            event = json.loads(line)
            yield event["topic"], event["data"]


class Mixed(ByZeroMQ):
    """circus, driven by Circus's own clients."""

    side = "mixed"
    daemon_command = Ours.daemon_command

    def answers(self):
        return self.exists("circus.sock") and self.exists("pubsub.sock")


SIDES = (Theirs, Ours, Mixed)
