"""The configurations of examples/, each run by the daemon as it is. A part of run.py, which runs it."""

import os
import re
import signal
import socket
import tempfile

from house import CONFIG, INSTALLED, Daemon, check, copied, ctl, example, get, run_ini, until

DOCS = "/usr/local/share/doc/circus/examples"


def the_demo_after_make_install():
    example("demo.ini")
    example("worker.py")
    with run_ini("demo.ini", "demo.ini", DOCS) as circus:
        circus.healthy()
        pids = ctl("list", "web")[1].split(",")
        status, body = get("http://127.0.0.1:8080/")
        check("demo.ini: a worker answers", (status, re.sub(r"\D", "", body) in pids), (200, True))
        check("demo.ini: reload", ctl("reload", "web", "--waiting")[0], 0)
        status, body = get("http://127.0.0.1:8080/")
        check("demo.ini: a new worker answers", (status, re.sub(r"\D", "", body) in pids), (200, False))
        circus.stop()


def minimal():
    with run_ini("minimal.ini", example("minimal.ini"), "/") as circus:
        circus.healthy()
        circus.stop()


def web():
    with tempfile.TemporaryDirectory() as directory:
        with run_ini("web.ini", copied("web.ini", directory), directory) as circus:
            circus.healthy()
            check("web.ini: gunicorn answers", get("http://127.0.0.1:8000/")[0], 200)
            circus.stop()
        with open(os.path.join(directory, "web.log"), encoding="utf-8") as log:
            check("web.ini: its log is written", "Listening at" in log.read())


# A question that php-fpm answers without a script: FCGI_GET_VALUES, for FCGI_MPXS_CONNS.
QUESTION = b"\1\x09\0\0\0\x11\0\0\x0f\0FCGI_MPXS_CONNS"
FCGI_GET_VALUES_RESULT = 10
POOL = "[global]\ndaemonize = no\n[www]\nuser = nobody\nlisten = 127.0.0.1:9000\npm = static\npm.max_children = 1\n"


def php_fpm():
    # Debian's has its version in the name.
    found = sorted(name for name in os.listdir("/usr/sbin") if name.startswith("php-fpm"))
    os.symlink(f"/usr/sbin/{found[-1]}", "/usr/local/bin/php-fpm")
    with open("/etc/php/php-fpm.conf", "w", encoding="utf-8") as file:
        file.write(POOL)
    with run_ini("php-fpm.ini", example("php-fpm.ini"), "/") as circus:
        circus.healthy()
        with socket.create_connection(("127.0.0.1", 9000)) as connection:
            connection.sendall(QUESTION)
            answer = connection.recv(64)
        check("php-fpm.ini: PHP answers", answer[:2], bytes([1, FCGI_GET_VALUES_RESULT]))
        circus.stop()


def plugins():
    """Both, below a circus whose watcher they are about; the commands are those of their head comments."""
    with tempfile.TemporaryDirectory() as directory:
        watched, deaths = (os.path.join(directory, name) for name in ("watched", "deaths"))
        open(watched, "w", encoding="utf-8").close()
        example("plugins/deaths.sh")
        example("plugins/reload_on_change.py")
        with open(CONFIG, "w", encoding="utf-8") as file:
            file.write(f"[watcher:w]\ncmd = sleep 1000\n"
                       f"[plugin:deaths]\ncmd = sh examples/plugins/deaths.sh\nfile = {deaths}\n"
                       "[plugin:reload]\ncmd = python3 examples/plugins/reload_on_change.py\nwatcher = w\n"
                       f"file = {watched}\n")
        with Daemon("plugins", [INSTALLED, CONFIG], cwd=os.path.dirname(DOCS)) as circus:
            circus.healthy()
            before = ctl("list", "w")[1]
            os.kill(int(before), signal.SIGKILL)
            until(lambda: os.path.exists(deaths), "deaths.sh to write")
            with open(deaths, encoding="utf-8") as file:
                check("deaths.sh: what it writes", file.read().split()[2:], ["w:", "-9"])
            until(lambda: ctl("list", "w")[1] not in (before, ""), "a process in its place")
            before = ctl("list", "w")[1]
            # It looks at the file when it has started, which nothing tells; from then on each change is seen.
            def another():
                os.utime(watched)
                return ctl("list", "w")[1] not in (before, "")
            until(another, "reload_on_change.py to reload")
            check("reload_on_change.py: it reloads", True)
            circus.stop(quietly=False)


def the_stack():
    """Its own suite, tests/stack, puts it under load; here it runs as its head comment says."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        stack = copied("stack", directory)
        os.mkdir(os.path.join(stack, "var"))
        with run_ini("stack", "circus.ini", stack) as circus:
            circus.healthy()
            check("stack: the application answers", get("http://127.0.0.1:8080/")[0], 200)
            check("stack: a job is taken", get("http://127.0.0.1:8080/work")[0], 200)
            until(lambda: "done" in ctl("tail", "worker")[1], "the worker to do the job")
            circus.stop()
        logs = [name for name in os.listdir(os.path.join(stack, "var")) if name.endswith(".log")]
        check("stack: its logs", sorted(logs), ["nginx.log", "redis.log", "web.log", "worker.log"])


PARTS = (the_demo_after_make_install, minimal, web, php_fpm, plugins, the_stack)
