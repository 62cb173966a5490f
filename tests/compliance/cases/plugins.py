"""test_plugin_*: what the plugins do. Programs that speak to the daemon, and Circus's own."""

import os
import re
import socket

from processes import NotReached, wait_until
from suite import Group, differs

PLUGIN = r'''
from circus.plugins import CircusPlugin

class Watch(CircusPlugin):
    name = "watch"

    def __init__(self, *args, **config):
        super().__init__(*args, **config)
        self.file = open(config["file"], "a", buffering=1)

    def handle_init(self):
        self.file.write("init\n")

    def handle_recv(self, data):
        watcher, action, msg = self.split_data(data)
        if (watcher, action) == ("w", "updated"):
            self.file.write("list " + ",".join(sorted(self.call("list")["watchers"])) + "\n")
        self.file.write(" ".join([watcher, action, ",".join(sorted(self.load_message(msg)))]) + "\n")

    def handle_stop(self):
        self.file.write("stop\n")
'''

plugins = Group("plugins")


@plugins.alone("""
    [watcher:w]
    cmd = /bin/sleep 1000
    [plugin:watch]
    use = compliance_plugin.Watch
    file = {dir}/events
    """, files=(("lib/compliance_plugin.py", PLUGIN),),
               environment=(("PYTHONPATH", "{dir}/lib"), ("PATH", "{venv}/bin:/usr/bin:/bin")))
def python_class(d):
    first = d.lines("events", 1)[0]

    def told(lines):
        d.ok("set", name="w", options={"warmup_delay": 0}, waiting=True)
        return any(line.startswith("list ") for line in lines)

    answer = next(line for line in d.lines("events", told) if line.startswith("list "))
    d.ok("restart", name="w", waiting=True)

    def of_the_restart(lines):
        # A plugin that connects soon enough hears of the start of circus, too.
        own = [line for line in lines if line.startswith("w ") and "updated" not in line]
        return own[next((n for n, line in enumerate(own) if line.startswith("w kill")), len(own)):]

    lines = d.lines("events", lambda lines: any(line.startswith("w start") for line in of_the_restart(lines)))
    return first, answer, of_the_restart(lines)


@plugins.alone("""
    [circus]
    debug = True
    [watcher:w]
    cmd = {child} once {dir}/runs 0
    [plugin:flapping]
    use = circus.plugins.flapping.Flapping
    attempts = 2
    window = 5
    retry_in = 1000
    max_retry = 5
    """, manual=True)
def flapping(d):
    """What it finds. Whether Circus then stops the watcher depends on what else the daemon is doing."""
    d.launch()
    found = wait_until(lambda: re.findall(r"w: flapping detected.*", d.read("out") + d.log()), "flapping")
    if d.side == "ours":
        d.until("w", "stopped")
    return found[0]


def statsd_server():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    server.settimeout(20)
    return server


def received(server, wanted):
    """The lines of the datagrams up to the first one with this beginning."""
    seen = []

    def look():
        seen.extend(server.recv(4096).decode().splitlines())
        return any(line.startswith(wanted) for line in seen)

    wait_until(look, f"{wanted} at the statsd server")
    return seen


@plugins.alone("""
    [watcher:w]
    cmd = /bin/sleep 1000
    [plugin:statsd]
    use = circus.plugins.statsd.StatsdEmitter
    host = 127.0.0.1
    port = {port}
    application_name = compliance
    """, manual=True)
def statsd_emitter(d):
    with statsd_server() as server:
        d.start(d.setup.ini.replace("{port}", str(server.getsockname()[1])))
        server.settimeout(0.2)
        seen = []

        def look():
            d.ok("restart", name="w", waiting=True)
            try:
                seen.append(server.recv(4096).decode())
            except TimeoutError:
                pass
            return any("w.stop" in line for line in seen)

        wait_until(look, "a stop at the statsd server")
    stop = next(line for line in seen if "w.stop" in line)
    return stop, all(line.startswith("circus.compliance.watcher.") for line in seen)


@plugins.alone("""
    [watcher:w]
    cmd = /bin/sleep 1000
    numprocesses = 2
    [plugin:full]
    use = circus.plugins.statsd.FullStats
    host = 127.0.0.1
    port = {port}
    application_name = compliance
    loop_rate = 1
    """, manual=True)
def full_stats(d):
    with statsd_server() as server:
        d.start(d.setup.ini.replace("{port}", str(server.getsockname()[1])))
        seen = received(server, "circus.compliance.watcher._stats.w.mem_sum")
    names = sorted({line.split(":")[0] for line in seen})
    return [name for name in names if "._stats.w." in name], [line for line in seen if "w.watchers_num" in line][:1]


@plugins.alone("""
    [watcher:w]
    cmd = /bin/sleep 1000
    [plugin:resources]
    use = circus.plugins.resource_watcher.ResourceWatcher
    watcher = w
    loop_rate = 1
    max_mem = 1K
    max_count = 0
    """)
def resource_watcher(d):
    before = d.pids("w")
    return len(d.until_pids("w", lambda pids: len(pids) == 1 and pids != before))


@plugins.alone("""
    [watcher:w]
    cmd = {dir}/program
    [plugin:reloader]
    use = circus.plugins.command_reloader.CommandReloader
    loop_rate = 1
    """, files=(("program", "#!/bin/sh\nexec sleep 1000\n"),), manual=True)
def command_reloader(d):
    os.chmod(d.path("program"), 0o755)
    d.start()
    before = d.pids("w")

    def replaced():
        """One touch, and some time to find it: circus waits until a file has stayed as it is for a while."""
        os.utime(d.path("program"))
        try:
            return wait_until(lambda: set(d.pids("w")).isdisjoint(before) and d.pids("w"), "other processes", 4)
        except NotReached:
            return None

    return len(wait_until(replaced, "a restart"))


@plugins.alone("""
    [watcher:w]
    cmd = /bin/sleep 1000
    [plugin:dog]
    use = circus.plugins.watchdog.WatchDog
    loop_rate = 1
    max_count = 2
    watchers_regex = w
    port = {port}
    """, manual=True)
def watchdog(d):
    with statsd_server() as free:
        port = free.getsockname()[1]
    d.start(d.setup.ini.replace("{port}", str(port)))
    before = d.pids("w")
    # Nobody sends a sign of life.
    return len(d.until_pids("w", lambda pids: len(pids) == 1 and pids != before))


@plugins.alone("""
    [watcher:w]
    cmd = /bin/sleep 1000
    [plugin:none]
    use = no.such.Plugin
    """, manual=True)
@differs("a plugin that does not exist stops nobody else", manual="A class that cannot be run stops that plugin alone",
         key="code", theirs=1, ours=None)
def unknown_class(d):
    d.launch()
    if d.side == "theirs":
        return {"code": d.end(), "said": "no.such" in d.log() or "no" in d.log()}
    d.logged("w started")
    return {"code": d.process.poll(), "said": "no.such.Plugin" in d.log()}
