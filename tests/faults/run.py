#!/usr/bin/env python3
"""System calls that fail, one after the other, in everything that circus does.

A circus with a watcher of each kind is started, worked with and ended, while strace lets one call of its fail: at one
time, or from then on. Afterwards nothing fails any more, and all must be as it should: no process lost, doubled or left
over, no line of output lost without a word, nothing that spins or says the same thing again and again, an exit code of 0.

Without words on the command line: a hundred faults, spread over all. `--all`: every one, and tests/faults/table.md is
written. Other words choose: `run.py "steady write"`. Needs strace. One line a fault that went wrong, then
`N passed, N failed`.
"""

import itertools
import multiprocessing
import os
import re
import sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]

from calls import PHASES, faults  # noqa: E402
from scene import CIRCUS, Fault, Scene  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
SAMPLE = 100
HEAD = """# Faults that were injected

Written by `make faults`. A fault is a call that fails once, at one of the times that it comes (the first ones and some of
the later ones), or each time (1+). "steady" is work with commands, deaths, reloads and output; "end" the end of circus; "start" its start;
"child" what a new process does before it is its program. "happened" counts those where the call came so often.
Remarks are what circus did instead, and said.

"""
WORKERS = int(os.environ.get("CIRCUS_FAULT_WORKERS", "4"))


def play(words):
    return words, *Scene(Fault(*words)).run()


def chosen(everything, arguments):
    if "--all" in arguments:
        return everything
    if arguments:
        return [words for words in everything if any(argument in " ".join(words) for argument in arguments)]
    return everything[::max(1, len(everything) // SAMPLE)]


def table(results):
    """One row a phase, a call and what it failed with; the times at which it went wrong."""
    yield "| phase | call | errno | tried | happened | not right | remarks |"
    yield "|---|---|---|---|---|---|---|"
    for (phase, call, errno), group in itertools.groupby(results, key=lambda result: result[0][:3]):
        rows = list(group)
        wrong = [f"{words[3]}: {'; '.join(texts)}" for words, texts, _, _ in rows if texts]
        # Pids and paths are others each time.
        notes = sorted({re.sub(r":? .*['{[].*", "", note) for _, _, notes, _ in rows for note in notes})
        happened = sum(row[3] for row in rows)
        yield f"| {phase} | {call} | {errno} | {len(rows)} | {happened} | {'<br>'.join(wrong)} | {'; '.join(notes)} |"


def main():
    if not os.access(CIRCUS, os.X_OK):
        sys.exit(f"{CIRCUS} is missing: make build")
    work = chosen(faults({phase: Scene(Fault(phase)).count() for phase, _ in PHASES}), sys.argv[1:])
    results = []
    with multiprocessing.Pool(WORKERS) as pool:
        for words, wrong, notes, happened in pool.imap(play, work):
            results.append((words, wrong, notes, happened))
            if wrong or len(sys.argv) > 1 and "--all" not in sys.argv:
                print(f"{'FAIL' if wrong else 'ok'} {' '.join(words)}: {'; '.join(wrong + notes)}", flush=True)
    if "--all" in sys.argv:
        with open(os.path.join(HERE, "table.md"), "w", encoding="utf-8") as file:
            file.write(HEAD + "\n".join(table(results)) + "\n")
    failed = sum(bool(wrong) for _, wrong, _, _ in results)
    print(f"{sum(happened for *_, happened in results)} of {len(results)} faults happened")
    print(f"{len(results) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
