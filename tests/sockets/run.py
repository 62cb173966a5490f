#!/usr/bin/env python3
"""Runs real programs on sockets that circus hands them, each in its own way of being told.

uvicorn by number (`--fd`), nginx by its variable NGINX, gunicorn by LISTEN_FDS, the latter under a circus that was
itself passed its socket by a parent, as systemd does it. tests/stack has gunicorn by number, and load. CIRCUS_BIN is
the binary, by default target/release/circus (below CARGO_TARGET_DIR if that is set); CIRCUS_TEST_VENV a venv with the
Python programs, by default the one that tests/tools/setup.sh makes. One line a check, then `N passed, N failed`.
"""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "init"))

from harness import CIRCUS, PATIENCE, TARGET, Process, check, counts, until  # noqa: E402

VENV = os.environ.get("CIRCUS_TEST_VENV") or os.path.join(os.path.abspath(TARGET), "venv")
NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin")

APPLICATIONS = """
import os

async def asgi(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"%d" % os.getpid()})

def wsgi(environ, start_response):
    start_response("200 OK", [])
    return [b"%d" % os.getppid()]
"""

NGINX_CONF = """
daemon off; pid {0}/nginx.pid; error_log stderr; worker_processes 1;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {0}/t1; proxy_temp_path {0}/t2; fastcgi_temp_path {0}/t3; uwsgi_temp_path {0}/t4;
    scgi_temp_path {0}/t5;
    server {{ listen 127.0.0.1:{1}; listen unix:{0}/nginx.sock; return 200 nginx; }}
}}
"""


class Circus(Process):
    """A circus with a configuration in a directory."""

    def __init__(self, directory, ini, before=(), **more):
        self.sock = os.path.join(directory, "sock")
        path = os.path.join(directory, "circus.ini")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"[circus]\nendpoint = {self.sock}\n" + ini)
        with open(os.path.join(directory, "apps.py"), "w", encoding="utf-8") as file:
            file.write(APPLICATIONS)
        super().__init__([*before, CIRCUS, path], **more)

    def ctl(self, *words):
        argv = [CIRCUS, "ctl", "--endpoint", self.sock, *words]
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.read()
        return done.stdout.decode().strip()

    def pid(self, name):
        return self.ctl("list", name)

    def stop(self):
        self.send(signal.SIGTERM)
        return self.end()


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket, whose path is the host."""

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self.host)


def fetch(connection):
    """The body of one answer; None while nobody answers."""
    try:
        connection.request("GET", "/", headers={"Host": "circus"})
        return connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def tcp(port):
    return http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def uvicorn():
    with tempfile.TemporaryDirectory() as directory:
        port = free_port()
        circus = Circus(directory, f"[socket:web]\nhost = 127.0.0.1\nport = {port}\n"
                        f"[watcher:web]\ncmd = {VENV}/bin/uvicorn --fd $(circus.sockets.web) --app-dir {directory} apps:asgi\n"
                        "use_sockets = True\n")
        first = until(lambda: fetch(tcp(port)), "an answer of uvicorn")
        check("uvicorn answers on the descriptor that --fd names", first, circus.pid("web"))
        check("uvicorn is reloaded", circus.ctl("reload", "web", "--waiting"), "ok")
        second = until(lambda: fetch(tcp(port)), "another answer of uvicorn")
        check("uvicorn answers after a reload, on the same socket", (second != first, second), (True, circus.pid("web")))
        check("uvicorn ends in order", circus.stop(), 0)


def nginx():
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        port = free_port()
        with open(os.path.join(directory, "nginx.conf"), "w", encoding="utf-8") as file:
            file.write(NGINX_CONF.format(directory, port))
        circus = Circus(directory, f"[socket:tcp]\nhost = 127.0.0.1\nport = {port}\n[socket:unix]\npath = {directory}/nginx.sock\n"
                        f"[watcher:nginx]\ncmd = {NGINX} -c {directory}/nginx.conf -p {directory}\nuse_sockets = True\n"
                        "stop_signal = QUIT\n"
                        "[env:nginx]\nNGINX = $(circus.sockets.tcp);$(circus.sockets.unix);\n")
        check("nginx answers on the socket that NGINX names", until(lambda: fetch(tcp(port)), "nginx over TCP"), "nginx")
        check("nginx answers on the Unix socket that NGINX names", fetch(UnixConnection(f"{directory}/nginx.sock")), "nginx")
        circus.says("using inherited sockets")
        first = circus.pid("nginx")
        check("nginx is restarted", circus.ctl("restart", "nginx", "--waiting"), "ok")
        check("nginx answers after a restart", until(lambda: fetch(tcp(port)), "nginx over TCP again"), "nginx")
        check("and has not removed the Unix socket", fetch(UnixConnection(f"{directory}/nginx.sock")), "nginx")
        check("and is another one", circus.pid("nginx") != first)
        check("nginx ends in order", circus.stop(), 0)
        check("nginx had nothing to complain about", "[emerg]" in circus.text or "bind()" in circus.text, False)


def gunicorn_below_a_parent():
    with tempfile.TemporaryDirectory() as directory, socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        os.set_inheritable(server.fileno(), True)
        script = f'LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=circus.socket exec "$@" 3<&{server.fileno()}'
        circus = Circus(directory, "[socket:web]\ninherit = circus.socket\n"
                        f"[watcher:web]\ncmd = {VENV}/bin/gunicorn --chdir {directory} apps:wsgi\nuse_sockets = True\n",
                        before=["bash", "-c", script, "bash"], pass_fds=[server.fileno()])
        first = until(lambda: fetch(tcp(port)), "an answer of gunicorn")
        check("gunicorn answers on a socket that was passed to circus", first, circus.pid("web"))
        check("the socket that was passed is restarted with", circus.ctl("restart", "web", "--waiting"), "ok")
        second = until(lambda: fetch(tcp(port)), "another answer of gunicorn")
        check("gunicorn answers after a restart", (second != first, second), (True, circus.pid("web")))
        check("gunicorn ends in order", circus.stop(), 0)
        with socket.create_connection(("127.0.0.1", port), PATIENCE):
            check("the socket is its parent's when circus has ended", True)


def main():
    needed = (CIRCUS, f"{VENV}/bin/uvicorn", f"{VENV}/bin/gunicorn", NGINX or "nginx")
    missing = [program for program in needed if not os.access(program, os.X_OK)]
    if missing:
        sys.exit(f"missing: {', '.join(missing)}; run `make build` and `tests/tools/setup.sh` first")
    for part in (uvicorn, nginx, gunicorn_below_a_parent):
        try:
            part()
        except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
            check(f"{part.__name__} comes to its end", str(error), "")
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
