#!/usr/bin/env python3
"""What circus is built from, and what the binary says of its making.

Cargo.lock, docs/crates.md and what the packages say of themselves must agree; the tests that SECURITY.md names exist; the binary is position independent, has
no writable code, no lazy binding, and no path of the machine that built it. CIRCUS_BIN is the binary, by default
target/release/circus (below CARGO_TARGET_DIR if that is set). One line a check, then `N passed, N failed`.
"""

import json
import os
import re
import struct
import subprocess
import sys
import tomllib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "init")]

from harness import CIRCUS, ROOT, check, counts  # noqa: E402

CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"
CARGO = os.environ.get("CARGO", "cargo")
# Of elf(5).
ET_DYN, PT_LOAD, PT_DYNAMIC, PT_GNU_STACK, PT_GNU_RELRO = 3, 1, 2, 0x6474e551, 0x6474e552
PF_X, PF_W = 1, 2
DT_FLAGS, DF_BIND_NOW = 30, 8


def cargo(*words):
    return subprocess.run([CARGO, *words, "--locked"], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout.decode()


def listed():
    """The rows of docs/crates.md: name and version, then licence and whether it is linked."""
    with open(os.path.join(ROOT, "docs", "crates.md"), encoding="utf-8") as file:
        rows = re.findall(r"^\| ([\w-]+) \| (\S+) \| ([^|]+) \| (linked|never) \| [^|]+ \|$", file.read(), re.M)
    return {(name, version): (licence, kind) for name, version, licence, kind in rows}


def packages():
    table = listed()
    with open(os.path.join(ROOT, "Cargo.lock"), "rb") as file:
        locked = [package for package in tomllib.load(file)["package"] if package["name"] != "circus"]
    names = sorted((package["name"], package["version"]) for package in locked)
    check("docs/crates.md has the packages of Cargo.lock", sorted(table), names)
    strange = [package["name"] for package in locked if package.get("source") != CRATES_IO or "checksum" not in package]
    check("all come from crates.io, with a checksum", strange, [])
    said = {(package["name"], package["version"]): package["license"]
            for package in json.loads(cargo("metadata", "--format-version", "1"))["packages"] if package["name"] != "circus"}
    check("the licences are those that the packages name", {name: licence for name, (licence, _) in table.items()}, said)
    tree = cargo("tree", "--edges", "normal", "--prefix", "none", "--format", "{p}")
    linked = sorted({line.split()[0] for line in tree.splitlines() if line} - {"circus"})
    check("what is linked", sorted(name for (name, _), (_, kind) in table.items() if kind == "linked"), linked)


def promises():
    """The tests that SECURITY.md names exist."""
    with open(os.path.join(ROOT, "SECURITY.md"), encoding="utf-8") as file:
        named = set(re.findall(r"`([a-z]\w*_\w+_\w+)`", file.read()))
    tests = [os.path.join(folder, name) for folder, _, names in os.walk(os.path.join(ROOT, "tests")) for name in names]
    defined = set()
    for path in tests:
        if path.endswith((".rs", ".py")):
            with open(path, encoding="utf-8") as file:
                defined |= set(re.findall(r"\b(?:fn|def) (\w+)\(", file.read()))
    check("SECURITY.md names tests that exist", sorted(named - defined), [])
    oldest = [re.findall(r"Linux (\d+\.\d+) and newer", open(os.path.join(ROOT, name), encoding="utf-8").read())
              for name in ("README.md", "SECURITY.md")]
    check("README.md and SECURITY.md name the same oldest kernel", oldest[0] == oldest[1] and len(oldest[0]) == 1)
    check("and many", len(named) > 20)


def binary():
    with open(CIRCUS, "rb") as file:
        elf = file.read()
    check("the binary is for 64 bits, little-endian", elf[:6], b"\x7fELF\x02\x01")
    kind, = struct.unpack_from("<H", elf, 16)
    start, = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    headers = [struct.unpack_from("<IIQQQQ", elf, start + size * number) for number in range(count)]
    check("it is position independent", kind, ET_DYN)
    check("no memory is both writable and executable",
          [header for header in headers if header[0] in (PT_LOAD, PT_GNU_STACK) and header[1] & PF_X and header[1] & PF_W], [])
    check("it says so of the stack", [header[1] & PF_X for header in headers if header[0] == PT_GNU_STACK], [0])
    check("relocated data is read-only", any(header[0] == PT_GNU_RELRO for header in headers))
    flags = 0
    for _, _, offset, _, _, length in (header for header in headers if header[0] == PT_DYNAMIC):
        for at in range(offset, offset + length, 16):
            tag, value = struct.unpack_from("<QQ", elf, at)
            flags |= value if tag == DT_FLAGS else 0
    check("all symbols are bound at its start", flags & DF_BIND_NOW, DF_BIND_NOW)
    home = os.environ.get("CARGO_HOME", os.path.expanduser("~/.cargo"))
    paths = {path for path in (os.path.realpath(ROOT), os.path.realpath(home), home) if len(path) > 1}
    check("it names no path of the machine that built it", [path for path in paths if path.encode() + b"/" in elf], [])


def main():
    packages()
    promises()
    binary()
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    sys.exit(counts["failed"] > 0)


main()
