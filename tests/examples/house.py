"""A machine of its own for the examples: namespaces in which /etc, /usr/local, /run and all ports are free for them.

What is installed there goes to layers in memory; nothing of it reaches the machine below.
"""

import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "init"))

from harness import CIRCUS, PATIENCE, ROOT, TARGET, Process, check, get, until  # noqa: E402

EXAMPLES = os.path.join(os.path.abspath(ROOT), "examples")
VENV = os.path.abspath(os.environ.get("CIRCUS_TEST_VENV") or os.path.join(TARGET, "venv"))
INSTALLED = "/usr/local/bin/circus"
CONFIG = "/etc/circus/circus.ini"
INSIDE = "CIRCUS_EXAMPLES_INSIDE"
SIOCSIFFLAGS, IFF_UP = 0x8914, 1

# Every file that a test has run, by its name below examples/.
seen = set()


def example(name):
    """The path of an example, which counts as run."""
    seen.add(name)
    return os.path.join(EXAMPLES, name)


def text_of(name):
    with open(example(name), encoding="utf-8") as file:
        return file.read()


def enter():
    """Runs this program again in namespaces of its own, and makes them ready; comes back only there."""
    if INSIDE not in os.environ:
        command = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
        os.execvpe("unshare", [*command, sys.executable, "-B", *sys.argv], os.environ | {INSIDE: "1"})
    layers = tempfile.mkdtemp(prefix="circus-examples-")
    mount("-t", "tmpfs", "none", layers)
    for place in ("etc", "usr/local"):
        upper, work = (os.path.join(layers, place, part) for part in ("upper", "work"))
        os.makedirs(upper)
        os.makedirs(work)
        mount("-t", "overlay", "overlay", "-o", f"lowerdir=/{place},upperdir={upper},workdir={work}", f"/{place}")
    # The mounts keep what they need, and nothing is left in /tmp however this ends.
    subprocess.run(["umount", "--lazy", layers], check=True)
    os.rmdir(layers)
    mount("-t", "tmpfs", "-o", "mode=755", "none", "/run")
    os.makedirs(os.path.dirname(CONFIG))
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))
    # What the examples say without a path is found where it is installed, and in the venv.
    os.environ["PATH"] = os.pathsep.join([f"{VENV}/bin", os.path.dirname(INSTALLED), os.environ["PATH"], "/usr/sbin", "/sbin"])
    for name in ("CIRCUSCTL_ENDPOINT", "NOTIFY_SOCKET", "XDG_RUNTIME_DIR"):
        os.environ.pop(name, None)


def mount(*words):
    subprocess.run(["mount", *words], check=True)


def make_install(*variables):
    """Installs the binary under test, without building anything."""
    words = ["make", "-C", ROOT, "--no-print-directory", "--old-file=build", "install", f"circus={CIRCUS}", *variables]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(words)}: {done.stdout}")


def ctl(*words, circus=INSTALLED, **more):
    """The exit code and the output of `circus ctl`, which finds the one circus that runs here."""
    done = subprocess.run([circus, "ctl", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, timeout=PATIENCE, **more)
    return done.returncode, done.stdout.strip()


class Daemon(Process):
    """A circus below this test, or something that leads to one, which is to be healthy and to end in order."""

    def __init__(self, name, argv, **more):
        super().__init__(argv, **more)
        self.name = name

    def healthy(self):
        """Waits until `circus ctl status --check`, as it is typed, is content."""
        until(lambda: self.process.poll() is None and ctl("status", "--check")[0] == 0, f"{self.name} to be healthy: {self.read()}")
        check(f"{self.name}: healthy", True)

    def stop(self, quietly=True):
        self.send(signal.SIGTERM)
        check(f"{self.name}: ends in order", self.end(), 0)
        if quietly:
            complaints = [line for line in self.text.splitlines() if "[WARNING]" in line or "[ERROR]" in line]
            check(f"{self.name}: nothing to complain about", complaints, [])

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def run_ini(name, path, cwd):
    """A circus on a configuration, which `circus check` has nothing against."""
    done = subprocess.run([INSTALLED, "check", path], cwd=cwd, stdout=subprocess.PIPE, text=True, check=False)
    check(f"{name}: circus check finds no error", (done.returncode, "0 errors" in done.stdout), (0, True))
    return Daemon(name, [INSTALLED, path], cwd=cwd)


def copied(name, directory):
    """A copy of an example, with all that lies below it, in a directory that may be written to."""
    path = os.path.join(directory, os.path.basename(name))
    source = os.path.join(EXAMPLES, name)
    if os.path.isdir(source):
        shutil.copytree(source, path)
        seen.update(os.path.relpath(os.path.join(where, file), EXAMPLES) for where, _, files in os.walk(source) for file in files)
    else:
        shutil.copy(example(name), path)
    return path
