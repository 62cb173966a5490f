"""Programs on a pseudo-terminal, for the suites that look at what a person sees.

Nothing sleeps to let something happen: everything waits for what it wants to see, up to a deadline.
"""

import fcntl
import os
import pty
import re
import select
import struct
import termios
import time

PATIENCE = 30


def until(look, what):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.002)
    raise AssertionError(f"waited {PATIENCE} s for {what}")


class Terminal:
    """A program on a pseudo-terminal of its own."""

    def __init__(self, *argv, **env):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                os.environ.update(env)
                os.execvp(argv[0], argv)
            finally:
                os._exit(127)
        self.text = ""
        self.read_to = 0

    def says(self, pattern):
        """Waits for this in what comes after the last match."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            match = re.compile(pattern).search(self.text, self.read_to)
            if match:
                self.read_to = match.end()
                return match
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    self.text += os.read(self.fd, 65536).decode()
                except OSError:
                    break
        raise AssertionError(f"waited for {pattern!r} in {self.text[self.read_to:]!r}")

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        def look():
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            return [os.waitstatus_to_exitcode(status)] if pid else None
        return until(look, "the end of the program on the terminal")[0]

    def close(self):
        os.close(self.fd)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
