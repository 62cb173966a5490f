"""Which calls fail, with what, and when: what the manual pages of section 2 allow, and a kernel has been seen to do."""

# Of the times that a call comes in a phase, so many fail: the first ones, and others spread over the rest.
FIRST, MOST = 12, 30

# What circus calls after its start, in the daemon itself. Not brk, which has no errno: it answers with the end of the
# heap, and an error in its place is taken for a place in memory.
STEADY = {
    "accept4": "EAGAIN ECONNABORTED EINTR EMFILE ENFILE ENOBUFS ENOMEM EPERM EPROTO",
    "clone": "EAGAIN ENOMEM",
    "epoll_ctl": "ENOMEM ENOSPC",
    "epoll_wait": "EINTR",
    "fchmod": "EIO EPERM EROFS",
    "fcntl": "EMFILE EAGAIN",
    "getcwd": "ENOENT ENOMEM",
    "getdents64": "ENOENT",
    "getpgid": "ESRCH EPERM",
    "getsockopt": "ENOBUFS ENOMEM",
    "ioctl": "EINTR ENOTTY EIO",
    "kill": "EPERM ESRCH",
    "mkdir": "EACCES ENOSPC EROFS EDQUOT",
    "mmap": "ENOMEM",
    "newfstatat": "ENOMEM EACCES",
    "openat": "EMFILE ENFILE ENOMEM EACCES ENOSPC EIO EINTR EROFS",
    "pipe2": "EMFILE ENFILE",
    "poll": "EINTR ENOMEM",
    "read": "EINTR EIO EAGAIN",
    "recvfrom": "EAGAIN EINTR ECONNRESET ENOMEM",
    "renameat": "ENOSPC EACCES EIO EROFS EDQUOT",
    "rmdir": "EBUSY EROFS",
    "sendto": "EAGAIN EINTR EPIPE ECONNRESET ENOBUFS ENOMEM",
    "statx": "ENOMEM EACCES",
    "unlinkat": "EACCES EBUSY EIO EROFS",
    "wait4": "EINTR ECHILD",
    "waitid": "EINTR ECHILD",
    "write": "ENOSPC EDQUOT EIO EFBIG EAGAIN EINTR EPIPE",
}
# What it calls besides before it is ready.
START = STEADY | {
    "bind": "EADDRINUSE EACCES ENOMEM EROFS",
    "chmod": "EIO EPERM EROFS",
    "epoll_create1": "EMFILE ENFILE ENOMEM",
    "eventfd2": "EMFILE ENFILE ENOMEM",
    "flock": "EINTR ENOLCK EWOULDBLOCK",
    "ftruncate": "EIO EFBIG EINTR",
    "getrandom": "EINTR ENOSYS",
    "getsockname": "ENOBUFS",
    "linkat": "EEXIST ENOSPC EACCES",
    "listen": "EADDRINUSE",
    "lseek": "ESPIPE",
    "prctl": "EINVAL EPERM",
    "prlimit64": "EPERM",
    "readlink": "EACCES EIO ENOENT ENOMEM",
    "setsockopt": "ENOMEM ENOPROTOOPT",
    "socket": "EMFILE ENFILE ENOBUFS ENOMEM EAFNOSUPPORT",
    "socketpair": "EMFILE ENFILE",
    "statfs": "EIO EINTR ENOSYS ENOMEM",
}
# Between clone and execve, in each child.
CHILD = {
    "chdir": "EACCES ENOENT ENOMEM",
    "close_range": "EMFILE ENOMEM",
    "dup2": "EBUSY EINTR EMFILE",
    "dup3": "EBUSY EINTR EMFILE",
    "execve": "EACCES EAGAIN EIO EMFILE ENFILE ENOENT ENOEXEC ENOMEM ETXTBSY",
    "openat": "EMFILE ENFILE ENOMEM EACCES",
    "prctl": "EPERM",
    "prlimit64": "EPERM",
    "setpgid": "EACCES EPERM",
    "setsid": "EPERM",
}


# What passes by itself: a kernel that says so for ever, of a descriptor that it calls ready, has not been seen.
PASSING = ("EINTR", "EAGAIN", "ECONNABORTED")
# The dynamic loader's, before circus runs.
OTHERS = (("start", "mmap"),)


PHASES = (("steady", STEADY), ("end", STEADY), ("start", START), ("child", CHILD))


def times(count):
    """At which of so many times a call fails, and whether from then on: `3`, `3+`."""
    if count <= MOST:
        return [str(number) for number in range(1, count + 1)]
    step = (count - FIRST) / (MOST - FIRST)
    return [str(n) for n in range(1, FIRST + 1)] + [str(FIRST + round(step * n)) for n in range(1, MOST - FIRST + 1)]


def faults(counted):
    """All of them, as words: phase, call, errno, when. `counted`: how often each call comes in a phase."""
    found = []
    for phase, calls in PHASES:
        for call, errnos in sorted(calls.items()):
            count = counted[phase].get(call, 0)
            for errno in errnos.split() if count and (phase, call) not in OTHERS else ():
                lasts = errno not in PASSING or call in ("clone", "fcntl", "execve")
                found += [(phase, call, errno, when) for when in times(count) + ["1+"] * lasts]
    return found
