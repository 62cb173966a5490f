"""The stack under test: the daemon with everything below it, and redis as its client sees it."""

import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile

from load import DEADLINE, connect, fetch, wait_until

SOURCE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(SOURCE))
EXAMPLE = os.path.join(ROOT, "examples", "stack")
CONFIG = "more.ini"
WATCHERS = ("nginx", "plain", "redis", "web", "worker")
TARGET = os.path.join(ROOT, os.environ.get("CARGO_TARGET_DIR") or "target")
BINARY = os.environ.get("CIRCUS_BIN") or os.path.join(TARGET, "release", "circus")
VENV = os.environ.get("CIRCUS_TEST_VENV") or os.path.join(TARGET, "venv")
SEARCH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
PR_SET_CHILD_SUBREAPER = 36


def find_tools():
    """Looks for the programs needed. Raises SystemExit naming those that are missing."""
    tools = {name: shutil.which(name, path=SEARCH) for name in ("nginx", "redis-server", "redis-cli", "wrk")}
    for path in (BINARY, f"{VENV}/bin/gunicorn", f"{VENV}/bin/chaussette"):
        tools[path] = shutil.which(path)
    missing = [name for name, path in tools.items() if path is None]
    if missing:
        raise SystemExit(f"missing: {', '.join(missing)}; run `make build` and `tests/tools/setup.sh` first")


def free_ports(count):
    """Ports of 127.0.0.1 that nobody uses now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


def become_subreaper():
    """Whatever the daemon leaves behind becomes our child, so that it can be found and ended."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def children(parent):
    """The pids of the direct children of `parent`, zombies too."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as stat:
                    fields = stat.read().rpartition(")")[2].split()
            except OSError:
                continue  # It has gone meanwhile.
            if int(fields[1]) == parent:
                found.append(int(entry))
    return found


def exists(pid):
    """Whether there is such a process; one that nobody has waited for yet is one."""
    return os.path.exists(f"/proc/{pid}")


class Stack:
    """A temporary directory with a copy of examples/stack in it, the daemon, and the ways in."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="circus-stack-")
        os.chmod(self.directory, 0o755)  # nginx's workers run as another user when started by root.
        shutil.copytree(EXAMPLE, self.directory, dirs_exist_ok=True)
        shutil.copy(os.path.join(SOURCE, CONFIG), self.directory)
        os.mkdir(self.path("var"))
        plain_port, nginx_port = free_ports(2)
        for name in ("circus.ini", "nginx.conf"):
            self.rewrite(name, lambda text: text.replace("127.0.0.1:8080", f"127.0.0.1:{nginx_port}"))
        self.nginx = ("127.0.0.1", nginx_port)
        self.sockets = {"plain": ("127.0.0.1", plain_port), "web": self.path("var/web.sock")}
        self.urls = {"plain": f"http://127.0.0.1:{plain_port}/", "web": f"http://127.0.0.1:{nginx_port}/"}
        self.endpoint = "ipc://" + self.path("circus.sock")
        self.environment = os.environ | {
            "PATH": f"{VENV}/bin:{SEARCH}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "STACK_DIR": self.directory,
            "STACK_PORT": str(plain_port),
            "STACK_SOURCE": SOURCE,
        }
        # Links to the binary have Circus's names; Python Circus has them alone.
        here, name = os.path.split(BINARY)
        self.ctl_command = [os.path.join(here, "circusctl")] if name == "circusd" else [BINARY, "ctl"]
        self.daemon = None
        self.leave_out_what_the_build_lacks()

    def path(self, name):
        return os.path.join(self.directory, name)

    def rewrite(self, name, change):
        with open(self.path(name), encoding="utf-8") as file:
            text = file.read()
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(change(text))

    def leave_out_what_the_build_lacks(self):
        """A build without features names the lines that it cannot do: the smallest one runs what is left."""
        if self.ctl_command[-1] != "ctl":
            return
        done = subprocess.run([BINARY, "--check", CONFIG], cwd=self.directory, env=self.environment, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        if "without the feature check" not in done.stdout:
            return
        done = subprocess.run([BINARY, CONFIG], cwd=self.directory, env=self.environment, stderr=subprocess.PIPE, text=True,
                              check=False, timeout=DEADLINE)
        lacking = re.findall(r"circus\.ini:(\d+): error: (.*) is not possible: this build of circus lacks", done.stderr)
        assert done.returncode == 100 and lacking, f"the smallest build takes the whole stack: {done.stderr}"

        def without(text):
            lines = text.split("\n")
            for number, what in lacking:
                end = int(number)
                # A section goes with all its options.
                while what.startswith("[") and end < len(lines) and not lines[end].startswith("["):
                    end += 1
                lines[int(number) - 1:end] = [""] * (end + 1 - int(number))
            return "\n".join(lines)

        self.rewrite("circus.ini", without)

    def start(self):
        """Starts the daemon and waits until every watcher is active and every way in answers."""
        with open(self.path("circus.log"), "ab") as log:
            self.daemon = subprocess.Popen([BINARY, CONFIG], cwd=self.directory, env=self.environment, stdout=log, stderr=log)
        wait_until(self.is_up, "every watcher active, nginx and redis answering")

    def is_up(self):
        if self.daemon.poll() is not None:
            raise SystemExit(f"the daemon ended with {self.daemon.returncode} while starting:\n{self.tail('circus.log')}")
        code, output = self.try_ctl("status")
        states = dict(line.split(": ", 1) for line in output.splitlines() if ": " in line)
        if code != 0 or [states.get(name) for name in WATCHERS] != ["active"] * len(WATCHERS):
            return False
        try:
            codes = [fetch(address)[0] for address in (self.nginx, *self.sockets.values())]
            connect(self.path("var/redis.sock")).close()
        except (OSError, ValueError):
            return False
        return codes == [200] * 3

    def try_ctl(self, *arguments):
        """Runs `circus ctl`: (exit code, output)."""
        command = [*self.ctl_command, "--endpoint", self.endpoint, "--timeout", f"{DEADLINE:.0f}", *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return done.returncode, done.stdout.strip()

    def ctl(self, *arguments):
        """The output of `circus ctl`; raises AssertionError when it fails."""
        code, output = self.try_ctl(*arguments)
        # Python Circus refuses a command while another is running. Circus never does: that would be a failure.
        while "already running" in output and self.ctl_command[-1] != "ctl":
            code, output = self.try_ctl(*arguments)
        assert code == 0, f"ctl {' '.join(arguments)} gave {code}: {output}"
        return output

    def pids(self, watcher):
        """The processes of a watcher as `ctl list` knows them."""
        return {int(pid) for pid in self.ctl("list", watcher).split(",") if pid.strip()}

    def wait_for_end(self):
        """The daemon's exit code; None when it does not end."""
        try:
            return self.daemon.wait(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            return None

    def leftovers(self):
        """What the daemon left behind: processes, and sockets in the directory."""
        left = []
        for pid in children(os.getpid()):
            if self.daemon.pid != pid and os.waitpid(pid, os.WNOHANG)[0] == 0:
                with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as name:
                    left.append(f"process {pid} ({name.read().strip()})")
        for directory in (self.directory, self.path("var")):
            left += [f"socket {name}" for name in os.listdir(directory) if name.endswith(".sock")]
        return left

    def tail(self, name):
        """The last lines of a log in the directory; none when it was never written."""
        if not os.path.exists(self.path(name)):
            return ""
        with open(self.path(name), encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-30:])

    def remove(self):
        """Ends what is left of this stack, by pid, and removes its directory."""
        if self.daemon is not None and self.daemon.poll() is None:
            self.daemon.terminate()
            if self.wait_for_end() is None:
                self.daemon.kill()
                self.daemon.wait()
        wait_until(self.no_child_left, "the end of every process of the stack")
        shutil.rmtree(self.directory)

    @staticmethod
    def no_child_left():
        """Ends children one generation after the other: orphans of a killed process become ours."""
        left = children(os.getpid())
        for pid in left:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        return not left


class Redis:
    """One connection to redis, kept through everything, and a counter that only we increase."""

    def __init__(self, stack):
        self.stack = stack
        self.pids = stack.pids("redis")
        self.count = 0
        self.connection = connect(stack.path("var/redis.sock"))

    def call(self, *words):
        self.connection.sendall((" ".join(words) + "\r\n").encode())
        return self.connection.recv(4096).decode().strip()

    def trouble(self):
        """What is wrong with redis now, in words; None when it is untouched."""
        self.count += 1
        try:
            pong, counter = self.call("PING"), self.call("INCR", "phases")
        except OSError as error:
            return f"its connection broke: {error}"
        if pong != "+PONG" or counter != f":{self.count}":
            return f"PING gave {pong!r}, the counter is {counter!r} and should be {self.count}"
        pids = self.stack.pids("redis")
        return None if pids == self.pids else f"its pids were {self.pids} and are {pids}"
