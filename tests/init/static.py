"""The static binary where there is nothing else: a read-only root with that one file and a configuration, as PID 1.

A part of run.py, which runs it. CIRCUS_STATIC_BIN is the binary, by default what `make static` has built; without it
this part is left out, and says so. Its processes are circus again, since nothing else is there.
"""

import glob
import os
import signal
import subprocess
import tempfile

from harness import NAMESPACE, TARGET, Process, check, child_of, ctl_as, until

BUILT = os.path.join(TARGET, "static", "*", "release", "circus")
STATIC = os.environ.get("CIRCUS_STATIC_BIN") or next(iter(glob.glob(BUILT)), None)

OUTER = """
[circus]
endpoint = {0}
[watcher:inner]
cmd = /circus /inner.ini
[watcher:version]
cmd = circus --version
[env:version]
PATH = /
[watcher:nobody]
cmd = /circus --version
uid = nobody
max_retry = 1
[watcher:number]
cmd = /circus /inner.ini
uid = 1234
gid = 5678
max_retry = 1
[socket:local]
host = localhost
port = 0
"""
INNER = "[circus]\nendpoint = none\n"


def within(root, user, *words):
    """A command in this root, made read-only, as PID 1 of a namespace."""
    script = (f"mount -t tmpfs none {root} && cp {root}.files/* {root} && chmod 755 {root} && "
              f"mount -o remount,ro {root} && exec chroot --userspec={user} {root} " + " ".join(words))
    return Process([*NAMESPACE, "--mount", "sh", "-c", script])


def alone():
    if STATIC is None:
        print(f"LEFT OUT the static binary: there is none at {BUILT}; `make static` builds it", flush=True)
        return
    linked = subprocess.run(["ldd", STATIC], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False).stdout
    check("static: it needs no library", b"statically linked" in linked or b"not a dynamic" in linked)
    abstract = f"@circus-static-{os.getpid()}"
    with tempfile.TemporaryDirectory() as top:
        root = os.path.join(top, "root")
        os.mkdir(root)
        os.mkdir(root + ".files")
        for name, text in (("outer.ini", OUTER.format(abstract)), ("inner.ini", INNER)):
            with open(os.path.join(root + ".files", name), "w", encoding="utf-8") as file:
                file.write(text)
        subprocess.run(["cp", STATIC, os.path.join(root + ".files", "circus")], check=True)
        for user in ("0:0", "65534:65534"):
            init_of_one(root, user)
            daemon(root, user, abstract)


def init_of_one(root, user):
    run = within(root, user, "/circus run -- /circus run -- /circus --version")
    check(f"static, user {user}: circus run, of itself", (run.end(), run.text.startswith("circus ")), (0, True))
    for command, code in (("/none", 127), ("none", 127), ("/", 126), ("/outer.ini", 126), ("/circus nonsense.ini", 100)):
        check(f"static, user {user}: the exit code of {command}", within(root, user, "/circus run --", command).end(), code)


def daemon(root, user, abstract):
    circus = within(root, user, "/circus /outer.ini")
    circus.says("inner started")
    circus.says("version started")
    circus.says("(?m)^circus [0-9.]+$")
    circus.says("error in 'nobody': uid = nobody: there is no such user")
    if user == "0:0":
        circus.says("number started")
    else:
        circus.says("error in 'number': setgroups: Operation not permitted")
    status = ctl_as(int(user.split(":")[0]), STATIC, "--endpoint", abstract, "status", "inner")
    check(f"static, user {user}: it answers at an abstract address", status, b"active\n")
    init = child_of(circus.process.pid)
    with open(f"/proc/{init}/task/{init}/children", encoding="utf-8") as file:
        below = [int(pid) for pid in file.read().split()]
    if user == "0:0":
        check("static: users and groups need no entries if they are numbers", {owner(pid) for pid in below}, {(0, 0), (1234, 5678)})
    os.kill(init, signal.SIGTERM)
    check(f"static, user {user}: SIGTERM ends it", circus.end(), 0)
    until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in below), "everything to be gone")
    check(f"static, user {user}: and all that it has started", True)


def owner(pid):
    status = os.stat(f"/proc/{pid}")
    return status.st_uid, status.st_gid


PARTS = (alone,)
