"""Cases of what is not built yet, with what they wait for. Names may be shell patterns; `run.py -a` runs them."""

PENDING = {}
