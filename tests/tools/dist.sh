#!/usr/bin/env bash
# Makes the tarball $2/$1.tar.xz: what is committed, with the source of all crates in vendor/, so that
# `cargo build --release --offline` works in it. Beside it: $1.cdx.json, the list of crates as CycloneDX 1.5 with the
# checksums of Cargo.lock; SHA256SUMS of both; and, when SIGNING_KEY names a key of ssh-keygen, SHA256SUMS.sig:
#     ssh-keygen -Y verify -f allowed_signers -I NAME -n circus -s SHA256SUMS.sig < SHA256SUMS
set -euo pipefail

name=$1
out=$(mkdir -p "$2" && cd "$2" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

git archive --prefix="$name/" HEAD | tar -x -C "$work"
(cd "$work/$name" && ${CARGO:-cargo} vendor --locked --quiet vendor)
mkdir "$work/$name/.cargo"
cat > "$work/$name/.cargo/config.toml" << 'TOML'
[source.crates-io]
replace-with = "vendored"

[source.vendored]
directory = "vendor"
TOML
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct)" \
    -cJf "$out/$name.tar.xz" "$name"

# A package of Cargo.lock is a line of each key; docs/crates.md has its licence.
awk -F'"' -v name="$name" '
    FNR == NR {
        if (split($0, cell, / *[|] */) > 5) licence[cell[2] " " cell[3]] = cell[4]
        next
    }
    /^name = / { crate = $2 }
    /^version = / { version = $2 }
    /^checksum = / {
        list = list (list ? ",\n" : "") sprintf("    {\"type\": \"library\", \"name\": \"%s\", \"version\": \"%s\", " \
            "\"purl\": \"pkg:cargo/%s@%s\", \"licenses\": [{\"expression\": \"%s\"}], " \
            "\"hashes\": [{\"alg\": \"SHA-256\", \"content\": \"%s\"}]}", crate, version, crate, version, licence[crate " " version], $2)
    }
    END {
        printf "{\n  \"bomFormat\": \"CycloneDX\",\n  \"specVersion\": \"1.5\",\n  \"version\": 1,\n"
        printf "  \"metadata\": {\"component\": {\"type\": \"application\", \"name\": \"%s\"}},\n", name
        printf "  \"components\": [\n%s\n  ]\n}\n", list
    }' docs/crates.md Cargo.lock > "$out/$name.cdx.json"

cd "$out"
sha256sum "$name.tar.xz" "$name.cdx.json" > SHA256SUMS
if [ -n "${SIGNING_KEY:-}" ]; then
    rm -f SHA256SUMS.sig
    ssh-keygen -q -Y sign -f "$SIGNING_KEY" -n circus SHA256SUMS
fi
echo "$out/$name.tar.xz"
