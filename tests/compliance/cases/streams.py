"""test_stream: where the output of processes goes."""

import os
import re

from processes import wait_until
from suite import Group, differs

streams = Group("streams", """
    [watcher:both]
    cmd = {child} say out\\\\n err\\\\n
    stdout_stream.class = FileStream
    stdout_stream.filename = {dir}/both.out
    stderr_stream.class = FileStream
    stderr_stream.filename = {dir}/both.err
    [watcher:by-filename]
    cmd = {child} say only\\\\n ''
    stdout_stream.filename = {dir}/filename.out
    [watcher:dotted]
    cmd = {child} say dotted\\\\n ''
    stdout_stream.class = circus.stream.FileStream
    stdout_stream.filename = {dir}/dotted.out
    [watcher:bytes]
    cmd = {child} say a\\\\x00\\\\xc3\\\\xa9b ''
    stdout_stream.class = FileStream
    stdout_stream.filename = {dir}/bytes.out
    [watcher:stamped]
    cmd = {child} say one\\\\n\\\\ntwo\\\\n ''
    stdout_stream.class = FileStream
    stdout_stream.filename = {dir}/stamped.out
    stdout_stream.time_format = %Y-%m-%d
    [watcher:console]
    cmd = {child} say to-console\\\\n ''
    stdout_stream.class = StdoutStream
    [watcher:fancy]
    cmd = {child} say fancy\\\\nlines\\\\n ''
    stdout_stream.class = FancyStdoutStream
    stdout_stream.color = green
    stdout_stream.time_format = T
    [watcher:none]
    cmd = {child} say direct-out\\\\n direct-err\\\\n
    [watcher:large]
    cmd = {child} say 0123456789abcdef\\\\n '' 3000
    stdout_stream.class = FileStream
    stdout_stream.filename = {dir}/large.out
    stdout_stream.max_bytes = 20000
    stdout_stream.backup_count = 3
    [watcher:invalid]
    cmd = {child} say \\\\xff\\\\xfe ''
    stdout_stream.class = FileStream
    stdout_stream.filename = {dir}/invalid.out
    [watcher:watched]
    cmd = {child} say before\\\\n ''
    stdout_stream.class = WatchedFileStream
    stdout_stream.filename = {dir}/watched.out
    [watcher:timed]
    cmd = {child} say timed\\\\n ''
    stdout_stream.class = TimedRotatingFileStream
    stdout_stream.filename = {dir}/timed.out
    stdout_stream.rotate_when = H
    stdout_stream.rotate_interval = 1
    """)


def content(d, name, text):
    """Whether a file comes to hold exactly this."""
    wait_until(lambda: d.exists(name) and d.read(name) == text, f"{text!r} in {name}")
    return text


@streams
def captured(d):
    return content(d, "both.out", "out\n"), content(d, "both.err", "err\n")


@streams
def class_by_filename_alone_and_by_its_dotted_name(d):
    return content(d, "filename.out", "only\n"), content(d, "dotted.out", "dotted\n")


@streams
def without_a_newline(d):
    return content(d, "bytes.out", "a\0\u00e9b")


@streams
@differs("bytes that are no text pass unchanged", manual="bytes that are not UTF-8 pass unchanged",
         theirs=b"\xef\xbf\xbd\xef\xbf\xbd", ours=b"\xff\xfe")
def invalid_utf8(d):
    def read():
        with open(d.path("invalid.out"), "rb") as file:
            return file.read()

    return wait_until(lambda: d.exists("invalid.out") and read(), "output")


@streams
def time_and_pid_before_each_line(d):
    lines = d.lines("stamped.out", 3)
    pid, = d.pids("stamped")
    return [re.sub(r"\d{4}-\d\d-\d\d", "DATE", line).replace(str(pid), "PID") for line in lines]


@streams
def to_the_output_of_the_daemon(d):
    return "to-console" in d.lines("out", lambda lines: "to-console" in lines and "direct-out" in lines)


@streams
def without_a_stream(d):
    d.lines("out", lambda lines: "direct-out" in lines)
    return "direct-err" in d.lines("log", lambda lines: "direct-err" in lines)


@streams
@differs("colours are for terminals", manual="Colours are shown on terminals only",
         theirs=["\x1b[0;32;40mT [PID] | fancy\x1b[0m", "\x1b[0;32;40mT [PID] | lines\x1b[0m"],
         ours=["T [PID] | fancy", "T [PID] | lines"])
def fancy(d):
    lines = d.lines("out", lambda lines: sum("| " in line for line in lines) >= 2)
    pid, = d.pids("fancy")
    return [line.replace(str(pid), "PID") for line in lines if "| " in line]


@streams
@differs("no rotation lies within a line", manual="Lines are never torn", key="torn", theirs=True, ours=False)
def rotation_by_size(d):
    names = ["large.out.3", "large.out.2", "large.out.1", "large.out"]

    def whole():
        texts = [d.read(name) for name in names if d.exists(name)]
        return texts if sum(map(len, texts)) == 3000 * 17 else None

    texts = wait_until(whole, "all output")
    return {"all": "".join(texts) == "0123456789abcdef\n" * 3000, "small": all(len(text) <= 20000 for text in texts),
            "files": len(texts), "torn": any(text and not text.endswith("\n") for text in texts)}


@streams
def after_a_restart(d):
    stream = {"class": "FileStream", "filename": d.path("again.out")}
    d.add("restarted", "{child} say again\\\\n ''", stdout_stream=stream)
    content(d, "again.out", "again\n")
    d.ok("restart", name="restarted", waiting=True)
    content(d, "again.out", "again\n" * 2)
    d.ok("stop", name="restarted", waiting=True)
    d.ok("start", name="restarted", waiting=True)
    content(d, "again.out", "again\n" * 3)
    d.ok("reload", name="restarted", waiting=True)
    return content(d, "again.out", "again\n" * 4)


@streams
def appended(d):
    d.write("old.out", "old\n")
    d.add("appends", "{child} say new\\\\n ''", stdout_stream={"class": "FileStream", "filename": d.path("old.out")})
    return content(d, "old.out", "old\nnew\n")


@streams
def changed_while_it_runs(d):
    d.add("moves", "{child} say text\\\\n ''", stdout_stream={"class": "FileStream", "filename": d.path("moves.1")})
    content(d, "moves.1", "text\n")
    d.ok("set", name="moves", options={"stdout_stream.filename": d.path("moves.2")}, waiting=True)
    d.ok("restart", name="moves", waiting=True)
    return content(d, "moves.2", "text\n"), content(d, "moves.1", "text\n")


@streams
def options_are_told(d):
    keys = ["stdout_stream_conf", "stderr_stream_conf"]
    seen = d.ok("options", name="both")["options"]
    # The class was used up when the stream was made.
    return d.hide({key: seen[key].get("filename") for key in keys})


@streams
def watched_file_is_followed(d):
    content(d, "watched.out", "before\n")
    os.rename(d.path("watched.out"), d.path("moved.out"))
    d.ok("reload", name="watched", waiting=True)
    return content(d, "watched.out", "before\n"), content(d, "moved.out", "before\n")


@streams
def timed_rotation_begins_with_the_plain_name(d):
    return content(d, "timed.out", "timed\n")


@streams.alone("""
    [watcher:w]
    cmd = {child} say x\\\\n ''
    stdout_stream.class = TimedRotatingFileStream
    stdout_stream.filename = {dir}/files/timed.out
    stdout_stream.rotate_when = S
    stdout_stream.rotate_interval = 1
    stdout_stream.backup_count = 2
    """, files=(("files/timed.out", "old\n"),), manual=True)
def timed_rotation(d):
    """The period of a file is that of its last change."""
    os.utime(d.path("files/timed.out"), (1_700_000_000, 1_700_000_000))
    d.start()
    content(d, "files/timed.out", "x\n")
    rotated = [name for name in os.listdir(d.path("files")) if name != "timed.out"]
    return [re.sub(r"\d", "N", name) for name in rotated], [d.read(f"files/{name}") for name in rotated]


@streams.alone("""
    [watcher:w]
    cmd = {child} say x ''
    stdout_stream.class = no.such.Class
    [watcher:x]
    cmd = sleep 1000
    """, manual=True)
@differs("output goes to circus's own when the class is unknown; Circus leaves the watcher out",
         manual="The output of a stream with an unknown class", key="statuses", theirs={"x": "active"},
         ours={"w": "active", "x": "active"})
def unknown_class(d):
    d.launch()
    wait_until(d.answers, "an answer")
    d.until("x", "active")
    return {"statuses": d.ok("status")["statuses"], "said": "no.such.Class" in d.log() or "no.such" in d.log()}
