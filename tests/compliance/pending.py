"""Cases of what is not built yet, with what they wait for. They are run when they are named on the command line."""

PENDING = {
    "logging.syslog_by_udp": "ctl",
    "logging.file_that_is_moved_away": "ctl",
    "streams.timed_rotation": "streams",
    "streams.watched_file_is_followed": "streams",
    "sockets.so_reuseport": "options",
    "sockets.unknown_proto": "options",
    "client.globaloptions": "zmtp",
}
