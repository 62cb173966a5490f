"""The units and scripts by which service managers start circus. A part of run.py, which runs it."""

import configparser
import os
import re
import shutil
import signal
import subprocess
import tempfile

from harness import child_of
from house import CONFIG, PATIENCE, ROOT, Daemon, check, copied, ctl, example, make_install, text_of, until

UNITS = "/usr/local/lib/systemd/system"
SERVICES = ("circus.service", "circus.openrc", "runit.run", "inittab", "nomad.hcl")
BROKEN = "[watcher:good]\ncmd = sleep 1000\n[watcher:bad]\ncmd = /no/such/program\nuid = nobody-at-all\n"


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def paths_are_those_of_the_prefix():
    """A second copy elsewhere: what was installed names the place where the binary is."""
    with tempfile.TemporaryDirectory() as stage:
        make_install("PREFIX=/opt/circus", f"DESTDIR={stage}")
        root = os.path.join(stage, "opt/circus")
        files = [os.path.join(root, "share/doc/circus/examples", name) for name in SERVICES]
        files.append(os.path.join(root, "lib/systemd/system/circus.service"))
        for path in files:
            with open(path, encoding="utf-8") as file:
                text = file.read()
            named = set(re.findall(r"/\S*/bin/circus\b", text))
            check(f"make install PREFIX=/opt/circus: {os.path.relpath(path, root)}", named, {"/opt/circus/bin/circus"})
        check("make install: it stays below PREFIX", os.listdir(stage), ["opt"])
        pages = os.listdir(os.path.join(root, "share/man/man1"))
        check("make install: manual and completions", ("circus.1" in pages, [
            os.path.exists(os.path.join(root, "share", *words)) for words in (
                ("bash-completion/completions", "circus"), ("zsh/site-functions", "_circus"),
                ("fish/vendor_completions.d", "circus.fish"))]), (True, [True] * 3))


def help_lists_every_target():
    with open(os.path.join(ROOT, "Makefile"), encoding="utf-8") as file:
        targets = set(" ".join(re.findall(r"(?m)^\.PHONY: (.*)", file.read())).split()) - {"all"}
    told = subprocess.run(["make", "-C", ROOT, "--no-print-directory", "help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    listed = {word for line in told.splitlines() for word in re.split(r" {2,}", line)[0].split()}
    check("make help lists every target", listed, targets)


def systemd():
    """By name, from where systemd looks by itself."""
    example("circus.service")
    verify = ["systemd-analyze", "verify", "--man=no", "circus.service"]
    done = subprocess.run(verify, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    check("circus.service: systemd-analyze verify", (done.returncode, done.stdout), (0, ""))
    drop_in = "/etc/systemd/system/circus.service.d"
    os.makedirs(drop_in)
    shutil.copy(example("circus.service.d/hardened.conf"), drop_in)
    done = subprocess.run(verify, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    check("hardened.conf: systemd-analyze verify", (done.returncode, done.stdout), (0, ""))
    rate = ["systemd-analyze", "security", "--offline=yes", "--threshold=40", "circus.service"]
    done = subprocess.run(rate, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    check("hardened.conf: an exposure of 4.0 at most", done.returncode, 0)


def a_bad_watcher_keeps_nobody_down():
    """The commands of the unit, with no more capabilities than the hardened one leaves."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(example("circus.service"))
    service = unit["Service"]
    check("circus.service: nothing can fail before the start", [key for key in service if key.startswith("ExecStartPre")], [])
    kept = re.findall(r"CAP_(\w+)", " ".join(re.findall(r"(?m)^CapabilityBoundingSet=.*", text_of("circus.service.d/hardened.conf"))))
    bounds = "-all," + ",".join(f"+{name.lower()}" for name in kept)
    write(CONFIG, BROKEN)
    start = ["setpriv", "--no-new-privs", "--bounding-set", bounds, *service["ExecStart"].split()]
    with Daemon("circus.service", start) as circus:
        until(lambda: ctl("status", "good")[1] == "active", "the good watcher")
        check("circus.service: a bad watcher keeps nobody down, and is seen", ctl("status", "--check")[0] != 0, True)
        write(CONFIG, "[watcher:good]\ncmd = sleep 1000\n[watcher:other]\ncmd = sleep 1000\nuid = nobody\nrlimit_nofile = 4096\n"
                      "nice = -5\noom_score_adj = 100\n")
        reload = subprocess.run(service["ExecReload"].split(), stdout=subprocess.DEVNULL, check=False).returncode
        check("circus.service: ExecReload has read the file when it ends", (reload, ctl("status", "other")[1]), (0, "active"))
        circus.healthy()
        write(CONFIG, "[watcher:good]\ncmd = sleep 1000\nnumprocesses = many\n")
        reload = subprocess.run(service["ExecReload"].split(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        check("circus.service: ExecReload fails for a wrong file", (reload.returncode != 0, "numprocesses" in reload.stdout), (True, True))
        circus.stop(quietly=False)


def openrc():
    """Its functions, as openrc-run calls them."""
    script = example("circus.openrc")
    write(CONFIG, "[watcher:w]\ncmd = sleep 1000\n")
    source = 'checkpath() { mkdir -p "$4"; }; need() { :; }; after() { :; }; . "$0"; '
    done = subprocess.run(["sh", "-euc", source + "depend; start_pre; echo $command $command_args; echo $retry", script],
                          stdout=subprocess.PIPE, text=True, check=False)
    check("circus.openrc: before the start", (done.returncode, os.path.isdir("/run/circus")), (0, True))
    command, retry = done.stdout.splitlines()
    check("circus.openrc: TERM first", retry.split("/")[0], "TERM")
    with Daemon("circus.openrc", command.split()) as circus:
        circus.healthy()
        write(CONFIG, "[watcher:w]\ncmd = sleep 1000\n[watcher:other]\ncmd = sleep 1000\n")
        code = subprocess.run(["sh", "-euc", source + "reload", script], stdout=subprocess.DEVNULL, check=False).returncode
        check("circus.openrc: reload reads the file", (code, ctl("status", "other")[1]), (0, "active"))
        circus.stop()


def runit():
    write(CONFIG, "[watcher:w]\ncmd = sleep 1000\n")
    with tempfile.TemporaryDirectory() as directory:
        run = copied("runit.run", directory)
        os.chmod(run, 0o755)
        with Daemon("runit.run", [run]) as circus:
            circus.healthy()
            circus.stop()


def busybox_init():
    """busybox itself, as the init of a namespace, with these lines alone."""
    shutil.copy(example("inittab"), "/etc/inittab")
    write(CONFIG, "[watcher:w]\ncmd = sh -c 'trap \"echo asked; exit\" TERM; while :; do sleep 0.1; done'\n"
                  "stdout_stream.class = FileStream\nstdout_stream.filename = /run/w.log\n")
    with Daemon("inittab", ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "busybox", "init"]) as init:
        init.healthy()
        # As poweroff(8) of busybox asks for an end.
        os.kill(child_of(init.process.pid), signal.SIGUSR2)
        until(lambda: os.path.exists("/run/w.log") and os.path.getsize("/run/w.log"), "an end in order")
        with open("/run/w.log", encoding="utf-8") as log:
            check("inittab: at the end of the machine circus stops its processes in order", log.read(), "asked\n")
        init.process.wait(PATIENCE)


PARTS = (help_lists_every_target, paths_are_those_of_the_prefix, systemd, a_bad_watcher_keeps_nobody_down, openrc, runit, busybox_init)
