#!/usr/bin/env python3
"""Runs `circus run`, the init of one command: exit codes, signals, orphans, the sweep, terminals, PID 1. Then the
daemon in the same places (daemon.py), and the static binary where nothing else is (static.py).

CIRCUS_BIN is the binary, by default target/release/circus (below CARGO_TARGET_DIR if that is set). Needs root, for
namespaces of its own. One line a check, then `N passed, N failed`. Nothing sleeps to let something happen: every
step waits for what it wants to see, up to a deadline.
"""

import fcntl
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import termios

import daemon
import static
from harness import CIRCUS, NAMESPACE, PATIENCE, Process, Terminal, alive, check, child_of, counts, until


class Run(Process):
    """A `circus run` whose output is read."""

    def __init__(self, *words, options=(), before=(), **more):
        super().__init__([*before, CIRCUS, "run", *options, "--", *words], **more)


def sh(text, **more):
    return Run("sh", "-c", text, **more)


# 32 and 33 are the C library's: a program that uses it cannot receive them.
NUMBERS = sorted(set(range(1, 65)) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, 32, 33})

# SIGPWR, SIGRTMIN+3, SIGRTMIN+4: what container managers send to PID 1.
HALTS = (30, 37, 38)

LISTENER = f"""
import os, signal
def got(number, frame):
    print("got", number, flush=True)
    if number == signal.SIGTERM: os._exit(7)
for number in {NUMBERS}:
    signal.signal(number, got)
# pause() would miss a signal that comes just before it
seen, told = os.pipe()
os.set_blocking(told, False)
signal.set_wakeup_fd(told)
print("ready", flush=True)
while True: os.read(seen, 64)
"""


def exit_codes():
    check("the exit code is that of the command", sh("exit 42").end(), 42)
    check("a signal is 128 and its number", sh("kill -9 $$").end(), 137)
    run = Run("no-such-program")
    check("no such program is 127", run.end(), 127)
    check("and says so", "exec no-such-program: No such file or directory" in run.read())
    run = Run("/etc/passwd")
    check("what cannot be run is 126", run.end(), 126)
    check("and says why", "exec /etc/passwd: Permission denied" in run.read())
    check("no command is 125", subprocess.run([CIRCUS, "run"], stderr=subprocess.PIPE).returncode, 125)
    check("options of the command are its own", Run("echo", "--grace", "-g").says("--grace -g\n") is not None)


def every_signal(run, pid):
    """Sends a circus all signals that a command can get, but for the one that ends it."""
    for number in NUMBERS:
        if number != signal.SIGTERM:
            os.kill(pid, number)
            run.says(f"got {number}\\b")


def signals():
    run = Run(sys.executable, "-c", LISTENER)
    run.says("ready")
    every_signal(run, run.process.pid)
    check(f"{len(NUMBERS)} signals reach the command", True)
    run.send(signal.SIGTERM)
    check("SIGTERM too, and its exit code comes back", run.end(), 7)

    run = Run(sys.executable, "-c", LISTENER, options=["--remap", "TERM:QUIT", "--remap", "HUP:0"])
    run.says("ready")
    run.send(signal.SIGHUP)
    run.send(signal.SIGTERM)
    run.says(f"got {signal.SIGQUIT}")
    check("--remap changes a signal", f"got {signal.SIGTERM}\n" not in run.text)
    check("--remap drops a signal", f"got {signal.SIGHUP}\n" not in run.text)
    run.send(signal.SIGKILL)
    run.process.wait(PATIENCE)

    family = "trap : TERM; sh -c 'trap \"echo grandchild; exit\" TERM; echo ready; while :; do sleep 0.05; done' & wait; wait"
    run = sh(family, options=["--group"])
    run.says("ready")
    run.send(signal.SIGTERM)
    run.says("grandchild")
    check("--group signals the whole group", run.end(), 0)

    check("nothing is blocked or ignored in the command", signals_of_command((), ()), (set(), set()))
    blocked = {signal.SIGUSR1, signal.SIGTERM, signal.SIGCHLD, signal.SIGRTMAX}
    ignored = {signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE}
    check("what is blocked or ignored stays so in the command", signals_of_command(blocked, ignored), (blocked, ignored))


def signals_of_command(blocked, ignored):
    """The signals that are blocked and ignored in the command of a circus that was started with these."""
    def prepare():
        # Whoever runs the tests may have some ignored already, and those of the C library stay as they are.
        for number in NUMBERS + [signal.SIGCHLD]:
            signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    run = Run("grep", "Sig", "/proc/self/status", preexec_fn=prepare, restore_signals=True)
    check("the end of the command is seen whatever is ignored", run.end(), 0)
    return tuple({number for number in NUMBERS + [signal.SIGCHLD] if int(re.search(f"{name}:\\s+(\\w+)", run.text).group(1), 16) >> number - 1 & 1}
                 for name in ("SigBlk", "SigIgn"))


def what_is_inherited():
    with tempfile.TemporaryFile() as file:
        os.set_inheritable(file.fileno(), True)
        text = f"test -e /proc/self/fd/{file.fileno()} && echo there"
        run = sh(text, pass_fds=[file.fileno()])
        check("descriptors are inherited", run.says("there") is not None)
    text = f"LISTEN_PID=$$ LISTEN_FDS=1 exec {CIRCUS} run sh -c 'test $LISTEN_PID = $$ && echo mine'"
    found = subprocess.run(["sh", "-c", text], stdout=subprocess.PIPE).stdout
    check("LISTEN_PID follows to the command", found, b"mine\n")
    text = f"LISTEN_PID=$$ LISTEN_PIDFDID=1 WATCHDOG_PID=$$ WATCHDOG_USEC=7 exec {CIRCUS} run sh -c "
    text += "'test $WATCHDOG_PID = $$ && echo ${LISTEN_PIDFDID-none} $WATCHDOG_USEC'"
    found = subprocess.run(["sh", "-c", text], stdout=subprocess.PIPE).stdout
    check("WATCHDOG_PID too, and no other number of circus is left", found, b"none 7\n")
    env = {"PATH": os.environ["PATH"], "LISTEN_PID": "1", "LISTEN_PIDFDID": "1", "WATCHDOG_PID": "1"}
    found = subprocess.run([CIRCUS, "run", "env"], env=env, stdout=subprocess.PIPE).stdout.decode().split()
    check("what is meant for others is left as it is", sorted(found), sorted("=".join(pair) for pair in env.items()))
    odd = {b"PATH": os.environb[b"PATH"], b"B\xff": b"=\xfe=", b"lower case": b""}
    found = subprocess.run([CIRCUS, "run", "env", "-0"], env=odd, stdout=subprocess.PIPE).stdout
    check("the environment is inherited as it is", sorted(found.split(b"\0")[:-1]),
          sorted(name + b"=" + value for name, value in odd.items()))
    with tempfile.TemporaryDirectory() as directory:
        os.symlink("/bin/sh", os.path.join(directory, "tool"))
        run = Run("./tool", "-c", "pwd; exec sleep 1000", cwd=directory)
        check("the working directory stays", run.says(f"^{directory}\n") is not None)
        until(lambda: os.readlink(f"/proc/{run.process.pid}/cwd") == "/", "circus to leave the directory")
        check("but circus itself keeps no directory busy", True)
        run.send(signal.SIGTERM)
        run.end()


def orphans():
    run = sh("for i in 1 2 3 4 5 6 7 8 9 10; do (sh -c 'sleep 0.01' &); done; echo $$ ready; read never < /dev/zero & "
             "trap 'kill $!; exit 3' TERM; wait")
    main = int(run.says(r"(\d+) ready").group(1))

    def children():
        with open(f"/proc/{run.process.pid}/task/{run.process.pid}/children", encoding="utf-8") as file:
            return file.read().split()

    check("orphans are reaped while the command runs", bool(until(lambda: children() == [str(main)], "no orphan")))
    run.send(signal.SIGTERM)
    check("and its code comes back", run.end(), 3)


# They make the file $UP when they are ready.
CLEANS_UP = "trap 'echo cleaned up; exit' TERM; echo $$ > $UP.new; mv $UP.new $UP; while :; do sleep 0.02; done"
STUBBORN = CLEANS_UP.replace("'echo cleaned up; exit' TERM", "'' TERM INT")


def leaves(text, code, directory, **more):
    """A command that leaves this in a session of its own, and ends when that is up; and the pid of it."""
    up = os.path.join(directory, "up")
    script = os.path.join(directory, "left.sh")
    with open(script, "w", encoding="utf-8") as file:
        file.write(text)
    run = sh(f"setsid sh {script} & until test -e {up}; do sleep 0.01; done; exit {code}",
             env={**os.environ, "UP": up}, **more)
    until(lambda: os.path.exists(up), "what is left to be up")
    with open(up, encoding="utf-8") as file:
        return run, int(file.read())


def sweep():
    with tempfile.TemporaryDirectory() as directory:
        run, left = leaves(CLEANS_UP, 4, directory)
        check("the exit code is that of the command when something is left", run.end(), 4)
        check("what is left may clean up", "cleaned up" in run.text)
        check("and is gone", alive(left), False)
    with tempfile.TemporaryDirectory() as directory:
        run, left = leaves(STUBBORN, 5, directory, options=["--grace", "0.1"])
        check("the exit code is that of the command when something is killed", run.end(), 5)
        check("what ignores SIGTERM is killed", alive(left), False)
    with tempfile.TemporaryDirectory() as directory:
        run, left = leaves(CLEANS_UP.replace("while", "kill -STOP $$; while"), 0, directory)
        check("what is stopped is told too", (run.end(), alive(left)), (0, False))

    run = sh("sleep 1000 & echo left $!; exit 6", options=["--no-sweep"])
    check("--no-sweep ends at once", run.process.wait(PATIENCE), 6)
    left = int(run.says(r"left (\d+)").group(1))
    check("--no-sweep leaves the rest alone", alive(left))
    os.kill(left, signal.SIGKILL)

    with tempfile.TemporaryDirectory() as directory:
        go = os.path.join(directory, "go")
        text = CLEANS_UP.replace("echo cleaned up", f"echo asked; until test -e {go}; do sleep 0.01; done; echo cleaned up")
        run, left = leaves(text.replace("exit'", "echo asked; exit'"), 8, directory, options=["--grace", "1000"])
        run.says("asked")
        at_once(run, signal.SIGTERM, signal.SIGINT)
        with open(go, "w", encoding="utf-8"):
            pass
        check("two requests to end at once are one, and no hurry", (run.end(), "cleaned up" in run.text), (8, True))

    run = sh("sh -c 'trap \"\" TERM; echo up $$; while :; do sleep 0.02; done' & wait", options=["--grace", "1000"])
    left = int(run.says(r"up (\d+)").group(1))
    run.send(signal.SIGTERM)
    until(lambda: os.path.exists(f"/proc/{left}") and parent(left) == run.process.pid, "the sweep")
    until(lambda: run.send(signal.SIGTERM) or run.process.poll() is not None, "the end")
    check("a SIGTERM a second after the first does not wait", run.end(), 143)
    check("and kills what is left", alive(left), False)


def at_once(run, *numbers):
    """Lets a circus find these signals together, and waits until it has taken them."""
    run.send(signal.SIGSTOP)
    for number in numbers:
        run.send(number)
    run.send(signal.SIGCONT)

    def taken():
        with open(f"/proc/{run.process.pid}/status", encoding="utf-8") as status:
            waits = int(re.search(r"ShdPnd:\s+(\w+)", status.read()).group(1), 16)
        return not any(waits >> number - 1 & 1 for number in numbers)
    until(taken, "signals to be taken")


def parent(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        return int(stat.read().rsplit(")", 1)[1].split()[1])


def pid_one():
    run = sh("echo $$ parent $PPID; exit 9", before=NAMESPACE)
    check("as PID 1: the exit code", run.end(), 9)
    check("as PID 1: the command is its child", "2 parent 1" in run.text or "parent 1" in run.text)
    run = sh("trap 'exit 11' TERM; "
             "setsid sh -c 'trap \"echo cleaned up; exit\" TERM; echo up; while :; do sleep 0.02; done' & wait", before=NAMESPACE)
    run.says("up")
    init = child_of(run.process.pid)
    os.kill(init, signal.SIGTERM)
    check("as PID 1: the code of a command that was asked to end", run.end(), 11)
    check("as PID 1: others in sessions of their own may clean up", "cleaned up" in run.text)

    for number in HALTS:
        run = sh("trap 'exit 11' TERM; echo up; while :; do sleep 0.02; done", before=NAMESPACE)
        run.says("up")
        os.kill(child_of(run.process.pid), number)
        check(f"as PID 1: signal {number} is a request to end", run.end(), 11)

    as_it_is = [word for number in HALTS for word in ("--remap", f"{number}:{number}")]
    run = Run(sys.executable, "-c", LISTENER, options=as_it_is, before=NAMESPACE)
    run.says("ready")
    init = child_of(run.process.pid)
    every_signal(run, init)
    for number in (signal.SIGSTOP, signal.SIGCHLD):
        os.kill(init, number)
    os.kill(init, signal.SIGCONT)
    os.kill(init, signal.SIGTERM)
    check(f"as PID 1: {len(NUMBERS)} signals reach the command", run.end(), 7)

    # bash, since dash knows no signal above 31; 32 and 33 would end any command that uses the C library
    run = Run("bash", "-c", f"trap : {' '.join(map(str, NUMBERS))}; "
              "for s in {1..64}; do case $s in 32|33|30|37|38) ;; *) kill -$s 1;; esac; done; echo all sent; exit 3", before=NAMESPACE)
    check("as PID 1: what its own command sends it does not end it", (run.end(), "all sent" in run.text), (3, True))

    run = sh("i=0; while [ $i -lt 50 ]; do (sh -c 'exit 1' &); i=$((i+1)); done; "
             "until [ $(grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l) = 0 ]; do :; done; echo none",
             before=NAMESPACE)
    check("as PID 1: no zombie stays", run.says("none") is not None)
    run.end()


def humble():
    run = Run("id", "-u", user=65534, group=65534, extra_groups=[])
    check("as another user", (run.end(), run.read()), (0, "65534\n"))
    with tempfile.TemporaryDirectory() as root:
        script = (f"mount -t tmpfs none {root} && mkdir {root}/bin && cp {CIRCUS} /bin/true {root}/bin;"
                  f" for f in $(ldd {CIRCUS} /bin/true | grep -o '/[^ :)]*' | sort -u); do "
                  f"mkdir -p {root}/$(dirname $f); cp $f {root}/$f; done; mount -o remount,ro {root}; "
                  f"exec chroot {root} /bin/circus run /bin/true")
        run = subprocess.run([*NAMESPACE, "--mount", "sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             stdin=subprocess.DEVNULL, check=False)
        check("in a read-only root without /proc, /dev and /tmp", (run.returncode, run.stdout), (0, b""))


FOREGROUND = "import os, sys; print('fg', os.tcgetpgrp(0) == os.getpgrp(), os.getpgrp() == os.getpid(), flush=True); "
KEYS = FOREGROUND + """
import select, signal
def got(number, frame): print("got", signal.Signals(number).name, flush=True)
for s in (2, 3, 28, 18): signal.signal(s, got)
seen, told = os.pipe()
os.set_blocking(told, False)
signal.set_wakeup_fd(told, warn_on_full_buffer=False)
print("ready", flush=True)
while 0 not in select.select([0, seen], [], [])[0]: os.read(seen, 64)
print("read", input(), flush=True)
sys.exit(13)
"""


def terminals():
    leader = Terminal(CIRCUS, "run", "--", sys.executable, "-c", KEYS)
    check("as a session's leader: the command gets the foreground, in a group of its own",
          leader.says(r"fg (\w+) (\w+)").groups(), ("True", "True"))
    leader.says("ready")
    leader.type("\x03")
    leader.says("got SIGINT")
    leader.type("\x1c")
    leader.says("got SIGQUIT")
    leader.resize(10, 20)
    leader.says("got SIGWINCH")
    check("as a session's leader: keys and the size of the window reach the command", True)
    leader.type("\x1a")
    leader.says("got SIGCONT")
    check("as a session's leader: what ^Z stops goes on, since nobody could continue it", True)
    leader.type("hello\n")
    leader.says("read hello")
    check("as a session's leader: the command reads from the terminal", leader.end(), 13)
    check("as a session's leader: no signal came twice", leader.text.count("got SIGINT"), 1)
    leader.close()

    shell = Terminal("bash", "--norc", "--noprofile", "-i", PS1="[$?]> ")
    shell.says(r"> ")
    script = tempfile.NamedTemporaryFile("w", suffix=".py")
    script.write(FOREGROUND + "print('read', input()); print('read', input())")
    script.flush()
    shell.type(f"{CIRCUS} run -- {sys.executable} {script.name}\n")
    check("as a shell's job: the command is in the foreground", shell.says(r"fg (\w+) (\w+)").group(1), "True")
    shell.type("one\n")
    shell.says("read one")
    shell.type("\x1a")
    shell.says("Stopped")
    shell.says(r"> ")
    check("as a shell's job: ^Z stops the job", True)
    shell.type("jobs; fg\n")
    shell.says("fg\r\n")
    shell.says("circus run")
    shell.type("two\n")
    shell.says("read two")
    shell.says(r"\[0\]> ")
    check("as a shell's job: fg continues it", True)
    shell.type(f"{CIRCUS} run sleep 1000\n")
    shell.says("sleep 1000\r\n")
    until(lambda: b"sleep" in foreground_command(shell.fd), "sleep in the foreground")
    shell.type("\x03")
    shell.says(r"\[130\]> ")
    check("as a shell's job: ^C ends it, with the code of a signal", True)
    shell.type(f"echo x | {CIRCUS} run cat | {CIRCUS} run cat | {CIRCUS} run cat; echo $?\n")
    shell.says(r"[\r\n]x\r\n0\r\n")
    check("as a shell's job: it works in a pipeline", True)
    shell.type("exit\n")
    shell.end()
    shell.close()

    for key, number in (("\x03", signal.SIGINT), ("\x1c", signal.SIGQUIT), ("\x1a", signal.SIGTSTP)):
        job = Terminal(sys.executable, "-c", EARLY_KEY, str(int(number)), CIRCUS)
        job.says("ready")
        job.type(key)
        check(f"as a shell's job: {number.name} of a key that came before the command did reaches it, and nothing else",
              job.says(r"got (\d+), then (\S+)").groups(), (str(int(number)), "set()"))
        check(f"as a shell's job: and after that {number.name} comes once", job.end(), 0)
        job.close()

    shell = Terminal(*NAMESPACE, "bash", "--norc", "--noprofile", "-i", PS1="[$?]> ")
    shell.says(r"> ")
    shell.type(f"{CIRCUS} run sh -c 'echo runs; exec sleep 1000'\n")
    shell.says(r"runs\r\n")
    os.kill(child_of(child_of(shell.pid)), signal.SIGTERM)
    check("as a shell's job: what another pid namespace sends reaches the command", shell.says(r"\[(\d+)\]> ").group(1), "143")
    shell.type("exit\n")
    shell.end()
    shell.close()


# The key is pressed before circus starts; it is blocked, and so it waits for circus, and stays blocked in the command.
COMMAND = "import signal; print(f'got {signal.sigwait({%s}):d}, then {signal.sigpending()}', flush=True)"
EARLY_KEY = f"""
import os, signal, sys, time
number = int(sys.argv[1])
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [number])
job = os.fork()
if job == 0:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    print("ready", flush=True)
    while number not in signal.sigpending(): time.sleep(0.002)
    os.execv(sys.argv[2], [sys.argv[2], "run", sys.executable, "-c", {COMMAND!r} % number])
sys.exit(os.waitstatus_to_exitcode(os.waitpid(job, 0)[1]))
"""


def foreground_command(fd):
    group = struct.unpack("i", fcntl.ioctl(fd, termios.TIOCGPGRP, b"\0\0\0\0"))[0]
    names = b""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
                if int(stat.read().rsplit(")", 1)[1].split()[2]) == group:
                    with open(f"/proc/{pid}/cmdline", "rb") as line:
                        names += line.read().split(b"\0")[0] + b" "
        except OSError:
            pass
    return names


def main():
    if not os.access(CIRCUS, os.X_OK):
        sys.exit(f"{CIRCUS} is missing: run `make` first, or set CIRCUS_BIN")
    parts = (exit_codes, signals, what_is_inherited, orphans, sweep, pid_one, humble, terminals, *daemon.PARTS, *static.PARTS)
    for part in parts:
        try:
            part()
        except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
            check(f"{part.__name__} comes to its end", str(error), "")
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
