"""Rounds of chaos: harm of several kinds at once with orders in between, then quiet, and a look at all that must hold."""

import random

from acts import Acts
from scene import Fault
from yard import Yard


def play(yard, seed, number):
    """One round: what was done, in order."""
    chance = random.Random(f"{seed}.{number}")
    acts, done = Acts(yard, chance), []
    harm = chance.sample(Acts.HARM, chance.randint(1, 3))
    for act in harm:
        for step in (act, *chance.sample(Acts.ORDERS, 2)):
            done.append(step.__name__)
            step(acts)
    acts.heal()
    if yard.alive():
        yard.settle()
        yard.lines()
        yard.answers()
        yard.idles()
    yard.complaints()
    if not yard.alive():
        yard.wrong.append("circus has ended")
    return done


def chaos(seed, first, rounds):
    """How many rounds were right, and how many not. After one that was not, circus and its yard are new."""
    print(f"chaos: seed {seed}, {rounds} rounds from {first} on", flush=True)
    failed, yard, last = 0, None, first + rounds - 1
    for number in range(first, last + 1):
        yard = yard or new()
        done = play(yard, seed, number)
        if yard.wrong:
            failed += 1
            print(f"FAIL seed {seed} round {number} ({', '.join(done)}): {'; '.join(yard.wrong)}", flush=True)
            yard.fault = Fault(f"seed {seed} round {number}")
        else:
            print(f"ok seed {seed} round {number}: {', '.join(done)}", flush=True)
        if yard.wrong or number == last:
            failed += end(yard)
            yard = None
    return max(0, rounds - failed), failed


def new():
    yard = Yard()
    yard.build()
    yard.start()
    yard.settle()
    return yard


def end(yard):
    """In order, if nothing was wrong, and then in any case: whether that went wrong."""
    right = not yard.wrong
    if right:
        yard.end()
        if yard.wrong:
            print(f"FAIL at the end: {'; '.join(yard.wrong)}", flush=True)
    yard.clear()
    return right and bool(yard.wrong)
