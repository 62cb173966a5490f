#!/usr/bin/env bash
# Builds what is committed twice, below the directory $1, in directories of other names and with a CARGO_HOME each, and
# compares the binaries, byte by byte. Exit code 1 when they differ.
set -euo pipefail

out=$(mkdir -p "$1" && cd "$1" && pwd)
config=${CARGO_HOME:-$HOME/.cargo}/config.toml
sums=()
for name in first second-with-a-longer-name; do
    rm -rf "${out:?}/$name"
    mkdir -p "$out/$name/home"
    git archive --prefix=tree/ HEAD | tar -x -C "$out/$name"
    # How crates are had here is no part of the build.
    [ ! -f "$config" ] || cp "$config" "$out/$name/home/config.toml"
    (cd "$out/$name/tree" && export CARGO_HOME="$out/$name/home" && unset CARGO_TARGET_DIR &&
        cargo fetch --locked --quiet && make --no-print-directory build)
    sums+=("$(sha256sum < "$out/$name/tree/target/release/circus")")
done
printf '%s\n' "${sums[@]}"
[ "${sums[0]}" = "${sums[1]}" ] || { cmp "$out"/*/tree/target/release/circus; exit 1; }
echo "the binaries are the same"
