"""Programs that circus runs beside the processes of a user: nothing that the user may write reaches one with more
rights than the user has."""

import os
import subprocess

from harness import check, until
from scene import A, USERS

# Written by whatever of the user's should never be run by root: what it ran as.
PROOF = """
import os
import subprocess
open({proof!r} % os.getpid(), "w").write(str(os.getuid()))
"""


def proofs(scene):
    """The uids that something of the user's ran as."""
    names = [name for name in os.listdir(scene.path("proofs")) if name.startswith("proof.")]
    return sorted({int(open(scene.path(f"proofs/{name}"), encoding="utf-8").read() or 0) for name in names})


def users_world(scene):
    """A directory of the user's full of traps, and one where everybody may leave a proof."""
    home = scene.home()
    os.mkdir(scene.path("proofs"))
    os.chmod(scene.path("proofs"), 0o1777)
    trap = PROOF.format(proof=scene.path("proofs/proof.%d"))
    site = "home/venv/lib/python3.11/site-packages"
    for name in ("home/bin", "home/venv", "home/venv/bin", "home/venv/lib", os.path.dirname(site), site):
        scene.home(name)
    modules = ("json", "importlib", "os", "types", "time", "traceback", "site", "sitecustomize", "usercustomize")
    for module in modules:
        for place in ("home", site):
            scene.write(f"{place}/{module}.py", trap, owner=A)
    for program in ("rm", "true", "python3", "logger", "env"):
        for place in ("home/bin", "home/venv/bin"):
            text = f"#!/bin/sh\n/usr/bin/id -u > {scene.path('proofs')}/proof.$$\n"
            scene.write(f"{place}/{program}", text, mode=0o755, owner=A)
    scene.write("home/bashenv", f"/usr/bin/id -u > {scene.path('proofs')}/proof.$$\n", owner=A)
    return home


WATCHER = """[watcher:app]
cmd = /bin/sleep 1000
uid = {user}
working_dir = {home}
{options}
"""


def watcher(home, options):
    return WATCHER.format(user=A, home=home, options=options)


def running(circus):
    """The state of the watcher when its start is over."""
    circus.ctl("start", "--waiting", "app")
    return circus.ctl("status", "app")


def attack_a_python_hook_finds_no_module_of_the_users(scene):
    home = users_world(scene)
    scene.write("adminhooks.py", "def before(**kw):\n    import json, time\n    return True\n")
    venv = f"copy_env = True\nvirtualenv = {home}/venv\n"
    path = f"[env:app]\nPATH = {home}/bin\nHOME = {home}\n"
    for name, options in (("directory", ""), ("virtualenv", venv), ("PATH", path)):
        circus = scene.circus(watcher(home, f"hooks.before_start = adminhooks.before\n{options}"))
        check(f"a Python hook runs ({name})", running(circus), "active")
        check(f"and nothing of the user's is in it ({name})", proofs(scene), [])
        circus.stop()


def attack_a_hook_is_found_neither_in_the_users_virtualenv_nor_by_the_watchers_path(scene):
    home = users_world(scene)
    hooks = "hooks.before_start = rm -f /nonexistent\nhooks.after_start = sh -c true\n"
    venv = f"copy_env = True\nvirtualenv = {home}/venv\n"
    path = f"[env:app]\nPATH = {home}/bin:/usr/bin:/bin\n"
    for name, options in (("virtualenv", venv), ("PATH", path)):
        circus = scene.circus(watcher(home, hooks + options))
        check(f"a hook runs ({name})", running(circus), "active")
        check(f"and it is the system's program ({name})", proofs(scene), [])
        circus.stop()


def attack_a_hook_by_a_relative_path_is_none_of_the_users(scene):
    home = users_world(scene)
    circus = scene.circus(watcher(home, "hooks.before_start = bin/rm x"))
    running(circus)
    check("a relative path starts in circus's own directory", "bin/rm" in circus.ctl("why", "app"))
    check("and not in the user's", proofs(scene), [])


def attack_variables_of_the_users_file_reach_no_program_with_more_rights(scene):
    home = users_world(scene)
    variables = f"BASH_ENV={home}/bashenv\nENV={home}/bashenv\nPATH={home}/bin\nPYTHONPATH={home}\nLD_PRELOAD=/x.so\n"
    scene.write("home/env", variables, owner=A)
    told = scene.path("told")
    hooks = f"env_file = {home}/env\nhooks.before_start = bash -c 'export -p > {told}'\n"
    circus = scene.circus(watcher(home, hooks))
    check("the hook has run", running(circus), "active")
    check("without what is in the user's file", proofs(scene), [])
    text = open(told, encoding="utf-8").read()
    check("no variable of it", [word for word in ("bashenv", "LD_PRELOAD", home + "/bin") if word in text], [])


def attack_a_variable_for_the_loader_reaches_no_hook_whoever_has_set_it(scene):
    home = users_world(scene)
    told = scene.path("told")
    hook = f"hooks.before_start = sh -c 'export -p > {told}'"
    circus = scene.circus(watcher(home, f"{hook}\n[env:app]\nLD_LIBRARY_PATH = {home}\nMINE = yes\n"))
    running(circus)
    text = open(told, encoding="utf-8").read()
    check("LD_* of the configuration is for the processes alone", ("LD_LIBRARY" in text, "MINE" in text), (False, True))


def attack_what_is_set_for_the_users_processes_takes_no_code_into_a_hook_of_root(scene):
    home = users_world(scene)
    told = scene.path("told")
    script = scene.write("hook.sh", f"#!/bin/bash\nexport -p > {told}\npython3 -c 'import json'\n", mode=0o755)
    names = ("BASH_ENV", "ENV", "PYTHONPATH", "PYTHONHOME", "PERL5LIB", "GCONV_PATH", "HOME", "IFS")
    variables = "".join(f"{name} = {home}{'/bashenv' if 'ENV' in name else ''}\n" for name in names)
    hook = f"hooks.before_start = {script}\nstop_command = sh -c 'kill $CIRCUS_PID; env > {home}/stop'"
    circus = scene.circus(watcher(home, f"{hook}\n[env:app]\nMINE = yes\n{variables}"))
    check("a hook of root runs", running(circus), "active")
    check("and nothing of the user's is in it", proofs(scene), [])
    text = open(told, encoding="utf-8").read()
    check("nor a variable that names a place of theirs", (home in text, "MINE" in text), (False, True))
    circus.ctl("stop", "--waiting", "app")
    text = open(f"{home}/stop", encoding="utf-8").read()
    check("the user's own command has them", [name for name in names if f"{name}={home}" not in text], ["IFS"])


def attack_commands_and_probes_run_as_the_user_in_the_users_world(scene):
    home = users_world(scene)
    os.mkdir(scene.path("ran"))
    os.chmod(scene.path("ran"), 0o1777)
    scene.write("home/env", "FROM_FILE=yes\n", owner=A)

    def say(what, then=""):
        facts = "$(id -u):$(id -g):$(id -G):$PWD:$FROM_FILE"
        return f"/bin/sh -c 'echo {facts} > {scene.path('ran')}/{what}{then}'"

    stop = say("stop", "; kill $CIRCUS_PID")
    options = (
        f"env_file = {home}/env\nready = exec:{say('ready')}\nhealth = exec:{say('health')}\nhealth_interval = 0.2\n"
        f"reload_command = {say('reload')}\nstop_command = {stop}\n"
    )
    circus = scene.circus(watcher(home, options))
    ids = USERS[A]
    wanted = f"{ids}:{ids}:{ids}:{home}:yes"
    circus.ctl("start", "--waiting", "app")
    circus.ctl("reload", "--waiting", "app")
    until(lambda: os.path.exists(scene.path("ran/health")), "a health probe")
    circus.ctl("stop", "--waiting", "app")
    for what in ("ready", "health", "reload", "stop"):
        path = scene.path(f"ran/{what}")
        text = open(path, encoding="utf-8").read().strip() if os.path.exists(path) else "it did not run"
        check(f"{what} runs as the watcher's user, in its directory and environment", text, wanted)


def attack_a_probe_has_no_more_rights_than_the_processes(scene):
    home = users_world(scene)
    os.mkdir(scene.path("ran"))
    os.chmod(scene.path("ran"), 0o1777)
    out = scene.path("ran/stop")
    say = f"/bin/sh -c 'grep NoNewPrivs /proc/self/status > {out}; ulimit -n >> {out}; kill $CIRCUS_PID'"
    circus = scene.circus(watcher(home, f"no_new_privs = True\nrlimit_nofile = 77\nstop_command = {say}\n"))
    circus.ctl("start", "--waiting", "app")
    circus.ctl("stop", "--waiting", "app")
    text = open(scene.path("ran/stop"), encoding="utf-8").read().split()
    check("stop_command has the limits of the processes", text, ["NoNewPrivs:", "1", "77"])


def attack_hooks_uid_names_the_user_that_hooks_run_as(scene):
    home = users_world(scene)
    os.mkdir(scene.path("ran"))
    os.chmod(scene.path("ran"), 0o1777)
    say = f"sh -c 'echo $(id -u):$(id -g):$(id -G):$HOME:$USER > {scene.path('ran')}/$CIRCUS_HOOK'"
    hooks = f"hooks.before_start = {say}\nhooks.after_start = {say}\n"
    circus = scene.circus(watcher(home, f"hooks_uid = {A}\n{hooks}"))
    ids = USERS[A]
    check("the watcher runs", running(circus), "active")
    for hook in ("before_start", "after_start"):
        text = open(scene.path(f"ran/{hook}"), encoding="utf-8").read().strip()
        check(f"{hook} runs as that user", text, f"{ids}:{ids}:{ids}:/nonexistent:{A}")
    circus.ctl("set", "app", "hooks_uid", "root")
    circus.ctl("restart", "--waiting", "app")
    text = open(scene.path("ran/before_start"), encoding="utf-8").read().strip()
    check("and as another one when that is set", text.split(":")[0], "0")


PLUGIN = """
import json, sys
requests = [
    ("set", {{"name": "rooted", "options": {{"cmd": "id"}}}}),
    ("set", {{"name": "rooted", "options": {{"hooks.before_start": "id"}}}}),
    ("set", {{"name": "app", "options": {{"uid": "root"}}}}),
    ("set", {{"name": "app", "options": {{"hooks_uid": "root"}}}}),
    ("add", {{"name": "new", "cmd": "sleep 1000", "start": True}}),
    ("add", {{"name": "new", "cmd": "sleep 1000", "start": True, "options": {{"uid": 0}}}}),
    ("set", {{"name": "app", "options": {{"cmd": "/bin/sleep 1001"}}}}),
    ("set", {{"name": "rooted", "options": {{"numprocesses": 2}}}}),
    ("add", {{"name": "new", "cmd": "sleep 1000", "options": {{"uid": {uid}}}}}),
    ("restart", {{"name": "rooted"}}),
]
out = open("{out}", "w")
for number, (command, properties) in enumerate(requests):
    print(json.dumps({{"id": str(number), "command": command, "properties": properties}}), flush=True)
    for line in sys.stdin:
        reply = json.loads(line)
        if reply.get("id") == str(number):
            out.write(reply["status"] + "\\n")
            out.flush()
            break
out.write("end\\n")
out.flush()
sys.stdin.read()
"""


def attack_a_plugin_with_uid_has_no_more_say_than_its_user(scene):
    home = users_world(scene)
    out = scene.write("home/out", "", owner=A)
    program = scene.write("plugin.py", PLUGIN.format(out=out, uid=USERS[A]))
    for owner in ("", f"endpoint_owner = {A}\n"):
        open(out, "w", encoding="utf-8").close()
        # Whatever Python this suite runs by, the user may not be let into its directory.
        plugin = f"[plugin:p]\ncmd = /usr/bin/python3 {program}\nuid = {A}\n"
        circus = scene.circus(f"{owner}[watcher:rooted]\ncmd = sleep 1000\n{watcher(home, '')}{plugin}")
        until(lambda: "end" in open(out, encoding="utf-8").read(), "the plugin")
        text = open(out, encoding="utf-8").read().split()
        check("a plugin of a user commands as that user", text, ["error"] * 6 + ["ok"] * 4 + ["end"])
        circus.stop()


def attack_a_plugin_without_uid_may_do_what_circus_may(scene):
    home = users_world(scene)
    out = scene.path("out")
    program = scene.write("plugin.py", PLUGIN.format(out=out, uid=0))
    circus = scene.circus(
        f"[watcher:rooted]\ncmd = sleep 1000\n{watcher(home, '')}[plugin:p]\ncmd = /usr/bin/python3 {program}\n"
    )
    until(lambda: os.path.exists(out) and "end" in open(out, encoding="utf-8").read(), "the plugin")
    text = open(out, encoding="utf-8").read().split()
    check("a plugin of root sets everything", text[:5] + text[6:8], ["ok"] * 7)
    circus.stop()


def attack_where_the_user_has_all_processes_that_it_may_have_a_hook_waits(scene):
    # A number that nobody else has: what other runs of this suite start would count.
    uid = 1_000_000 + os.getpid()
    home = scene.home()
    os.chown(home, uid, uid)

    def start(*argv):
        setpriv = ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--"]
        scene.started.append(subprocess.Popen([*setpriv, *argv], stdin=subprocess.DEVNULL, cwd="/"))
        return scene.started[-1]

    config = (
        f"[circus]\nendpoint = {home}/sock\nlogoutput = {home}/log\n"
        "[watcher:app]\ncmd = /bin/sleep 1000\nhooks.before_start = /bin/true\n"
    )
    path = scene.write("circus.ini", config)
    other = start("sleep", "1000")
    until(lambda: open(f"/proc/{other.pid}/comm", encoding="utf-8").read() == "sleep\n", "the other process")
    program = scene.program()
    start("prlimit", "--nproc=2", program, path)

    def logged(words):
        return os.path.exists(f"{home}/log") and words in open(f"{home}/log", encoding="utf-8").read()

    until(lambda: logged("true: clone: Resource temporarily unavailable"), "the shortage")
    other.terminate()
    other.wait()
    until(lambda: logged("hooks, commands and probes continue"), "the hook")
    argv = [program, "ctl", "--endpoint", f"{home}/sock", "status", "app"]
    until(lambda: subprocess.check_output(argv, text=True).strip() == "active", "the watcher")
    check("the watcher has started in the end", logged("app is being stopped"), False)
