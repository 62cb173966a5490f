#!/usr/bin/env bash
# Makes the tarball $2/$1.tar.xz: what is committed, with the source of all crates in vendor/, so that
# `cargo build --release --offline` works in it.
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
echo "$out/$name.tar.xz"
