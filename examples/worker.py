"""The web worker of demo.ini: answers HTTP with its pid, on a listening socket that circus bound.

The number of the inherited descriptor is the only argument, as `$(circus.sockets.NAME)` gives it. All workers of a
watcher accept on the same socket; the kernel hands each connection to one of them. SIGTERM lets the request in hand
finish, so that a reload fails no request.
"""

import os
import select
import signal
import socket
import sys

PATIENCE = 2.0  # seconds for a client to send its request; nobody else is served meanwhile


def answer(connection):
    """Reads the head of one request and answers it, whatever it asks for."""
    connection.settimeout(PATIENCE)
    with connection, connection.makefile("rwb") as stream:
        while stream.readline(8192) not in (b"\r\n", b"\n", b""):
            pass
        body = b"answered by process %d\n" % os.getpid()
        stream.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n")
        stream.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))


def main():
    listener = socket.socket(fileno=int(sys.argv[1]))
    # The signal writes a byte here, which ends the wait below.
    told, teller = socket.socketpair()
    teller.setblocking(False)
    signal.set_wakeup_fd(teller.fileno())
    signal.signal(signal.SIGTERM, lambda _signum, _frame: None)
    while told not in select.select([listener, told], [], [])[0]:
        try:
            answer(listener.accept()[0])
        except BlockingIOError:
            pass  # another worker was faster
        except OSError as error:
            print(f"worker: {error}", file=sys.stderr)  # a client that goes away is its own trouble


main()
