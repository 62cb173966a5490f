#!/usr/bin/env bash
# Prints the size of the binary given as $1, stripped, and the memory of it as an idle daemon with one child.
set -euo pipefail

binary=$1
work=$(mktemp -d)
daemon=

clean() {
    if [ -n "$daemon" ]; then
        kill "$daemon" 2> /dev/null || true
        wait "$daemon" || true
    fi
    rm -rf "$work"
}
trap clean EXIT

strip -o "$work/circus" "$binary"
printf 'binary, stripped  %d bytes\n' "$(stat -c %s "$work/circus")"

cat > "$work/circus.ini" <<INI
[circus]
endpoint = ipc://$work/circus.sock

[watcher:idle]
cmd = sleep 1000
INI
"$work/circus" "$work/circus.ini" > "$work/log" 2>&1 &
daemon=$!

# The child has been executed once its name is no longer the daemon's.
child_is_up() {
    local child
    child=$(cat "/proc/$daemon/task/$daemon/children")
    [ "$(cat "/proc/${child%% *}/comm")" = sleep ]
}
deadline=$((SECONDS + 10))
until child_is_up 2> /dev/null; do
    if [ $SECONDS -ge $deadline ] || ! kill -0 "$daemon" 2> /dev/null; then
        echo "size: the daemon did not start its child:" >&2
        cat "$work/log" >&2
        exit 1
    fi
    sleep 0.05
done
awk '/^(Rss|Pss):/ { printf "idle, %s           %d KiB\n", toupper(substr($1, 1, 3)), $2 }' \
    "/proc/$daemon/smaps_rollup"
