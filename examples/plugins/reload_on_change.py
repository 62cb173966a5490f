"""A plugin of circus: reloads a watcher when a file has changed.

[plugin:reload]
cmd = python3 examples/plugins/reload_on_change.py
watcher = web
file = /srv/web/app.py

Requests go to the standard output, one line of JSON each; events and replies come on the standard input.
"""
import json, os, select, sys

watcher, file = os.environ["CIRCUS_PLUGIN_WATCHER"], os.environ["CIRCUS_PLUGIN_FILE"]
topics = {"command": "listen", "properties": {"topics": [f"watcher.{watcher}.reload"]}}
reload = {"command": "reload", "properties": {"name": watcher}}
print(json.dumps(topics), flush=True)
seen = os.stat(file).st_mtime_ns
while True:
    if select.select([sys.stdin], [], [], 0.5)[0]:
        line = sys.stdin.readline()
        if not line:
            break  # circus has gone
        print(line, end="", file=sys.stderr)
    changed = os.stat(file).st_mtime_ns
    if changed != seen:
        seen = changed
        print(json.dumps(reload), flush=True)
