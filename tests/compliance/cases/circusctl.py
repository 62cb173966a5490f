"""test_circusctl and test_command_*: the same command lines, typed to both clients."""

import os
import re
import subprocess

from processes import wait_until
from suite import Group, differs

SLEEP = "/bin/sleep 1000"


def shape(text):
    """A text with its numbers made equal."""
    return re.sub(r"\d+", "N", text)


ctl = Group("circusctl", """
    [watcher:test]
    cmd = /bin/sleep 1000
    [watcher:Two]
    cmd = /bin/sleep 1000
    numprocesses = 2
    [watcher:single]
    cmd = /bin/sleep 1000
    singleton = True
    [watcher:options]
    cmd = /bin/sleep 1000
    args = 5
    numprocesses = 1
    stop_signal = INT
    graceful_timeout = 2.5
    rlimit_nofile = 100
    flapping.window = 3
    stdout_stream.class = StdoutStream
    [env:options]
    B = 2
    A = 1
    [socket:web]
    host = 127.0.0.1
    port = 0
    [socket:un]
    path = {dir}/un.sock
    """)


@ctl
def help_lists_the_commands(d):
    code, out, err = d.ctl("--help", endpoint=False)
    listed = re.findall(r"^  ([a-z]+) ", out[out.index("Commands:"):], re.M)
    # A Python shell in the daemon has no meaning here; run and tail are ours alone.
    theirs = [name for name in listed if name in KNOWN]
    return code, out.splitlines()[0], theirs, err


KNOWN = """add decr dstats get globaloptions incr kill list listen listsockets numprocesses numwatchers options quit
    reload restart rm set signal start stats status stop""".split()


@ctl
@differs("the usage comes first, then what the command does", manual="prints the usage first", key="first line",
         theirs="Add a watcher", ours="usage: circusctl add")
def help_of_a_command(d):
    code, out, err = d.ctl("--help", "add", endpoint=False)
    first = out.splitlines()[0].split(" [")[0]
    return {"code": code, "first line": first, "says what it does": "Add a watcher" in out, "err": err}


@ctl
def unknown_command(d):
    code, out, err = d.ctl("foo")
    return code, out, [line for line in err.splitlines() if line]


@ctl
def unknown_option(d):
    code, out, err = d.ctl("--foo", "list")
    return code, out, err.splitlines()[-1].split(":")[0:2]


@ctl
@differs("the versions of two programs", manual="the versions are those of circus", key="version",
         theirs="circusctl 0.19.0", ours="circusctl 0.1.0")
def version(d):
    code, out, _ = d.ctl("--version", endpoint=False)
    return {"code": code, "version": out.strip()}


@ctl
def add(d):
    return d.ctl("add", "added", SLEEP), d.ctl("status", "added"), d.ctl("rm", "added"), d.ctl("status", "added")[0]


@ctl
def add_and_start(d):
    seen = d.ctl("add", "--start", "started", *SLEEP.split())
    d.until("started", "active")
    return seen, d.ctl("status", "started"), len(d.ctl("list", "started")[1].split(","))


@ctl.alone("""
    [watcher:stubborn]
    cmd = {child} signals {dir}/signals TERM
    graceful_timeout = 20
    """)
@differs("no command is refused because another is being carried out",
         manual="No command is refused because another one is in progress", ours=(0, "ok\n", ""),
         theirs=(3, "", "error: arbiter is already running watcher_stop command\n"))
def conflict(d):
    d.watched("signals")
    d.ok("stop", name="stubborn")
    d.lines("signals", 1)
    again = d.raw_ctl("start", "stubborn")
    return again


@ctl
def list_of_watchers_and_pids(d):
    code, out, err = d.ctl("list", "Two")
    assert sorted(map(int, out.split(","))) == sorted(d.pids("two"))
    return code, err, shape(out), "two" in d.ctl("list")[1].split(","), d.ctl("list", "none")


@ctl
def status(d):
    one = d.ctl("status", "TEST")
    code, out, err = d.ctl("status")
    lines = [line for line in out.splitlines() if line.split(":")[0] in ("Two", "options", "single", "test")]
    return one, code, lines, out.splitlines() == sorted(out.splitlines()), err


@ctl
@differs("Circus loses the text of this error", manual="and has its text", key="err", theirs="error\n",
         ours="error: program none not found\n")
def status_of_nothing(d):
    code, out, err = d.ctl("status", "none")
    return {"code": code, "out": out, "err": err}


@ctl
def numbers(d):
    code, out, err = d.ctl("numwatchers")
    return d.ctl("numprocesses", "two"), d.ctl("numprocesses", "none"), code, shape(out), err, d.ctl("numprocesses")[0]


@ctl
def incr_and_decr(d):
    d.add("counted", SLEEP)
    seen = [d.ctl("incr", "counted"), d.ctl("incr", "counted", "2", "--waiting"), d.ctl("numprocesses", "counted")]
    seen += [d.ctl("decr", "counted", "--waiting"), d.ctl("decr", "counted", "10", "--waiting")]
    return [*seen, d.ctl("incr", "none")]


@ctl
@differs("it is said in a line; Circus's client ends with a traceback",
         manual="a wrong argument is an error of one line", theirs=(1, True), ours=(3, False))
def incr_by_nonsense(d):
    code, _, err = d.ctl("incr", "test", "x")
    return code, "Traceback" in err


@ctl
def incr_of_a_singleton(d):
    return d.ctl("incr", "single", "--waiting"), d.ctl("decr", "single", "--waiting"), d.ctl("numprocesses", "single")


@ctl.alone("""
    [watcher:empty]
    cmd = sleep 1000
    numprocesses = 0
    """, manual=True)
@differs("it runs as soon as it is to have a process; in Circus only the number changes",
         manual="runs as soon as it is to have a process", key="then", theirs=("stopped", 0), ours=("active", 1))
def incr_of_a_watcher_without_processes(d):
    d.launch()
    wait_until(d.answers, "an answer")
    d.until("empty", "stopped")
    seen = d.ctl("incr", "empty", "--waiting")
    return {"seen": seen, "then": (d.status("empty"), len(d.pids("empty")))}


@ctl
@differs("the name of the section is no variable", manual="passes to processes and plugins, is gone", key="env",
         theirs="A=1,B=2,__name__=env:options", ours="A=1,B=2")
def get(d):
    keys = ["cmd", "args", "stop_signal", "graceful_timeout", "numprocesses", "uid", "respawn", "max_retry"]
    env = d.ctl("get", "options", "env")[1].strip().removeprefix("env: ")
    return {"some": d.ctl("get", "options", *keys), "none": d.ctl("get", "options", "zz"), "env": env,
            "nobody": d.ctl("get", "none", "cmd"), "nothing": d.ctl("get")[0]}


@ctl
@differs("limits are options, too", manual="lists limits too", key="rlimit_nofile", theirs=None, ours=" 100")
def options(d):
    code, out, err = d.ctl("options", "options")
    lines = dict(line.split(":", 1) for line in out.splitlines())
    shared = ["args", "close_child_stderr", "close_child_stdin", "cmd", "copy_env", "flapping.window", "gid",
              "graceful_timeout", "max_age", "max_age_variance", "max_retry", "numprocesses", "on_demand", "priority",
              "respawn", "rlimit_nofile", "send_hup", "shell", "shell_args", "singleton", "stop_children",
              "stop_signal", "uid", "use_sockets", "warmup_delay"]
    seen = {key: lines.get(key) for key in shared}
    return seen | {"code": code, "err": err, "none": d.ctl("options", "none")}


@ctl
@differs("an error begins as all others", manual="every error begins with", key="none",
         theirs=(3, "", "'zz' not an existing option\n"), ours=(3, "", "error: 'zz' not an existing option\n"))
@differs("the default is not shown as an address that nothing listens at", manual="and nothing for those that are not",
         key="stats", theirs=(0, "stats_endpoint: tcp://127.0.0.1:5557\n", ""), ours=(0, "stats_endpoint: \n", ""))
def globaloptions(d):
    code, out, err = d.ctl("globaloptions")
    return {"code": code, "err": err, "keys": sorted(line.split(":")[0] for line in out.splitlines()),
            "one": d.ctl("globaloptions", "check_delay"), "none": d.ctl("globaloptions", "zz"),
            "pubsub": d.ctl("globaloptions", "pubsub_endpoint"), "stats": d.ctl("globaloptions", "stats_endpoint")}


@ctl
def listsockets(d):
    code, out, err = d.ctl("listsockets")
    return code, sorted(shape(line) for line in out.splitlines()), err


@ctl
def stats(d):
    # Circus prints an empty line behind that of a single process.
    return [(code, shape(re.sub(r"\b(0\.\d+|N/A)\b", "N.N", out)).rstrip("\n"), err)
            for code, out, err in (d.ctl("stats", "test"), d.ctl("stats", "test", str(d.pids("test")[0])),
                                   d.ctl("stats", "none"), d.ctl("stats", "test", "1"))]


@ctl
def stats_of_all(d):
    code, out, err = d.ctl("stats")
    names = [line[:-1] for line in out.splitlines() if line.endswith(":")]
    return code, [name for name in names if name in ("Two", "options", "single", "test")], err


@ctl
def dstats(d):
    code, out, err = d.ctl("dstats")
    return code, out.splitlines()[0], bool(re.match(r"  +\d+  \w+ \w+ ", out.splitlines()[1])), err


@ctl
def signal_and_kill(d):
    d.add("watched", "{child} signals {dir}/ctl-signals")
    pid = str(d.watched("ctl-signals"))
    seen = [d.ctl("signal", "watched", "hup"), d.lines("ctl-signals", 1)]
    seen += [d.ctl("signal", "watched", pid, "SIGUSR1"), d.lines("ctl-signals", 2)]
    seen += [d.ctl("signal", "watched", "12"), d.lines("ctl-signals", 3)]
    seen += [d.ctl("signal", "watched", "nonsense")[0], d.ctl("signal", "none", "hup")]
    seen += [d.ctl("kill", "watched", "--signum", "int"), d.lines("ctl-signals", 4)]
    return seen


@ctl
@differs("Circus says ok and does nothing", manual="refuse an unknown watcher or process", key="none",
         theirs=(0, "ok\n", ""), ours=(3, "", "error: program none not found\n"))
def kill(d):
    before = d.add("killed", SLEEP)
    seen = d.ctl("kill", "killed")
    replaced = d.until_pids("killed", lambda pids: pids and pids != before)
    return {"reply": seen, "processes": len(replaced), "none": d.ctl("kill", "none")}


@ctl
def start_stop_restart_reload(d):
    d.add("cycled", SLEEP)
    seen = [d.ctl(command, "cycled", "--waiting") for command in ("stop", "start", "restart", "reload")]
    seen += [d.ctl("reload", "cycled", "--waiting", how) for how in ("--terminate", "--sequential")]
    seen += [d.ctl("stop", "cycl*", "--match", "glob", "--waiting"), d.ctl("status", "cycled")]
    return [*seen, *(d.ctl(command, "none", "--waiting") for command in ("stop", "start", "restart", "reload", "rm"))]


@ctl
def set_options(d):
    d.add("tuned", SLEEP)
    seen = [d.ctl("set", "tuned", "numprocesses", "2", "--waiting"), d.ctl("numprocesses", "tuned")]
    seen += [d.ctl("set", "tuned", "graceful_timeout", "7", "warmup_delay", "0.1")]
    seen += [d.ctl("get", "tuned", "graceful_timeout")]
    seen += [d.ctl("set", "tuned", "stop_signal", "int"), d.ctl("get", "tuned", "stop_signal")]
    seen += [d.ctl("set", "tuned", "send_hup", "true"), d.ctl("get", "tuned", "send_hup")]
    seen += [d.ctl("set", "tuned", "numprocesses", "x")[0], d.ctl("set", "tuned", "numprocesses")[0]]
    seen += [d.ctl("set", "tuned", "args", "1"), d.ctl("get", "tuned", "args")]
    seen += [d.ctl("set", "tuned", "cmd", "/bin/sleep 1001"), d.ctl("get", "tuned", "cmd")]
    return [*seen, d.ctl("set", "tuned", "zz", "1"), d.ctl("set", "none", "numprocesses", "2")]


@ctl
def wrong_arguments(d):
    return [d.ctl(*words)[0] for words in (["incr"], ["get", "test"], ["rm"], ["set", "test"], ["signal", "test"],
                                           ["kill"], ["options"], ["add", "x"])]


@ctl
@differs("an error is an error with --json too", manual="when the daemon answers with an error",
         key="code of an error", theirs=0, ours=3)
def as_json(d):
    code, out, err = d.ctl("--json", "status", "test")
    refused, reason, _ = d.ctl("--json", "status", "none")
    pretty = d.ctl("--json", "--prettify", "numprocesses", "two")
    return {"code": code, "status": '"status": "active"' in out.replace('":"', '": "'), "err": err,
            "code of an error": refused, "reason": "program none not found" in reason,
            "pretty": (pretty[0], re.sub(r"[0-9.]+", "N", re.sub(r'"id": .*', "", pretty[1])).split(), pretty[2])}


@ctl
@differs("where it has looked is said", manual="it says at once where it has looked", key="err",
         theirs="Timed out.", ours="no circus")
def nobody_answers(d):
    code, out, err = d.raw_ctl("--endpoint", "ipc://{dir}/nobody.sock", "--timeout", "1", "list", endpoint=False)
    return {"code": code, "out": out, "err": err[:10].rstrip()}


@ctl
def endpoint_by_the_environment(d):
    variable = {"CIRCUSCTL_ENDPOINT": f"ipc://{d.path('circus.sock')}"}
    return d.ctl("status", "test", environment=variable, endpoint=False)


@ctl
def abbreviated_options(d):
    return d.ctl("--time", "10", "status", "test"), d.ctl("stop", "none", "--wait")


@ctl.alone("""
    [watcher:w]
    cmd = sleep 1000
    """)
def quit(d):  # pylint: disable=redefined-builtin
    pid, = d.pids("w")
    seen = d.ctl("quit")
    return seen, d.end(), d.gone(pid)


@ctl.alone("""
    [watcher:w]
    cmd = sleep 1000
    """)
def quit_and_wait(d):
    pid, = d.pids("w")
    seen = d.ctl("quit", "--waiting")
    return seen, d.gone(pid), d.end()


@ctl
@differs("an event is printed as text, not as what Python thinks of bytes", manual="prints events as text",
         key="event", theirs="b'watcher.heard.add': b'{\"time\": N}'", ours="watcher.heard.add: {\"time\":N}")
def listen(d):
    endpoint = d.path("pubsub.sock" if d.side == "theirs" else "circus.sock")
    listener = d.popen_ctl("--endpoint", f"ipc://{endpoint}", "listen", "watcher.heard")
    # It hears nothing before it has subscribed: an event is made until one is heard.
    os.set_blocking(listener.stdout.fileno(), False)
    heard = b""

    def line():
        nonlocal heard
        d.ok("add", name="heard", cmd="true")
        d.ok("rm", name="heard", waiting=True)
        heard += listener.stdout.read() or b""
        return heard.split(b"\n")[0] if b"\n" in heard else None

    first = wait_until(line, "an event at circusctl listen").decode()
    listener.terminate()
    listener.wait()
    first = first.replace(".remove", ".add")
    return {"event": re.sub(r"[0-9.]*[0-9][0-9.]*", "N", first)}


def typed(d, text):
    """What the interactive client says to these lines."""
    process = d.popen_ctl("--endpoint", "ipc://{dir}/circus.sock", stdin=subprocess.PIPE, text=True)
    out, err = process.communicate(text, timeout=30)
    return process.returncode, out, err


@ctl
def prompt_begins_with_version_and_status(d):
    code, out, _ = typed(d, "")
    lines = out.splitlines()
    return code, bool(re.match(r"circusctl \d", lines[0]) or re.match(r"\d", lines[0])), "test: active" in lines


@ctl
def prompt_help(d):
    _, out, _ = typed(d, "help\n")
    return "Documented commands (type help <topic>):" in out, "listsockets" in out


@ctl
def prompt_runs_commands(d):
    code, out, _ = typed(d, "numprocesses test\nstatus none\nfoo\nstatus TEST\nEOF\n")
    said = [line.replace("(circusctl) ", "").strip() for line in out.splitlines()]
    return code, "*** Unknown syntax: foo" in said, said.count("active") >= 1, "1" in said
