"""test_sockets and test_stdin_socket."""

import os
import re
import socket

from processes import wait_until
from suite import Group, differs

sockets = Group("sockets", """
    [socket:Tcp]
    host = 127.0.0.1
    port = 0
    [socket:six]
    host = ::1
    port = 0
    family = AF_INET6
    [socket:udp]
    host = 127.0.0.1
    port = 0
    type = SOCK_DGRAM
    [socket:un]
    path = {dir}/un.sock
    umask = 0
    [socket:un-default]
    path = {dir}/default.sock
    [socket:waits]
    host = 127.0.0.1
    port = 0
    blocking = True
    backlog = 5
    [watcher:two]
    cmd = {child} report {dir}/two $(circus.sockets.tcp) ((circus.sockets.UN))
    use_sockets = True
    [watcher:args]
    cmd = {child} report {dir}/args
    args = $(circus.sockets.udp) $(circus.sockets.waits) $(circus.sockets.un-default)
    use_sockets = True
    [watcher:without]
    cmd = {child} report {dir}/without
    [watcher:stdin]
    cmd = {child} report {dir}/stdin
    stdin_socket = tcp
    """)


def place(d, name):
    """Where a socket is, as the daemon says."""
    found = next(sock for sock in d.ok("listsockets")["sockets"] if sock["name"] == name)
    return found.get("path") or (found["host"], found["port"])


def named(seen, number):
    """The socket that the process has at the number that stands among its arguments."""
    return seen["sockets"][seen["argv"][number]]


@sockets
def listed(d):
    found = d.ok("listsockets")["sockets"]
    shape = {sock["name"]: {key: value for key, value in sock.items() if key not in ("fd", "port")} for sock in found}
    ports = [sock["port"] for sock in found if "port" in sock]
    return d.hide(shape), all(ports), [sock["fd"] for sock in found] == sorted(sock["fd"] for sock in found)


@sockets
def inherited_by_number(d):
    seen = d.report("two")
    tcp, un = named(seen, 0), named(seen, 1)
    same = tuple(tcp["address"]) == place(d, "tcp")
    return same, tcp["nonblocking"], tcp["reuseport"], tcp["listens"], un


@sockets
def in_args(d):
    seen = d.report("args")
    return named(seen, 0)["listens"], named(seen, 1)["nonblocking"], named(seen, 2)["address"]


@sockets
@differs("only the sockets that the command names are there; Circus leaves all open",
         manual="only those that are wanted are inherited", key="sockets", theirs=6, ours=4)
@differs("sockets are described by LISTEN_FDS and EINHORN_FD", manual="are described by LISTEN_FDS and EINHORN_FD_*",
         key="environment", theirs=[], ours=["EINHORN_FD_*", "LISTEN_FDNAMES", "LISTEN_FDS", "LISTEN_PID"])
def all_of_them(d):
    seen = d.report("two")
    names = {re.sub("^EINHORN_FD_.*", "EINHORN_FD_*", name) for name in seen["environment"]}
    return {"sockets": len([number for number in seen["sockets"] if int(number) > 2]),
            "environment": sorted(names - {"PATH"})}


@sockets
def none_without_use_sockets(d):
    seen = d.report("without")
    return seen["sockets"], seen["descriptors"]


@sockets
def stdin_socket(d):
    seen = d.report("stdin")
    return tuple(seen["sockets"]["0"]["address"]) == place(d, "tcp"), list(seen["sockets"])


@sockets
def unix_socket_with_umask_0(d):
    return oct(os.stat(d.path("un.sock")).st_mode)


@sockets
def unix_socket_by_default(d):
    return oct(os.stat(d.path("default.sock")).st_mode)


@sockets
def ipv6(d):
    host, port = place(d, "six")
    with socket.create_connection((host, port)):
        return host, port > 0


@sockets
def reachable_before_anybody_accepts(d):
    with socket.create_connection(place(d, "tcp")):
        return True


@sockets
def kept_when_watchers_stop(d):
    before = place(d, "tcp")
    d.ok("restart", name="two", waiting=True)
    return place(d, "tcp") == before


@sockets.alone("""
    [socket:un]
    path = {dir}/un.sock
    [watcher:w]
    cmd = sleep 1000
    """)
def file_is_removed_at_the_end(d):
    before = d.exists("un.sock")
    d.ok("quit", waiting=True)
    return before, d.end(), d.exists("un.sock")


@sockets.alone("""
    [socket:un]
    path = {dir}/un.sock
    umask = 022
    [watcher:w]
    cmd = sleep 1000
    """)
@differs("the umask is octal", manual="of a socket is octal", theirs="0o140751", ours="0o140755")
def umask(d):
    return oct(os.stat(d.path("un.sock")).st_mode)


IN_THE_WAY = (("un.sock", "in the way"),)


def socket_in_the_way(d):
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(d.path("un.sock"))


REPLACE = """
    [socket:un]
    path = {dir}/un.sock
    replace = True
    [watcher:w]
    cmd = sleep 1000
    """


@sockets.alone(REPLACE, manual=True)
def replace(d):
    socket_in_the_way(d)
    d.start()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(d.path("un.sock"))
    return True


@sockets.alone(REPLACE, manual=True, files=(("un.sock", "in the way"),))
@differs("what is no socket is somebody's file, and stays", manual="removes sockets only", key="file", theirs=False,
         ours=True)
@differs("what cannot be bound is 111", manual="When a socket cannot be bound, circus exits with 111", key="code",
         theirs=None, ours=111)
def replace_of_another_file(d):
    d.launch()
    wait_until(lambda: d.process.poll() is not None or "Arbiter now waiting" in d.log(), "a start")
    return {"code": d.process.poll(), "file": os.path.isfile(d.path("un.sock"))}


@sockets.alone(REPLACE.replace("replace = True", ""), manual=True)
@differs("what cannot be bound is 111; Circus says 0", manual="When a socket cannot be bound, circus exits with 111",
         key="code", theirs=0, ours=111)
def no_replace(d):
    with socket.socket(socket.AF_UNIX) as holder:
        holder.bind(d.path("un.sock"))
        holder.listen()
        d.launch()
        return {"code": d.end(), "file": d.exists("un.sock"), "path": "un.sock" in d.log()}


@sockets.alone(REPLACE.replace("replace = True", ""), manual=True)
@differs("what nobody holds is in nobody's way", manual="a stale one is replaced without it", key="runs",
         theirs=False, ours=True)
def no_replace_of_what_is_left_over(d):
    socket_in_the_way(d)
    d.launch()
    wait_until(lambda: d.process.poll() is not None or "Arbiter now waiting" in d.log(), "a start or an end")
    with socket.socket(socket.AF_UNIX) as client:
        return {"runs": client.connect_ex(d.path("un.sock")) == 0}


@sockets.alone("""
    [socket:tcp]
    host = 127.0.0.1
    port = {port}
    [watcher:w]
    cmd = {child} once {dir}/never 0
    """, manual=True)
@differs("what cannot be bound is 111; Circus says 0", manual="When a socket cannot be bound, circus exits with 111",
         key="code", theirs=0, ours=111)
def port_in_use(d):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        d.launch(d.setup.ini.replace("{port}", str(taken.getsockname()[1])))
        code = d.end()
    return {"code": code, "started": d.exists("never"), "said": "in use" in d.log()}


@sockets.alone("""
    [socket:bad]
    proto = nonsense
    port = 0
    [watcher:w]
    cmd = sleep 1000
    """)
def unknown_proto(d):
    return d.ok("listsockets")["sockets"], d.status("w")


@sockets.alone("""
    [socket:tcp]
    port = 0
    proto = tcp
    [watcher:w]
    cmd = sleep 1000
    """)
def known_proto(d):
    return [sock["name"] for sock in d.ok("listsockets")["sockets"]]


@sockets.alone("""
    [watcher:w]
    cmd = sleep 1000
    stdin_socket = none
    max_retry = 1
    [watcher:x]
    cmd = sleep 1000
    """, manual=True)
@differs("only the watcher that cannot be started stays down", manual="affect only that watcher", key="w",
         theirs="starting", ours="stopped")
@differs("only the watcher that cannot be started stays down", manual="affect only that watcher", key="x",
         theirs="stopped", ours="active")
def missing_stdin_socket(d):
    d.launch()
    d.logged("preexec_fn" if d.side == "theirs" else "there is no [socket:none]")
    if d.side == "ours":
        d.until("w", "stopped")
        d.until("x", "active")
    return {"w": d.status("w"), "x": d.status("x")}


@sockets.alone("""
    [watcher:w]
    cmd = {child} report {dir}/report $(circus.sockets.none)
    max_retry = 1
    """, manual=True)
@differs("a socket that there is not is an error, not an argument", manual="is an argument like any other",
         theirs=["$(circus.sockets.none)"], ours="stopped")
def unknown_socket(d):
    d.launch()
    if d.side == "theirs":
        return d.report("report")["argv"]
    d.logged("there is no [socket:none]")
    return d.until("w", "stopped")


@sockets.alone("""
    [socket:dev]
    host = 127.0.0.1
    port = 0
    interface = lo
    [watcher:w]
    cmd = sleep 1000
    """, manual=True)
@differs("interface works; Circus ends", manual="interface works", theirs=0, ours="active")
def interface(d):
    d.launch()
    if d.side == "theirs":
        return d.end()
    wait_until(d.answers, "an answer")
    return d.until("w", "active")


@sockets.alone("""
    [socket:shared]
    host = 127.0.0.1
    port = {port}
    so_reuseport = True
    [watcher:w]
    cmd = {child} report {dir}/report-$(circus.wid) $(circus.sockets.shared)
    use_sockets = True
    numprocesses = 2
    """, manual=True)
def so_reuseport(d):
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        d.start(d.setup.ini.replace("{port}", str(port)))
    seen = [named(d.report(f"report-{wid}"), 0) for wid in (1, 2)]
    return [(sock["address"] == ["127.0.0.1", port], sock["reuseport"], sock["listens"]) for sock in seen]
