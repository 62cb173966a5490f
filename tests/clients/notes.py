"""A plugin as people write them for Circus: notes each event, and what circus says when it is asked."""

from circus.plugins import CircusPlugin


class Notes(CircusPlugin):
    name = "notes"

    def handle_init(self):
        self.note(f"greeting {self.config['greeting']}")

    def handle_recv(self, data):
        watcher, action, _ = self.split_data(data)
        self.note(f"{watcher} {action} {self.call('numwatchers')['numwatchers']}")
        if (watcher, action) == ("web", "reap"):
            self.cast("set", name="web", options={"max_retry": 9})

    def note(self, line):
        with open(self.config["path"], "a", encoding="utf-8") as file:
            print(line, file=file)
