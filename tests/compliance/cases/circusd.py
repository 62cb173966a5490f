"""test_circusd, test_logging, test_pidfile and test_sighandler: the daemon as a program."""

import os
import re
import signal
import socket
import stat

from processes import runs, wait_until
from suite import Group, differs

SLEEPER = """
    [watcher:w]
    cmd = sleep 1000
    """
STUBBORN = """
    [watcher:w]
    cmd = {child} signals {dir}/signals
    """

program = Group("circusd")


@program.alone(manual=True)
@differs("the versions of two programs", manual="the versions are those of circus", key="out", theirs="0.19.0\n",
         ours="circus 0.1.0\n")
def version(d):
    code, out, err = d.run("--version")
    return {"code": code, "out": out, "err": err}


@program.alone(manual=True)
def help_names_the_options(d):
    code, out, err = d.run("--help")
    wanted = ("--log-level", "--log-output", "--daemon", "--pidfile", "--version")
    return code, [option for option in wanted if option not in out], err


@program.alone(manual=True)
@differs("a missing argument is an error", manual="exits with 100 for a mistake in the file or the arguments",
         key="code", theirs=0, ours=100)
def no_argument(d):
    code, out, err = d.run()
    return {"code": code, "told": bool(out + err)}


@program.alone(manual=True)
@differs("wrong arguments are the user's fault, as a wrong file is",
         manual="exits with 100 for a mistake in the file or the arguments", theirs=2, ours=100)
def wrong_option(d):
    return d.run("--nonsense", d.configure(SLEEPER))[0]


@program.alone(manual=True)
@differs("wrong arguments are the user's fault, as a wrong file is",
         manual="exits with 100 for a mistake in the file or the arguments", theirs=2, ours=100)
def wrong_log_level(d):
    return d.run("--log-level", "loud", d.configure(SLEEPER))[0]


def daemonize(d, *arguments):
    code, out, err = d.run("--daemon", "--pidfile", "{dir}/pid", *arguments, d.configure(d.setup.ini))
    return code, out, err


def pid_of(d):
    return int(wait_until(lambda: d.exists("pid") and d.read("pid").strip(), "a pid file"))


@program.alone("""
    [watcher:w]
    cmd = {child} report {dir}/report
    """, manual=True)
def daemon(d):
    seen = daemonize(d)
    pid = pid_of(d)
    report = d.report("report")
    fields = open(f"/proc/{pid}/stat", encoding="utf-8").read().rpartition(")")[2].split()
    outputs = [os.readlink(f"/proc/{pid}/fd/{number}") for number in (0, 1, 2)]
    # It leads no session: its parent, which did, has ended. No terminal can become its own.
    shape = fields[3] != str(pid), fields[4], d.hide(os.readlink(f"/proc/{pid}/cwd")), outputs
    d.ok("quit", waiting=True)
    d.gone(pid)
    return seen, shape, report["descriptors"], report["umask"], d.exists("pid")


@program.alone(manual=True)
@differs("the caller learns that the start failed; Circus says that all is well",
         manual="the caller learns how the start went", key="code", theirs=0, ours=100)
@differs("and why", manual="the caller learns how the start went", key="said", theirs="", ours="circus.ini")
def daemon_that_fails(d):
    code, out, err = d.run("--daemon", d.configure("[watcher:w]\ncmd = sleep 1000\nnumprocesses = x"))
    return {"code": code, "out": out, "said": "circus.ini" if "circus.ini" in err else err}


pidfile = Group("pidfile")


@pidfile.alone(SLEEPER, arguments=("--pidfile", "{dir}/pid"))
def made_and_removed(d):
    text, mode = d.read("pid"), oct(stat.S_IMODE(os.stat(d.path("pid")).st_mode))
    seen = text == f"{d.process.pid}\n", mode
    d.ok("quit", waiting=True)
    return seen, d.end(), d.exists("pid")


@pidfile.alone("""
    [circus]
    pidfile = {dir}/by-file
    [watcher:w]
    cmd = sleep 1000
    """)
def named_in_the_file(d):
    return d.read("by-file") == f"{d.process.pid}\n"


@pidfile.alone("""
    [circus]
    pidfile = {dir}/by-file
    [watcher:w]
    cmd = sleep 1000
    """, arguments=("--pidfile", "{dir}/by-option"))
def the_option_wins(d):
    return d.exists("by-option"), d.exists("by-file")


@pidfile.alone(SLEEPER, arguments=("--pidfile", "{dir}/pid"), files=(("pid", "nonsense\n"),))
def garbage_is_replaced(d):
    return d.read("pid") == f"{d.process.pid}\n"


@pidfile.alone(SLEEPER, arguments=("--pidfile", "{dir}/pid"), files=(("pid", "4194000\n"),))
def dead_process_is_replaced(d):
    return d.read("pid") == f"{d.process.pid}\n"


@pidfile.alone(SLEEPER, arguments=("--pidfile", "{dir}/pid"))
@differs("a file that cannot be had is 111", manual="with 111 for what the system refuses", key="code", theirs=1,
         ours=111)
@differs("the message is about the file", manual="a message about it names it", key="named", theirs=False, ours=True)
def second_daemon(d):
    text = d.read("circus.ini").replace("circus.sock", "second.sock").replace("pubsub.sock", "second-pubsub.sock")
    code, _, err = d.run("--pidfile", "{dir}/pid", d.write("second.ini", text))
    return {"code": code, "named": d.path("pid") in err, "runs": runs(d.process.pid)}


@pidfile.alone(SLEEPER, arguments=("--pidfile", "{dir}/pid"), manual=True)
@differs("the file is locked: a number that is another program's stops nobody",
         manual="a stale file does no harm", theirs=1, ours="started")
def live_pid_of_another_program(d):
    d.write("pid", f"{os.getpid()}\n")
    d.launch()
    wait_until(lambda: d.process.poll() is not None or "w started" in d.log(), "a start")
    return "started" if d.process.poll() is None else d.process.poll()


@pidfile.alone(manual=True)
@differs("a file that cannot be made is 111", manual="with 111 for what the system refuses", key="code", theirs=1,
         ours=111)
@differs("the message is about the file", manual="a message about it names it", key="named", theirs=False, ours=True)
def missing_directory(d):
    code, _, err = d.run("--pidfile", "{dir}/none/pid", d.configure(SLEEPER))
    return {"code": code, "named": d.path("none") in err}


logging = Group("logging")
LINE = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d circus\[(\d+)\] \[INFO\] "


@logging.alone(SLEEPER)
def lines(d):
    """The lines that people and scripts look for."""
    d.ok("quit", waiting=True)
    d.end()
    found = re.findall(f"^{LINE}(.*)$", d.log(), re.M)
    wanted = (f"Starting master on pid {d.process.pid}", "Arbiter now waiting for commands", "w started",
              "Arbiter exiting", "w stopped")
    order = [text for pid, text in found if text in wanted and pid == str(d.process.pid)]
    return [text.replace(str(d.process.pid), "PID") for text in order]


@logging.alone("""
    [circus]
    logoutput = {dir}/by-file.log
    [watcher:w]
    cmd = sleep 1000
    """, manual=True)
def to_the_file_that_the_configuration_names(d):
    d.launch()
    d.lines("by-file.log", lambda lines: any("w started" in line for line in lines))
    return d.log()


@logging.alone("""
    [circus]
    logoutput = {dir}/by-file.log
    [watcher:w]
    cmd = sleep 1000
    """, arguments=("--log-output", "{dir}/by-option.log"), manual=True)
def to_the_file_that_the_option_names(d):
    d.launch()
    d.lines("by-option.log", lambda lines: any("w started" in line for line in lines))
    return d.exists("by-file.log"), d.log()


@logging.alone(SLEEPER, arguments=("--log-level", "error"))
def level_by_the_option(d):
    return "[INFO]" in d.log()


@logging.alone("""
    [circus]
    loglevel = ERROR
    [watcher:w]
    cmd = sleep 1000
    """)
def level_by_the_file(d):
    return "[INFO]" in d.log()


@logging.alone(SLEEPER, arguments=("--log-level", "DEBUG"))
def level_debug(d):
    d.ok("restart", name="w", waiting=True)
    return "[DEBUG]" in d.log()


@logging.alone(SLEEPER, arguments=("--log-output", "{dir}/rotated.log"))
def file_that_is_moved_away(d):
    os.rename(d.path("rotated.log"), d.path("old.log"))
    d.ok("restart", name="w", waiting=True)
    d.lines("rotated.log", lambda lines: any("w started" in line for line in lines))
    return "w started" in d.read("old.log")


@logging.alone(SLEEPER, manual=True)
def syslog_by_udp(d):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(20)
        port = server.getsockname()[1]
        d.launch_with("--log-output", f"syslog://127.0.0.1:{port}?local3")
        seen = [server.recv(1024).rstrip(b"\0").decode()]
        while "Arbiter now waiting" not in seen[-1]:
            seen.append(server.recv(1024).rstrip(b"\0").decode())
    last = re.sub(r"\[\d+\]", "[PID]", re.sub(r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d", "DATE", seen[-1]))
    return last


LOGGERS = """\
[loggers]
keys = root, circus
[handlers]
keys = file
[formatters]
keys = plain
[formatter_plain]
format = %(message)s
[handler_file]
class = FileHandler
formatter = plain
args = ("{dir}/configured.log",)
[logger_root]
level = INFO
handlers = file
[logger_circus]
level = INFO
handlers = file
qualname = circus
"""


@logging.alone(SLEEPER, arguments=("--logger-config", "{dir}/logger.ini"), manual=True,
               files=(("logger.ini", LOGGERS),))
@differs("Python's logging configuration is not read, with a warning",
         manual="are warnings that say what to do instead", theirs="configured", ours="warned")
def configuration_of_python(d):
    d.launch()
    if d.side == "ours":
        d.logged("--logger-config")
        return "warned" if not d.exists("configured.log") else "configured"
    d.lines("configured.log", lambda lines: any("w started" in line for line in lines))
    return "configured"


signals = Group("signals")


def ended_by(d, number):
    worker = d.watched("signals")
    d.process.send_signal(number)
    return d.end(), d.lines("signals", 1), d.gone(worker), f"Got signal SIG_{number.name[3:]}" in d.log()


@signals.alone(STUBBORN)
@differs("the name of the signal", manual="without the underscore of Circus", key="said", theirs=True, ours=False)
def sigterm(d):
    *seen, said = ended_by(d, signal.SIGTERM)
    return {"seen": seen, "said": said}


@signals.alone(STUBBORN)
@differs("the name of the signal", manual="without the underscore of Circus", key="said", theirs=True, ours=False)
def sigint(d):
    *seen, said = ended_by(d, signal.SIGINT)
    return {"seen": seen, "said": said}


@signals.alone(STUBBORN)
@differs("the name of the signal", manual="without the underscore of Circus", key="said", theirs=True, ours=False)
def sigquit(d):
    *seen, said = ended_by(d, signal.SIGQUIT)
    return {"seen": seen, "said": said}


@signals.alone("""
    [watcher:w]
    cmd = sleep 1000
    [watcher:late]
    cmd = sleep 1000
    autostart = False
    """, down=("late",))
@differs("what was stopped stays stopped", manual="what was stopped stays stopped", key="late", theirs="active",
         ours="stopped")
def hup(d):
    before = d.pids("w")
    d.process.send_signal(signal.SIGHUP)
    d.until_pids("w", lambda pids: len(pids) == 1 and pids != before)
    if d.side == "theirs":
        d.until("late", "active")
    return {"runs": runs(d.process.pid), "late": d.status("late")}


@signals.alone(SLEEPER)
def winch(d):
    before = d.pids("w")
    d.process.send_signal(signal.SIGWINCH)
    return d.pids("w") == before, runs(d.process.pid)


@signals.alone(SLEEPER)
@differs("USR1 reopens files; it ends Circus, and its processes stay", manual="reopens files, where it ends Circus",
         theirs=("ended", True), ours=("runs", True))
def usr1(d):
    before, = d.pids("w")
    d.process.send_signal(signal.SIGUSR1)
    if d.side == "theirs":
        d.end()
        return "ended", runs(before)
    d.logged("SIGUSR1")
    return "runs", runs(before)


@signals.alone("""
    [watcher:w]
    cmd = {child} signals {dir}/signals
    stop_signal = USR1
    graceful_timeout = 1
    """)
def stop_signal_and_then_kill(d):
    """The worker sees the stop signal and stays; SIGKILL ends it."""
    worker = d.watched("signals")
    d.ok("stop", name="w", waiting=True)
    return d.lines("signals", 1), d.gone(worker), d.status("w")


@signals.alone("""
    [watcher:slow]
    cmd = {child} signals {dir}/signals TERM
    graceful_timeout = 300
    """)
@differs("a second signal hurries the stop; Circus waits on", manual="A second such signal kills what is left",
         key="hurried", theirs=False, ours=True)
def second_term(d):
    worker = d.watched("signals")
    d.process.send_signal(signal.SIGTERM)
    d.lines("signals", 1)
    if d.side == "theirs":
        d.process.send_signal(signal.SIGTERM)
        d.lines("log", lambda lines: sum("Got signal" in line for line in lines) >= 2)
        seen = not runs(worker)
        d.process.kill()
        return {"hurried": seen}
    # What comes within a second of the first signal is the same request.
    wait_until(lambda: d.process.poll() is not None or d.process.send_signal(signal.SIGTERM), "the end")
    d.end()
    return {"hurried": not runs(worker)}


@signals.alone("""
    [watcher:first]
    cmd = sleep 1000
    warmup_delay = 300
    priority = 2
    [watcher:second]
    cmd = sleep 1000
    """, manual=True)
@differs("a signal is obeyed during the start, too; Circus loses it",
         manual="Signals that end circus are obeyed at any time", theirs="lost", ours=0)
def term_during_the_start(d):
    d.launch()
    wait_until(d.answers, "an answer")
    d.until("first", "starting")
    d.process.send_signal(signal.SIGTERM)
    if d.side == "theirs":
        d.logged("Got signal SIG_TERM")
        lost = d.status("first") == "starting"
        d.process.kill()
        return "lost" if lost else "obeyed"
    return d.end()
