#!/usr/bin/env python3
"""Runs every file of examples/ as it is shipped, after `make install`, in namespaces of its own.

CIRCUS_BIN is the binary, by default target/release/circus (below CARGO_TARGET_DIR if that is set); CIRCUS_TEST_VENV the
venv of tests/tools/setup.sh. Needs root. One line a check, then `N passed, N failed`. Nothing sleeps to let something
happen: every step waits for what it wants to see, up to a deadline.
"""

import os
import subprocess
import sys
import traceback

import house

house.enter()

import configurations  # noqa: E402
import containers  # noqa: E402
import monitoring  # noqa: E402
import services  # noqa: E402
from harness import counts  # noqa: E402


def shipped():
    """Every file below examples/."""
    found = set()
    for where, _, files in os.walk(house.EXAMPLES):
        found.update(os.path.relpath(os.path.join(where, name), house.EXAMPLES) for name in files)
    return found


def main():
    wanted = sys.argv[1:]
    house.make_install()
    for module in (services, configurations, containers, monitoring):
        for part in module.PARTS:
            if wanted and part.__name__ not in wanted:
                continue
            try:
                part()
            except (AssertionError, OSError, ValueError, KeyError, IndexError, subprocess.SubprocessError) as error:
                traceback.print_exc()
                house.check(f"{part.__name__} comes to its end", str(error), "")
    if not wanted:
        house.check("every example has been run", shipped() - house.seen, set())
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
