"""What is done to a circus at random: what an administrator does, what processes do, and what machines do to it."""

import contextlib
import errno
import os
import resource
import signal
import subprocess
import time

HALF = b'{"id": "half", "command": "sta'


class Acts:
    """On a yard, by a source of chance."""

    def __init__(self, yard, chance):
        self.yard, self.chance = yard, chance

    # by whoever runs it

    def resize(self):
        count = self.chance.randint(0, 5)
        self.yard.order("steady", count, "set", options={"numprocesses": count}, waiting=self.chance.random() < 0.3)

    def toggle(self):
        command = self.chance.choice(("start", "stop"))
        self.yard.order("hooked", int(command == "start"), command)

    def extra(self):
        if self.yard.wanted.get("extra") or self.chance.random() < 0.3:
            self.yard.order("extra", 0, "rm")
        else:
            options = {"numprocesses": 2, "graceful_timeout": 1, "max_retry": -1}
            self.yard.order("extra", 2, "add", cmd=self.yard.path("sleep") + " 1005", options=options, start=True)

    def renew(self):
        self.yard.ask(self.chance.choice(("reload", "restart")), name=self.chance.choice(("web", "tree", "talker", "steady")))

    def reread(self):
        """The file has another option each time, and again as many processes as it says."""
        timeout = self.chance.randint(1, 3)
        text = self.yard.text("circus.ini")
        self.yard.write("circus.ini", "\n".join(f"hook_timeout = {timeout}" if line.startswith("hook_timeout") else line
                                                for line in text.splitlines()) + "\n")
        self.yard.ask("reloadconfig", waiting=True)

    def talk(self):
        self.yard.talk()

    def look(self):
        """Somebody follows output or events for a moment, and leaves without a word."""
        command = self.chance.choice((("tail", "talker", "-f"), ("listen",)))
        argv = [self.yard.daemon.args[0], "ctl", "--endpoint", self.yard.path("run/sock"), *command]
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as ctl:
            self.yard.talk()
            ctl.kill()

    def half(self):
        """Clients that do not finish their line; some stay, some go."""
        for _ in range(self.chance.randint(1, 20)):
            with contextlib.suppress(OSError):
                client = self.yard.connect()
                client.setblocking(False)
                self.yard.held.append(client)
                client.send(HALF + b" " * self.chance.choice((0, 0, 60_000, 150_000)))
        for client in self.yard.held[::2]:
            client.close()

    def knock(self):
        with contextlib.suppress(OSError):
            self.yard.connect(self.chance.choice(("run/lazy.sock", "run/web.sock"))).close()

    # by processes

    def victims(self):
        found = [pid for pid, state, line in self.yard.others() if state != "Z" and self.yard.watcher_of(line)]
        return self.chance.sample(found, min(len(found), self.chance.randint(1, 3)))

    def crash(self):
        for pid in self.victims():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, self.chance.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV)))

    def freeze(self):
        """Processes are stopped; who asks for new ones gets them all the same."""
        for pid in self.victims():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                self.yard.stopped.append(pid)
        if self.chance.random() < 0.5:
            self.renew()

    # by the machine

    def backlog(self):
        """Much output waits when circus goes on: the buffer for reading is memory as deep as it was ever filled."""
        os.kill(self.yard.pid, signal.SIGSTOP)
        for _ in range(5):
            self.talk()
        os.kill(self.yard.pid, signal.SIGCONT)

    def kill(self):
        """SIGKILL, and started again; that may be refused while something is missing, but not without a reason."""
        if not self.yard.alive():
            return
        self.yard.excuse()
        os.kill(self.yard.pid, signal.SIGKILL)
        self.yard.daemon.wait()
        if self.chance.random() < 0.5:
            self.crash()
        if not self.yard.start():
            code = self.yard.daemon.wait()
            if code not in (100, 111) or not self.yard.text("log").strip():
                self.yard.wrong.append(f"does not start: exit code {code}, {self.yard.text('log')[-200:]!r}")

    def pause(self):
        """SIGSTOP; the world goes on; SIGCONT."""
        if not self.yard.alive():
            return
        os.kill(self.yard.pid, signal.SIGSTOP)
        self.chance.choice((self.crash, self.half, self.talk))()
        time.sleep(self.chance.random() / 3)
        os.kill(self.yard.pid, signal.SIGCONT)

    def fill(self):
        with open(self.yard.path("disk/filler"), "wb", buffering=0) as file:
            while True:
                try:
                    file.write(bytes(4096))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    break
        for _ in range(self.chance.choice((1, 1, 30))):
            self.talk()

    def limit(self, what, value):
        """The soft limit; the hard one is left for the way back. A program that is started has it, too."""
        with contextlib.suppress(ProcessLookupError):
            _, hard = resource.prlimit(self.yard.pid, what)
            resource.prlimit(self.yard.pid, what, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))

    def descriptors(self):
        taken = set(os.listdir(f"/proc/{self.yard.pid}/fd")) if self.yard.alive() else set()
        free = next(number for number in range(1, 10000) if str(number) not in taken)
        # dash has its own above 10.
        self.limit(resource.RLIMIT_NOFILE, max(16, free + self.chance.randint(0, 3)))

    def memory(self):
        if self.yard.alive():
            size = int(self.yard.text(f"/proc/{self.yard.pid}/statm").split()[0]) * resource.getpagesize()
            self.limit(resource.RLIMIT_AS, size + self.chance.choice((0, 100_000, 3_000_000)))

    def no_logs(self):
        """The directory of the logs is moved away, or removed with what is in it."""
        if self.chance.random() < 0.5:
            self.yard.excuse()
            self.yard.remove("disk/logs")
        else:
            with contextlib.suppress(FileNotFoundError):
                self.yard.gone += 1
                os.rename(self.yard.path("disk/logs"), self.yard.path(f"disk/gone.{self.yard.gone}"))

    def no_sockets(self):
        self.yard.remove("run")

    def heal(self):
        """Everything is there again, and circus is told so where it cannot know."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.yard.path("disk/filler"))
        for name in ("run", "disk/logs"):
            os.makedirs(self.yard.path(name), exist_ok=True)
        for client in self.yard.held:
            client.close()
        self.yard.held.clear()
        for pid in self.yard.stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.yard.stopped.clear()
        if not self.yard.alive() and not self.yard.start():
            self.yard.wrong.append(f"does not start: {self.yard.text('log')[-300:]}")
            return
        self.limit(resource.RLIMIT_NOFILE, 1024)
        self.limit(resource.RLIMIT_AS, resource.RLIM_INFINITY)
        os.kill(self.yard.pid, signal.SIGUSR1)
        self.yard.until(lambda: self.yard.ask("numwatchers"), 5)
        self.yard.ask("reloadconfig", waiting=True)

    ORDERS = (resize, toggle, extra, renew, reread, talk, look, half, knock, crash)
    HARM = (kill, kill, pause, fill, descriptors, memory, no_logs, no_sockets, freeze, half)
