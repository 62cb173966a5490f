"""What the parts of this suite share: checks that are counted, patience, namespaces, terminals."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import shutil
import subprocess
import tempfile
import termios
import time
import urllib.error
import urllib.request

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
CIRCUS = os.path.abspath(os.environ.get("CIRCUS_BIN", os.path.join(TARGET, "release", "circus")))
PATIENCE = 30
NAMESPACE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]

counts = {"passed": 0, "failed": 0}


def check(name, found, expected=True):
    if found == expected:
        counts["passed"] += 1
        print(f"ok {name}", flush=True)
    else:
        counts["failed"] += 1
        print(f"FAIL {name}: found {found!r}, expected {expected!r}", flush=True)


def until(look, what):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.002)
    raise AssertionError(f"waited {PATIENCE} s for {what}")


class Process:
    """A program whose output is read."""

    def __init__(self, argv, **more):
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, start_new_session=True, **more)
        self.text = ""
        os.set_blocking(self.process.stdout.fileno(), False)

    def read(self):
        try:
            self.text += (os.read(self.process.stdout.fileno(), 65536) or b"").decode()
        except BlockingIOError:
            pass
        return self.text

    def says(self, pattern):
        """Waits for this in the output; the match."""
        return until(lambda: re.search(pattern, self.read()), f"{pattern!r} in {self.text!r}")

    def send(self, signum):
        os.kill(self.process.pid, signum)

    def end(self):
        """The exit code; all output has been read then."""
        code = self.process.wait(PATIENCE)
        self.says("")
        return code


def ctl_as(uid, circus, *words):
    """What `circus ctl` prints when a user runs it: a copy, since the directories that it was built in may be closed."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        program = shutil.copy(circus, directory)
        argv = [program, "ctl", *words]
        return subprocess.run(argv, stdout=subprocess.PIPE, check=False, user=uid, cwd="/").stdout


def get(url):
    """The status and the text of an answer by HTTP, whatever the status is; 0 when there is none."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def child_of(pid):
    def look():
        with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as file:
            return file.read().split()
    return int(until(look, "the child of unshare")[0])


class Terminal:
    """A program on a pseudo-terminal of its own."""

    def __init__(self, *argv, **env):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                # A shell that put the tests into the background has these ignored, and so would all below.
                for number in (signal.SIGINT, signal.SIGQUIT):
                    signal.signal(number, signal.SIG_DFL)
                os.environ.update(env)
                os.execvp(argv[0], argv)
            finally:
                os._exit(127)
        self.text = ""
        self.read_to = 0

    def says(self, pattern):
        """Waits for this in what comes after the last match."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            match = re.compile(pattern).search(self.text, self.read_to)
            if match:
                self.read_to = match.end()
                return match
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    self.text += os.read(self.fd, 65536).decode()
                except OSError:
                    break
        raise AssertionError(f"waited for {pattern!r} in {self.text[self.read_to:]!r}")

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        def look():
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            return [os.waitstatus_to_exitcode(status)] if pid else None
        return until(look, "the end of the program on the terminal")[0]

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close(self):
        os.close(self.fd)
