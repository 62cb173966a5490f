"""The worker of the stack: does one job after the other, and ends between two of them when circus asks it to."""

import os
import signal

import redis

store = redis.Redis(unix_socket_path=os.environ["REDIS"])
told = []
signal.signal(signal.SIGTERM, lambda _signum, _frame: told.append(True))

while not told:
    job = store.blpop("jobs", timeout=1)
    if job:
        print("done:", job[1].decode(), store.incr("done"), flush=True)
