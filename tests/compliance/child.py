"""What the daemons run: a process that writes down what it got, and what happens to it.

  child.py report FILE [ANYTHING...]    writes what it got to FILE as JSON; then waits for signals
  child.py signals FILE [IGNORED...]    adds the name of each signal to FILE; ends at TERM, INT and QUIT unless IGNORED
  child.py family FILE [IGNORED...]     does that together with a child and a grandchild: FILE.1, FILE.2
  child.py say OUT ERR [TIMES]          writes these texts to its outputs (with \\n, \\xHH), then waits
  child.py once FILE CODE [SECONDS]     adds its pid to FILE, then ends with CODE (below 0: by that signal)
  child.py mkdir DIR                    makes a directory, then waits
"""

import json
import os
import resource
import select
import signal
import sys
import time

NAMES = ("HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "WINCH")
LIMITS = ("nofile", "nproc", "core", "stack", "fsize", "cpu")


def write_whole(path, text):
    """Nobody sees half a file."""
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
    os.rename(temporary, path)


def add_line(path, line):
    """A single write at the end of a file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(descriptor, line.encode() + b"\n")
    os.close(descriptor)


def descriptors():
    """What each open descriptor leads to, without numbers that are other every time."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # That of the listing itself.
        found[int(name)] = target.split(":")[0] if ":[" in target else target
    return {number: target for number, target in found.items() if not target.startswith("/proc/")}


def address(number):
    """Where the socket of that number is bound; None when it is no socket."""
    import socket  # pylint: disable=import-outside-toplevel

    try:
        with socket.socket(fileno=os.dup(number)) as sock:
            blocking = not os.get_blocking(number)
            reuse = sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
            listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            return {"address": sock.getsockname(), "nonblocking": blocking, "reuseport": reuse, "listens": listens}
    except OSError:
        return None


def status(key):
    with open("/proc/self/status", encoding="utf-8") as file:
        return next(line.split(None, 1)[1].strip() for line in file if line.startswith(key))


def report(path, arguments):
    """Everything that a process gets from its parent."""
    with open("/proc/self/environ", "rb") as file:
        pairs = file.read().decode(errors="surrogateescape").split("\0")
    mask = os.umask(0)
    os.umask(mask)
    sockets = {number: place for number in descriptors() if (place := address(number))}
    write_whole(path, json.dumps({
        "pid": os.getpid(),
        "argv": arguments,
        "environment": dict(pair.split("=", 1) for pair in pairs if "=" in pair),
        "cwd": os.getcwd(),
        "descriptors": descriptors(),
        "sockets": sockets,
        "uid": os.getresuid(),
        "gid": os.getresgid(),
        "groups": sorted(os.getgroups()),
        "limits": {name: resource.getrlimit(getattr(resource, f"RLIMIT_{name.upper()}")) for name in LIMITS},
        "umask": mask,
        "leads its session": os.getsid(0) == os.getpid(),
        "leads its group": os.getpgid(0) == os.getpid(),
        "blocked": status("SigBlk:"),
        "terminal": os.isatty(0),
        "niceness": os.nice(0),
    }))


def watch_signals(path, ignored=()):
    """Writes each signal down."""

    def handler(number, _):
        name = signal.Signals(number).name.removeprefix("SIG")
        add_line(path, name)
        if name in ("INT", "QUIT", "TERM") and name not in ignored:
            os._exit(0)

    for name in NAMES:
        signal.signal(getattr(signal, f"SIG{name}"), handler)


def wait():
    # By a pipe: a signal that comes just before a pause would be seen only when that is over.
    wakes, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    while True:
        select.select([wakes], [], [])
        os.read(wakes, 512)


def family(path, ignored=(), generation=0):
    """A process, its child and its grandchild, each with its own file. The first is ready last."""
    if generation < 2 and os.fork() == 0:
        return family(path, (), generation + 1)
    own = f"{path}.{generation}" if generation else path
    watch_signals(own, ignored)
    while generation < 2 and not os.path.exists(f"{path}.{generation + 1}.pid"):
        time.sleep(0.005)
    write_whole(own + ".pid", str(os.getpid()))
    return wait()


def say(out, err, times=1):
    for number, text in ((1, out), (2, err)):
        data = text.encode("utf-8", "surrogateescape").decode("unicode_escape").encode("latin-1") * times
        while data:
            data = data[os.write(number, data):]


def main():
    what, arguments = sys.argv[1], sys.argv[2:]
    if what == "report":
        report(arguments[0], arguments[1:])
    elif what == "signals":
        watch_signals(arguments[0], arguments[1:])
        write_whole(arguments[0] + ".pid", str(os.getpid()))
    elif what == "family":
        family(arguments[0], arguments[1:])
    elif what == "say":
        say(arguments[0], arguments[1], int(arguments[2]) if len(arguments) > 2 else 1)
    elif what == "mkdir":
        os.mkdir(arguments[0])
    elif what == "once":
        add_line(arguments[0], str(os.getpid()))
        code = int(arguments[1])
        time.sleep(float(arguments[2]) if len(arguments) > 2 else 0)
        if code < 0:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            os.kill(os.getpid(), -code)
        sys.exit(code)
    wait()


main()
