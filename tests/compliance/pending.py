"""Cases of what is not built yet, with what they wait for. Names may be shell patterns; `run.py -a` runs them."""

PENDING = {
    "client.globaloptions": "zmtp",
    "hooks.*": "hooks",
    "logging.file_that_is_moved_away": "ctl",
    "logging.syslog_by_udp": "ctl",
    "plugins.*": "zmtp",
    "reloadconfig.*": "reconf",
    "sockets.so_reuseport": "options",
    "sockets.unknown_proto": "options",
    "streams.timed_rotation": "streams",
    "streams.watched_file_is_followed": "streams",
}
