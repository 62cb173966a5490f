"""The control socket, by users who are not root."""

from harness import check
from scene import A


def attack_another_users_commands_are_refused(scene):
    circus = scene.circus("[watcher:app]\ncmd = sleep 1000\n")
    code = scene.as_user([scene.program(), "ctl", "--endpoint", circus.sock, "stop"], A).wait(30)
    check("another user cannot connect to the control socket", code, 1)
    check("and nothing was stopped", circus.ctl("status", "app"), "active")
