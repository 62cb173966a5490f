"""Where an attack takes place: a directory, a circus of root, and two users who run programs."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile

from harness import CIRCUS, Process

# Names and numbers of the two users; they are in no group but their own.
USERS = {"circus-test-a": 47001, "circus-test-b": 47002}
A, B = USERS


class Circus(Process):
    """A circus of root with a configuration; `sock` is its control socket."""

    def __init__(self, scene, ini, *options, before=(), name="circus.ini", **more):
        self.sock = scene.path("sock")
        path = scene.write(name, f"[circus]\nendpoint = {self.sock}\n{ini}")
        super().__init__([*before, CIRCUS, *options, path], cwd=scene.directory, **more)

    def ready(self):
        self.says("now waiting for commands|waiting for commands")
        return self

    def ctl(self, *words, timeout=20):
        """What `circus ctl` prints."""
        argv = [CIRCUS, "ctl", "--endpoint", self.sock, *words]
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=timeout)
        self.read()
        return done.stdout.decode(errors="replace").strip()

    def stop(self):
        """Ends it; the exit code."""
        self.send(signal.SIGTERM)
        return self.end()


class Scene:
    """A directory that everybody may enter and only root may write to, and what was started there."""

    def __init__(self, directory):
        self.directory = tempfile.mkdtemp(dir=directory)
        os.chmod(self.directory, 0o755)
        self.started = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text, mode=0o644, owner=None):
        """A file, by default root's, or that of one of the users."""
        path = self.path(name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        if owner:
            os.chown(path, USERS[owner], USERS[owner])
        return path

    def home(self, name="home", owner=A, mode=0o755):
        """A directory that belongs to a user."""
        path = self.path(name)
        os.mkdir(path)
        os.chown(path, USERS[owner], USERS[owner])
        os.chmod(path, mode)
        return path

    def secret(self, name="secret", text="only root's\n"):
        """A file of root's that nobody else may read or write."""
        return self.write(name, text, mode=0o600)

    def program(self, source=CIRCUS):
        """A copy that every user may run: the directories that it was built in may be closed to others."""
        path = self.path(os.path.basename(source))
        shutil.copy(source, path)
        os.chmod(path, 0o755)
        return path

    def circus(self, ini, *options, **more):
        """A circus of root that waits for commands."""
        circus = Circus(self, ini, *options, **more)
        self.started.append(circus.process)
        return circus.ready()

    def as_user(self, argv, user=A, **more):
        """Starts a program as a user."""
        uid = USERS[user]
        setpriv = ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--"]
        process = subprocess.Popen([*setpriv, *argv], stdin=subprocess.DEVNULL, cwd="/", **more)
        self.started.append(process)
        return process

    def python_as(self, program, user=A, **more):
        """Runs a Python program as a user to its end."""
        process = self.as_user([sys.executable, "-c", program], user, **more)
        return process.wait(60)
