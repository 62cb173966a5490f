"""test_plugin_*: what the plugins do. Programs that speak to the daemon, and Circus's own."""

import socket

from suite import Group, differs

PLUGIN = r'''
from circus.plugins import CircusPlugin

class Watch(CircusPlugin):
    name = "watch"

    def __init__(self, *args, **config):
        super().__init__(*args, **config)
        self.file = open(config["file"], "a", buffering=1)

    def handle_init(self):
        self.file.write("init " + ",".join(self.call("list")["watchers"]) + "\\n")

    def handle_recv(self, data):
        watcher, action, msg = self.split_data(data)
        self.file.write(" ".join([watcher, action, ",".join(sorted(self.load_message(msg)))]) + "\\n")

    def handle_stop(self):
        self.file.write("stop\\n")
'''

plugins = Group("plugins")


@plugins.alone("""
    [watcher:w]
    cmd = /bin/sleep 1000
    [plugin:watch]
    use = compliance_plugin.Watch
    file = {dir}/events
    """, files=(("lib/compliance_plugin.py", PLUGIN),), environment=(("PYTHONPATH", "{dir}/lib"),))
def python_class(d):
    first = d.lines("events", 1)[0]
    pid, = d.pids("w")
    d.ok("restart", name="w", waiting=True)
    lines = d.lines("events", lambda lines: sum(line.startswith("w start") for line in lines) >= 1)
    of_w = [line for line in lines if line.startswith("w ")]
    return "w" in first.split(" ")[1].split(","), of_w, d.gone(pid), d.ok("list")["watchers"]


@plugins.alone("""
    [watcher:w]
    cmd = {child} once {dir}/runs 0
    [plugin:flapping]
    use = circus.plugins.flapping.Flapping
    attempts = 2
    window = 5
    retry_in = 1000
    max_retry = 5
    """, manual=True)
@differs("the stop is obeyed; in Circus it is refused while the daemon looks after its processes", key="stopped",
         theirs=False, ours=True)
def flapping(d):
    d.launch()
    if d.side == "theirs":
        d.lines("runs", 10)
        return {"stopped": d.status("w") == "stopped"}
    return {"stopped": d.until("w", "stopped") == "stopped"}


def statsd_server():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    server.settimeout(20)
    return server


def received(server, wanted):
    """The datagrams up to the one with this beginning."""
    seen = []
    while not seen or not seen[-1].startswith(wanted):
        seen.append(server.recv(4096).decode())
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
        server.settimeout(0.5)
        seen = []
        while not any("w.stop" in datagram for datagram in seen):
            d.ok("restart", name="w", waiting=True)
            try:
                seen += received(server, "circus.compliance.watcher.w.stop")
            except TimeoutError:
                pass
    return seen[-1], all(datagram.startswith("circus.compliance.watcher.") for datagram in seen)


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
        seen = received(server, "circus.compliance._stats.w.mem_sum") + [""]
    names = sorted({line.split(":")[0] for datagram in seen for line in datagram.splitlines()})
    counted = [line for datagram in seen for line in datagram.splitlines() if "watchers_num" in line]
    return [name for name in names if "._stats.w." in name], counted[-1:]


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
    import os  # pylint: disable=import-outside-toplevel
    os.chmod(d.path("program"), 0o755)
    d.start()
    before = d.pids("w")
    count = 0

    def touched(pids):
        nonlocal count
        count += 1
        os.utime(d.path("program"), (count, count))
        return len(pids) == 1 and pids != before

    return len(d.until_pids("w", touched))


@plugins.alone("""
    [watcher:w]
    cmd = /bin/sleep 1000
    [plugin:dog]
    use = circus.plugins.watchdog.WatchDog
    loop_rate = 0.2
    max_count = 2
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
@differs("a plugin that does not exist stops nobody else", key="code", theirs=1, ours=None)
def unknown_class(d):
    d.launch()
    if d.side == "theirs":
        return {"code": d.end(), "said": "no.such" in d.log() or "no" in d.log()}
    d.logged("w started")
    return {"code": d.process.poll(), "said": "no.such.Plugin" in d.log()}
