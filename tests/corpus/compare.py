#!/usr/bin/env python3
"""Compares what circus reads from configuration files with what Circus reads.

Usage: compare.py CIRCUS DIRECTORY

DIRECTORY holds files NNN__*.ini and, in expected/, NNN.json with what Circus's get_config() gives
({"ok": true, "config": ...} or {"ok": false, "error": ...}) under the environment in expected/_ENV.json;
NNN.env.json is the same with the variables in its "extra_env" added. Each file is read by `circus check --json`
with / as the working directory. Exit code 0: no difference.
"""

import json
import os
import re
import subprocess
import sys

# Options of streams that circus does not print when they have these values.
STREAM_DEFAULTS = {"max_bytes": "0", "backup_count": "0", "rotate_interval": "1"}

# Circus fills these in; circus shows that nothing is set. Its default endpoints are Unix sockets.
CIRCUS_DEFAULTS = {
    "endpoint": "tcp://127.0.0.1:5555",
    "pubsub_endpoint": "tcp://127.0.0.1:5556",
    "stats_endpoint": "tcp://127.0.0.1:5557",
    "multicast_endpoint": "udp://237.219.251.97:12027",
}


def dollar(text, environ):
    """$NAME in the values of an environment, which Circus replaces after reading."""
    return re.sub(r"\$([A-Z]+[A-Z0-9_]*)", lambda m: environ.get(m.group(1), ""), text).strip()


def same(key, theirs, ours, environ):
    """Whether two values mean the same.

    Circus leaves some numbers as text; "" is none to it. Two improvements count as the same: a value whose first line
    is empty does not begin with a newline, and the value of $(circus.env.X) has its own $NAME replaced.
    """
    if theirs == ours or (theirs == "" and ours is None):
        return True
    if not isinstance(theirs, str) or isinstance(ours, bool):
        return False
    if isinstance(ours, str):
        return (key == "loglevel" and theirs.lower() == ours) or dollar(theirs, environ) == ours
    try:
        return float(theirs) == ours
    except (TypeError, ValueError):
        return False


def compare_mapping(place, theirs, ours, environ, defaults):
    """One line for each key of Circus's whose value is another one here, or is missing."""
    for key, value in theirs.items():
        if key == "__name__":
            continue
        if key not in ours and defaults.get(key) == str(value):
            continue
        if key in ours and ours[key] is None and defaults.get(key) == value:
            continue
        if key not in ours or not same(key, value, ours[key], environ):
            yield f"{place}.{key}: Circus has {value!r}, circus has {ours.get(key, 'nothing')!r}"


def compare_watcher(place, theirs, ours, environ):
    theirs = dict(theirs)
    expected = {k: dollar(v, environ) for k, v in theirs.pop("env").items() if k != "__name__"}
    for key in sorted(set(expected) | set(ours["env"])):
        a, b = expected.get(key), ours["env"].get(key)
        if a != b:
            yield f"{place}.env.{key}: Circus has {a!r}, circus has {b!r}"
    for stream in ("stdout_stream", "stderr_stream"):
        a, b = theirs.pop(stream), ours[stream]
        yield from compare_mapping(f"{place}.{stream}", a, b, environ, STREAM_DEFAULTS)
        for key in sorted(set(b) - set(a)):
            yield f"{place}.{stream}.{key}: only circus has it"
    yield from compare_mapping(place, theirs, ours, environ, {})


def compare(theirs, ours, environ):
    theirs = dict(theirs)
    for kind in ("watchers", "sockets", "plugins"):
        expected, found = theirs.pop(kind), ours[kind]
        names = [item["name"] for item in expected]
        if names != [item["name"] for item in found]:
            yield f"{kind}: Circus has {names}, circus has {[item['name'] for item in found]}"
            continue
        for a, b in zip(expected, found):
            place = f"{kind}[{a['name']}]"
            if kind == "watchers":
                yield from compare_watcher(place, a, b, environ)
            else:
                yield from compare_mapping(place, a, b, environ, {})
    yield from compare_mapping("circus", theirs, ours["circus"], environ, CIRCUS_DEFAULTS)


def check(circus, path, expected, environ):
    """The differences of one reading."""
    environ = {**environ, **expected.get("extra_env", {})}
    run = subprocess.run([circus, "check", "--json", path], cwd="/", env=environ, capture_output=True, timeout=60)
    messages = run.stderr.decode(errors="replace")
    if run.returncode not in (0, 1):
        return [f"exit code {run.returncode}: {messages}"]
    try:
        ours = json.loads(run.stdout)
    except ValueError:
        return ["no JSON object: " + messages]
    refused = messages.rstrip().endswith("circus does not start with it")
    if not expected["ok"]:
        return [] if refused else ["Circus refuses it: " + expected["error"]]
    differences = list(compare(expected["config"], ours, environ))
    return differences + ([messages] if refused else [])


def main():
    circus, directory = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    expected_dir = os.path.join(directory, "expected")
    with open(os.path.join(expected_dir, "_ENV.json"), encoding="utf-8") as file:
        environ = json.load(file)["env"]
    readings = differing = 0
    for name in sorted(os.listdir(expected_dir)):
        if name.startswith("_") or not name.endswith(".json"):
            continue
        with open(os.path.join(expected_dir, name), encoding="utf-8") as file:
            expected = json.load(file)
        differences = check(circus, os.path.join(directory, expected["file"]), expected, environ)
        readings += 1
        differing += bool(differences)
        for line in differences:
            print(f"{name}: {line}")
    print(f"{readings} readings, {differing} with differences")
    return 1 if differing or not readings else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main())
