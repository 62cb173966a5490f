#!/usr/bin/env python3
"""Does circus what Circus does? Runs one script of behaviours against Circus 0.19 and against circus, and compares what
an outside observer sees: replies, events, what the processes got, files, exit codes, lines of the log.

  run.py [-alv] [PATTERN...]    only the cases whose names match a shell pattern; -l lists them; -v shows what was
                            seen; -a runs those that are pending, too

A case is a function that drives a daemon and returns what it saw; it is run once with either daemon, and both must
have seen the same. Where circus differs on purpose the case says why, and what either of them does: a change on
either side is a failure. `pending.py` names the cases of what is not built yet. The environment chooses what is tested:

  CIRCUS_BIN        the binary, by default target/release/circus (below CARGO_TARGET_DIR if that is set)
  CIRCUS_TEST_VENV  a venv with circus 0.19 from PyPI, by default the one that tests/tools/setup.sh makes

Exit code 0: every case is as it should be.
"""

import argparse
import fnmatch
import importlib
import os
import pkgutil
import signal
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor

try:
    import cases
    import processes
    from daemon import BINARY, SIDES, missing_programs
    from pending import PENDING
    from suite import GROUPS
except ModuleNotFoundError as error:
    raise SystemExit(f"{error}: run this by the python of the venv that tests/tools/setup.sh makes") from error

# Processes mostly wait for each other: more of them than processors keep these busy.
AT_ONCE = 8


def load_cases():
    for module in pkgutil.iter_modules(cases.__path__):
        importlib.import_module(f"cases.{module.name}")
    known = {case.name for group in GROUPS for case in group.cases}
    unknown = [name for name in PENDING if not fnmatch.filter(known, name)]
    if unknown:
        raise SystemExit(f"pending.py names cases that do not exist: {', '.join(unknown)}")


def pending_for(case):
    """What a case waits for, if it waits."""
    return next((what for name, what in PENDING.items() if fnmatch.fnmatchcase(case.name, name)), None)


class Results:
    """What was seen, by case and side."""

    def __init__(self, verbose):
        self.lock = threading.Lock()
        self.verbose = verbose
        self.seen = {}
        self.logs = {}
        self.passed = self.failed = 0

    def saw(self, case, side, observation, log):
        with self.lock:
            self.seen.setdefault(case.name, {})[side] = observation
            self.logs[case.name, side] = log
            if len(self.seen[case.name]) == len(case.sides):
                self.judge(case, self.seen[case.name])

    def judge(self, case, seen):
        wrong = case.judge(seen)
        if wrong:
            self.failed += 1
            print(f"FAIL {case.name}")
            for line in wrong:
                print(f"     {line}")
            for side in case.sides:
                if isinstance(seen[side], Failure):
                    print(f"     --- log of {side}:\n{self.logs[case.name, side]}")
        else:
            self.passed += 1
            print(f"ok {case.name}{' (differs)' if case.differences else ''}")
        if self.verbose:
            for side in case.sides:
                print(f"     {side}: {seen[side]}")
        sys.stdout.flush()


def observe(case, daemon):
    """What a case sees; an exception is no observation, and never equal to another."""
    try:
        return case.function(daemon)
    except Exception as error:  # pylint: disable=broad-except
        where = traceback.extract_tb(error.__traceback__)
        lines = [f"{os.path.basename(frame.filename)}:{frame.lineno}" for frame in where[-3:]]
        return Failure(f"{type(error).__name__} at {' '.join(lines)}: {error}")


class Failure:
    """A case that did not come to its end."""

    def __init__(self, what):
        self.what = what

    def __eq__(self, other):
        return False

    def __repr__(self):
        return f"exception {self.what}"


def run_group(group, chosen, side, results):
    """Runs the cases of a group one after the other on a daemon of one side."""
    daemon = None
    for case in group.cases:
        if case not in chosen:
            continue
        try:
            if daemon is None or case.alone:
                if daemon is not None:
                    daemon.close()
                daemon = side(case.setup or group.setup)
                if not (case.setup or group.setup).manual:
                    daemon.start()
            seen = observe(case, daemon)
        except Exception as error:  # pylint: disable=broad-except
            seen = Failure(f"at the start: {error}")
        results.saw(case, side.side, seen, daemon.log()[-1000:] if daemon else "")
        if case.alone and daemon is not None:
            daemon.close()
            daemon = None
    if daemon is not None:
        daemon.close()


def units(chosen):
    """What can be run at the same time: each group, and each case that has a daemon of its own."""
    for group in GROUPS:
        together = [case for case in group.cases if case in chosen and not case.alone]
        if together:
            yield group, together
        for case in group.cases:
            if case in chosen and case.alone:
                yield group, [case]


def choose(patterns):
    names = patterns or ["*"]
    every = [case for group in GROUPS for case in group.cases]
    return [case for case in every if any(fnmatch.fnmatchcase(case.name, name) for name in names)]


def give_up(number, _):
    """Told to end: nothing that was started stays."""
    processes.end_all_children()
    os._exit(128 + number)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-v", action="store_true", dest="verbose")
    parser.add_argument("-a", action="store_true", dest="all")
    parser.add_argument("-l", action="store_true", dest="only_list")
    parser.add_argument("patterns", nargs="*")
    options = parser.parse_args()
    load_cases()
    chosen = choose(options.patterns)
    pending = [] if options.all else [case for case in chosen if pending_for(case)]
    chosen = [case for case in chosen if case not in pending]
    if options.only_list:
        for case in chosen + pending:
            why = f" (pending: {pending_for(case)})" if pending_for(case) else ""
            print(case.name + why)
        return 0
    missing = missing_programs()
    if missing:
        raise SystemExit(f"missing: {', '.join(missing)}; run `make build` and `tests/tools/setup.sh` first")
    processes.become_subreaper()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, give_up)
    results = Results(options.verbose)
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            jobs = [pool.submit(run_group, group, part, side, results)
                    for group, part in units(chosen) for side in SIDES if side.side in group.sides]
            for job in jobs:
                job.result()
    finally:
        processes.end_all_children()
    print(f"{results.passed} passed, {results.failed} failed, {len(pending)} pending ({BINARY})")
    return 1 if results.failed or not results.passed else 0


if __name__ == "__main__":
    sys.exit(main())
