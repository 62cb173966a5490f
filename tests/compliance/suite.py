"""What a case is, and how two observations are compared."""

import dataclasses
from collections.abc import Callable
from typing import Any

GROUPS = []


@dataclasses.dataclass(frozen=True)
class Setup:
    """How a daemon is started."""

    ini: str = ""
    # Watchers that are not active when the daemon is ready.
    down: tuple = ()
    arguments: tuple = ()
    environment: tuple = ()
    umask: int = 0o022
    # Files made before, by name.
    files: tuple = ()
    # The case starts the daemon itself, or runs the program in another way.
    manual: bool = False


@dataclasses.dataclass(frozen=True)
class Difference:
    """Something that circus does otherwise on purpose."""

    key: Any
    why: str
    # Words of the entry in circus-differences(7); tests/manual.rs looks for them.
    manual: str
    theirs: Any
    ours: Any


@dataclasses.dataclass(eq=False)
class Case:
    name: str
    function: Callable
    sides: tuple
    setup: Setup | None
    differences: list

    @property
    def alone(self):
        return self.setup is not None

    def judge(self, seen):
        """One line for each thing that is not as it should be, given what was seen by side."""
        wrong = self._compare(seen["theirs"], seen["ours"])
        if "mixed" in seen and seen["mixed"] != seen["ours"]:
            wrong.append(f"circus gives {seen['mixed']!r} to Circus's clients")
            if not wrong[:-1]:
                wrong.append(f"circus gives {seen['ours']!r} to its own")
        return wrong

    def _compare(self, theirs, ours):
        wrong = []
        for difference in self.differences:
            for side, seen, expected in (("Circus", theirs, difference.theirs), ("circus", ours, difference.ours)):
                found = part(seen, difference.key)
                if found != expected:
                    where = "" if difference.key is None else f" in {difference.key!r}"
                    wrong.append(f"{side} gives{where} {found!r}, expected was {expected!r}")
        keys = {difference.key for difference in self.differences}
        if None in keys:
            return wrong
        if not isinstance(theirs, dict) or not isinstance(ours, dict):
            return wrong if theirs == ours else wrong + [f"Circus gives {theirs!r}", f"circus gives {ours!r}"]
        for key in sorted({*theirs, *ours} - keys, key=str):
            a, b = part(theirs, key), part(ours, key)
            if a != b:
                wrong.append(f"in {key!r} Circus gives {a!r}, circus gives {b!r}")
        return wrong


def part(observation, key):
    """The part of an observation that a key names; None stands for the whole."""
    if key is None:
        return observation
    return observation.get(key, "nothing") if isinstance(observation, dict) else observation


class Group:
    """Cases that share a daemon, where they do not ask for one of their own. With `mixed`, circus must give the same
    to Circus's own clients."""

    def __init__(self, name, ini="", mixed=False, **setup):
        self.name = name
        self.sides = ("theirs", "ours", "mixed") if mixed else ("theirs", "ours")
        self.setup = Setup(ini, **setup)
        self.cases = []
        GROUPS.append(self)

    def __call__(self, function):
        """Decorator: a case on the daemon of the group."""
        return self._add(function, None)

    def alone(self, ini="", **setup):
        """Decorator: a case with a daemon of its own."""
        return lambda function: self._add(function, Setup(ini, **setup))

    def _add(self, function, setup):
        differences = getattr(function, "differences", [])
        for difference in differences:
            assert difference.theirs != difference.ours, f"{function.__name__}: no difference in {difference.key}"
        self.cases.append(Case(f"{self.name}.{function.__name__}", function, self.sides, setup, differences))
        return function


def differs(why, *, manual, theirs, ours, key=None):
    """Decorator below that of the group: says what is other in circus, and why. `manual` is where the manual says so, in its
    words; `key` names a part of what is seen."""

    def decorate(function):
        function.differences = [*getattr(function, "differences", []), Difference(key, why, manual, theirs, ours)]
        return function

    return decorate
