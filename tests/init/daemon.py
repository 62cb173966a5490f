"""The daemon as PID 1 and not, without what it usually finds: orphans, every signal, nothing left at the end.

A part of run.py, which runs it.
"""

import contextlib
import os
import re
import signal
import subprocess
import tempfile

from harness import CIRCUS, NAMESPACE, Process, Terminal, alive, check, child_of, ctl_as, until

# What ends a daemon that is PID 1.
ENDS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGPWR, 37, 38)

# What a watcher's process leaves in a session of its own; it says its number when it is up.
CLEANS_UP = "trap 'echo cleaned up; exit' TERM; echo up $$; while :; do sleep 0.02; done"
STUBBORN = "trap '' TERM; echo up $$; while :; do sleep 0.02; done"
LEAVES = "setsid sh {0}/left & trap 'echo main has ended; exit' TERM; while :; do sleep 0.02; done"


class Daemon(Process):
    """A circus with a configuration of its own, whose log and output are read, and which answers."""

    def __init__(self, directory, ini, before=(), options=(), **more):
        self.sock = os.path.join(directory, "sock")
        path = os.path.join(directory, "circus.ini")
        with open(path, "w", encoding="utf-8") as file:
            file.write(ini.format(directory))
        super().__init__([*before, CIRCUS, *options, path], **more)
        # Below unshare, which waits for it.
        self.pid = child_of(self.process.pid) if before else self.process.pid

    def ctl(self, *words):
        argv = [CIRCUS, "ctl", "--endpoint", self.sock, *words]
        return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False).stdout.decode().strip()

    def stop(self, signum=signal.SIGTERM):
        os.kill(self.pid, signum)
        return self.end()

    def hurry(self):
        # All that come within the first second count as one.
        def said():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
            return "second request to stop" in self.read()
        until(said, "circus to hurry")
        return self.end()


def script(directory, name, text):
    with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
        file.write(text.replace("{0}", directory) + "\n")


def ini(*lines, endpoint="{0}/sock"):
    return "\n".join(["[circus]", f"endpoint = {endpoint}", "[watcher:w]", *lines, ""])


def orphans_are_reaped_quietly():
    text = ("i=0; while [ $i -lt 50 ]; do (sh -c 'exit 1' &); i=$((i+1)); done; "
            "until [ $(grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l) = 0 ]; do :; done; "
            "echo none left; exec sleep 1000")
    with tempfile.TemporaryDirectory() as directory:
        script(directory, "w", text)
        circus = Daemon(directory, ini("cmd = sh {0}/w"), before=NAMESPACE)
        circus.says("none left")
        until(lambda: circus.ctl("status", "w") == "active", "w to be active")
        check("daemon as PID 1: orphans are reaped", True)
        check("daemon as PID 1: SIGTERM ends it", circus.stop(), 0)
        check("daemon as PID 1: orphans are no news", len(re.findall(r"WARNING|ERROR", circus.text)), 0)


def any_signal():
    numbers = [number for number in range(1, 65) if number not in ENDS]
    text = f"for s in {' '.join(map(str, numbers))}; do kill -$s 1; done; echo all sent; exec sleep 1000"
    with tempfile.TemporaryDirectory() as directory:
        # bash, since dash knows no signal above 31
        script(directory, "w", text)
        circus = Daemon(directory, ini("cmd = bash {0}/w"), before=NAMESPACE)
        circus.says("all sent")
        check("daemon as PID 1: it survives every signal but those that end it", circus.ctl("status", "w"), "active")
        for number in numbers:
            if number not in (signal.SIGKILL, signal.SIGSTOP):
                os.kill(circus.pid, number)
        check("daemon as PID 1: and from outside of its namespace", circus.ctl("status", "w"), "active")
        check("daemon as PID 1: it ends in order after that", circus.stop(signal.SIGINT), 0)
    for number in ENDS:
        with tempfile.TemporaryDirectory() as directory:
            script(directory, "w", "trap 'echo asked to end; exit' TERM; echo up; while :; do sleep 0.02; done")
            circus = Daemon(directory, ini("cmd = sh {0}/w"), before=NAMESPACE)
            circus.says("(?m)^up$")
            check(f"daemon as PID 1: signal {int(number)} ends it in order", (circus.stop(number), "asked to end" in circus.text), (0, True))


def nothing_is_left(before, name):
    with tempfile.TemporaryDirectory() as directory:
        script(directory, "left", CLEANS_UP)
        script(directory, "w", LEAVES)
        circus = Daemon(directory, ini("cmd = sh {0}/w"), before=before)
        circus.says(r"up (\d+)")
        left = namesakes(directory)
        check(f"{name}: what processes have left runs", len(left) > 0)
        check(f"{name}: the exit code with something left", circus.stop(), 0)
        check(f"{name}: what is left may clean up, after the processes",
              re.search(r"main has ended.*waiting up to [0-9.]+ s for [^\n]*\bsh .*cleaned up", circus.text, re.DOTALL) is not None)
        check(f"{name}: and is gone", [pid for pid in left if alive(pid)], [])
    with tempfile.TemporaryDirectory() as directory:
        script(directory, "left", STUBBORN)
        script(directory, "w", LEAVES)
        circus = Daemon(directory, ini("cmd = sh {0}/w"), before=before)
        circus.says(r"up (\d+)")
        left = namesakes(directory)
        os.kill(circus.pid, signal.SIGTERM)
        circus.says("waiting up to")
        check(f"{name}: while it waits it answers", circus.ctl("status", "w"), "stopped")
        check(f"{name}: a second SIGTERM does not wait, if it comes after a second", circus.hurry(), 0)
        check(f"{name}: and kills what is left", [pid for pid in left if alive(pid)], [])


def namesakes(directory):
    """The processes, by our own numbers, that run what is left."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as line:
                if line.read().split(b"\0")[:2] == [b"sh", os.path.join(directory, "left").encode()]:
                    found.append(int(pid))
        except OSError:
            pass
    return found


def nothing_is_left_in_a_namespace():
    nothing_is_left(NAMESPACE, "daemon as PID 1")


def nothing_is_left_elsewhere():
    nothing_is_left((), "daemon not as PID 1")
    with tempfile.TemporaryDirectory() as directory:
        script(directory, "left", STUBBORN)
        script(directory, "w", LEAVES)
        circus = Daemon(directory, ini("cmd = sh {0}/w"))
        left = int(circus.says(r"up (\d+)").group(1))
        check("daemon not as PID 1: patience has an end", (circus.stop(), alive(left)), (0, False))


# The number 2 of a namespace has the children 3 to 62 there, and within that is another one, with the same /proc, where
# circus is the number 2, and the numbers behind it are those of bystanders.
FOREIGN = '''
sh -c 'n=0; while [ $n -lt 60 ]; do sleep 1000 & n=$((n+1)); done; wait' &
until [ "$(wc -w < /proc/2/task/2/children)" = 60 ]; do sleep 0.02; done
exec unshare --pid --fork --kill-child sh {0}/inner'''
BYSTANDERS = '''
$CIRCUS_COMMAND &
pids=; n=0; while [ $n -lt 60 ]; do sleep 1000 & pids="$pids $!"; n=$((n+1)); done
{wait}
wait 2; echo "code $?"
for pid in $pids; do kill -0 $pid || echo "$pid is gone"; done
echo all looked at'''


def proc_of_another_namespace():
    cases = (("daemon", f"{CIRCUS} {{0}}/circus.ini", "until grep -q 'is up' {0}/log; do sleep 0.02; done; kill -TERM 2"),
             ("run", f"{CIRCUS} run --grace 0.5 -- sh {{0}}/leaves", ""))
    for name, command, wait in cases:
        with tempfile.TemporaryDirectory() as directory:
            script(directory, "outer", FOREIGN)
            script(directory, "leaves", "setsid sleep 1000 & echo is up >> {0}/log; exit 0")
            script(directory, "w", "setsid sleep 1000 & sleep 1000 & echo is up >> {0}/log; wait")
            script(directory, "inner", BYSTANDERS.replace("{wait}", wait).replace("$CIRCUS_COMMAND", command))
            script(directory, "circus.ini", ini("cmd = sh {0}/w", "kill_mode = tree", "stop_children = True"))
            seen = Process([*NAMESPACE, "sh", os.path.join(directory, "outer")])
            seen.says("all looked at")
            check(f"{name} with a /proc of another namespace: it ends", "code 0" in seen.text)
            check(f"{name} with a /proc of another namespace: bystanders live on", seen.text.count("is gone"), 0)
            seen.process.kill()
            seen.end()


def humble():
    def within(root, *words):
        """A read-only root with only these programs and circus: no /proc, /dev, /run, /tmp, and no shell."""
        return ["sh", "-c", f"mount -t tmpfs none {root} && mkdir {root}/bin && cp {CIRCUS} /bin/sleep /bin/echo {root}/bin;"
                f" cp {root}.ini {root}/circus.ini; chmod 644 {root}/circus.ini;"
                f" for f in $(ldd {CIRCUS} /bin/sleep | grep -o '/[^ :)]*' | sort -u); do "
                f"mkdir -p {root}/$(dirname $f); cp $f {root}/$f; done; mount -o remount,ro {root}; exec " + " ".join(words)]

    text = ("[circus]\nendpoint = {0}\n[watcher:says]\ncmd = echo it runs\nmax_retry = 1\nautostart = {1}\n"
            "[watcher:stays]\ncmd = sleep 1000\n")
    abstract = f"@circus-test-{os.getpid()}"
    with tempfile.TemporaryDirectory() as root, open(f"{root}.ini", "w", encoding="utf-8") as file:
        for endpoint, name in (("none", "without a control socket"), (abstract, "with an abstract one")):
            file.seek(0)
            file.truncate()
            file.write(text.format(endpoint, True))
            file.flush()
            argv = within(root, "chroot --userspec=65534:65534", root, "/bin/circus /circus.ini")
            circus = Process([*NAMESPACE, "--mount", *argv])
            circus.says("(?m)^it runs$")
            circus.says("stays started")
            if endpoint == abstract:
                status = ctl_as(65534, CIRCUS, "--endpoint", abstract, "status", "stays")
                check("daemon in a read-only root: an abstract control socket answers its user", status, b"active\n")
                status = ctl_as(0, CIRCUS, "--endpoint", abstract, "status", "stays")
                check("and root is not led to what another user may have put there", status, b"")
            os.kill(child_of(circus.process.pid), signal.SIGTERM)
            check(f"daemon as another user in a read-only root, {name}", circus.end(), 0)
            check(f"daemon as another user in a read-only root, {name}: nothing to complain about",
                  re.findall(r".*(?:WARNING|ERROR).*", circus.text), [])
        argv = within(root, "chroot", root, "/bin/circus /circus.ini 0<&- 1>&- 2>&-")
        circus = Process([*NAMESPACE, "--mount", *argv])
        init = child_of(circus.process.pid)
        until(lambda: any("sleep" in name for name in programs(init)), "sleep to run")
        os.kill(init, signal.SIGTERM)
        check("daemon with closed standard descriptors and no /dev/null", circus.end(), 0)
    os.remove(f"{root}.ini")


def programs(parent):
    names = []
    with open(f"/proc/{parent}/task/{parent}/children", encoding="utf-8") as file:
        for pid in file.read().split():
            # It may have ended meanwhile.
            with contextlib.suppress(OSError), open(f"/proc/{pid}/comm", encoding="utf-8") as comm:
                names.append(comm.read())
    return names


def in_the_foreground():
    with tempfile.TemporaryDirectory() as directory:
        circus = Daemon(directory, ini("cmd = sleep 1000"), before=NAMESPACE, options=["--daemon"])
        circus.says("--daemon has no effect")
        until(lambda: circus.ctl("status", "w") == "active", "w to be active")
        check("daemon as PID 1: --daemon does not end the namespace", circus.stop(), 0)
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "circus.ini")
        with open(path, "w", encoding="utf-8") as file:
            file.write(ini("cmd = sleep 1000").format(directory))
        terminal = Terminal(*NAMESPACE, CIRCUS, path)
        terminal.says("w started")
        init = child_of(terminal.pid)
        processes = until(lambda: children(init), "the process of w")
        terminal.type("\x03")
        check("daemon as PID 1 on a terminal: ^C ends it", terminal.end(), 0)
        check("daemon as PID 1 on a terminal: and its processes", [pid for pid in processes if alive(pid)], [])
        terminal.close()


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as file:
        return [int(child) for child in file.read().split()]


PARTS = (orphans_are_reaped_quietly, any_signal, nothing_is_left_in_a_namespace, nothing_is_left_elsewhere,
         proc_of_another_namespace, humble, in_the_foreground)
