"""The web application of the stack: tells which process answers, and has the worker do jobs."""

import os

import redis

store = redis.Redis(unix_socket_path=os.environ["REDIS"])


def app(environ, start_response):
    if environ["PATH_INFO"] == "/work":
        body = b"job %d waits\n" % store.rpush("jobs", "greet")
    else:
        # gunicorn's master is the process that circus knows: compare with `circus ctl list web`.
        body = b"answered by process %d\n" % os.getppid()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
