"""What keeps a process from becoming its program, or lends it rights on the way there."""

import ctypes
import os
import re
import shutil
import sys

from harness import NAMESPACE, check, until
from scene import A, B, USERS

OTHER = "[watcher:other]\ncmd = sleep 1000\n"

# Holds a lease on a program until it is killed: each execve of it waits.
LEASE = """
import fcntl, os, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = os.open(sys.argv[1], os.O_RDONLY)
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
open(sys.argv[2], "w").close()
while True:
    signal.pause()
"""

# Stops every process of its user that it can reach, for some seconds.
STOPPER = """
import os, signal, time
end = time.monotonic() + 20
while time.monotonic() < end:
    try:
        os.kill(-1, signal.SIGSTOP)
    except ProcessLookupError:
        pass
"""


def with_lease(scene, home, user):
    """A program of a user, and a process that holds a lease on it."""
    app, held = os.path.join(home, "app"), os.path.join(home, "held")
    shutil.copy(shutil.which("sleep"), app)
    os.chmod(app, 0o755)
    os.chown(app, USERS.get(user, 0), USERS.get(user, 0))
    holder = scene.as_user([sys.executable, "-c", LEASE, app, held], user)
    until(lambda: os.path.exists(held), "the lease")
    return app, holder


def pid_of(circus, watcher):
    return int(until(lambda: re.fullmatch(r"\d+", circus.ctl("list", watcher)), f"a process of {watcher}")[0])


def is_program(pid, program):
    try:
        return os.readlink(f"/proc/{pid}/exe") == program
    except OSError:
        return False


def attack_a_lease_on_a_program_holds_up_its_own_watcher_alone(scene):
    app, holder = with_lease(scene, scene.home(), A)
    circus = scene.circus(f"[watcher:app]\ncmd = {app} 1000\nuid = {A}\nautostart = False\n{OTHER}")
    for round_ in ("once", "twice"):
        check(f"a watcher whose program is held is started {round_}", circus.ctl("start", "app"), "ok")
        check("others are answered meanwhile", circus.ctl("status", "other"), "active")
        pid = pid_of(circus, "app")
        check("it is not its program yet", is_program(pid, app), False)
        check("it can be stopped", circus.ctl("stop", "app", "--waiting"), "ok")
    circus.ctl("start", "app")
    pid = pid_of(circus, "app")
    holder.kill()
    holder.wait()
    check("what was held goes on", until(lambda: is_program(pid, app), "the program"))
    check("circus ends as it should", circus.stop(), 0)


def attack_a_lease_on_a_program_of_roots_own_holds_up_nobody_else(scene):
    home = scene.home(mode=0o777)
    app, _ = with_lease(scene, home, A)
    os.chown(app, USERS[A], USERS[A])
    circus = scene.circus(f"[watcher:app]\ncmd = {app} 1000\nautostart = False\n{OTHER}")
    check("a root's watcher whose program is held is started", circus.ctl("start", "app"), "ok")
    check("others are answered meanwhile", circus.ctl("status", "other"), "active")
    check("circus ends although a child is held", circus.stop(), 0)


def attack_a_user_who_stops_all_its_processes_does_not_stop_circus(scene):
    stopper = scene.write("stopper.py", STOPPER)
    circus = scene.circus(
        f"[watcher:stopper]\ncmd = {sys.executable} {stopper}\nuid = {A}\ncopy_env = True\n"
        f"[watcher:app]\ncmd = true\nuid = {A}\nnumprocesses = 3\ngraceful_timeout = 1\nautostart = False\n{OTHER}",
        before=NAMESPACE)
    answers = set()
    for _ in range(15):
        circus.ctl("restart", "app")
        answers.add(circus.ctl("status", "other"))
    check("circus goes on while its children are stopped", answers, {"active"})
    check("a watcher of that user can be stopped", circus.ctl("stop", "app", "--waiting", timeout=60), "ok")


def dead_mounts(scene, names):
    """File systems that never answer, with the descriptors that would have to."""
    fuse = {}
    for name in names:
        os.mkdir(scene.path(name))
        fuse[name] = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={fuse[name]},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
        if ctypes.CDLL(None).mount(b"dead", scene.path(name).encode(), b"fuse", 0, options) != 0:
            raise AssertionError("a file system that never answers cannot be mounted")
    return fuse


def attack_a_file_system_that_does_not_answer_holds_up_its_own_watcher_alone(scene):
    names = ["directory", "program", "user", "file", "python"]
    fuse = dead_mounts(scene, names)
    dead = {name: scene.path(name) for name in names}
    circus = scene.circus(
        f"[watcher:directory]\ncmd = sleep 1000\nworking_dir = {dead['directory']}\nmax_retry = 1\n"
        f"[watcher:program]\ncmd = {dead['program']}/app\nautostart = False\n"
        f"[watcher:user]\ncmd = sleep 1000\nworking_dir = {dead['user']}\nuid = {A}\n"
        f"[watcher:file]\ncmd = sleep 1000\nenv_file = {dead['file']}/env\n"
        f"[watcher:python]\ncmd = sleep 1000\nvirtualenv = {dead['python']}\nuid = {A}\ncopy_env = True\n{OTHER}")
    check("a watcher whose program is there is started", circus.ctl("start", "program"), "ok")
    check("others start meanwhile", until(lambda: circus.ctl("status", "other") == "active", "the others"))
    for name in ("program", "user", "file", "python"):
        check(f"it can be stopped: {name}", circus.ctl("stop", name, "--waiting"), "ok")
    os.close(fuse["directory"])
    circus.says(rf"error in 'directory': working_dir {dead['directory']}: ")
    until(lambda: circus.ctl("status", "directory") == "stopped", "the end of the tries")
    circus.says("directory: given up after 1 failed start: working_dir ")
    circus.ctl("start", "user")
    check("circus ends although a child is held", circus.stop(), 0)
    for name in names:
        ctypes.CDLL(None).umount2(dead[name].encode(), 2)


def attack_working_dir_leads_no_user_behind_a_closed_directory(scene):
    home = scene.home()
    closed = scene.path("closed")
    os.makedirs(os.path.join(closed, "project"))
    os.chmod(closed, 0o700)
    os.symlink("../closed/project", os.path.join(home, "app"))
    watcher = "[watcher:{0}]\ncmd = sleep 1000\nworking_dir = {1}\n"
    circus = scene.circus(
        watcher.format("link", f"{home}/app") + f"uid = {A}\nmax_retry = 1\n"
        + watcher.format("path", f"{closed}/project") + f"uid = {A}\nmax_retry = 1\n"
        + watcher.format("root", f"{home}/app"))
    for name in ("link", "path"):
        circus.says(rf"error in '{name}': working_dir .*: Permission denied \(uid {USERS[A]} may not enter it\)")
        until(lambda name=name: circus.ctl("status", name) == "stopped", "the end of the tries")
    cwd = os.readlink(f"/proc/{pid_of(circus, 'root')}/cwd")
    check("root's own processes go where root may go", cwd, os.path.join(closed, "project"))


def attack_ambient_capabilities_of_circus_stay_with_circus(scene):
    os.chown(scene.directory, USERS[A], USERS[A])
    program, given = scene.program(), "+setuid,+setgid,+kill"
    setpriv = ["setpriv", "--reuid", str(USERS[A]), "--regid", str(USERS[A]), "--clear-groups",
               "--inh-caps", given, "--ambient-caps", given, "--"]
    show = "sh -c 'grep -E \"Cap(Inh|Prm|Eff|Amb)\" /proc/self/status; sleep 1000'"
    circus = scene.circus(
        f"[watcher:none]\ncmd = {show}\nuid = {B}\nstdout_stream.class = QueueStream\n"
        f"[watcher:one]\ncmd = {show}\nuid = {B}\nstdout_stream.class = QueueStream\n"
        f"[watcher:own]\ncmd = {show}\nstdout_stream.class = QueueStream\n",
        before=[*setpriv, "sh", "-c", f'shift; exec {program} "$@"', "sh"])
    bits = {}
    for name in ("none", "one", "own"):
        lines = until(lambda name=name: re.findall(r"Cap\w+:\t(\w+)", circus.ctl("tail", name)), "the capabilities")
        bits[name] = {int(bit, 16) for bit in lines}
    check("a process of another user has none of circus's capabilities", bits["none"], {0})
    check("one of the same user has what circus has", bits["own"], {1 << 5 | 1 << 6 | 1 << 7})


# prctl fails with EPERM where it is asked for PR_CAPBSET_READ (23), and everything else goes on.
FILTER = """
import ctypes, os, struct, sys
prctl = {"x86_64": 157, "aarch64": 167}[os.uname().machine]
lines = [(0x20, 0, 0, 0), (0x15, 0, 3, prctl), (0x20, 0, 0, 16), (0x15, 0, 1, 23), (6, 0, 0, 0x50000 | 1), (6, 0, 0, 0x7fff0000)]
code = b"".join(struct.pack("HBBI", *line) for line in lines)
buffer = ctypes.create_string_buffer(code)
program = struct.pack("HxxxxxxP", len(lines), ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(22, 2, ctypes.c_char_p(program), 0, 0) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
os.execv(sys.argv[1], sys.argv[1:])
"""


def attack_a_filter_that_hides_the_capabilities_does_not_leave_them_to_a_child(scene):
    circus = scene.circus(
        "[watcher:app]\ncmd = sleep 1000\ncapabilities = kill\nmax_retry = 1\n",
        before=[sys.executable, "-c", FILTER])
    circus.says("error in 'app': capabilities: Operation not permitted")
    check("no process runs with more than it is to have",
          until(lambda: circus.ctl("status", "app") == "stopped", "the end of the tries"))


def attack_env_file_shows_nobody_what_only_root_may_read(scene):
    home = scene.home()
    secret = scene.secret(text="SECRET=only-roots\n")
    group = scene.write("group-secret", "SECRET=only-roots\n", mode=0o640)
    files = {"link": os.path.join(home, "link"), "path": secret, "group": group, "fifo": os.path.join(home, "fifo")}
    os.symlink(secret, files["link"])
    os.mkfifo(files["fifo"])
    watcher = "[watcher:{0}]\ncmd = sh -c 'echo $SECRET; exec sleep 1000'\nenv_file = {1}\nmax_retry = 1\n"
    circus = scene.circus(
        "".join(watcher.format(name, path) + f"uid = {A}\n" for name, path in files.items())
        + watcher.format("root", secret) + "stdout_stream.class = QueueStream\n" + OTHER)
    for name in files:
        until(lambda name=name: circus.ctl("status", name) == "stopped", "the end of the tries")
        why = "it is not a regular file" if name == "fifo" else "Permission denied"
        check(f"a user's process does not get it: {name}", f"env_file = {files[name]}: {why}" in circus.ctl("why", name))
    check("root's process gets it", until(lambda: circus.ctl("tail", "root"), "the output"), "only-roots")
    check("nobody waits for a FIFO", circus.ctl("status", "other"), "active")


def attack_virtualenv_is_looked_at_with_the_rights_of_its_user(scene):
    closed = scene.path("closed")
    os.makedirs(os.path.join(closed, "lib", "python3.11", "site-packages"))
    os.chmod(closed, 0o700)
    watcher = "[watcher:{0}]\ncmd = sh -c 'echo $PYTHONPATH; exec sleep 1000'\nvirtualenv = {1}\ncopy_env = True\n"
    circus = scene.circus(watcher.format("user", closed) + f"uid = {A}\nmax_retry = 1\n"
                          + watcher.format("root", closed) + "stdout_stream.class = QueueStream\n")
    until(lambda: circus.ctl("status", "user") == "stopped", "the end of the tries")
    check("a user's process sees no more than the user", f"{closed}/lib: Permission denied" in circus.ctl("why", "user"))
    check("root's process finds its packages", until(lambda: circus.ctl("tail", "root"), "the output").startswith(closed))
