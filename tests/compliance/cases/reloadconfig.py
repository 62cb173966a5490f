"""test_reloadconfig: a changed file is read again."""

from processes import wait_until
from suite import Difference, Group, differs

BASE = """
    [socket:kept]
    host = 127.0.0.1
    port = 0
    [socket:un]
    path = {dir}/un.sock
    [watcher:same]
    cmd = /bin/sleep 1000
    [watcher:other]
    cmd = /bin/sleep 1001
    numprocesses = 2
    [watcher:late]
    cmd = /bin/sleep 1000
    autostart = False
    [env:same]
    X = 1
    """

reload = Group("reloadconfig")


def changed(*replacements, more=""):
    text = BASE
    for old, new in replacements:
        assert old in text, old
        text = text.replace(old, new)
    return text + more


def take(d, text):
    """Reads a changed file; the reply, and whose processes are the same."""
    before = {name: d.pids(name) for name in ("same", "other")}
    d.configure(text)
    reply = d.call("reloadconfig", waiting=True)
    names = d.ok("list")["watchers"]
    kept = {name: d.pids(name) == pids for name, pids in before.items() if name in names}
    seen = reply["status"] if reply["status"] == "ok" else (reply["errno"], reply["reason"])
    return {"reply": seen, "kept": kept, "watchers": names}


def case(name, text, look=None, differences=(), base=BASE):
    def function(d):
        seen = take(d, text)
        return seen | (look(d) if look else {})

    function.__name__ = name
    function.differences = list(differences)
    return reload.alone(base, down=("late",))(function)


def names_of_sockets(d):
    return sorted(sock["name"] for sock in d.ok("listsockets")["sockets"])


case("nothing_changed", BASE)
case("blanks_in_a_variable", changed(("X = 1", "X =   1   ")))
case("added_watcher", changed(more="[watcher:new]\ncmd = sleep 1000"), lambda d: {"new": d.until("new", "active")})
case("added_watcher_that_does_not_start", changed(more="[watcher:new]\ncmd = sleep 1000\nautostart = False"),
     lambda d: {"new": d.status("new")})
case("removed_watcher", changed(("[watcher:other]\n    cmd = /bin/sleep 1001\n    numprocesses = 2\n", "")))
case("changed_command", changed(("sleep 1001", "sleep 1002")),
     lambda d: {"cmd": d.ok("get", name="other", keys=["cmd"]), "state": d.until("other", "active")})
case("changed_variable", changed(("X = 1", "X = 2")), lambda d: {"env": d.ok("get", name="same", keys=["env"])
                                                              ["options"]["env"]["X"]})
case("added_socket", changed(more="[socket:new]\nhost = 127.0.0.1\nport = 0"),
     lambda d: {"sockets": names_of_sockets(d)})
case("removed_socket", changed(("[socket:un]\n    path = {dir}/un.sock\n", "")),
     lambda d: {"sockets": names_of_sockets(d), "file": d.exists("un.sock")})
PLUGIN = "[plugin:p]\nuse = circus.plugins.statsd.StatsdEmitter\nport = "
case("added_plugin", changed(more=PLUGIN + "9"), lambda d: {"plugin": d.until("plugin:p", "active")})
case("removed_plugin", BASE, base=changed(more=PLUGIN + "9"))
case("changed_plugin", changed(more=PLUGIN + "10"), lambda d: {"plugin": d.until("plugin:p", "active")},
     base=changed(more=PLUGIN + "9"))
case("changed_socket", changed(("un.sock", "deux.sock")),
     lambda d: {"files": (d.exists("un.sock"), d.exists("deux.sock"))})


@reload.alone(BASE, down=("late",))
def only_numprocesses(d):
    before = d.pids("other")
    seen = take(d, changed(("numprocesses = 2", "numprocesses = 3")))
    now = d.until_pids("other", lambda pids: len(pids) == 3)
    return seen["reply"], set(before) <= set(now)


@reload.alone(BASE, down=("late",))
@differs("going back is a change, too", manual="a number of processes that is set back", theirs=3, ours=2)
def numprocesses_and_back(d):
    take(d, changed(("numprocesses = 2", "numprocesses = 3")))
    d.until_pids("other", lambda pids: len(pids) == 3)
    take(d, BASE)
    return len(d.until_pids("other", lambda pids: d.side == "theirs" or len(pids) == 2))


case("added_option_with_a_default", changed(("sleep 1001", "sleep 1001\n    graceful_timeout = 7")),
     lambda d: d.ok("get", name="other", keys=["graceful_timeout"]),
     [Difference("kept", "what does not concern a running process replaces none",
                 manual="replaces no process that a change does not concern",
                 theirs={"same": True, "other": False}, ours={"same": True, "other": True})])
case("removed_option_with_a_default", changed(("    numprocesses = 2\n", "")),
     lambda d: d.ok("get", name="other", keys=["numprocesses"]))


@reload.alone(BASE, down=("late",))
@differs("an option that is added is a change", manual="notices keys that were added or removed", key="window",
         theirs=None, ours="7")
def added_option(d):
    take(d, changed(("sleep 1001", "sleep 1001\n    flapping.window = 7")))
    return {"window": d.ok("options", name="other")["options"].get("flapping.window")}


@reload.alone(BASE.replace("sleep 1001", "sleep 1001\n    flapping.window = 7"), down=("late",))
@differs("an option that is removed is a change", manual="notices keys that were added or removed", key="window",
         theirs="7", ours=None)
def removed_option(d):
    take(d, BASE)
    return {"window": d.ok("options", name="other")["options"].get("flapping.window")}


@reload.alone(BASE, down=("late",))
@differs("the error says what is wrong, and where", manual="Its errors are reported", key="reason", theirs="server error",
         ours="the configuration was not applied, nothing has changed:\n"
              "{dir}/circus.ini:15: `numprocesses = many` is not a whole number")
def broken_file(d):
    seen = take(d, changed(("numprocesses = 2", "numprocesses = many")))
    errno, reason = seen.pop("reply")
    return seen | {"errno": errno, "reason": d.hide(reason), "states": (d.status("same"), d.status("other"))}


@reload.alone(BASE, down=("late",))
def not_waiting(d):
    d.configure(changed(more="[watcher:new]\ncmd = sleep 1000"))
    reply = d.ok("reloadconfig")
    wait_until(lambda: "new" in d.ok("list")["watchers"], "the new watcher")
    return {"reply": reply, "new": d.until("new", "active")}


@reload.alone(BASE, down=("late",))
@differs("what a client has added stays", manual="keeps watchers that a command has added",
         theirs=["late", "other", "same"], ours=["late", "mine", "other", "same"])
def watcher_that_a_client_added(d):
    d.add("mine", "sleep 1000")
    return take(d, BASE)["watchers"]


@reload.alone(BASE, down=("late",))
def by_circusctl(d):
    return d.ctl("reloadconfig", "--waiting"), d.ctl("reloadconfig")


@reload.alone(BASE, down=("late",))
def restart_of_everything_reads_the_file(d):
    d.configure(changed(("sleep 1001", "sleep 1002"), more="[watcher:new]\ncmd = sleep 1000"))
    d.call("restart")
    # Circus closes its endpoint meanwhile, and a request may get lost.
    wait_until(lambda: "new" in ((d.send(b'{"command": "list"}') or {}).get("watchers") or ()), "the new watcher")
    return d.until("new", "active"), d.until("other", "active"), d.ok("get", name="other", keys=["cmd"])
