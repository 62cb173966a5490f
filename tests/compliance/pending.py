"""Cases of what is not built yet, with what they wait for. They are run when they are named on the command line."""

PENDING = {
    "client.globaloptions": "zmtp",
}
