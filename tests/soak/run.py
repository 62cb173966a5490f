#!/usr/bin/env python3
"""Load and harm for as long as is wanted.

`run.py`: a few rounds of chaos with a fixed seed, as `make test` plays them. `run.py chaos`: ROUNDS rounds by SEED, from
round FIRST on. `run.py soak`: SECONDS of churn, and whether circus is afterwards as it was before. Needs root, for
namespaces and a small disk. CIRCUS_BIN is the binary, by default target/release/circus. The log of a circus with which a
round failed is copied to CIRCUS_KEEP_FAULTS, a directory. The last line is `N passed, N failed`.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "faults"), os.path.join(HERE, "..", "compliance")]

from chaos import chaos  # noqa: E402
from scene import CIRCUS  # noqa: E402
from soak import soak  # noqa: E402
from yard import inside  # noqa: E402


def number(name, default):
    return int(os.environ.get(name) or default)


def main():
    if not os.access(CIRCUS, os.X_OK):
        sys.exit(f"{CIRCUS} is missing: make build")
    inside([sys.executable, "-B", os.path.abspath(__file__), *sys.argv[1:]])
    if sys.argv[1:] == ["soak"]:
        passed, failed = soak(number("SECONDS", 3600))
    elif sys.argv[1:] in ([], ["chaos"]):
        passed, failed = chaos(number("SEED", 1), number("FIRST", 1), number("ROUNDS", 100 if sys.argv[1:] else 10))
    else:
        sys.exit("usage: run.py [chaos | soak]")
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


main()
