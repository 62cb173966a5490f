#!/usr/bin/env python3
"""Circus's own clients, unmodified, talk to circus: circusctl, CircusClient, subscribers, and plugins.

Over ipc:// with every command, and over tcp:// with allow_tcp. The environment chooses what is tested:

  CIRCUS_BIN        the binary, by default target/release/circus (below CARGO_TARGET_DIR if that is set)
  CIRCUS_TEST_VENV  a venv with circus, by default the one that tests/tools/setup.sh makes

One line a check, then `N passed, N failed`; the exit code is 0 when nothing failed. Nothing waits for a time to
pass: every step polls for its condition, up to a deadline.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TARGET = os.path.join(ROOT, os.environ.get("CARGO_TARGET_DIR") or "target")
BINARY = os.environ.get("CIRCUS_BIN") or os.path.join(TARGET, "release", "circus")
VENV = os.environ.get("CIRCUS_TEST_VENV") or os.path.join(TARGET, "venv")
DEADLINE = 30.0

# Arguments of circusctl, its exit code, and what it prints: a regular expression for the whole of it.
COMMANDS = [
    ("--json list", 0, r'\{"status": "ok", .*"watchers": \["other", "plugin:notes", "plugin:reload", "web"\].*\}'),
    ("add extra sleep 1000", 0, "ok"),
    ("status extra", 0, "stopped"),
    ("add --start more sleep 1000", 0, "ok"),
    ("rm extra", 0, "ok"),
    ("rm more --waiting", 0, "ok"),
    ("list", 0, "other,plugin:notes,plugin:reload,web"),
    ("list web", 0, r"\d+,\d+"),
    ("list nobody", 3, "error: program nobody not found"),
    ("numwatchers", 0, "4"),
    ("numprocesses", 0, "5"),
    ("numprocesses web", 0, "2"),
    ("status", 0, "other: active\nplugin:notes: active\nplugin:reload: active\nweb: active"),
    ("incr web --waiting", 0, "3"),
    ("decr web 2 --waiting", 0, "1"),
    ("incr other --waiting", 0, "This watcher is a Singleton - not changing the number of processes"),
    ("set web numprocesses 2 --waiting", 0, "ok"),
    ("set web max_retry 7", 0, "ok"),
    ("get web numprocesses", 0, "numprocesses: 2"),
    ("get web max_retry", 0, "max_retry: 7"),
    ("options other", 0, r"(?s).*cmd: sleep 1000\n.*singleton: True.*"),
    ("globaloptions endpoint", 0, "endpoint: @ENDPOINT@"),
    ("globaloptions pubsub_endpoint", 0, "pubsub_endpoint: @PUBSUB@"),
    ("listsockets", 0, r"\d+:socket 'page' at @DIR@/page"),
    ("stats", 0, r"(?s).*web:\n.*sleep.*"),
    ("stats web", 0, r"(?s)web:\n.*sleep.*"),
    ("dstats", 0, r"(?s)Main Process:\n    \d+  circus.*"),
    ("signal web HUP", 0, "ok"),
    ("kill web", 0, "ok"),
    ("reload web --waiting", 0, "ok"),
    ("restart web --waiting", 0, "ok"),
    ("stop web --waiting", 0, "ok"),
    ("status web", 0, "stopped"),
    ("start web --waiting", 0, "ok"),
    ("start w* --match glob --waiting", 0, "ok"),
    ("reload", 0, "ok"),
    ("nonsense", 2, ".*"),
]


class Checks:
    """Prints each check and counts them."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def that(self, condition, name, detail=""):
        if condition:
            self.passed += 1
            print(f"ok {name}", flush=True)
        else:
            self.failed += 1
            print(f"FAIL {name}{': ' if detail else ''}{detail}", flush=True)

    def equal(self, found, expected, name):
        self.that(found == expected, name, f"found {found!r}, expected {expected!r}")


def wait_until(condition):
    """Polls until `condition()` is true, and gives its last value."""
    end = time.monotonic() + DEADLINE
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.02)


def free_port():
    """A port of 127.0.0.1 that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


class Daemon:
    """A circus in a directory of its own, whose ways in are paths or ports."""

    def __init__(self, tcp):
        self.directory = tempfile.mkdtemp(prefix="circus-clients-")
        if tcp:
            self.endpoint, self.pubsub = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
        else:
            self.endpoint, self.pubsub = (f"ipc://{self.path(name)}" for name in ("control", "events"))
        self.names = {
            "@DIR@": self.directory,
            "@ENDPOINT@": self.endpoint,
            "@PUBSUB@": self.pubsub,
            "@TCP@": str(tcp),
            "@PYTHON@": sys.executable,
            "@EXAMPLES@": os.path.join(ROOT, "examples"),
        }
        with open(os.path.join(HERE, "circus.ini"), encoding="utf-8") as template:
            text = self.filled_in(template.read())
        with open(self.path("circus.ini"), "w", encoding="utf-8") as config:
            config.write(text)
        with open(self.path("watched"), "w", encoding="utf-8"):
            pass
        path = f"{VENV}/bin:{os.environ.get('PATH', '')}"
        environment = os.environ | {"PATH": path, "PYTHONPATH": HERE, "XDG_RUNTIME_DIR": self.directory}
        with open(self.path("log"), "wb") as log:
            command = [BINARY, self.path("circus.ini")]
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def path(self, name):
        return os.path.join(self.directory, name)

    def read(self, name):
        try:
            with open(self.path(name), encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def filled_in(self, text):
        for name, value in self.names.items():
            text = text.replace(name, value)
        return text

    def circusctl(self, *args, endpoint=None, stdin=""):
        """Exit code and output of circusctl, standard output and error together."""
        command = [f"{VENV}/bin/circusctl", "--endpoint", endpoint or self.endpoint, *args]
        ended = subprocess.run(
            command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=DEADLINE
        )
        return ended.returncode, ended.stdout.strip()

    def end(self):
        """Ends it, by force if need be, and gives its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self.log = self.read("log")
            shutil.rmtree(self.directory, ignore_errors=True)


def check_commands(daemon, checks):
    """Every command of circusctl, and its prompt."""
    for args, code, output in COMMANDS:
        pattern = re.sub("@[A-Z]+@", lambda name: re.escape(daemon.names[name.group()]), output)
        found = daemon.circusctl(*args.split())
        matches = found[0] == code and (code == 2 or re.fullmatch(pattern, found[1]))
        checks.that(matches, f"circusctl {args}", f"{found}")
    code, output = daemon.circusctl(stdin="list web\nnumwatchers\n")
    checks.that(code == 0 and re.search(r"\(circusctl\) \d+,\d+\n\(circusctl\) 4", output), "the prompt", output)


def check_listen(daemon, checks, endpoint, where):
    """`circusctl listen` prints the events of its topics."""
    command = [f"{VENV}/bin/circusctl", "--endpoint", endpoint, "listen", "watcher.web.updated", "watcher.web.x"]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with open(daemon.path("listened"), "wb") as output:
        listener = subprocess.Popen(command, stdout=output, stderr=output, env=environment)

    def has_heard():
        daemon.client.call({"command": "set", "properties": {"name": "web", "options": {"max_retry": 5}}})
        daemon.client.call({"command": "set", "properties": {"name": "other", "options": {"max_retry": 5}}})
        return "\n" in daemon.read("listened")

    wait_until(has_heard)
    listener.terminate()
    listener.wait()
    lines = daemon.read("listened").splitlines()
    wanted = r"b'watcher\.web\.updated': b'\{\"time\":[0-9.]+\}'"
    checks.that(lines and all(re.fullmatch(wanted, line) for line in lines), f"circusctl listen {where}", lines[:3])


def check_client(daemon, checks, where):
    """CircusClient: many requests over one connection, large ones, and errors."""
    call = daemon.client.call
    replies = [call({"command": "list", "properties": {"name": "web"}}) for _ in range(200)]
    checks.that(all(reply["status"] == "ok" for reply in replies), f"CircusClient: 200 requests {where}")
    reply = call({"command": "set", "properties": {"name": "web", "options": {"env": {"A": "x" * 500_000}}}})
    checks.equal(reply["status"], "ok", f"CircusClient: a large request {where}")
    reply = call({"command": "get", "properties": {"name": "web", "keys": ["env"]}})
    checks.equal(len(reply["options"]["env"]["A"]), 500_000, f"CircusClient: a large reply {where}")
    call({"command": "set", "properties": {"name": "web", "options": {"env": {}}, "waiting": True}})
    reply = call({"command": "nonsense", "properties": {}})
    checks.equal((reply["errno"], reply["reason"]), (2, "unknown command: 'nonsense'"), f"CircusClient: an error {where}")


def check_sockets(daemon, checks, zmq):
    """ZeroMQ sockets that Circus itself does not use: REQ, heartbeats, many topics, a wrong kind."""
    context = zmq.Context.instance()

    def connected(kind, endpoint, **options):
        sock = context.socket(kind)
        sock.linger = 0
        sock.rcvtimeo = int(1000 * DEADLINE)
        for name, value in options.items():
            sock.setsockopt(getattr(zmq, name), value)
        sock.connect(endpoint)
        return sock

    with connected(zmq.REQ, daemon.endpoint, HEARTBEAT_IVL=50, HEARTBEAT_TIMEOUT=2000) as req:
        for number in range(3):
            req.send_json({"command": "numwatchers", "id": number})
            checks.equal(req.recv_json().get("id"), number, f"a REQ socket, request {number}")
    with connected(zmq.DEALER, daemon.endpoint) as dealer:
        for number in range(2000):
            dealer.send_json({"command": "numwatchers", "id": number})
        found = [json.loads(dealer.recv())["id"] for _ in range(2000)]
        checks.equal(found, list(range(2000)), "2000 requests at once, answered in order")
    with connected(zmq.SUB, daemon.pubsub, HEARTBEAT_IVL=50, HEARTBEAT_TIMEOUT=2000) as sub:
        for number in range(500):
            sub.subscribe(f"watcher.{number}")
        sub.subscribe("watcher.other")
        for number in range(500):
            sub.unsubscribe(f"watcher.{number}")
        sub.rcvtimeo = 100

        def heard():
            daemon.client.call({"command": "set", "properties": {"name": "other", "options": {"max_retry": 5}}})
            try:
                return sub.recv_multipart()
            except zmq.Again:
                return None

        message = wait_until(heard)
        checks.equal(message and message[0], b"watcher.other.updated", "a SUB socket gets what it wants")
    with connected(zmq.DEALER, daemon.pubsub) as dealer:
        dealer.send_json({"command": "quit"})
        checks.equal(dealer.recv_json()["errno"], 3, "pubsub_endpoint takes no commands")
    checks.equal(daemon.read("log").count("ZeroMQ peer"), 0, "nobody was refused")
    with connected(zmq.PUSH, daemon.endpoint):
        told = wait_until(lambda: "a ZeroMQ peer is not served" in daemon.read("log"))
        checks.that(told, "a socket of a wrong kind is noted")


def check_plugins(daemon, checks):
    """A plugin in Python, by circus-plugin, and one of the examples."""
    ready = wait_until(lambda: "greeting" in daemon.read("notes"))
    checks.that(ready, "a plugin in Python is run", daemon.read("log"))
    greeting = daemon.read("notes").splitlines()[:1]
    checks.equal(greeting, ['greeting two  words, "quoted", it\'s'], "its options come as they are")

    def has_noted():
        daemon.client.call({"command": "restart", "properties": {"name": "web", "waiting": True}})
        return "web reap 4" in daemon.read("notes")

    checks.that(wait_until(has_noted), "it is told of events, and its calls are answered", daemon.read("notes"))
    get = {"command": "get", "properties": {"name": "web", "keys": ["max_retry"]}}
    checks.that(wait_until(lambda: daemon.client.call(get)["options"] == {"max_retry": 9}), "its casts are obeyed")

    def pids():
        return daemon.client.call({"command": "list", "properties": {"name": "other"}})["pids"]

    before = pids()

    def is_reloaded():
        os.utime(daemon.path("watched"))
        return len(pids()) == 1 and pids() != before

    checks.that(wait_until(is_reloaded), "the example reloads a watcher when a file changes")


def check_daemon(tcp, checks):
    """One life of a daemon with everything that is tried on it."""
    import zmq
    from circus.client import CircusClient

    where = "over tcp" if tcp else "over ipc"
    daemon = Daemon(tcp)
    try:
        daemon.client = CircusClient(endpoint=daemon.endpoint, timeout=DEADLINE)
        statuses = {"command": "status", "properties": {}}
        active = lambda: set(daemon.client.call(dict(statuses)).get("statuses", {}).values()) == {"active"}
        checks.that(wait_until(active), f"everything is active {where}", daemon.read("log"))
        if tcp:
            for args in ("status web", "numwatchers"):
                checks.equal(daemon.circusctl(*args.split())[0], 0, f"circusctl {args} {where}")
        else:
            check_plugins(daemon, checks)
            check_commands(daemon, checks)
            check_listen(daemon, checks, daemon.endpoint, "on the control socket")
            check_sockets(daemon, checks, zmq)
        check_listen(daemon, checks, daemon.pubsub, where)
        check_client(daemon, checks, where)
        if not tcp:
            checks.equal(daemon.circusctl("quit", "--waiting"), (0, "ok"), "circusctl quit")
    finally:
        daemon.client.stop()
        code = daemon.end()
        checks.equal(code, 0, f"the daemon ends {where}")
        if checks.failed:
            print(f"--- the log\n{daemon.log}---")


def main():
    checks = Checks()
    missing = [path for path in (BINARY, f"{VENV}/bin/circusctl") if shutil.which(path) is None]
    if missing:
        sys.exit(f"missing: {', '.join(missing)}; run `make build` and `tests/tools/setup.sh` first")
    for tcp in (False, True):
        try:
            check_daemon(tcp, checks)
        except Exception as error:  # Whatever goes wrong is a failed check, and the next daemon is tried.
            checks.that(False, "the test comes to its end", repr(error))
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
