"""What runs circus as the init of a container: Docker, Kubernetes, Nomad. A part of run.py, which runs it.

A container is a read-only root with the files of the Dockerfile and no other, no /run, /tmp or shell, and a user who is
not root. Two of them share the network, as those of a pod do.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile

import hcl2
import kubernetes_validate
import yaml

import house
from harness import child_of
from house import INSTALLED, Process, check, copied, ctl, example, get, run_ini, text_of, until
from static import STATIC

# The static binary, which the Dockerfile asks for; another one is tried with its libraries.
CIRCUS = house.CIRCUS if "CIRCUS_BIN" in os.environ else STATIC or house.CIRCUS

# The application: it answers everybody with its pid, on the descriptor that is its argument.
APP = r"""
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
int main(int count, char **words) {
    struct pollfd waiting = {count > 1 ? atoi(words[1]) : -1, POLLIN, 0};
    char text[128];
    while (poll(&waiting, 1, -1) >= 0) {
        int client = accept(waiting.fd, 0, 0);
        if (client < 0)
            continue;
        if (read(client, text, sizeof text) > 0)
            write(client, text, sprintf(text, "HTTP/1.0 200 OK\r\n\r\nprocess %d\n", (int)getpid()));
        shutdown(client, SHUT_WR);
        close(client);
    }
    return 1;
}
"""
HTTP, METRICS = 8080, 5558


def compiled(directory):
    path = os.path.join(directory, "app")
    subprocess.run(["cc", "-x", "c", "-w", "-o", path, "-"], input=APP, text=True, check=True)
    return path


def dockerfile():
    """What it copies, its user, its entry point and its probe."""
    text = text_of("Dockerfile")
    copies = re.findall(r"(?m)^COPY (\S+) (\S+)$", text)
    user = re.search(r"(?m)^USER (\d+):(\d+)$", text).groups()
    probe, entry = (json.loads(re.search(rf"(?m)^{word} (\[.*\])$", text).group(1)) for word in ("HEALTHCHECK CMD", "ENTRYPOINT"))
    return copies, user, probe, entry


class Container(Process):
    """A process that is the init of a root of its own, with more files and mounts if wanted."""

    def __init__(self, root, argv, user, setup="", with_proc=True):
        self.user = user
        proc = "mount -t proc none proc;" if with_proc else ""
        script = (f"set -e; mount -t tmpfs -o mode=755 none {root}; cd {root}; mkdir proc dev; cp -a {root}.files/. .; {setup} {proc} "
                  f"mount -o remount,ro {root}; exec chroot --userspec={':'.join(user)} {root} " + " ".join(argv))
        super().__init__(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script])

        self.pid = child_of(self.process.pid)

    def close(self):
        """Nothing of it is left, whatever has happened: all of it ends with its PID 1."""
        if self.process.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self.process.wait()

    def run(self, *argv):
        """What `docker exec` and a probe do: a program in there, as its user; the exit code and the output."""
        command = ["nsenter", "--target", str(self.pid), "--mount", "--pid", "--root", "--wd=/",
                   f"--setuid={self.user[0]}", f"--setgid={self.user[1]}", *argv]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return done.returncode, done.stdout.strip()

    def healthy(self, name, probe):
        until(lambda: self.run(*probe)[0] == 0, f"{name} to be healthy: {self.run(*probe)} {self.read()}")

    def stop(self, name):
        os.kill(self.pid, signal.SIGTERM)
        check(f"{name}: ends in order", self.end(), 0)


def image(files, sources, copies):
    """Puts what is copied below a directory, and the libraries of programs that are not static."""
    for source, target in copies:
        place = files + target
        os.makedirs(os.path.dirname(place), exist_ok=True)
        shutil.copy(sources[source], place)
        os.chmod(place, 0o755)
        libraries = subprocess.run(["ldd", place], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
        for library in re.findall(r"(/[^ :)]+) \(0x", libraries):
            os.makedirs(files + os.path.dirname(library), exist_ok=True)
            shutil.copy(library, files + library)


def two_containers(name, directory, with_proc):
    """Both from the Dockerfile, on one network; the second one has other ports."""
    copies, user, probe, entry = dockerfile()
    app = compiled(directory)
    other = copied("container.ini", directory)
    with open(other, encoding="utf-8") as file:
        text = file.read()
    with open(other, "w", encoding="utf-8") as file:
        file.write(text.replace(str(HTTP), "8081").replace(str(METRICS), "5559").replace("watcher:app", "watcher:other"))
    with contextlib.ExitStack() as stack:
        both = []
        for place, config in (("first", example("container.ini")), ("second", other)):
            root = os.path.join(directory, place)
            os.mkdir(root)
            image(root + ".files", {"circus": CIRCUS, "container.ini": config, "app": app}, copies)
            both.append(stack.enter_context(contextlib.closing(Container(root, entry, user, with_proc=with_proc))))
        first, second = both
        for container in both:
            container.healthy(name, probe)
        check(f"{name}: healthy", True)
        check(f"{name}: it answers", get(f"http://127.0.0.1:{HTTP}/")[0], 200)
        check(f"{name}: /health", get(f"http://127.0.0.1:{METRICS}/health"), (200, "healthy\n"))
        check(f"{name}: ctl in one container talks to its own circus, in the other to the other's",
              [container.run("/circus", "ctl", "list")[1] for container in both], ["app,plugin:metrics", "other,plugin:metrics"])
        first.run("/circus", "ctl", "add", "lacks", "/no/such/program", "--start")
        until(lambda: first.run(*probe)[0] != 0, f"{name}: a watcher that fails makes it unhealthy")
        check(f"{name}: /health says so too", get(f"http://127.0.0.1:{METRICS}/health"), (503, "failing: lacks\n"))
        check(f"{name}: the other container is healthy still", second.run(*probe)[0], 0)
        for container in both:
            container.stop(name)


def docker():
    check("Dockerfile: the probe names no endpoint", "--endpoint" in dockerfile()[2], False)
    for with_proc, name in ((True, "Dockerfile"), (False, "Dockerfile, without /proc")):
        with tempfile.TemporaryDirectory() as directory:
            two_containers(name, directory, with_proc)


def kubernetes():
    """The schemas first; then the pod as kubelet makes it: the ConfigMap in its volume, the command, each probe."""
    objects = list(yaml.safe_load_all(text_of("kubernetes.yaml")))
    for one in objects:
        version = kubernetes_validate.latest_version()
        kubernetes_validate.validate(one, version, strict=True)
        check(f"kubernetes.yaml: {one['kind']} is one of {version}", True)
    maps = {one["metadata"]["name"]: one["data"] for one in objects if one["kind"] == "ConfigMap"}
    [pod] = [one["spec"] for one in objects if one["kind"] == "Pod"]
    [container] = pod["containers"]
    volumes = {volume["name"]: maps[volume["configMap"]["name"]] for volume in pod["volumes"]}
    security = container["securityContext"]
    check("kubernetes.yaml: a root that is read-only, and no root", (security["readOnlyRootFilesystem"], security["runAsNonRoot"]), (True, True))
    user = (str(security["runAsUser"]),) * 2
    with tempfile.TemporaryDirectory() as directory:
        root = os.path.join(directory, "root")
        os.mkdir(root)
        image(root + ".files", {"circus": CIRCUS, "app": compiled(directory)}, [("circus", "/circus"), ("app", "/app")])
        for volume in container["volumeMounts"]:
            os.makedirs(root + ".files" + volume["mountPath"])
            for name, text in volumes[volume["name"]].items():
                with open(os.path.join(root + ".files" + volume["mountPath"], name), "w", encoding="utf-8") as file:
                    file.write(text)
        message = os.path.join(directory, "termination-log")
        open(message, "w", encoding="utf-8").close()
        os.chmod(message, 0o666)
        mounted = container["terminationMessagePath"].lstrip("/")
        setup = f"touch {mounted}; mount --bind {message} {mounted};"
        with contextlib.closing(Container(root, container["command"], user, setup)) as pod:
            live(pod, container)
        with open(message, encoding="utf-8") as file:
            check("kubernetes.yaml: the termination message says why", json.load(file)["watcher"], "app")


def live(pod, container):
    """Each probe of a container, and an end by itself."""
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}

    def succeeds(probe):
        if "exec" in probe:
            return pod.run(*probe["exec"]["command"])[0] == 0
        asked = probe["httpGet"]
        return 200 <= get(f"http://127.0.0.1:{ports[asked['port']]}{asked['path']}")[0] < 400

    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        until(lambda n=name: succeeds(container[n]), f"kubernetes.yaml: {name}: {pod.read()}")
        check(f"kubernetes.yaml: {name} succeeds", True)
    check("kubernetes.yaml: the application answers", get(f"http://127.0.0.1:{ports['http']}/")[0], 200)
    pod.run("/circus", "ctl", "set", "app", "cmd", "/no/such/program")
    pod.run("/circus", "ctl", "restart", "app")
    check("kubernetes.yaml: an application that cannot be started ends the container", pod.end() != 0)


def nomad():
    """Parsed, and its template as Nomad fills it in."""
    job = hcl2.loads(text_of("nomad.hcl"))
    plain = lambda text: text.strip('"')
    group = job["job"][0]['"app"']["group"][0]['"app"']
    task = group["task"][0]['"circus"']
    ports = [plain(name) for port in group["network"][0]["port"] for name in port]
    [template] = task["template"]
    text = re.sub(r'^"?<<\w+\n|\n\s*\w+"?$', "", template["data"])
    given = {f"NOMAD_PORT_{name}": "8080" for name in ports}
    text = re.sub(r'\{\{ env "(\w+)" \}\}', lambda variable: given[variable.group(1)], text)
    [config] = task["config"]
    [service] = task["service"]
    [asks] = service["check"]
    check("nomad.hcl: the service has a port of the group", plain(service["port"]) in ports)
    with tempfile.TemporaryDirectory() as directory:
        shutil.copy(compiled(directory), "/usr/local/bin/app")
        path = os.path.join(directory, plain(template["destination"]))
        os.makedirs(os.path.dirname(path))
        with open(path, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        [argument] = [plain(word) for word in config["args"]]
        check("nomad.hcl: it runs what is installed, on what the template makes",
              (plain(config["command"]), argument), (INSTALLED, plain(template["destination"])))
        with run_ini("nomad.hcl", argument, directory) as circus:
            circus.healthy()
            words = [plain(word) for word in asks["args"]]
            check("nomad.hcl: its check", (plain(asks["command"]), ctl(*words[1:])[0]), (INSTALLED, 0))
            check("nomad.hcl: the application answers", get("http://127.0.0.1:8080/")[0], 200)
            circus.stop()


PARTS = (docker, kubernetes, nomad)
