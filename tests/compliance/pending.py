"""Cases of what is not built yet, with what they wait for. They are run when they are named on the command line."""

PENDING = {
    "sockets.so_reuseport": "options",
    "sockets.unknown_proto": "options",
    "client.globaloptions": "zmtp",
}
