# Calls the Python function that is a hook, as Circus calls it: `python3 -I -c` runs this text. Until all that it needs
# is imported, sys.path is Python's own.
import importlib, json, os, sys, time, traceback
from types import SimpleNamespace

take = lambda name: json.loads(os.environ.pop(name, "null"))
facts, stats = take("CIRCUS_FACTS"), take("CIRCUS_STATS")
own = {"CIRCUS_" + name: os.environ.get("CIRCUS_" + name) for name in facts["own"]}
hook, pid, signum, code = (own["CIRCUS_" + name] for name in ("HOOK", "PID", "SIGNUM", "EXIT_CODE"))
env = {name: value for name, value in os.environ.items() if name not in own}
env.update(facts["env"])
watcher = SimpleNamespace(**{**facts["options"], "name": own["CIRCUS_WATCHER"], "env": env})
arbiter = SimpleNamespace(endpoint=facts["endpoint"])
more = {}
if hook.endswith("_reap"):
    more = {"process_pid": int(pid), "time": time.time()}
elif pid:
    more = {"pid": int(pid)}
if signum:
    more["signum"] = int(signum)
if code:
    more.update(exit_code=int(code), process_status=facts["status"])
sys.path += facts["path"]
out = os.dup(1)
os.dup2(2, 1)  # what the function prints is no answer
module, _, name = sys.argv[1].partition(":") if ":" in sys.argv[1] else sys.argv[1].rpartition(".")
try:
    function = getattr(importlib.import_module(module), name)
    if stats is None:
        answer = function(watcher=watcher, arbiter=arbiter, hook_name=hook, **more)
    else:
        function(watcher, arbiter, hook, stats=stats, **more)
        answer = open(out, "w").write(json.dumps(stats))
except BaseException:
    traceback.print_exc()
    sys.exit(111)
sys.exit(0 if answer else 99)
