#!/usr/bin/env python3
"""Runs a real web stack under circus and drives it by `circus ctl` while load runs.

That of examples/stack: nginx, gunicorn on a Unix socket that circus bound, redis and a worker; and chaussette on a TCP
socket (more.ini). The environment chooses what is tested:

  CIRCUS_BIN        the binary, by default target/release/circus (below CARGO_TARGET_DIR if that is set);
                    Python Circus's `circusd` works too, its circusctl is looked for beside it
  CIRCUS_TEST_VENV  a venv with gunicorn and chaussette, by default the one that tests/tools/setup.sh makes

One line a check, then `N passed, N failed`; the exit code is 0 when nothing failed. Nothing waits for a time
to pass: every step polls for its condition, up to a deadline.
"""

import os
import signal
import sys

from load import Load, NotReached, connect, fetch, wait_until
from stack import Redis, Stack, become_subreaper, exists, find_tools

LEAST_REQUESTS = 1000
WAYS = ("plain", "web")


class Checks:
    """Prints each check and counts them."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def that(self, condition, name, detail=""):
        if condition:
            self.passed += 1
            print(f"ok {name}", flush=True)
        else:
            self.failed += 1
            print(f"FAIL {name}{': ' if detail else ''}{detail}", flush=True)

    def equal(self, found, expected, name):
        self.that(found == expected, name, f"found {found}, expected {expected}")


class Run:
    """The phases of the test, in order, on one stack."""

    def __init__(self, stack, checks):
        self.stack = stack
        self.checks = checks
        self.redis = Redis(stack)
        self.redis_troubles = []
        self.requests = 0

    def phase(self, name, action, allowed=0):
        """Performs an action while load runs; at most `allowed` requests may fail, and none be refused."""
        try:
            with Load(self.stack.nginx, self.stack.urls, self.stack.sockets) as load:
                load.wait_for_answers()
                action(name, load)
                load.wait_for_answers()
        except (AssertionError, NotReached, OSError, ValueError) as error:
            self.checks.that(False, f"{name}: completes", error)
            load = None
        if load is not None:
            self.requests += load.requests()
            self.check_failures(name, load, allowed)
        trouble = self.redis.trouble()
        if trouble:
            self.redis_troubles.append(f"after {name}: {trouble}")

    def check_failures(self, name, load, allowed):
        failures = load.failures()
        count = sum(sum(kinds.values()) for kinds in failures.values())
        refused = sum(kinds.get("refused", 0) for kinds in failures.values())
        if allowed:
            text = f"{name}: at most {allowed} failed request, none refused"
        else:
            text = f"{name}: no failed request"
        self.checks.that(count <= allowed and refused == 0, f"{text} ({load.requests()} sent)", failures)

    def change_count(self, command, way, expected):
        """incr or decr: the counts are right as soon as the answer is there, and those processes serve."""

        def action(name, load):
            before = self.stack.pids(way)
            self.checks.equal(self.stack.ctl(command, way, "--waiting"), str(expected), f"{name}: the answer")
            self.checks.equal(self.stack.ctl("numprocesses", way), str(expected), f"{name}: numprocesses")
            now = self.stack.pids(way)
            self.checks.equal(len(now), expected, f"{name}: processes listed")
            self.checks.that(now <= before or now >= before, f"{name}: the others stay", f"{before} became {now}")
            self.wait_for_death(before - now)
            load.wait_for_pids(way, now)

        self.phase(f"{command} {way}", action)

    def replace(self, way, command, *options):
        """reload or restart: every process is another one afterwards, and the old ones have gone."""

        def action(name, load):
            before = self.stack.pids(way)
            load.wait_for_pids(way, before)
            self.stack.ctl(command, way, *options, "--waiting")
            now = self.stack.pids(way)
            self.checks.equal(len(now), len(before), f"{name}: as many processes as before")
            self.checks.that(not now & before, f"{name}: every pid is new", f"{before} became {now}")
            self.wait_for_death(before)
            load.wait_for_pids(way, now)

        self.phase(" ".join([command, way, *options]), action)

    def kill_one(self, way):
        """kill -9 of a worker: only the request in its hands may fail, and it is replaced."""

        def action(name, load):
            before = self.stack.pids(way)
            load.wait_for_pids(way, before)
            victim = min(before)
            os.kill(victim, signal.SIGKILL)
            self.wait_for_death({victim})
            now = wait_until(lambda: self.all_but(way, victim, len(before)), f"a replacement of {victim}")
            self.checks.that(before - now == {victim}, f"{name}: only that one is replaced", f"{before} became {now}")
            load.wait_for_pids(way, now)

        self.phase(f"kill -9 of one {way}", action, allowed=1)

    def work(self):
        """A job that the application takes is done by the worker, also by one that has been replaced."""
        for done in (1, 2):
            status, _body = fetch(self.stack.nginx, b"GET /work HTTP/1.0\r\n\r\n")
            self.checks.equal(status, 200, "the application takes a job")
            wait_until(lambda n=done: self.redis.call("GET", "done").endswith(str(n)), f"job {done} to be done")
            self.checks.that(True, "the worker does it")
            self.stack.ctl("restart", "worker", "--waiting")

    def all_but(self, way, victim, count):
        pids = self.stack.pids(way)
        return pids if victim not in pids and len(pids) == count else None

    @staticmethod
    def wait_for_death(pids):
        wait_until(lambda: not any(exists(pid) for pid in pids), f"the end of {pids}")

    def all_phases(self):
        for way in WAYS:
            self.change_count("incr", way, 3)
            self.change_count("decr", way, 2)
            self.replace(way, "reload")
            self.replace(way, "reload", "--sequential")
            self.replace(way, "restart")
        self.kill_one("plain")
        self.work()
        self.checks.that(
            not self.redis_troubles,
            "redis keeps its pid, its connection and its data through all of it",
            "; ".join(self.redis_troubles),
        )
        self.checks.that(
            self.requests >= LEAST_REQUESTS,
            f"at least {LEAST_REQUESTS} requests were sent",
            f"only {self.requests}",
        )
        print(f"{self.requests} requests sent", flush=True)


def check_end(stack, checks, name):
    """The daemon ends with 0 and leaves nothing: no process, no socket file, no port."""
    checks.equal(stack.wait_for_end(), 0, f"{name}: exit code of the daemon")
    left = stack.leftovers()
    checks.that(not left, f"{name}: no process and no socket file is left", ", ".join(left))
    checks.that(is_refused(stack.sockets["plain"]), f"{name}: the port is closed", "it still takes connections")


def is_refused(address):
    try:
        connect(address).close()
    except ConnectionRefusedError:
        return True
    return False


def run_stack(stack, checks):
    """A first life with all phases, ended by quit; a second one in the same place, ended by SIGTERM."""
    stack.start()
    checks.that(True, "the stack starts")
    Run(stack, checks).all_phases()
    stack.ctl("quit", "--waiting")
    check_end(stack, checks, "quit")
    stack.start()
    checks.that(True, "the stack starts again in the same place")
    stack.daemon.terminate()
    check_end(stack, checks, "SIGTERM")


def main():
    checks = Checks()
    stack = None
    try:
        find_tools()
        become_subreaper()
        stack = Stack()
        run_stack(stack, checks)
    except (AssertionError, NotReached, OSError, SystemExit) as error:
        checks.that(False, "the test comes to its end", error)
    finally:
        if stack is not None:
            if checks.failed:
                print(f"--- circus.log\n{stack.tail('circus.log')}--- nginx.log\n{stack.tail('var/nginx.log')}---")
            stack.remove()
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
