#!/usr/bin/env bash
# Measures circus beside other supervisors, those that are installed, in one run. CIRCUS_BIN is the binary; the
# arguments are those of the harness: scenarios (a b c d e f g h i j), --peers, --runs, --sizes, --quick.
# Without arguments: what can be said of circus alone and beside the limit, in about ten minutes.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../../target}
mkdir -p "$target/bench"
target=$(cd "$target" && pwd)

export CIRCUS_BIN=${CIRCUS_BIN:-$target/release/circus}
export BENCH_RESULTS=${BENCH_RESULTS:-$target/bench}
if [ -z "${BENCH_PYBIN:-}" ] && [ -d "$target/venv/bin" ]; then
    export BENCH_PYBIN=$target/venv/bin
fi
gcc -O2 -Wall -o "$target/bench/rps" "$here/rps.c"
export CIRCUS_RPS_CMD="$target/bench/rps {endpoint} {secs}"

cd "$here"
if [ $# = 0 ]; then
    set -- a b d e g i --peers circus-rs,limit
fi
exec python3 -B -m bench "$@"
