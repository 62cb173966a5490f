"""Which calls fail, with what, and when: what the manual pages of section 2 allow, and a kernel has been seen to do."""

TIMES = ("1", "2", "3", "5", "8", "13", "21", "34", "50", "1+")

# What circus calls after its start, in the daemon itself.
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
    "mmap": "ENOMEM EAGAIN",
    "brk": "ENOMEM",
    "newfstatat": "ENOMEM EACCES",
    "openat": "EMFILE ENFILE ENOMEM EACCES ENOENT ENOSPC EIO EINTR EROFS",
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
    "getrandom": "EINTR EAGAIN ENOSYS",
    "linkat": "EEXIST ENOSPC EACCES",
    "listen": "EADDRINUSE",
    "lseek": "ESPIPE",
    "prctl": "EINVAL EPERM",
    "prlimit64": "EPERM",
    "setsockopt": "ENOMEM ENOPROTOOPT",
    "socket": "EMFILE ENFILE ENOBUFS ENOMEM EAFNOSUPPORT",
    "socketpair": "EMFILE ENFILE",
}
# Between clone and execve, in each child.
CHILD = {
    "chdir": "EACCES ENOENT ENOMEM",
    "close_range": "EMFILE ENOMEM",
    "dup2": "EBUSY EINTR EMFILE",
    "dup3": "EBUSY EINTR EMFILE",
    "execve": "EACCES EAGAIN EIO EMFILE ENFILE ENOENT ENOEXEC ENOMEM ETXTBSY",
    "fcntl": "EMFILE EAGAIN",
    "openat": "EMFILE ENFILE ENOMEM EACCES",
    "prctl": "EPERM",
    "prlimit64": "EPERM",
    "setpgid": "EACCES EPERM",
    "setsid": "EPERM",
    "write": "EPIPE",
}


def faults():
    """All of them, as words: phase, call, errno, when."""
    found = []
    for phase, calls in (("steady", STEADY), ("end", STEADY), ("start", START), ("child", CHILD)):
        for call, errnos in sorted(calls.items()):
            for errno in errnos.split():
                found += [(phase, call, errno, when) for when in TIMES]
    return found
