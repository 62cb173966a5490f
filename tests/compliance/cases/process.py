"""test_process, test_umask, test_stdin_socket and test_util: what a process gets from the daemon."""

import os

from suite import Group, differs

process = Group("process", """
    [watcher:plain]
    cmd = {child} report {dir}/plain
    [watcher:arguments]
    cmd = {child} report {dir}/arguments a 'b c' "d \\"e\\"" f\\ g # h $HOME *
    args = $(circus.wid) ((CIRCUS.ENV.TEST)) $(circus.env.test) $(circus.nothing) $(circus.numprocesses)
    [env:arguments]
    TEST = the child's
    [watcher:directory]
    cmd = {child} report {dir}/directory
    working_dir = /usr/lib
    [watcher:limits]
    cmd = {child} report {dir}/limits
    rlimit_nofile = 20
    rlimit_NPROC = 2000
    rlimit_core =
    rlimit_cpu = 1000
    [watcher:user]
    cmd = {ids} {dir}/public/user
    uid = nobody
    [watcher:group]
    cmd = {ids} {dir}/public/group
    gid = daemon
    [watcher:numbers]
    cmd = {ids} {dir}/public/numbers
    uid = 65534
    gid = 1
    [watcher:open]
    cmd = {child} report {dir}/open
    close_child_stdin = False
    [watcher:closed]
    cmd = {child} report {dir}/closed
    close_child_stdout = True
    close_child_stderr = True
    [watcher:streams]
    cmd = {child} report {dir}/streams
    stdout_stream.class = FileStream
    stdout_stream.filename = {dir}/streams.out
    stderr_stream.class = FileStream
    stderr_stream.filename = {dir}/streams.err
    [watcher:path]
    cmd = env FOUND=1 {child} report {dir}/path
    [env:path]
    PATH = /usr/bin
    [watcher:shell]
    cmd = exec {child} report {dir}/shell "a b"
    shell = True
    """, umask=0o027)


@process
@differs("by a variable circus finds what one that was killed has left",
         manual="For this, all processes have the variable", key="marked", theirs=False, ours=True)
@differs("there is a PATH in any case", manual="Processes always have a PATH", key="environment", theirs={},
         ours={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})
def what_it_gets(d):
    """With no option at all. The limits are those of the daemon."""
    seen = d.report("plain")
    pid = seen.pop("pid")
    limits = seen.pop("limits")
    # Circus raises no limit; circus raises that of descriptors for itself and gives the old one back.
    seen["limits of the daemon"] = all(tuple(limits[name]) == limit(name) for name in limits)
    seen["parent"] = d.parent_of(pid) == d.process.pid
    return seen


def limit(name):
    import resource  # pylint: disable=import-outside-toplevel

    return resource.getrlimit(getattr(resource, f"RLIMIT_{name.upper()}"))


@process
def arguments(d):
    return d.report("arguments")["argv"]


@process
def working_dir(d):
    return d.report("directory")["cwd"], d.report("plain")["cwd"]


@process
def resource_limits(d):
    limits = d.report("limits")["limits"]
    return {name: limits[name] for name in ("nofile", "nproc", "core", "cpu")}


@process
def user_and_primary_group(d):
    return d.ids("public/user")


@process
@differs("without a user, too, only that group is left", manual="drops supplementary groups", key="Groups",
         theirs=[str(gid) for gid in os.getgroups()], ours=["1"])
def group_alone(d):
    return d.ids("public/group")


@process
def ids_as_numbers(d):
    return d.ids("public/numbers")


@process
def standard_descriptors(d):
    return {name: d.report(name)["descriptors"] for name in ("plain", "open", "closed", "streams")}


@process
def program_in_the_path_of_the_child(d):
    return without(d.report("path")["environment"], "__name__")


@process
def session(d):
    seen = d.report("plain")
    return seen["leads its session"], seen["leads its group"], seen["terminal"], seen["blocked"]


@process
def order_of_processes(d):
    first = d.add("order", "/bin/sleep 1000", numprocesses=3)
    return len(first), list(d.ok("stats", name="order")["info"]) == [str(pid) for pid in first]


shells = Group("shells", """
    [watcher:quoted]
    cmd = {child} report {dir}/quoted 'a b' c
    shell = True
    [watcher:words]
    cmd = {child} report {dir}/words "$0" "$1" "$2"
    shell = True
    shell_args = zero 'one two'
    [watcher:ignored]
    cmd = {child} report {dir}/ignored
    shell_args = x y
    [watcher:features]
    cmd = X=$(echo shell); {child} report {dir}/features $X; true
    shell = True
    """, down=("features",))


@shells
def quoted(d):
    return d.report("quoted")["argv"]


@shells
@differs("the shell sees the command as it is written; Circus quotes every word", manual="Circus quotes every word",
         key="argv", theirs=["$0", "$1", "$2"], ours=["zero", "one two", ""])
def shell_args(d):
    return {"argv": d.report("words")["argv"]}


@shells
def shell_args_without_a_shell(d):
    return d.report("ignored")["argv"]


@shells
@differs("the features of the shell are there", manual="Circus quotes every word", theirs="nothing", ours=["shell"])
def features(d):
    if d.side == "theirs":
        return "nothing" if not d.exists("features") else d.report("features")["argv"]
    return d.report("features")["argv"]


inherited = Group("environment", """
    [watcher:none]
    cmd = {child} report {dir}/none
    [watcher:copied]
    cmd = {child} report {dir}/copied
    copy_env = True
    [watcher:over]
    cmd = {child} report {dir}/over
    copy_env = True
    [env]
    TEST1 = everywhere
    FROM_DAEMON = $DAEMON:$NOTHING:$(circus.env.DAEMON)
    lower = $daemon ${DAEMON} $$DAEMON $
    [env:over,copied]
    TEST1 = two
    DAEMON = own $DAEMON
    HERE = $(circus.env.DAEMON)
    [env:o*]
    TEST1 = pattern
    CHAIN = $TEST1
    http_proxy = a
    HTTPS_PROXY = b
    FunKy_soUl = scorpio
    """, environment=(("DAEMON", "daemon's"), ("http_proxy", "outer")))


def without(environment, *names):
    return {key: value for key, value in environment.items() if key not in names}


@inherited
@differs("the name of the section is no variable",
         manual="passes to processes and plugins, is gone", key="__name__", theirs="env", ours="nothing")
@differs("there is a PATH in any case", manual="Processes always have a PATH", key="PATH", theirs="nothing",
         ours="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
def without_copy_env(d):
    return d.report("none")["environment"]


@inherited
@differs("the name of the section is no variable",
         manual="passes to processes and plugins, is gone", key="__name__", theirs="env:over,copied",
         ours="nothing")
def with_copy_env(d):
    return d.report("copied")["environment"]


@inherited
@differs("the name of the section is no variable",
         manual="passes to processes and plugins, is gone", key="__name__", theirs="env:o*",
         ours="nothing")
def in_the_order_of_the_sections(d):
    return d.report("over")["environment"]


umasks = Group("umask")


@umasks.alone("""
    [watcher:w]
    cmd = {child} mkdir {dir}/made
    """)
def inherited_from_the_daemon(d):
    return d.made("made")


@umasks.alone("""
    [watcher:w]
    cmd = {child} mkdir {dir}/made
    """, umask=0o002)
def of_the_daemon(d):
    return d.made("made")


@umasks.alone("""
    [circus]
    umask = 000
    [watcher:w]
    cmd = {child} mkdir {dir}/made
    """)
def from_the_file(d):
    return d.made("made")


@umasks.alone("""
    [circus]
    umask = 022
    [watcher:w]
    cmd = {child} mkdir {dir}/made
    """, umask=0)
def is_octal(d):
    return d.made("made")
