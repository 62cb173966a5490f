"""Log files, the pid file, the tombstone and sockets in directories that a user may change."""

import ctypes
import fcntl
import os
import signal
import socket

from harness import CIRCUS, Process, check, until
from scene import A, B, USERS, Circus

SECRET = "only root's\n"


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class Attacker:
    """A function that runs as a user for as long as this is entered: the interpreter may be closed to that user."""

    def __init__(self, function):
        self.function = function

    def __enter__(self):
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setgroups([])
                os.setgid(USERS[A])
                os.setuid(USERS[A])
                self.function()
            finally:
                os._exit(1)

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def app(scene, steps, options, circus="", user=A, wait=True):
    """A circus whose watcher `app` runs some shell commands as the user in its own directory, after a first line."""
    program = scene.write("app.sh", f"cd {scene.path('home')}\necho hello\n{steps}\necho done\nexec sleep 1000\n")
    ini = f"{circus}[watcher:app]\ncmd = sh {program}\nuid = {user}\ngid = {user}\n{options}\n"
    started = scene.circus(ini)
    if wait:
        until(lambda: "done" in started.ctl("tail", "app"), "the end of the attack")
    return started


def stream(scene, kind="FileStream", more=""):
    return f"stdout_stream.class = {kind}\nstdout_stream.filename = {scene.path('home/app.log')}\n{more}"


def secret_is_whole(scene, what):
    check(f"{what}: root's file is as it was", read(scene.path("secret")), SECRET)


def attack_a_log_file_that_became_a_link_is_not_followed(scene):
    scene.home()
    secret = scene.secret(text=SECRET)
    for kind in ("FileStream", "WatchedFileStream", "TimedRotatingFileStream", "JsonStream"):
        more = "stdout_stream.rotate_when = S" if kind.startswith("Timed") else ""
        steps = f"ln -s {secret} new; mv -T new app.log; sleep 1.2; echo pwned; sleep 1.2; echo pwned"
        circus = app(scene, steps, stream(scene, kind, more))
        secret_is_whole(scene, kind)
        circus.says("is not a directory of this user's")
        circus.ctl("logs", "reopen")
        circus.ctl("logs", "rotate")
        circus.ctl("restart", "app")
        secret_is_whole(scene, f"{kind} after reopen, rotate and restart")
        circus.stop()
        os.remove(scene.path("home/app.log"))


def attack_a_log_file_that_became_a_second_name_of_roots_file_is_not_written(scene):
    scene.home()
    secret = scene.secret(text=SECRET)
    circus = app(scene, "rm -f app.log", stream(scene))
    # Where fs.protected_hardlinks is off, the user can do that.
    os.link(secret, scene.path("home/second"))
    os.replace(scene.path("home/second"), scene.path("home/app.log"))
    os.remove(scene.path("app.sh"))
    scene.write("app.sh", "echo pwned; sleep 1; echo pwned; exec sleep 1000")
    circus.ctl("restart", "app")
    circus.says("second name")
    secret_is_whole(scene, "a hard link")
    circus.ctl("logs", "rotate")
    secret_is_whole(scene, "a hard link after a rotation")


def attack_a_directory_that_became_a_link_is_not_followed(scene):
    home = scene.home()
    os.mkdir(os.path.join(home, "logs"))
    os.chown(os.path.join(home, "logs"), USERS[A], USERS[A])
    os.mkdir(scene.path("roots"))
    for name in ("app.log", "app.log.1", "app.log.2"):
        scene.write(f"roots/{name}", SECRET, mode=0o600)
    steps = f"mv logs old; ln -s {scene.path('roots')} logs; seq -f 'line %1000.0f' 100; sleep 1.2; seq 1000"
    more = "stdout_stream.max_bytes = 1000\nstdout_stream.backup_count = 2\nstdout_stream.compress = gzip"
    circus = app(scene, steps, stream(scene, more=more).replace("home/app.log", "home/logs/app.log"))
    circus.ctl("logs", "rotate")
    circus.ctl("logs", "reopen")
    for name in ("app.log", "app.log.1", "app.log.2"):
        check(f"{name} in root's directory is as it was", read(scene.path(f"roots/{name}")), SECRET)
    check("nothing else is there", sorted(os.listdir(scene.path("roots"))), ["app.log", "app.log.1", "app.log.2"])


def attack_log_max_bytes_cuts_no_file_of_root(scene):
    scene.home()
    secret = scene.write("secret", "".join(f"{n}\n" for n in range(20000)), mode=0o600)
    whole = read(secret)
    steps = f"ln app.log x; ln -s {secret} new; mv -T new app.log; seq 40000; sleep 1.2; seq 40000"
    circus = app(scene, steps, stream(scene), "log_max_bytes = 100000\n")
    circus.says("log_max_bytes")
    check("root's large file is whole", read(secret) == whole)


def attack_gzip_reads_no_file_of_root(scene):
    home = scene.home()
    secret = scene.secret(text=SECRET)
    circus = app(scene, "true", stream(scene, more="stdout_stream.backup_count = 3\nstdout_stream.compress = gzip"))
    os.link(secret, os.path.join(home, "app.log.1"))
    os.symlink(secret, os.path.join(home, "app.log.2"))
    circus.ctl("logs", "rotate")
    circus.says("second name")
    left = [name for name in os.listdir(home) if name.endswith(".gz")]
    opened = [name for name in left if os.stat(os.path.join(home, name)).st_mode & 0o077]
    check("no compressed copy can be read by others", opened, [])
    secret_is_whole(scene, "gzip")


def attack_a_directory_that_is_swapped_all_the_time_leads_nowhere(scene):
    home = scene.home()
    os.mkdir(os.path.join(home, "logs"))
    os.chown(os.path.join(home, "logs"), USERS[A], USERS[A])
    os.mkdir(scene.path("roots"))
    scene.write("roots/app.log", SECRET, mode=0o600)
    swap = scene.as_user(
        ["sh", "-c", f"cd {home}; ln -s {scene.path('roots')} link; "
                     "while :; do mv logs old; mv -T link logs; mv -T logs link; mv old logs; done"])
    more = "stdout_stream.max_bytes = 100\nstdout_stream.backup_count = 2"
    steps = "for n in $(seq 300); do seq 60; sleep 0.01; done"
    circus = app(scene, steps, stream(scene, more=more).replace("home/app.log", "home/logs/app.log"), wait=False)
    for _ in range(100):
        circus.ctl("logs", "reopen")
        circus.ctl("logs", "rotate")
    swap.kill()
    swap.wait()
    check("root's file is as it was", read(scene.path("roots/app.log")), SECRET)
    check("nothing else is there", os.listdir(scene.path("roots")), ["app.log"])


def attack_devices_and_fifos_of_others_are_not_opened(scene):
    home = scene.home()
    os.mkfifo(scene.path("roots.fifo"), 0o600)
    os.link(scene.path("roots.fifo"), os.path.join(home, "app.log"))
    reader = os.open(scene.path("roots.fifo"), os.O_RDONLY | os.O_NONBLOCK)
    circus = app(scene, "true", stream(scene), wait=False)
    circus.says("second name")
    check("nothing comes out of root's FIFO", os.read(reader, 100), b"")
    os.close(reader)


def attack_a_directory_full_of_files_holds_nobody_up(scene):
    home = scene.home()
    for number in range(60_000):
        os.close(os.open(f"{home}/app.log.{20200000 + number}", os.O_CREAT | os.O_WRONLY))
    steps = "for n in $(seq 60); do seq 3000; sleep 0.02; done"
    for kind, more in (
        ("FileStream", "stdout_stream.max_bytes = 10000\nstdout_stream.backup_count = 3"),
        ("TimedRotatingFileStream", "stdout_stream.rotate_when = S\nstdout_stream.backup_count = 3"),
    ):
        circus = app(scene, steps, stream(scene, kind, more), circus="log_max_bytes = 200000000\n", wait=False)
        until(lambda: "done" in circus.ctl("tail", "app"), "the end of the attack")
        check(f"what is looked at is bounded ({kind})", busy(circus) < 5, True)
        circus.stop()


def busy(circus):
    """How many seconds of processor time circus has had."""
    fields = read(f"/proc/{circus.process.pid}/stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def attack_a_hole_in_an_old_file_costs_others_none_of_theirs(scene):
    scene.home()
    os.mkdir(scene.path("other"))
    for name in ("o.log.1", "o.log.2"):
        scene.write(f"other/{name}", "x\n" * 5000)
    steps = "truncate -s 1T app.log.1; seq 100; sleep 1.2; seq 100"
    other = (
        "log_max_bytes = 200000\n[watcher:o]\ncmd = sh -c 'echo o; exec sleep 1000'\nstdout_stream.class = FileStream\n"
        f"stdout_stream.filename = {scene.path('other/o.log')}\n"
    )
    circus = app(scene, steps, stream(scene), circus=other)
    circus.ctl("logs", "reopen")
    circus.ctl("numwatchers")
    check("the others' old files are there", sorted(os.listdir(scene.path("other"))), ["o.log", "o.log.1", "o.log.2"])


def attack_a_lease_does_not_hold_circus_up(scene):
    home = scene.home()
    path = os.path.join(home, "app.log")
    scene.write("home/app.log", "", owner=A)
    def hold():
        signal.signal(signal.SIGIO, signal.SIG_IGN)
        file = os.open(path, os.O_RDONLY)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        os.mkdir(os.path.join(home, "held"))
        signal.pause()

    with Attacker(hold):
        until(lambda: os.path.exists(os.path.join(home, "held")), "the lease")
        circus = app(scene, "true", stream(scene), "[watcher:other]\ncmd = sleep 1000\n", wait=False)
        check("the other watcher runs", circus.ctl("status", "other"), "active")
    until(lambda: "hello" in read(path), "the log comes")
    circus.ctl("tail", "app")
    # Circus had it open, and it was removed: it is to be opened anew while somebody has a lease again.
    os.remove(path)
    os.rmdir(os.path.join(home, "held"))
    scene.write("home/app.log", "", owner=A)
    with Attacker(hold):
        until(lambda: os.path.exists(os.path.join(home, "held")), "the second lease")
        circus.ctl("logs", "reopen")
        circus.says("app.log.*Resource temporarily unavailable")
        check("commands are answered", circus.ctl("status", "other"), "active")


def attack_files_that_root_or_the_user_made_there_go_on_working(scene):
    home = scene.home()
    os.mkdir(os.path.join(home, "shared"))
    os.chown(os.path.join(home, "shared"), USERS[A], USERS[A])
    os.symlink("shared", os.path.join(home, "current"))
    os.lchown(os.path.join(home, "current"), USERS[A], USERS[A])
    for owner in (0, USERS[A]):
        for path in ("app.log", "current/app.log"):
            with open(os.path.join(home, path), "w", encoding="utf-8"):
                os.chown(os.path.join(home, path), owner, owner)
            os.chmod(os.path.join(home, path), 0o640)
            more = "stdout_stream.max_bytes = 100\nstdout_stream.backup_count = 2"
            circus = app(scene, "seq 100", stream(scene, more=more).replace("app.log", path))
            until(lambda: "done" in read(os.path.join(home, path)), f"{path} of {owner} is written")
            found = [os.stat(os.path.join(home, path + end)) for end in ("", ".1")]
            modes = [(file.st_mode & 0o777, file.st_uid, file.st_gid) for file in found]
            check(f"{path} of {owner} keeps mode and owner", modes, [(0o640, owner, owner)] * 2)
            circus.stop()


def attack_an_administrators_link_to_another_disk_works(scene):
    os.mkdir(scene.path("disk"))
    os.chown(scene.path("disk"), USERS[A], USERS[A])
    os.symlink("disk", scene.path("home"))
    app(scene, "true", stream(scene))
    check("the log is on the other disk", read(scene.path("disk/app.log")), "hello\ndone\n")


def start_with(scene, ini):
    """Starts a circus that may fail; its process."""
    path = scene.write("pid.ini", f"[circus]\nendpoint = {scene.path('sock')}\n{ini}")
    return Process([CIRCUS, path], cwd=scene.directory)


def attack_a_lock_on_a_pid_file_that_was_left_over_stops_nobody(scene):
    path = scene.write("circus.pid", "999999\n")
    with open(path, encoding="utf-8") as left:
        os.chmod(path, 0o644)
        holder = scene.as_user(["flock", "--no-fork", "-x", path, "sleep", "1000"])
        def locked():
            try:
                fcntl.flock(left, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            fcntl.flock(left, fcntl.LOCK_UN)
            return False
        until(locked, "the lock")
        circus = scene.circus(f"pidfile = {path}\n")
        check("the pid is written", read(path), f"{circus.process.pid}\n")
        check("and readable", os.stat(path).st_mode & 0o777, 0o644)
        second = scene.write("second.ini", f"[circus]\nendpoint = {scene.path('two')}\npidfile = {path}\n")
        other = Process([CIRCUS, second], cwd=scene.directory)
        other.says("circus runs already")
        check("a second circus does not start", other.end(), 111)
        circus.stop()
        check("the file goes at the end", os.path.exists(path), False)
        holder.kill()


def attack_nothing_at_the_place_of_a_pid_file_in_a_users_directory_keeps_circus_from_starting(scene):
    home = scene.home()
    path = f"{home}/pid"

    def lease():
        signal.signal(signal.SIGIO, signal.SIG_IGN)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        os.close(os.open(f"{home}/leased", os.O_CREAT | os.O_WRONLY))
        signal.pause()

    def starts(what):
        circus = scene.circus(f"pidfile = {path}\n")
        check(f"circus starts ({what})", read(path), f"{circus.process.pid}\n")
        circus.stop()
        check(f"the file goes at the end ({what})", os.path.exists(path), False)

    with Attacker(lease):
        until(lambda: os.path.exists(f"{home}/leased"), "the lease")
        starts("a lease")
    for what in ("directory", "another directory"):
        os.mkdir(path)
        os.mkdir(f"{path}/full")
        os.chown(path, USERS[A], USERS[A])
        if what == "directory":
            starts(what)
    os.rename(path, f"{home}/kept")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        os.chown(path, USERS[A], USERS[A])
        starts("a socket")


def attack_a_pid_file_in_a_users_directory_overwrites_nothing(scene):
    home = scene.home()
    secret = scene.secret(text=SECRET)
    path = os.path.join(home, "circus.pid")
    for how in (os.symlink, os.link):
        how(secret, path)
        if how is os.symlink:
            os.lchown(path, USERS[A], USERS[A])
        circus = scene.circus(f"pidfile = {path}\n")
        check(f"{how.__name__}: the pid is written", read(path), f"{circus.process.pid}\n")
        secret_is_whole(scene, f"the pid file, {how.__name__}")
        circus.stop()
        check(f"{how.__name__}: the file goes at the end", os.path.exists(path), False)


def attack_a_tombstone_and_circus_own_log_in_a_users_directory_overwrite_nothing(scene):
    home = scene.home()
    secret = scene.secret(text=SECRET)
    for option in ("tombstone", "logoutput"):
        for how in (os.symlink, os.link):
            path = os.path.join(home, f"{option}-{how.__name__}")
            how(secret, path)
            if how is os.symlink:
                os.lchown(path, USERS[A], USERS[A])
            ini = f"{option} = {path}\n[watcher:app]\ncmd = false\nrespawn = False\ncritical = True\n"
            start_with(scene, ini).end()
            secret_is_whole(scene, f"{option}, {how.__name__}")
            os.remove(path)


def attack_the_socket_is_given_to_nobody_who_has_exchanged_it(scene):
    home = scene.home()
    os.mkdir(os.path.join(home, "run"))
    os.chown(os.path.join(home, "run"), USERS[A], USERS[A])
    os.mkdir(scene.path("victim"))
    victim = scene.write("victim/c.sock", SECRET, mode=0o600)
    def swap():
        os.chdir(home)
        os.symlink(scene.path("victim"), "lnk")
        libc = ctypes.CDLL(None)
        while True:
            if os.path.lexists("run/c.sock") and not os.path.islink("run"):
                for _ in range(2):
                    libc.renameat2(-100, b"run", -100, b"lnk", 2)  # RENAME_EXCHANGE

    ini = scene.write("race.ini", f"[circus]\nendpoint = {home}/run/c.sock\nendpoint_owner = {A}\n")
    with Attacker(swap):
        until(lambda: os.path.lexists(os.path.join(home, "lnk")), "the link")
        for _ in range(40):
            circus = Process([CIRCUS, ini], cwd=scene.directory)
            circus.says("waiting for commands|control socket")
            circus.process.kill()
            circus.end()
    check("root's file is still root's", os.stat(victim).st_uid, 0)
    check("and as it was", read(victim), SECRET)


def attack_a_socket_in_its_owners_directory_is_the_owners(scene):
    for owner in (A, B):
        home = scene.home(f"home-{owner}")
        path = os.path.join(home, "c.sock")
        ini = f"[circus]\nendpoint = {path}\nendpoint_owner = {owner}\nendpoint_mode = 600\n"
        circus = Process([CIRCUS, scene.write(f"{owner}.ini", ini)], cwd=scene.directory)
        scene.started.append(circus.process)
        circus.says("waiting for commands")
        found = os.stat(path)
        check("the socket is its owner's", (found.st_uid, found.st_mode & 0o777), (USERS[owner], 0o600))
        code = scene.as_user([scene.program(), "ctl", "--endpoint", path, "status"], owner).wait(30)
        check("who can use it", code, 0)
        circus.process.terminate()
        circus.end()
        check("it goes at the end", os.path.exists(path), False)


def attack_a_socket_in_a_users_directory_is_made_with_the_users_rights(scene):
    home = scene.home()
    run = scene.home("home/run")
    os.mkdir(scene.path("roots"))
    os.symlink(scene.path("roots"), f"{home}/link")
    os.lchown(f"{home}/link", USERS[A], USERS[A])
    libc = ctypes.CDLL(None)

    def exchange():
        while True:
            libc.renameat2(-100, f"{home}/link".encode(), -100, run.encode(), 2)

    # Whatever the moment at which the directory is exchanged: all that bind(2) makes there, the user could have made.
    ini = f"[socket:u]\npath = {run}/u.sock\n"
    with Attacker(exchange):
        for _ in range(40):
            circus = Circus(scene, ini)
            scene.started.append(circus.process)
            until(lambda: circus.process.poll() is not None or "waiting for" in circus.read(), "a start")
            circus.process.terminate()
            circus.end()
    check("nothing is made in a directory of root's", os.listdir(scene.path("roots")), [])
    if os.path.islink(run):
        libc.renameat2(-100, f"{home}/link".encode(), -100, run.encode(), 2)
    for left in os.listdir(run):
        os.remove(f"{run}/{left}")
    scene.circus(ini)
    check("the user's socket is there", os.stat(f"{run}/u.sock").st_uid, USERS[A])


def attack_the_end_of_a_socket_removes_no_other_file(scene):
    home = scene.home()
    path = os.path.join(home, "u.sock")
    circus = scene.circus(f"[socket:u]\npath = {path}\n[watcher:app]\ncmd = sleep 1000\n")
    os.rename(path, path + ".moved")
    other = socket.socket(socket.AF_UNIX)
    other.bind(path)
    circus.stop()
    check("somebody else's socket stays", os.path.exists(path))
    other.close()
