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
import sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]

from calls import faults  # noqa: E402
from scene import CIRCUS, Fault, Scene  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
SAMPLE = 100
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
    yield "| phase | call | errno | tried | not right | remarks |"
    yield "|---|---|---|---|---|---|"
    for (phase, call, errno), group in itertools.groupby(results, key=lambda result: result[0][:3]):
        rows = list(group)
        wrong = [f"{words[3]}: {'; '.join(texts)}" for words, texts, _ in rows if texts]
        notes = sorted({note for _, _, notes in rows for note in notes})
        yield f"| {phase} | {call} | {errno} | {len(rows)} | {'<br>'.join(wrong)} | {'; '.join(notes)} |"


def main():
    if not os.access(CIRCUS, os.X_OK):
        sys.exit(f"{CIRCUS} is missing: make build")
    work = chosen(faults(), sys.argv[1:])
    results = []
    with multiprocessing.Pool(WORKERS) as pool:
        for words, wrong, notes in pool.imap(play, work):
            results.append((words, wrong, notes))
            if wrong or len(sys.argv) > 1 and "--all" not in sys.argv:
                print(f"{'FAIL' if wrong else 'ok'} {' '.join(words)}: {'; '.join(wrong + notes)}", flush=True)
    if "--all" in sys.argv:
        with open(os.path.join(HERE, "table.md"), "w", encoding="utf-8") as file:
            file.write("\n".join(table(results)) + "\n")
    failed = sum(bool(wrong) for _, wrong, _ in results)
    print(f"{len(results) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
