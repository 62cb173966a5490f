"""The load of the stack test: wrk, for the application through nginx, and a client of our own straight on circus's sockets.

wrk gives the numbers. The client opens a connection for each request, one after the other, so it knows of
every single request how it ended and which process answered.
"""

import collections
import re
import signal
import socket
import subprocess
import threading
import time

DEADLINE = 30.0  # seconds for anything to happen; a stall below it is no failure
REQUEST = b"GET / HTTP/1.0\r\nHost: stack\r\n\r\n"


class NotReached(Exception):
    """A condition did not become true before its deadline."""


def wait_until(condition, what):
    """Polls until `condition()` is true and returns its value; raises NotReached after DEADLINE."""
    end = time.monotonic() + DEADLINE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise NotReached(f"not within {DEADLINE:.0f} s: {what}")
        time.sleep(0.02)


def connect(address):
    """A connection to a (host, port) pair or to the path of a Unix socket."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    connection.settimeout(DEADLINE)
    try:
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


def fetch(address, request=REQUEST):
    """One request on a connection of its own: (status, body). ValueError when the answer is cut short."""
    with connect(address) as connection:
        connection.sendall(request)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    head, separator, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    if not separator or (length and len(body) != int(length.group(1))):
        raise ValueError("answer cut short")
    return int(head.split()[1]), body


class Client(threading.Thread):
    """Sends one request after the other until told to stop, and counts how each of them ended."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address = address
        self.ends = collections.Counter()
        self.pids = collections.Counter()
        self.told = threading.Event()

    def run(self):
        while not self.told.is_set():
            end = self.request()
            self.ends[end] += 1
            if end != "ok":
                self.told.wait(0.01)  # So that a dead socket does not make a busy loop.

    def request(self):
        """How one request ended, in a word."""
        try:
            status, body = fetch(self.address)
        except (ConnectionRefusedError, FileNotFoundError, BlockingIOError):
            return "refused"
        except (ConnectionResetError, BrokenPipeError):
            return "reset"
        except TimeoutError:
            return "timeout"
        except ValueError:
            return "cut"
        if status != 200:
            return f"status {status}"
        self.pids[int(re.sub(rb"\D", b"", body))] += 1
        return "ok"

    def stop(self):
        self.told.set()
        self.join()

    def failures(self):
        return {end: count for end, count in self.ends.items() if end != "ok"}


class Wrk:
    """One wrk process, until it is interrupted; it then prints its counts."""

    def __init__(self, url):
        # The duration is only a bound for a test that hangs.
        command = ["wrk", "-t1", "-c4", "-d300", f"--timeout={DEADLINE:.0f}", url]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.output = ""

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.output, _ = self.process.communicate(timeout=DEADLINE)

    def requests(self):
        return sum(int(count) for count in re.findall(r"(\d+) requests in ", self.output))

    def failures(self):
        kinds = re.findall(r"(connect|read|write|timeout) (\d+)", self.output)
        kinds += re.findall(r"(Non-2xx) or 3xx responses: (\d+)", self.output)
        return {kind: int(count) for kind, count in kinds if int(count)}


class Load:
    """All of them at once: for each way into the stack one wrk and one client of our own."""

    def __init__(self, nginx, urls, addresses):
        """`nginx` is its address; by the name of a watcher, `urls` is for wrk and `addresses` has its sockets."""
        self.nginx = nginx
        self.urls = urls
        self.clients = {name: Client(address) for name, address in addresses.items()}
        self.wrks = {}

    def __enter__(self):
        for name, client in self.clients.items():
            self.wrks[name] = Wrk(self.urls[name])
            client.start()
        return self

    def __exit__(self, *_exception):
        for source in (*self.wrks.values(), *self.clients.values()):
            source.stop()

    def served(self):
        """The requests that nginx has seen since it started."""
        _status, body = fetch(self.nginx, REQUEST.replace(b"/ ", b"/nginx_status ", 1))
        return int(body.split()[9])

    def wait_for_answers(self):
        """Waits until the load flows: a hundred more through nginx, five more in each client."""
        seen = self.served()
        wait_until(lambda: self.served() > seen + 100, "100 requests through nginx")
        for name, client in self.clients.items():
            count = client.ends["ok"]
            wait_until(lambda c=client, n=count: c.ends["ok"] > n + 5, f"5 answers of {name}")

    def wait_for_pids(self, name, pids):
        """Waits until each of `pids` has answered the client of `name` from now on."""
        client = self.clients[name]
        before = dict(client.pids)
        wait_until(
            lambda: all(client.pids[pid] > before.get(pid, 0) for pid in pids), f"an answer from each of {pids}"
        )

    def requests(self):
        return sum(wrk.requests() for wrk in self.wrks.values()) + sum(
            sum(client.ends.values()) for client in self.clients.values()
        )

    def failures(self):
        """Where and how requests failed: {"wrk web": {"Non-2xx": 3}}; empty when none did."""
        found = {f"wrk {name}": wrk.failures() for name, wrk in self.wrks.items()}
        found |= {f"client {name}": client.failures() for name, client in self.clients.items()}
        return {source: kinds for source, kinds in found.items() if kinds}
