"""What examples/prometheus says to Prometheus and Grafana, with a real Prometheus. A part of run.py, which runs it."""

import json
import os
import re
import subprocess
import tempfile
import urllib.parse

from house import CONFIG, INSTALLED, Daemon, Process, check, copied, ctl, get, until

INI = ("[plugin:metrics]\nuse = circus.plugins.Metrics\n[socket:web]\nhost = 127.0.0.1\nport = 8080\n"
       "[watcher:good]\ncmd = sleep 1000\nstdout_stream.class = StdoutStream\n[watcher:bad]\ncmd = /no/such/program\n")
API = "http://127.0.0.1:9090/api/v1/"


def ask(path, **parameters):
    """The data that Prometheus answers with; none while it does not."""
    status, text = get(API + path + "?" + urllib.parse.urlencode(parameters))
    return json.loads(text)["data"] if status == 200 else None


def samples(expression):
    answer = ask("query", query=expression)
    return answer["result"] if answer else []


def expressions(dashboard):
    """Those of all panels, for every instance and the last seconds."""
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield panel["title"], re.sub(r"\[\w+\]", "[10s]", target["expr"].replace("$instance", ".*"))


def prometheus():
    with tempfile.TemporaryDirectory() as directory, open(CONFIG, "w", encoding="utf-8") as config:
        config.write(INI)
        config.flush()
        files = copied("prometheus", directory)
        scrape, rules = os.path.join(files, "prometheus.yml"), os.path.join(files, "rules.yml")
        done = subprocess.run(["promtool", "check", "config", scrape], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False)
        check("promtool has nothing against the configuration and the rules", (done.returncode, "SUCCESS" in done.stdout), (0, True))
        # Every second, so that the test need not wait.
        for path in (scrape, rules):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            with open(path, "w", encoding="utf-8") as file:
                file.write(re.sub(r"(_interval|for): \w+", r"\1: 1s", text))
        with Daemon("prometheus.yml", [INSTALLED, CONFIG]) as circus:
            until(lambda: ctl("status", "good")[1] == "active", "circus")
            server = Process(["prometheus", f"--config.file={scrape}", f"--storage.tsdb.path={directory}/data"])
            try:
                look(circus, files, server)
            finally:
                server.process.kill()
                server.process.wait()


def look(circus, files, server):
    until(lambda: samples('up{job="circus"} == 1'), f"a scrape: {server.read()}")
    check("Prometheus scrapes circus", True)
    series = until(lambda: samples('{job="circus",__name__=~"circus_.+"}'), "what was scraped")
    names = {one["metric"]["__name__"] for one in series}
    alerts = lambda: {alert["labels"].get("watcher") for alert in ask("alerts")["alerts"]
                      if (alert["labels"]["alertname"], alert["state"]) == ("CircusWatcherFailing", "firing")}
    until(lambda: alerts() == {"bad"}, "an alert for the watcher that fails")
    check("the alert is about the watcher that fails", True)
    rules = ask("rules")["groups"][0]["rules"]
    check("all rules can be evaluated", {rule["health"] for rule in rules}, {"ok"})
    with open(os.path.join(files, "dashboard.json"), encoding="utf-8") as file:
        dashboard = json.load(file)
    for title, expression in expressions(dashboard):
        named = set(re.findall(r"circus_\w+", expression))
        until(lambda e=expression: samples(e) or "output" in e, f"an answer to {title}: {expression}")
        check(f"dashboard: {title}", named - names - {"circus_watcher_output_bytes_total"}, set())
    used = {name for rule in rules for name in re.findall(r"circus_\w+", rule["query"])}
    check("the rules are about what is served", used - names, set())
    circus.stop(quietly=False)


PARTS = (prometheus,)
