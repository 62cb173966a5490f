"""scale.py N each|one|off: how one circus fares with N watchers of one process, with N processes of one watcher, or with N
sections that are not started. CIRCUS_BIN names the binary. docs/scale.md says what came of it; its times depend on what else
the machine does, so several sizes are run one after the other."""
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

BINARY = os.environ.get("CIRCUS_BIN", "circus")
CHILD = "#include <unistd.h>\nint main(void) { for (;;) pause(); }\n"
KILLED = 200


class Circus:
    def __init__(self, directory, count, mode):
        self.directory, self.count, self.mode = directory, count, mode
        self.endpoint, self.config = f"ipc://{directory}/socket", f"{directory}/scale.ini"
        self.child = f"{directory}/child"
        subprocess.run(["gcc", "-O2", "-static", "-s", "-x", "c", "-", "-o", self.child], input=CHILD, text=True, check=True)
        self.write(10)

    def write(self, patience):
        """The configuration; `patience` is the graceful_timeout of one watcher."""
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(f"[circus]\nendpoint = {self.endpoint}\n")
            if self.mode == "one":
                file.write(f"[watcher:w]\ncmd = {self.child}\nnumprocesses = {self.count}\n")
                return
            more = "autostart = False\n" if self.mode == "off" else ""
            for n in range(self.count):
                own = f"graceful_timeout = {patience}\n" if n == 5 else ""
                file.write(f"[watcher:w{n}]\ncmd = {self.child}\n{more}{own}")

    def start(self):
        """Seconds until all run, or all are known."""
        begin = time.monotonic()
        with open(f"{self.directory}/log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen([BINARY, self.config], stdout=log, stderr=log)
        while not (self.knows_all() if self.mode == "off" else len(self.children()) >= self.count):
            time.sleep(0.05)
        return time.monotonic() - begin

    def knows_all(self):
        return self.ask("numwatchers")[1].strip() == str(self.count)

    def children(self):
        pid = self.process.pid
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return file.read().split()

    def ask(self, *words):
        """Seconds, and the answer."""
        begin = time.monotonic()
        command = [BINARY, "ctl", "--endpoint", self.endpoint, "--timeout", "60", *words]
        answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        return time.monotonic() - begin, answer

    def cpu(self):
        """Milliseconds of processor time so far."""
        with open(f"/proc/{self.process.pid}/schedstat", encoding="ascii") as file:
            return int(file.read().split()[0]) / 1e6

    def memory(self):
        """KiB that it has for itself."""
        with open(f"/proc/{self.process.pid}/smaps_rollup", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("Anonymous:"))

    def cost(self, act):
        """Milliseconds of its processor time, and what `act` gives."""
        before = self.cpu()
        result = act()
        return round(self.cpu() - before, 2), result

    def deaths(self):
        """Some processes are killed; until all are replaced."""
        victims = random.sample(self.children(), min(KILLED, self.count))
        for pid in victims:
            os.kill(int(pid), signal.SIGKILL)
        while len(now := set(self.children())) < self.count or now & set(victims):
            time.sleep(0.05)
        return len(victims)


def main(count, mode):
    with tempfile.TemporaryDirectory() as directory:
        circus = Circus(directory, count, mode)
        print(f"{count} {mode}: up after {circus.start():.2f} s, {circus.cpu():.0f} ms of processor time")
        time.sleep(2)  # what is written a little later is part of the start
        print(f"memory: {circus.memory()} KiB")
        cpu, (seconds, _) = circus.cost(lambda: circus.ask("status"))
        print(f"status: {seconds * 1e3:.0f} ms, {cpu} ms of processor time")
        if mode == "each":
            cpu, times = circus.cost(lambda: [circus.ask("status", "w7")[0] for _ in range(20)])
            print(f"status NAME: {min(times) * 1e3:.1f} ms, {cpu / 20:.3f} ms of processor time")
            cpu, (_, text) = circus.cost(lambda: circus.ask("metrics"))
            print(f"metrics: {len(text)} bytes, {text.count(chr(10))} lines, {cpu} ms of processor time")
            circus.write(11)
            cpu, (seconds, _) = circus.cost(lambda: circus.ask("reloadconfig"))
            print(f"reloadconfig, one changed: {seconds * 1e3:.0f} ms, {cpu} ms of processor time")
        if mode != "off":
            cpu, killed = circus.cost(circus.deaths)
            print(f"a death of {killed} at once: {cpu * 1e3 / killed:.0f} us of processor time")
            cpu, (seconds, _) = circus.cost(lambda: circus.ask("stop", "--waiting"))
            print(f"stop --waiting: {seconds:.2f} s, {cpu} ms of processor time")
        circus.ask("quit")
        circus.process.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
