#!/usr/bin/env python3
"""What a person sees of circus at a terminal, by a terminal emulator, and what Prometheus reads of it, by its parser.

CIRCUS_BIN is the binary, by default target/release/circus (below CARGO_TARGET_DIR if that is set). One line a check,
then `N passed, N failed`. Nothing sleeps to let something happen.
"""

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import urllib.request

import pyte
from prometheus_client.openmetrics.parser import text_string_to_metric_families

HERE = os.path.dirname(os.path.abspath(__file__))
MANUAL = os.path.join(HERE, "..", "..", "man", "circus.ini.5")
sys.path.insert(0, os.path.join(HERE, "..", "init"))

from harness import CIRCUS, PATIENCE, Terminal, check, counts, get, until  # noqa: E402


class Circus:
    """A circus that runs in a directory of its own."""

    def __init__(self, ini):
        self.dir = tempfile.TemporaryDirectory()
        self.endpoint = os.path.join(self.dir.name, "sock")
        config = os.path.join(self.dir.name, "circus.ini")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"[circus]\nendpoint = {self.endpoint}\n{ini}".replace("DIR", self.dir.name))
        self.process = subprocess.Popen([CIRCUS, config], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        until(lambda: self.ctl("status").returncode == 0, "circus answers")

    def ctl(self, *words):
        return subprocess.run([CIRCUS, "ctl", "--endpoint", self.endpoint, *words], capture_output=True, text=True)

    def ask(self, *words):
        return json.loads(self.ctl("--json", *words).stdout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.dir.cleanup()


class Screen(Terminal):
    """A program whose terminal is understood as a terminal understands it."""

    def __init__(self, *argv, rows=24, columns=80, **env):
        super().__init__(*argv, **{"TERM": "xterm", **env})
        self.screen = pyte.HistoryScreen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.bytes = b""
        self.resize(rows, columns)

    def resize(self, rows, columns):
        self.screen.resize(rows, columns)
        super().resize(rows, columns)

    def read(self):
        if select.select([self.fd], [], [], 0.01)[0]:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                return
            self.bytes += data
            self.stream.feed(data)

    def lines(self):
        self.read()
        return [line.rstrip() for line in self.screen.display]

    def shows(self, pattern):
        """Waits for a line in which this is found; its match."""
        def look():
            for line in self.lines():
                match = re.search(pattern, line)
                if match:
                    return match
            return None
        try:
            return until(look, pattern)
        except AssertionError:
            raise AssertionError(f"waited for {pattern!r} on\n" + "\n".join(self.screen.display)) from None

    def hides(self, pattern):
        """Waits until no line has this."""
        until(lambda: not any(re.search(pattern, line) for line in self.lines()), f"no {pattern!r} is shown")

    def row(self, pattern):
        """The number of the first line that has this."""
        self.shows(pattern)
        return next(number for number, line in enumerate(self.lines()) if re.search(pattern, line))

    def is_cooked(self):
        flags = termios.tcgetattr(self.fd)[3]
        return bool(flags & termios.ECHO) and bool(flags & termios.ICANON)


INI = """
[watcher:web]
cmd = sh -c "while :; do echo line from $$; sleep 0.2; done"
numprocesses = 2
use_sockets = True
stdout_stream.class = QueueStream

[watcher:clock]
cmd = sleep 100000

[watcher:bad]
cmd = /does/not/exist
max_retry = 1

[watcher:stubborn]
cmd = sh -c "trap '' TERM; echo ready; while :; do sleep 1; done"
graceful_timeout = 3
autostart = False
stdout_stream.class = QueueStream

[socket:http]
host = 127.0.0.1
port = 0

[socket:unix]
path = DIR/unix
"""


def top_on_a_screen(circus):
    top = Screen(CIRCUS, "top", "--endpoint", circus.endpoint)
    top.shows(r"^circus \d+  up ")
    pids = circus.ask("list", "web")["pids"]
    top.shows(rf"  1 pid {pids[0]} +running +\d+s")
    check("watchers, processes and sockets are on the screen",
          all(any(re.search(pattern, line) for line in top.lines()) for pattern in (
              r"^web +active +\d+s +0 ", rf"  2 pid {pids[1]} +running", r"^clock +active", r"^bad +!failed",
              r"^SOCKET +ADDRESS +WAITING", r"^http +127.0.0.1:\d+ +0 ", r"^unix +/\S+ +0 ")))
    check("the failing one has a mark, and is red", top.screen.buffer[top.row("^bad ")][1].fg, "red")
    check("24 lines, the last with the keys", top.lines()[23].startswith("q quit"))

    top.type(">" * 5)
    top.shows("sorted by memory")
    check("the sorting is marked", "MEMORY*" in top.lines()[2])
    top.type("<<<<<i")
    top.shows("sorted by name, inverted")
    web = top.row("^web ")
    check("inverted, web stands before clock", web < top.row("^clock "))
    top.type("i/CLO\r")
    top.hides("^web ")
    check("a filter leaves what it names", top.row("^clock "), 3)
    top.type("/\x15\r")
    top.shows("^web ")
    top.type("x")
    top.hides(" pid ")
    check("folded, only watchers are left", True)
    top.type("x")
    top.shows(" pid ")

    top.resize(40, 140)
    top.shows("exec /does/not/exist: No such file or directory")
    check("a wide terminal says what is wrong", len(top.screen.display[0]), 140)
    check("and has the keys in its last line", until(lambda: top.lines()[39].startswith("q quit"), "keys"))
    top.resize(24, 80)
    until(lambda: top.lines()[23].startswith("q quit"), "the keys in the last line")

    top.type("\x1b[F")  # End: a process of web
    until(lambda: top.screen.buffer[top.row(rf"pid {pids[1]} ")][3].reverse, "the last process is selected")
    top.type("r")
    top.shows(rf"replace process {pids[1]} of web\? \[y/N\]")
    top.type("y")
    top.hides(rf"pid {pids[1]} ")
    top.shows("replace process .*: ok")
    check("a process is replaced", len(until(lambda: [p for p in circus.ask("list", "web")["pids"] if p != pids[1]][1:], "two")), 1)
    top.type("\r")  # the selection was left to its watcher
    top.shows("^web: output")
    top.shows("line from ")
    check("the last lines of output are shown", True)
    top.type("\x1b")
    top.shows("^WATCHER")
    check("Escape goes back", True)
    top.type("\r")
    top.shows("line from ")
    top.type("/LINE FROM\r")
    top.shows(r"^web: output \(held; End follows\)")
    check("a search finds the newest line first", any(
        top.screen.buffer[row][0].reverse and "line from" in line for row, line in enumerate(top.lines())))
    top.type("n/no such line\r")
    top.shows('^no line with "no such line"')
    top.type("/half")
    top.shows("^search: half_")
    top.type("\x1b")
    top.hides("^search: ")
    check("Escape gives up the search first", top.lines()[0].startswith("web: output"))
    top.type("\x1b[F")
    top.hides(r"\(held")
    top.type("\x1b")
    top.shows("^WATCHER")
    top.type("?")
    top.shows("^Keys$")
    check("? tells the keys", (top.lines()[1].startswith("q, Ctrl-C"), top.lines()[23]), (True, "any key goes back"))
    top.type("\x1b[B")
    top.shows("^WATCHER")
    check("and any key goes back", True)
    top.type("w")
    top.shows("web is active since")
    check("why is told", True)
    top.type("x")
    top.shows("^WATCHER")
    top.type("\x1b[H")
    top.shows(r"^Problem: exec /does/not/exist: No such file or directory")
    check("the reason of what is selected stands at the foot of 80 columns", top.row("^Problem: "), 21)
    top.type("j")
    top.shows("^clock is active since .*: circus started")
    check("or who has brought it there", True)
    top.type("+")
    top.shows(r"^one process more of clock\? \[y/N\]")
    top.type("y")
    top.shows("^one process more of clock: ok")
    check("+ adds a process", circus.ask("numprocesses", "clock")["numprocesses"], 2)
    top.type("-")
    top.shows(r"^one process fewer of clock\? \[y/N\]")
    top.type("y")
    top.shows("^one process fewer of clock: ok")
    check("- takes one away", circus.ask("options", "clock")["options"]["numprocesses"], 1)
    top.type("\x1b[Hjs")  # Home is bad, the next is clock
    top.shows(r"stop clock\? \[y/N\]")
    top.type("n")
    top.hides(r"\[y/N\]")
    check("No means no", circus.ask("status", "clock")["status"], "active")
    top.type("s")
    top.shows(r"stop clock\? ")
    top.type("y")
    top.shows("^clock +stopped")
    top.type("a")
    top.shows("start clock")
    top.type("y")
    top.shows("^clock +active")
    check("a watcher is stopped and started", True)
    top.type("q")
    check("q ends it with 0", top.end(), 0)
    top.read()
    check("the screen and the cursor come back", top.bytes.rstrip().endswith(b"\x1b[?25h\x1b[?1049l"))
    check("and the mode of the terminal", top.is_cooked())
    top.close()


def top_on_a_small_screen(circus):
    top = Screen(CIRCUS, "top", "--endpoint", circus.endpoint, "--filter", "bad", rows=10, columns=40)
    top.shows("^bad +!failed +- +-$")
    top.shows(r"^Problem: exec /does/not/exist")
    check("40 columns have whole columns", top.lines()[2], "WATCHER*       STATE       CPU%   MEMORY")
    check("and whole keys", top.lines()[9], "q quit  ? help  Enter output  w why")
    top.type("?")
    top.shows("^Keys$")
    check("help that does not fit moves", top.lines()[9].startswith("arrows move"))
    top.type("\x1b[F")
    top.shows("^Esc +back$")
    top.type("x")
    top.shows("^WATCHER")
    top.type("q")
    check("and it ends as any other", top.end(), 0)
    top.close()


def top_ends(circus):
    for name, signum in (("SIGTERM", signal.SIGTERM), ("SIGHUP", signal.SIGHUP), ("SIGINT", signal.SIGINT)):
        top = Screen(CIRCUS, "top", "--endpoint", circus.endpoint)
        top.shows("^WATCHER")
        os.kill(top.pid, signum)
        check(f"{name} ends it as it ends other programs", top.end(), -signum)
        top.read()
        check(f"{name}: the terminal is restored", (top.is_cooked(), top.bytes.endswith(b"\x1b[?25h\x1b[?1049l")), (True, True))
        top.close()
    top = Screen(CIRCUS, "top", "--endpoint", circus.endpoint, NO_COLOR="1")
    top.shows("^bad ")
    check("NO_COLOR: nothing is red", top.screen.buffer[top.row("^bad ")][1].fg, "default")
    top.type("\x03")
    check("Ctrl-C ends it", top.end(), 0)
    top.close()


def top_waits_for_a_silent_circus(circus):
    top = Screen(CIRCUS, "top", "--endpoint", circus.endpoint)
    top.shows("^WATCHER")
    sleeps = lambda: int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", open(f"/proc/{top.pid}/status").read(), re.M)[1])
    circus.process.send_signal(signal.SIGSTOP)
    try:
        top.shows(r"^circus has not answered for 3 s")
        before = sleeps()
        top.shows(r"^circus has not answered for 5 s")
        check("a circus that does not answer is no reason to spin", sleeps() - before < 20)
    finally:
        circus.process.send_signal(signal.SIGCONT)
    top.hides("has not answered")
    check("and when it answers again, it goes on", top.lines()[23].startswith("q quit"))
    top.type("q")
    top.end()
    top.close()


def top_without_a_screen(circus):
    ended = subprocess.run([CIRCUS, "top", "--endpoint", circus.endpoint, "--sort", "cpu"], capture_output=True, text=True)
    check("without a terminal it prints once", (ended.returncode, ended.stderr, "\x1b" in ended.stdout), (0, "", False))
    check("with everything", all(re.search(pattern, ended.stdout, re.M) for pattern in (
        r"^web +active", r"^  1 pid \d+ +running", r"^bad +failed.*exec /does/not/exist", r"^http +127")))
    ended = subprocess.run([CIRCUS, "top", "--endpoint", circus.endpoint, "--json", "--filter", "b"], capture_output=True, text=True)
    told = json.loads(ended.stdout)
    check("or as JSON", [(w["name"], w["state"], len(w["processes"])) for w in told["watchers"]],
          [("bad", "failed", 0), ("stubborn", "stopped", 0), ("web", "active", 2)])
    dumb = Screen(CIRCUS, "top", "--endpoint", circus.endpoint, TERM="dumb")
    check("on a dumb terminal too", dumb.end(), 0)
    dumb.close()
    link = os.path.join(circus.dir.name, "circus-top")
    os.symlink(CIRCUS, link)
    ended = subprocess.run([link, "--once", "--filter", "web", "--endpoint", circus.endpoint], capture_output=True, text=True)
    check("circus-top is the same program", (ended.returncode, "clock" in ended.stdout, "web" in ended.stdout), (0, False, True))
    ended = subprocess.run([CIRCUS, "top", "--endpoint", "/nowhere"], capture_output=True, text=True)
    check("without a circus it says so", (ended.returncode, "/nowhere" in ended.stderr), (1, True))
    check("unknown options are 2", subprocess.run([CIRCUS, "top", "--frob"], capture_output=True).returncode, 2)


def status_on_a_terminal(circus):
    status = Screen(CIRCUS, "ctl", "--endpoint", circus.endpoint, "status", columns=100)
    status.shows("^WATCHER +STATE +PROCESSES +UPTIME +RESTARTS +MEMORY +PIDS")
    status.shows(r"^web +active +2/2 +\d+\S* +\d+ +[\d.]+[KM] +\d+ \d+$")
    status.shows("^bad: stopped: exec /does/not/exist")
    check("status is a table on a terminal", status.end(), 0)
    status.close()
    check("and as Circus has it in a pipe", circus.ctl("status").stdout,
          "bad: stopped\nclock: active\nstubborn: stopped\nweb: active\n")
    one = Screen(CIRCUS, "ctl", "--endpoint", circus.endpoint, "status", "web")
    one.shows("^web is active since ")
    one.shows("^Its processes:$")
    check("one watcher is a page", one.end(), 0)
    one.close()


def waiting_at_a_terminal(circus):
    circus.ctl("start", "stubborn", "--waiting")
    until(lambda: "ready" in circus.ctl("tail", "stubborn").stdout, "it has set its trap")
    pid = circus.ask("list", "stubborn")["pids"][0]
    stop = Screen(CIRCUS, "ctl", "--endpoint", circus.endpoint, "stop", "stubborn", "--waiting")
    stop.shows(rf"^0 of 1 ended; waiting for stubborn: process {pid} \(wid 1\), SIGKILL in [123] s")
    check("--waiting tells what is being waited for", stop.end(), 0)
    stop.shows("^ok$")
    check("and leaves nothing behind", [line for line in stop.lines() if line.strip()], ["ok"])
    stop.close()


LOOPING = """
[watcher:a-loop]
cmd = sh -c "exit 1"

[watcher:b-loop]
cmd = sh -c "exit 1"

[watcher:slow]
cmd = sleep 100000
numprocesses = 2
warmup_delay = 2
autostart = False
"""


def waiting_for_one_of_many(_):
    with Circus(LOOPING) as circus:
        start = Screen(CIRCUS, "ctl", "--endpoint", circus.endpoint, "start", "slow", "--waiting")
        start.shows(r"^\d of \d started; waiting for ")
        check("--waiting looks at what was ordered alone", "1 of 2 started; waiting for slow, " in start.lines()[0])
        check("and ends well", start.end(), 0)
        start.close()


def a_stop_at_a_terminal():
    with tempfile.TemporaryDirectory() as home:
        config = os.path.join(home, "circus.ini")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"[circus]\nendpoint = {home}/sock\n[watcher:stubborn]\ngraceful_timeout = 3\n"
                       "cmd = sh -c \"trap '' TERM; echo ready; while :; do sleep 1; done\"\n")
        circus = Screen(CIRCUS, config, columns=120)
        circus.shows("ready")
        circus.type("\x03")
        circus.shows(r"^0 of 1 ended; waiting for stubborn: process \d+ \(wid 1\), SIGKILL in [123] s")
        circus.shows("circus has ended")
        check("circus tells at its end what it waits for", circus.end(), 0)
        check("and leaves no line of it", [line for line in circus.lines() if "waiting for stubborn" in line], [])
        circus.close()


def metrics(circus):
    until(lambda: "code" in circus.ctl("metrics").stdout, "an exit is counted")
    until(lambda: "line from" in circus.ctl("tail", "web").stdout, "a line of output")
    ended = circus.ctl("metrics")
    families = {family.name: family for family in text_string_to_metric_families(ended.stdout)}
    check("prometheus-client reads it", ended.returncode, 0)
    kinds = dict(re.findall(r"(?m)^# TYPE (\S+) (\S+)", ended.stdout))
    names = {name + {"counter": "_total", "info": "_info"}.get(kind, "") for name, kind in kinds.items()}
    with open(MANUAL, encoding="utf-8") as manual:
        told = set(re.findall(r"(?m)^\.It Li (circus_\w+)", manual.read()))
    check("circus.ini(5) lists what is served, and nothing else", told, names)
    found = lambda family, **labels: [sample.value for sample in families[family].samples
                                      if labels.items() <= sample.labels.items()]
    check("states", found("circus_watcher_state", watcher="web", circus_watcher_state="active"), [1.0])
    check("processes", found("circus_watcher_processes", watcher="web", state="running"), [2.0])
    check("restarts by reason", found("circus_watcher_restarts", watcher='say "hi\\"', reason="exit")[0] > 0)
    check("exits by code", found("circus_watcher_exits", watcher='say "hi\\"', code="3")[0] > 0)
    check("failures", found("circus_watcher_spawn_failures", watcher="bad"), [1.0])
    check("output", found("circus_watcher_output_bytes", watcher="web", stream="stdout")[0] > 0)
    check("memory", found("circus_process_resident_memory_bytes", watcher="web", wid="1")[0] > 4096)
    check("descriptors", found("circus_process_open_fds", watcher="web", wid="1")[0] >= 3)
    check("sockets", found("circus_socket_waiting", socket="http"), [0.0])
    check("drops", found("circus_socket_drops", socket="http"), [0.0])
    check("the loop", found("circus_loop_turn_seconds", le="+Inf")[0] > 0)


def served(_):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ini = (f"[plugin:metrics]\nuse = circus.plugins.Metrics\nlisten = 127.0.0.1:{port}\n"
           "[plugin:local]\nuse = circus.plugins.Metrics\nlisten = DIR/metrics\n[watcher:web]\ncmd = sleep 1000\n")
    url = f"http://127.0.0.1:{port}/metrics"
    with Circus(ini) as circus:
        until(lambda: circus.ask("status")["statuses"].get("plugin:metrics") == "active", "the plugin")
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            kind, text = answer.headers["Content-Type"], answer.read().decode()
        check("Prometheus gets its type", kind, "application/openmetrics-text; version=1.0.0; charset=utf-8")
        names = [family.name for family in text_string_to_metric_families(text)]
        check("and its text", "circus_watcher_processes" in names)
        with socket.socket(socket.AF_UNIX) as local:
            local.connect(os.path.join(circus.dir.name, "metrics"))
            local.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            text = b"".join(iter(lambda: local.recv(65536), b""))
        check("by a Unix socket too", (text.startswith(b"HTTP/1.1 200 OK\r\n"), text.endswith(b"# EOF\n")), (True, True))
        check("there is nothing else", get(url.replace("/metrics", "/"))[0], 404)
        health = lambda: get(url.replace("/metrics", "/health"))
        check("/health, when all is well", health(), (200, "healthy\n"))
        circus.ctl("add", "lacks", "--start", "/no/such/program")
        until(lambda: health() != (200, "healthy\n"), "/health to tell of a watcher that fails")
        check("/health names what fails", health(), (503, "failing: lacks\n"))
        check("as status --check does", circus.ctl("status", "--check").returncode, 3)
        circus.ctl("rm", "lacks", "--waiting")
        check("/health, when that is gone", health(), (200, "healthy\n"))
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
        silent[0].sendall(b"GET /met")
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            check("connections that say nothing hold nobody up", answer.status, 200)
        for connection in silent:
            connection.close()
        circus.ctl("stop", "plugin:metrics", "--waiting")
        with socket.socket() as refused:
            check("stopped, it does not listen", refused.connect_ex(("127.0.0.1", port)) != 0)
        check("nor is its file there, once it is stopped",
              (circus.ctl("stop", "plugin:local", "--waiting").returncode, os.path.exists(os.path.join(circus.dir.name, "metrics"))), (0, False))


def whole():
    with Circus(INI) as circus:
        for part in (top_on_a_screen, top_on_a_small_screen, top_ends, top_waits_for_a_silent_circus, top_without_a_screen,
                     status_on_a_terminal, waiting_at_a_terminal):
            yield part, circus
    with Circus(INI + '\n[watcher:say "hi\\"]\ncmd = sh -c "exit 3"\n') as circus:
        yield metrics, circus
    yield served, None
    yield waiting_for_one_of_many, None


def main():
    for part, circus in whole():
        try:
            part(circus)
        except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
            check(f"{part.__name__} comes to its end", str(error), "")
    a_stop_at_a_terminal()
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
