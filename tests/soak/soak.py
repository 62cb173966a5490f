"""Churn of everything for as long as is wanted, and whether circus takes as much afterwards as it did before.

Before, that is after a warm-up of a tenth of the time, two minutes and LEARNED steps at least: until then buffers, tables
and the pieces that the allocator keeps have got the size that this load needs. The buffer for output gets it at once, by
more than this load writes: a busy machine, on which circus comes to read late, would give it that in an hour. Both looks are taken when everything is as
the file says and nobody asks for anything. Other programs on the machine only ever add to a time, so of several series of
questions the fastest counts, and there are more of them while it is out of bounds.
"""

import json
import os
import random
import sys
import time

from acts import Acts
from yard import WANTED, Yard

WITHIN = 1.02
# Memory is counted in pages of 4 kB, and what tables hold at one quiet moment and at the next differs by about two.
NOISE = {"RSS kB": 8, "private dirty kB": 8}
# The least steps of a warm-up.
LEARNED = 10_000
# So many questions make a series. Series are asked for LEAST seconds, and up to MOST while they take longer than before.
QUESTIONS = 1000
LEAST, MOST = 8, 120
IDLE = 5
MINUTE = 60


def quick_figures(yard):
    """What costs circus nothing to tell: KiB, descriptors, threads."""
    status = {}
    for name in ("status", "smaps_rollup"):
        for line in yard.text(f"/proc/{yard.pid}/{name}").splitlines():
            words = line.split()
            status[words[0]] = words[1:]
    return {"RSS kB": int(status["Rss:"][0]), "private dirty kB": int(status["Private_Dirty:"][0]),
            "descriptors": len(os.listdir(f"/proc/{yard.pid}/fd")), "threads": int(status["Threads:"][0])}


def mappings(yard):
    """The private dirty KiB of all mappings of a name and kind."""
    found, name = {}, ""
    for line in yard.text(f"/proc/{yard.pid}/smaps").splitlines():
        words = line.split()
        if not words[0].endswith(":"):
            name = f"{os.path.basename(words[5]) if len(words) > 5 else 'anonymous'} {words[1]}"
        elif words[0] == "Private_Dirty:" and int(words[1]):
            found[name] = found.get(name, 0) + int(words[1])
    return found


def wakeups(yard):
    def count():
        text = yard.text(f"/proc/{yard.pid}/status")
        return int(text.split("\nvoluntary_ctxt_switches:")[1].split()[0])
    # The last one who asked has left by then, which circus sees.
    time.sleep(1)
    before = count()
    time.sleep(IDLE)
    return count() - before


def series(yard):
    """The 99th percentile of so many questions on one connection, in microseconds."""
    request, times = json.dumps({"id": "p", "command": "status"}).encode() + b"\n", []
    with yard.connect() as client, client.makefile("rb") as lines:
        for _ in range(QUESTIONS):
            begun = time.perf_counter_ns()
            client.sendall(request)
            lines.readline()
            times.append(time.perf_counter_ns() - begun)
    return round(sorted(times)[QUESTIONS * 99 // 100] / 1000, 1)


def p99(yard, bound):
    best, begun = series(yard), time.monotonic()
    while (passed := time.monotonic() - begun) < LEAST or (bound and best > bound and passed < MOST):
        best = min(best, series(yard))
    return best


def figures(yard, before=None):
    """All of them, in quiet; what is wrong with the yard goes to its list."""
    acts = Acts(yard, random.Random(0))
    acts.heal()
    yard.order("steady", WANTED["steady"], "set", options={"numprocesses": WANTED["steady"]}, waiting=True)
    yard.order("hooked", 1, "start")
    yard.order("extra", 0, "rm")
    if "lazy" in yard.ask("status")["statuses"]:
        yard.ask("stop", name="lazy", waiting=True)
    yard.settle()
    yard.lines()
    found = quick_figures(yard)
    found["p99 of status us"] = p99(yard, before and before["p99 of status us"] * WITHIN)
    # By now circus has written down what has changed, which it puts off by a second.
    found[f"wake-ups in {IDLE} s"] = wakeups(yard)
    yard.ask("start", name="lazy", waiting=True)
    return found


def show(begun, found, more=""):
    text = f"{time.monotonic() - begun:6.0f} s  " + ", ".join(f"{name} {value}" for name, value in found.items()) + more
    ending = "\r" if sys.stdout.isatty() and more else "\n"
    print(text, end=ending, flush=True)


def churn(yard, acts, begun, end, least=0):
    """Orders and crashes until then, and so many at least, with a line a minute."""
    said, count = time.monotonic(), 0
    while (time.monotonic() < end or count < least) and yard.alive() and not yard.wrong:
        acts.chance.choice(Acts.ORDERS)(acts)
        count += 1
        if count % 50 == 0:
            acts.heal()
            yard.settle()
            yard.lines()
        if time.monotonic() - said > MINUTE:
            said = time.monotonic()
            show(begun, quick_figures(yard), f", {count} orders and crashes")
    return count


def soak(seconds):
    warm = max(120, seconds // 10)
    print(f"soak: {seconds} s of churn after a warm-up of {warm} s and {LEARNED} steps", flush=True)
    yard, begun = Yard(), time.monotonic()
    try:
        yard.build()
        yard.start()
        acts = Acts(yard, random.Random(1))
        yard.settle()
        acts.backlog()
        churn(yard, acts, begun, begun + warm, LEARNED)
        before = figures(yard)
        show(begun, before)
        places = mappings(yard)
        count = churn(yard, acts, begun, time.monotonic() + seconds)
        after = figures(yard, before)
        show(begun, after)
        grown = {name: size - places.get(name, 0) for name, size in mappings(yard).items() if size > places.get(name, 0)}
        print(f"grown, private dirty kB: {grown or 'nothing'}", flush=True)
        print(f"{count} orders and crashes, {yard.starts} start of circus", flush=True)
        yard.answers()
        yard.complaints()
        if not yard.wrong:
            yard.end()
    finally:
        yard.clear()
    return verdict(before, after, yard.wrong)


def verdict(before, after, wrong):
    """One line a figure, and one for what must hold."""
    failed = 0
    for name, value in before.items():
        right = after[name] <= max(value * WITHIN, value + NOISE.get(name, 0))
        failed += not right
        print(f"{'ok' if right else 'FAIL'} {name}: {value} before, {after[name]} after", flush=True)
    print(f"{'FAIL' if wrong else 'ok'} what must hold: {'; '.join(wrong) or 'all did'}", flush=True)
    failed += bool(wrong)
    return len(before) + 1 - failed, failed
