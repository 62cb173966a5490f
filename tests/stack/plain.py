"""The WSGI application behind chaussette: answers with the pid that circus knows it by."""

import functools
import os
import signal


def plain(_environ, start_response):
    body = b"%d\n" % os.getpid()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def finish_request_on_term(_args):
    """Chaussette's pre-hook: SIGTERM ends the worker between two requests.

    Its wsgiref backend leaves SIGTERM to the default action, which cuts a request in two. It also makes the socket
    blocking: of two workers that see one connection, the second would sleep in accept() and not hear the signal.
    """
    from chaussette.backend import _wsgiref

    told = []
    signal.signal(signal.SIGTERM, lambda _signum, _frame: told.append(True))

    def leave_when_told(_server):
        if told:
            raise SystemExit(0)

    _wsgiref.ChaussetteServer.service_actions = leave_when_told
    _wsgiref.create_socket = functools.partial(_wsgiref.create_socket, blocking=False)
