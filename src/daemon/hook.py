# Calls the Python function that is a hook, as Circus calls it: `python3 -c` runs this text.
import importlib, json, os, sys
from types import SimpleNamespace

facts = json.loads(os.environ.pop("CIRCUS_FACTS"))
sys.path += facts["path"]
env = {name: value for name, value in os.environ.items() if name not in facts["own"]}
watcher = SimpleNamespace(**{**facts["options"], "name": facts["watcher"], "env": env})
arbiter = SimpleNamespace(endpoint=facts["endpoint"])
function, name, stats, more = facts["function"], facts["hook"], facts["stats"], facts["more"]
out = os.dup(1)
os.dup2(2, 1)  # what the function prints is no answer
module, _, attribute = function.partition(":") if ":" in function else function.rpartition(".")
try:
    hook = getattr(importlib.import_module(module), attribute)
    if stats is None:
        answer = hook(watcher=watcher, arbiter=arbiter, hook_name=name, **more)
    else:
        hook(watcher, arbiter, name, stats=stats, **more)
        answer = open(out, "w").write(json.dumps(stats))
except BaseException:
    import traceback

    traceback.print_exc()
    sys.exit(111)
sys.exit(0 if answer else 99)
