"""test_client, test_controller, test_convert_option and test_validate_option: requests as a program sends them."""

import json

from suite import Group, differs

SLEEP = "/bin/sleep 1000"

client = Group("client", """
    [watcher:test]
    cmd = /bin/sleep 1000
    """, mixed=True)


@client
def numbers(d):
    one = d.ok("numprocesses", name="TEST")
    return d.ok("numwatchers"), d.ok("numprocesses"), one, d.ok("list"), len(d.pids("test"))


@client
def set_numprocesses(d):
    d.add("many", SLEEP)
    seen = []
    for count in (2, 1):
        seen.append(d.ok("set", name="many", options={"numprocesses": count}, waiting=True))
        d.until_pids("many", lambda pids, count=count: len(pids) == count)
        seen.append(d.ok("numprocesses", name="many"))
    return seen


@client
def incr_and_decr(d):
    d.add("count", SLEEP)
    seen = [d.ok("incr", name="count", waiting=True), d.ok("incr", name="count", nb=2, waiting=True)]
    return [*seen, d.ok("decr", name="count", nb=3, waiting=True), len(d.pids("count")), d.ok("incr", name="count")]


@client
def decr_below_zero(d):
    d.add("zero", SLEEP)
    seen = [d.ok("decr", name="zero", nb=10, waiting=True), d.pids("zero"), d.status("zero")]
    return [*seen, d.ok("incr", name="zero", waiting=True), len(d.pids("zero"))]


@client
def set_env(d):
    d.add("env", SLEEP)
    seen = d.ok("set", name="env", options={"env": {"A": "1", "B": "two words"}}, waiting=True)
    return {"reply": seen, "get": d.ok("get", name="env", keys=["env"]),
            "bad": d.refused("set", name="env", options={"env": {"A": 1}}),
            "no object": d.refused("set", name="env", options={"env": "A=1"})}


@client
def stats(d):
    pid, = d.pids("test")
    reply = d.ok("stats", name="test")
    one = d.ok("stats", name="TEST", process=pid)
    everything = d.ok("stats")
    info = one.pop("info")
    kinds = {key: type(value).__name__ for key, value in info.items() if key not in ("cpu", "mem")}
    kinds["cpu"] = isinstance(info["cpu"], (int, float))
    return (sorted(reply), reply["name"], sorted(reply["info"][str(pid)]) == sorted(info), kinds, info["cmdline"],
            info["wid"], one["process"] == pid, str(pid) in everything["infos"]["test"], info["age"] > 0)


@client
def stats_of_nobody(d):
    return d.refused("stats", name="test", process=1), d.refused("stats", name="none")


@client
@differs("the processes of circus are its children", manual="the processes of circus as its children", key="children",
         theirs=[], ours=["sleep"])
def dstats(d):
    info = d.ok("dstats")["info"]
    return {"keys": sorted(info), "pid": info["pid"] == d.process.pid,
            "children": sorted({child["cmdline"] for child in info["children"]})}


@client
def globaloptions(d):
    reply = d.ok("globaloptions", option="endpoint")
    pubsub = d.ok("globaloptions", option="pubsub_endpoint")
    return (d.hide(reply), d.hide(pubsub), d.ok("globaloptions", option="check_delay"),
            d.refused("globaloptions", option="zz"))


@client
def envelope(d):
    reply = d.call("numwatchers")
    error = d.call("zz")
    return (sorted(reply), reply["id"], isinstance(reply["time"], float), sorted(error), error["errno"],
            error["reason"], error["tb"], d.call("status", name="test")["status"])


@client
def ids_are_echoed(d):
    return [d.send({"command": "list", "id": value})["id"] for value in ("x", 7, None, [1, {"a": 2}])]


@client
def names_of_commands_in_any_case(d):
    return d.call("LIST")["watchers"][:0], d.call("NumWatchers")["status"]


@client
def missing_and_wrong_properties(d):
    asked = [("status", {"name": "none"}), ("incr", {}), ("incr", {"name": "none"}), ("rm", {}), ("add", {"name": "x"}),
             ("add", {"cmd": "x"}), ("get", {"name": "test"}), ("get", {"name": "test", "keys": ["zz"]}),
             ("set", {"name": "test"}), ("set", {"name": "none", "options": {"numprocesses": 2}}), ("options", {}),
             ("signal", {"name": "test"}), ("signal", {"signum": 1}), ("kill", {}), ("list", {"name": "none"}),
             ("numprocesses", {"name": "none"}), ("reload", {"name": "none", "waiting": True})]
    return {f"{command} {json.dumps(properties)}": d.refused(command, **properties) for command, properties in asked}


def set_each(d, name, values):
    """What is answered to each of these options by itself."""
    d.add(name, SLEEP)
    seen = {}
    for key, value in values.items():
        reply = d.call("set", name=name, options={key: value})
        seen[f"{key}={json.dumps(value)}"] = (reply["errno"], reply["reason"]) if reply["status"] == "error" else "ok"
    return seen


@client
def validated_options(d):
    return set_each(d, "valid", {
        "numprocesses": "1", "warmup_delay": "x", "uid": [], "send_hup": "x", "shell": 3, "graceful_timeout": "x",
        "max_age": "x", "respawn": "perhaps", "zz": 1, "rlimit_zz": 5, "env": [], "stdout_stream": "x"})


@client
@differs("text is text", manual="Text options take no numbers", key="cmd=5", theirs="ok",
         ours=(3, "'cmd' isn't a string"))
@differs("text is text", manual="Text options take no numbers", key="args=5", theirs="ok",
         ours=(3, "'args' isn't a string"))
@differs("text is text", manual="Text options take no numbers", key="working_dir=5", theirs="ok",
         ours=(3, "'working_dir' isn't a string"))
@differs("a signal may have its name", manual="signals may be names", key='stop_signal="zz"',
         theirs=(3, "'stop_signal' isn't an integer"), ours=(3, "'stop_signal' isn't a signal"))
def validated_by_the_table(d):
    return set_each(d, "table", {"cmd": 5, "args": 5, "working_dir": 5, "stop_signal": "zz", "rlimit_nofile": "x"})


@client
@differs("no request and no traceback is sent to clients", manual="An error contains neither the request nor a traceback",
         key="hook", theirs=(5, "command"), ours=(3, "Unknown hook 'zz'"))
@differs("no request and no traceback is sent to clients", manual="An error contains neither the request nor a traceback",
         key="stream", theirs=(5, "command"), ours=(3, "unknown key 'stdout_stream.zz'"))
def validated_with_a_traceback(d):
    d.add("traced", SLEEP)
    hook = d.refused("set", name="traced", options={"hooks.zz": "a.b"})
    stream = d.refused("set", name="traced", options={"stdout_stream.zz": "1"})
    short = lambda refused: (refused[0], refused[1].split(" ")[0] if refused[0] == 5 else refused[1])
    return {"hook": short(hook), "stream": short(stream)}


@client
def hooks_that_are_none(d):
    return d.refused("set", name="test", options={"hooks": "x"})


@client
@differs("ids are text, as they stand in a file", manual="are shown as text", key="uid",
         theirs=({}, 0), ours=({}, "0"))
def accepted_options(d):
    d.add("taken", SLEEP)
    tried = {"numprocesses": 1, "warmup_delay": 0.5, "working_dir": "/tmp", "uid": 0, "send_hup": True,
             "stop_signal": 2, "stop_children": True, "shell": False, "cmd": "/bin/sleep 1001", "args": "",
             "max_age": 1000, "max_age_variance": 5, "graceful_timeout": 2.5}
    seen = {}
    for key, value in tried.items():
        reply = d.ok("set", name="taken", options={key: value}, waiting=True)
        seen[key] = reply, d.ok("get", name="taken", keys=[key])["options"][key]
    return seen


controller = Group("controller", """
    [watcher:test]
    cmd = /bin/sleep 1000
    """, mixed=True)


@controller
def garbage_then_a_request(d):
    for nonsense in (b"\xff\xfe", b"{", b'{"command": 5'):
        d.send(nonsense)
    return d.ok("numwatchers")


@controller
def no_json(d):
    reply = d.send(b"{nonsense")
    return reply["status"], reply["errno"], reply["reason"], reply["id"]


@controller.alone("""
    [watcher:test]
    cmd = /bin/sleep 1000
    """)
@differs("everything gets an answer; Circus's client waits in vain", manual="Every request gets an answer",
         key="empty object", theirs=None, ours=(3, "message invalid 'command' is missing"))
@differs("everything gets an answer, also what follows; Circus answers nobody any more",
         manual="Every request gets an answer", key="no object", theirs=None,
         ours=(1, "json invalid: it is not an object"))
@differs("everything gets an answer, also what follows; Circus answers nobody any more",
         manual="Every request gets an answer", key="then", theirs=None, ours="ok")
def no_request(d):
    seen = {}
    for what, line in (("empty object", b"{}"), ("no object", b"[1]"), ("then", b'{"command": "list"}')):
        reply = d.send(line)
        seen[what] = reply and (reply["status"] if reply["status"] == "ok" else (reply["errno"], reply["reason"]))
    return seen


@controller
def unknown_command(d):
    return d.refused("zz"), d.refused("")


@controller
def cast_gets_no_reply(d):
    message = {"command": "add", "msg_type": "cast", "properties": {"name": "cast", "cmd": SLEEP, "start": True}}
    seen = d.send(json.dumps(message).encode())
    bad = d.send(json.dumps({"command": "zz", "msg_type": "cast"}).encode())
    return seen, bad, d.until("cast", "active")
