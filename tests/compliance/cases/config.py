"""test_config: what is read from a file, seen by the options and by the processes."""

from suite import Group, differs

# Lines of the dialect, each in an option of its own that nothing knows. "|" keeps the blanks before it.
DIALECT = """
    [watcher:dialect]
    cmd = sleep 1000
    a.plain = value
    a.colon : value
    a.both = x : y
    a.equals==x
    a.spaces   =    x  y
    a.comment = a;b ; c
    a.hash = a # b
    a.only_comment = ;foo
    a.empty = ""
    a.quotes = "quoted"
    a.nothing =
    # a comment
    ; another
    rem an option that is none = x
    a.Case = upper
    a.case = lower
    a.twice = first
    a.twice = second
    a.continued = one
        |   two
        |
        |   three
    a.continued_comment = x
        |   # y
        |   ; z
        |   [watcher:none]
    a.percent = %(x)s 100%
    a.unicode = h\u00e9llo \u4e16
    a.trailing = x   \t
    a.unknown = $(circus.nothing) ${circus.env.X} $(env.X)
    a.env = $(circus.env.X) ((circus.env.x)) $(CIRCUS.ENV.X)
    a.wid = $(circus.wid)
    flapping.window = 5

    [watcher:dialect]
    a.later = merged

    [env:dialect]
    X = of the watcher

    [Watcher:Case]
    cmd = sleep 1000
    [unknown]
    x = y
    [watcher:colon:in:name]
    cmd = sleep 1000
    [watcher:with blank]
    cmd = sleep 1000
    [watcher:renamed]
    name = other
    cmd = sleep 1000
    [watcher:bracket] ; see [y]
    cmd = sleep 1000
    [circus]
    unknown = x
    """

config = Group("config", DIALECT)


@config
def dialect(d):
    options = d.ok("options", name="dialect")["options"]
    return {key: value for key, value in options.items() if key.startswith(("a.", "flapping."))}


@config
def sections(d):
    return d.ok("list")


@config
def states(d):
    return d.ok("status")


types = Group("types", """
    [watcher:numbers]
    cmd = sleep 1000
    numprocesses = 2
    warmup_delay = 0
    max_retry = -1
    graceful_timeout = 25.5
    max_age = 100000
    max_age_variance = 7
    priority = -3
    [watcher:integers]
    cmd = sleep 1000
    graceful_timeout = 88
    args = 1
    [watcher:yes]
    cmd = sleep 1000
    send_hup = YES
    stop_children = on
    copy_env = 1
    use_sockets = True
    respawn = true
    [watcher:no]
    cmd = sleep 1000
    send_hup = No
    stop_children = OFF
    copy_env = 0
    respawn = False
    close_child_stdin = false
    [watcher:int]
    cmd = sleep 1000
    stop_signal = INT
    [watcher:sigint]
    cmd = sleep 1000
    stop_signal = sigint
    [watcher:two]
    cmd = sleep 1000
    stop_signal = 2
    [watcher:realtime]
    cmd = sleep 1000
    stop_signal = SIGRTMIN+3
    [watcher:global]
    cmd = sleep 1000
    numprocesses = $(circus.env.COUNT)
    send_hup = $(circus.env.FLAG)
    uid = $(circus.env.USER_NAME)
    [env]
    FLAG = true
    [env:global]
    USER_NAME = root
    """, environment=(("COUNT", "2"), ("FLAG", "false"), ("USER_NAME", "daemon")))


@types
def numbers(d):
    keys = ["numprocesses", "max_retry", "graceful_timeout", "max_age", "max_age_variance", "priority"]
    return d.ok("get", name="numbers", keys=keys), d.ok("get", name="integers", keys=["graceful_timeout", "args"])


@types
def booleans(d):
    keys = ["send_hup", "stop_children", "copy_env", "use_sockets", "respawn", "close_child_stdin"]
    return d.ok("get", name="yes", keys=keys), d.ok("get", name="no", keys=keys)


@types
def signals(d):
    return [d.ok("get", name=name, keys=["stop_signal"]) for name in ("int", "sigint", "two", "realtime")]


@types
def from_the_environment(d):
    """issue442.ini: [env] beats the daemon's environment, [env:x] beats both."""
    return d.ok("get", name="global", keys=["numprocesses", "send_hup", "uid"])


WRONG = {
    "number": "[watcher:w]\ncmd = sleep 1000\nnumprocesses = many",
    "boolean": "[watcher:w]\ncmd = sleep 1000\nsend_hup = perhaps",
    "signal": "[watcher:w]\ncmd = sleep 1000\nstop_signal = NONSENSE",
    "header": "cmd = sleep 1000",
    "line": "[watcher:w]\ncmd = sleep 1000\nnonsense",
    "stream": "[watcher:w]\ncmd = sleep 1000\nstdout_streamclass = x",
}


@config.alone(manual=True)
@differs("a wrong file is the user's fault", manual="exits with 100 for a mistake in the file or the arguments",
         key="codes", theirs=[1] * 6, ours=[100] * 6)
@differs("and is said in a line or two that name the place", manual="never by a traceback", key="tracebacks", theirs=6,
         ours=0)
def wrong_files(d):
    codes, tracebacks = [], 0
    for text in WRONG.values():
        path = d.configure(text) if "[" in text else d.write("circus.ini", text)
        code, _, err = d.run(path)
        codes.append(code)
        tracebacks += "Traceback" in err
    return {"codes": codes, "tracebacks": tracebacks}


@config.alone(manual=True)
@differs("a missing file is the user's fault", manual="exits with 100 for a mistake in the file or the arguments",
         key="code", theirs=1, ours=100)
def missing_file(d):
    code, out, err = d.run(d.path("none.ini"))
    return {"code": code, "out": out, "named": "none.ini" in err}


INCLUDES = (
    ("one.ini", "[watcher:one]\ncmd = {child} report {dir}/one\n[circus]\nwarmup_delay = 0\n"),
    ("sub/two.ini", "[watcher:two]\ncmd = sleep 1000\nargs = of two\nb.x = included\n[env:one]\nINI = sub\nMORE = 1\n"),
    ("sub/three.ini", "[watcher:three]\ncmd = sleep 1000\n"),
    ("deep/a/four.ini", "[watcher:four]\ncmd = sleep 1000\n[circus]\ninclude = never.ini\n"),
    ("deep/b/five.ini", "[watcher:five]\ncmd = sleep 1000\n"),
    ("dir/six.ini", "[watcher:six]\ncmd = sleep 1000\n"),
    ("dir/never.txt", "[watcher:never]\ncmd = sleep 1000\n"),
    ("deep/a/never.ini", "[watcher:never]\ncmd = sleep 1000\n"),
)


@config.alone("""
    [circus]
    include = one.ini sub/*.ini deep/*/f*.ini nothing/*.ini
    include_dir = {dir}/dir
    [watcher:two]
    cmd = sleep 1000
    b.x = main
    [env:one]
    INI = main
    """, files=INCLUDES)
def includes(d):
    options = d.ok("options", name="two")["options"]
    environment = d.report("one")["environment"]
    return d.ok("list"), options["b.x"], options["args"], {key: environment.get(key) for key in ("INI", "MORE")}


@config.alone("""
    [circus]
    include = nothing/*.ini
    include_dir = nowhere
    [watcher:w]
    cmd = sleep 1000
    [watcher:empty]
    [socket:empty]
    [plugin:empty]
    """)
def empty_includes_and_sections(d):
    return d.ok("list"), d.ok("listsockets"), "WARNING" in d.log()


@config.alone("""
    [DEFAULT]
    b.default = everywhere
    graceful_timeout = 3
    [watcher:w]
    cmd = sleep 1000
    [watcher:x]
    cmd = sleep 1000
    graceful_timeout = 4
    """)
def default_section(d):
    seen = {name: d.ok("options", name=name)["options"] for name in ("w", "x")}
    return {name: (options["b.default"], options["graceful_timeout"]) for name, options in seen.items()}


@config.alone("""
    [env]
    WHERE = {dir}
    NAME = web
    [env:w]
    PLACE = {dir}/public
    [watcher:w]
    cmd = {child} say out err
    stdout_stream.class = FileStream
    stdout_stream.filename = $(circus.env.PLACE)/w.out
    [socket:s]
    path = $(circus.env.WHERE)/$(circus.env.NAME).sock
    """)
def variables_everywhere(d):
    """env_everywhere.ini and expand_vars.ini."""
    d.lines("public/w.out", lambda lines: lines == ["out"])
    return d.hide(d.ok("listsockets")["sockets"][0]["path"])


@config.alone("""
    [watcher:w]
    cmd = sleep 1000
    """, files=(("crlf.ini", "[circus]\r\nendpoint = ipc://{dir}/circus.sock\r\n[watcher:w]\r\ncmd = {child} report "
                            "{dir}/crlf a\r\n  b\r\n"),), manual=True)
def carriage_returns(d):
    with open(d.path("log"), "wb") as log:
        d.process = d.popen([d.path("crlf.ini")], stderr=log, stdout=log)
    return d.report("crlf")["argv"]


@config.alone(manual=True)
@differs("a byte order mark is skipped", manual="A byte order mark is skipped", theirs=1, ours="active")
def byte_order_mark(d):
    text = "\ufeff[circus]\nendpoint = ipc://{dir}/circus.sock\n[watcher:w]\ncmd = sleep 1000\n"
    with open(d.path("log"), "wb") as log:
        d.process = d.popen([d.write("bom.ini", text)], stderr=log, stdout=log)
    if d.side == "theirs":
        return d.end()
    d.logged("w started")
    return d.status("w")
