#!/usr/bin/env python3
"""Attacks on a circus of root by two other users, each named by what circus does about it.

The users exist only here: the suite runs in a mount namespace of its own, in which /etc/passwd and /etc/group have two
more lines. Needs root. CIRCUS_BIN is the binary, by default target/release/circus (below CARGO_TARGET_DIR if that is
set). Each module of attacks/ has functions whose names begin with `attack_`; words on the command line choose among
them. One line a check, then `N passed, N failed`.
"""

import importlib
import os
import pkgutil
import sys
import tempfile
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "init")]

import attacks  # noqa: E402
from harness import check, counts  # noqa: E402
from scene import USERS, Scene  # noqa: E402


def have_users():
    """Starts this program anew where the two users exist, or comes back there."""
    if os.environ.get("CIRCUS_SECURITY_NAMESPACE"):
        return
    os.environ["CIRCUS_SECURITY_NAMESPACE"] = "1"
    unshare = ["unshare", "--mount", "--propagation", "private"]
    os.execvp("unshare", [*unshare, sys.executable, "-B", os.path.abspath(__file__), *sys.argv[1:]])


def add_users(directory):
    for name, line in (("passwd", "{0}:x:{1}:{1}::/nonexistent:/bin/sh\n"), ("group", "{0}:x:{1}:\n")):
        path = os.path.join(directory, name)
        with open(f"/etc/{name}", encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(text + "".join(line.format(user, uid) for user, uid in USERS.items()))
        os.chmod(path, 0o644)
        if os.system(f"mount --bind {path} /etc/{name}") != 0:
            sys.exit("the suite needs root: /etc cannot be changed in a namespace of its own")


def main():
    have_users()
    with tempfile.TemporaryDirectory(prefix="circus-security-") as directory:
        os.chmod(directory, 0o755)
        add_users(directory)
        for module in sorted(module.name for module in pkgutil.iter_modules(attacks.__path__)):
            for name, attack in sorted(vars(importlib.import_module(f"attacks.{module}")).items()):
                chosen = not sys.argv[1:] or any(word in f"{module}.{name}" for word in sys.argv[1:])
                if name.startswith("attack_") and chosen:
                    with Scene(directory) as scene:
                        try:
                            attack(scene)
                        except Exception:  # one attack that cannot go on has failed, the others go on
                            check(f"{module}.{name}: {traceback.format_exc()}", False)
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    sys.exit(counts["failed"] > 0)


main()
