"""The control socket, by users who are not root."""

from harness import check
from scene import A


def attack_another_users_commands_are_refused(scene):
    circus = scene.circus("[watcher:app]\ncmd = sleep 1000\n")
    code = scene.as_user([scene.program(), "ctl", "--endpoint", circus.sock, "stop"], A).wait(30)
    check("another user cannot connect to the control socket", code, 1)
    check("and nothing was stopped", circus.ctl("status", "app"), "active")


def attack_the_owner_of_the_endpoint_gets_no_group_and_no_capability_by_a_command(scene):
    watcher = f"cmd = sleep 1000\nuid = {A}\n"
    circus = scene.circus(
        f"endpoint_owner = {A}\n[watcher:group]\n{watcher}gid = shadow\n[watcher:own]\n{watcher}gid = {A}\n"
        f"[watcher:able]\n{watcher}capabilities = net_bind_service\n"
    )
    program = f"""
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(30)
s.connect({circus.sock!r})
lines = s.makefile("r")
def is_refused(name, **options):
    request = {{"command": "set", "properties": {{"name": name, "options": options}}}}
    s.sendall(json.dumps(request).encode() + b"\\n")
    return json.loads(lines.readline())["status"] == "error"
refused = [is_refused(name, cmd="sleep 999") for name in ("group", "able", "own")]
refused += [is_refused("able", env={{"LD_PRELOAD": "/x"}}), is_refused("group", numprocesses=2)]
sys.exit(refused != [True, True, False, True, False])
"""
    check("commands are set where they get nothing by them, numbers everywhere", scene.python_as(program), 0)
