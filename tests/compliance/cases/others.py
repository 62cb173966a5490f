"""Watchers that start on demand, virtual environments, and what of [circus] is left."""

import socket

from processes import wait_until
from suite import Group, differs

SLEEP = "/bin/sleep 1000"

demand = Group("on_demand")


@demand.alone("""
    [socket:web]
    host = 127.0.0.1
    port = 0
    [watcher:first]
    cmd = {child} report {dir}/first $(circus.sockets.web)
    use_sockets = True
    on_demand = True
    """, down=("first",))
def starts_at_a_connection(d):
    before = d.status("first"), d.pids("first")
    place = d.ok("listsockets")["sockets"][0]
    with socket.create_connection((place["host"], place["port"])):
        seen = d.report("first")["sockets"] != {}
        return before, seen, d.until("first", "active")


@demand.alone("""
    [socket:one]
    host = 127.0.0.1
    port = 0
    [socket:two]
    host = 127.0.0.1
    port = 0
    [watcher:first]
    cmd = {child} report {dir}/first $(circus.sockets.one)
    use_sockets = True
    on_demand = True
    [watcher:second]
    cmd = {child} report {dir}/second $(circus.sockets.two)
    use_sockets = True
    on_demand = True
    """, down=("first", "second"))
@differs("a watcher starts by its own sockets; in Circus the first one does, by any",
         manual="looks at its own sockets and at no others", theirs=("active", "stopped"), ours=("stopped", "active"))
def starts_by_its_own_socket(d):
    place = next(found for found in d.ok("listsockets")["sockets"] if found["name"] == "two")
    with socket.create_connection((place["host"], place["port"])):
        d.report("first" if d.side == "theirs" else "second")
        d.until("first" if d.side == "theirs" else "second", "active")
        return d.status("first"), d.status("second")


python = Group("python")
SITE = "lib/python3.11/site-packages"


@python.alone("""
    [watcher:w]
    cmd = {child} report {dir}/report
    copy_env = True
    virtualenv = {dir}/venv
    virtualenv_py_ver = 3.11
    """, files=((f"venv/{SITE}/module.py", ""), (f"venv/{SITE}/more.pth", "{dir}/public\n# x\nimport os\n/no/such\n"),
                ("venv/bin/x", "")), environment=(("PYTHONPATH", "/outer"),))
def virtualenv(d):
    environment = d.report("report")["environment"]
    return {name: environment.get(name) for name in ("PATH", "PYTHONPATH")}


@python.alone("""
    [watcher:w]
    cmd = sleep 1000
    virtualenv = {dir}/venv
    virtualenv_py_ver = 3.11
    [watcher:none]
    cmd = sleep 1000
    copy_env = True
    virtualenv = {dir}/none
    [watcher:z]
    cmd = sleep 1000
    """, files=((f"venv/{SITE}/module.py", ""), ("venv/bin/x", "")), manual=True)
@differs("a watcher that cannot run is there, and stopped", manual="affect only that watcher", theirs=["z"],
         ours=["none", "w", "z"])
def virtualenv_that_cannot_be(d):
    """Without copy_env, and without the directory."""
    d.launch()
    wait_until(d.answers, "an answer")
    d.until("z", "active")
    return d.ok("list")["watchers"]


@python.alone("""
    [watcher:w]
    cmd = {child} report {dir}/report
    copy_env = True
    copy_path = True
    """, environment=(("PYTHONPATH", "/outer/one:/outer/two"),))
def copy_path(d):
    return d.report("report")["environment"]["PYTHONPATH"]


others = Group("others")


@others.alone("""
    [circus]
    statsd = True
    stats_endpoint = ipc://{dir}/stats.sock
    httpd = False
    [watcher:w]
    cmd = sleep 1000
    """)
@differs("statistics are on the control socket; no process makes them", manual="There is no watcher",
         theirs=["circusd-stats", "w"], ours=["w"])
def statsd(d):
    return d.ok("list")["watchers"]


@others.alone("""
    [circus]
    endpoint_owner = root
    [watcher:w]
    cmd = sleep 1000
    uid = root
    """, manual=True)
def endpoint_owner(d):
    d.launch()
    d.wait_ready()
    seen = [d.refused("add", name="x", cmd=SLEEP), d.refused("add", name="x", cmd=SLEEP, options={"uid": "daemon"})]
    return [*seen, d.ok("add", name="x", cmd=SLEEP, options={"uid": "root"})]
