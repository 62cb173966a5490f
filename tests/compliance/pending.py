"""Cases of what is not built yet, with what they wait for. Names may be shell patterns; `run.py -a` runs them."""

PENDING = {
    "plugins.command_reloader": "the native plugins",
    "plugins.flapping": "the native plugins",
    "plugins.full_stats": "the native plugins",
    "plugins.resource_watcher": "the native plugins",
    "plugins.statsd_emitter": "the native plugins",
    "plugins.watchdog": "the native plugins",
}
