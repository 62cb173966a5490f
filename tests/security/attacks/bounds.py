"""What a user who may connect can take from root and from circus: places, memory, time, and what is secret."""

import subprocess
import sys

from harness import check
from scene import A, B, USERS

SECRET = "hunter2-the-secret"

# Connects so many times, sends the same by each connection, and keeps them open. Where that is a request, it ends with
# the first that is refused, and says how many were not.
CROWD = """
import socket, sys
path, words, most = sys.argv[1], sys.argv[2].encode("latin-1"), int(sys.argv[3])
kept = []
while len(kept) < most:
    stream = socket.socket(socket.AF_UNIX)
    stream.connect(path)
    try:
        stream.sendall(words)
    except BrokenPipeError:
        pass
    if words.endswith(b"\\n") and b'"error"' in stream.recv(65536):
        break
    kept.append(stream)
print(len(kept), flush=True)
sys.stdin.read()
"""


def crowd(scene, circus, words, user=A, most=400):
    argv = ["setpriv", "--reuid", str(USERS[user]), "--regid", str(USERS[user]), "--clear-groups", "--"]
    argv += [sys.executable, "-c", CROWD, circus.sock, words, str(most)]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/")
    scene.started.append(process)
    return int(process.stdout.readline())


# Started so, circus has few descriptors.
SMALL = ("sh", "-c", 'ulimit -n 256; exec "$@"', "sh")


def attack_no_user_takes_all_places(scene):
    circus = scene.circus(f"endpoint_owner = {A}\n[watcher:app]\ncmd = sleep 1000\n", before=SMALL)
    taken = crowd(scene, circus, '{"command": "listen"}\n')
    check("one user has a share of the places", 20 < taken < 100, True)
    check("root is served all the same", circus.ctl("numwatchers"), "1")


def attack_silent_connections_keep_nobody_out(scene):
    circus = scene.circus(f"endpoint_owner = {A}\nendpoint_mode = 0666\n[watcher:app]\ncmd = sleep 1000\n", before=SMALL)
    for words in ("", '{"command": "sta', "\xff"):
        for user in (A, B):
            crowd(scene, circus, words, user)
    check("root is served while others say nothing", circus.ctl("numwatchers"), "1")


def attack_values_of_environments_are_not_told_to_other_users(scene):
    ini = f"loglevel = debug\nendpoint_owner = {A}\n[watcher:app]\ncmd = sleep 1000\n[env:app]\nPASSWORD = {SECRET}1\n"
    circus = scene.circus(ini)
    circus.ctl("set", "app", "env", f"PASSWORD={SECRET}2")
    circus.ctl("add", "--start", "--option", f"env=PASSWORD={SECRET}3", "--option", f"uid={A}", "theirs", "sleep 1000")
    check("root is told", SECRET + "2" in circus.ctl("get", "app", "env"), True)
    program = f"""
import json, socket
s = socket.socket(socket.AF_UNIX)
s.settimeout(30)
s.connect({circus.sock!r})
lines = s.makefile("r")
seen = ""
for name in ("app", "theirs"):
    for command, properties in (
        ("get", {{"keys": ["env", "cmd"]}}), ("options", {{}}), ("why", {{}}), ("stats", {{}}), ("dstats", {{}}),
        ("globaloptions", {{}}), ("status", {{"details": True, "check": True}}), ("status", {{}}), ("metrics", {{}}),
        ("set", {{"options": {{"env": {{"PASSWORD": []}}}}}}), ("get", {{"keys": ["env"] * 3}}),
    ):
        request = {{"command": command, "properties": {{"name": name, **properties}}}}
        s.sendall(json.dumps(request).encode() + b"\\n")
        seen += lines.readline()
s.sendall(b'{{"command": "listen"}}\\n')
s.sendall(b'{{"command": "restart", "properties": {{"name": "theirs"}}}}\\n')
while ".reap" not in seen:
    seen += lines.readline()
assert "PASSWORD" in seen, "names are told"
raise SystemExit({SECRET!r} in seen)
"""
    check("another user is not", scene.python_as(program), 0)
    circus.stop()
    check("and the log is not", SECRET in circus.read(), False)


def attack_half_lines_do_not_fill_the_memory(scene):
    circus = scene.circus(f"endpoint_owner = {A}\n[watcher:app]\ncmd = sleep 1000\n")
    crowd(scene, circus, '{"command": "' + "x" * 120_000, most=1000)
    check("circus answers", circus.ctl("numwatchers"), "1")
    with open(f"/proc/{circus.process.pid}/status", encoding="utf-8") as status:
        most = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    check("what it keeps for its clients has a bound", most < 100_000, True)
