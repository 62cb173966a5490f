"""What a start takes, and whom `circus ctl` and the processes speak with."""

import os
import subprocess

from harness import CIRCUS, check
from scene import A, B, USERS

# A circus that is not found where root's own is, in a /tmp and a /run that nobody else uses.
OTHERS = """
mount -t tmpfs none /run && mount -t tmpfs -o mode=1777 none /mnt && cp "$1" /mnt/circus && mount --bind /mnt /tmp
printf '[watcher:%s]\\ncmd = sleep 1000\\n' a > /tmp/a.ini
printf '[watcher:%s]\\ncmd = sleep 1000\\n' b > /tmp/b.ini
as() { echo "setpriv --reuid $1 --regid $1 --clear-groups --"; }
ready() { while ! grep -q 'now waiting for commands' $1; do kill -0 $2 || exit 1; sleep 0.01; done; }
$(as $2) /tmp/circus /tmp/a.ini 2>/tmp/a.log & first=$!
ready /tmp/a.log $first
/tmp/circus ctl list
/tmp/circus ctl --endpoint tcp://127.0.0.1:5555 list
$(as $3) /tmp/circus ctl list || echo "no way for the other user"
$(as $3) /tmp/circus /tmp/b.ini 2>/tmp/b.log & second=$!
ready /tmp/b.log $second
/tmp/circus ctl list || echo "two are too many"
kill $first $second
wait
"""


def attack_root_finds_the_circus_of_another_user(scene):
    command = ["unshare", "--mount", "sh", "-c", OTHERS, "sh", CIRCUS, str(USERS[A]), str(USERS[B])]
    done = subprocess.run(command, capture_output=True, check=False, timeout=120)
    said = done.stdout.decode().splitlines()
    check("root's ctl finds it, by no endpoint and by a port", said[:2], ["a", "a"])
    check("another user does not", said[2:3], ["no way for the other user"])
    check("of several none is taken", said[3:], ["two are too many"])
    told = done.stderr.decode()
    check("root is told whose it is", f"circus of uid {USERS[A]} at /tmp/circus-{USERS[A]}/circus.sock" in told, True)
    check("and which ones there are", f"that of uid {USERS[B]} answers" in told, True)


# A directory as that of a user, in which somebody else listens.
FALSE = """
mount -t tmpfs none /run && mount -t tmpfs -o mode=1777 none /mnt && cp "$1" /mnt/circus && mount --bind /mnt /tmp
cat > /tmp/false.py <<'END'
import os, socket, sys
os.mkdir(sys.argv[1], 0o700)
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1] + "/circus.sock")
server.listen(1)
full = socket.socket(socket.AF_UNIX)
full.connect(sys.argv[1] + "/circus.sock")
open("/tmp/there", "w").close()
server.accept()
connection, _ = server.accept()
connection.recv(1000)
connection.sendall(b'{"status": "ok", "watchers": ["false"]}\\n')
END
setpriv --reuid $2 --regid $2 --clear-groups -- /usr/bin/python3 /tmp/false.py /tmp/circus-$3 & first=$!
while ! [ -e /tmp/there ]; do kill -0 $first || exit 1; sleep 0.01; done
/tmp/circus ctl list || echo refused
kill $first
wait
"""


def attack_a_directory_in_the_name_of_another_user_is_not_believed(scene):
    command = ["unshare", "--mount", "sh", "-c", FALSE, "sh", CIRCUS, str(USERS[B]), str(USERS[A])]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    check("root does not speak with it", done.stdout.decode().splitlines(), ["refused"])
    check("and is told why", f"it is not that of uid {USERS[A]}" in done.stderr.decode(), True)


def attack_an_abstract_name_that_somebody_else_has_taken(scene):
    name = f"circus-security-{os.getpid()}"
    server = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(chr(0) + sys.argv[1]); s.listen(9)\n"
    server += "print('there', flush=True)\nwhile 1: c, _ = s.accept(); c.recv(999); c.sendall(b'{\"watchers\": [\"x\"]}\\n')"
    taken = scene.as_user(["/usr/bin/python3", "-c", server, name], A, stdout=subprocess.PIPE)
    check("somebody else listens", taken.stdout.readline(), b"there\n")
    done = subprocess.run([CIRCUS, "ctl", "--endpoint", f"@{name}", "list"], capture_output=True, check=False, timeout=20)
    check("root's ctl does not speak with it", (done.returncode, done.stdout), (1, b""))
    check("and says who it is", f"served by uid {USERS[A]}" in done.stderr.decode(), True)


# Sends as fast as the kernel takes it, for ever; says so when it has sent 10,000.
FLOOD = """
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(sys.argv[1])
for n in range(1 << 40):
    s.send(b"READY=1")
    if n == 10000: print("sent", flush=True)
"""
READY = "import os, socket, time; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); time.sleep(0.2); \
s.sendto(b'READY=1', os.environ['NOTIFY_SOCKET']); time.sleep(1000)"


def cpu(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def attack_a_flood_of_notifications_from_another_user(scene):
    program = scene.write("ready.py", READY)
    circus = scene.circus(
        f"[watcher:first]\ncmd = /usr/bin/python3 {program}\nready = notify\ncopy_env = True\n"
        f"[watcher:late]\ncmd = /usr/bin/python3 {program}\nready = notify\ncopy_env = True\nuid = {B}\nautostart = False\n"
    )
    check("a watcher becomes ready", circus.ctl("start", "first", "--waiting"), "ok")
    flood = scene.as_user(["/usr/bin/python3", "-c", FLOOD, f"{circus.sock}.notify"], A, stdout=subprocess.PIPE)
    before = cpu(circus.process.pid)
    check("another user floods the socket", flood.stdout.readline(), b"sent\n")
    used = cpu(circus.process.pid) - before
    print(f"# {used} ticks of the processor for 10,000 notifications of a stranger")
    check("which costs less than one of the seconds that it takes", used < os.sysconf("SC_CLK_TCK"), True)
    check("a process of a third one is heard all the same", circus.ctl("start", "late", "--waiting"), "ok")
    flood.kill()
