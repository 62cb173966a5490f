#!/usr/bin/env bash
# Prints the size of the binary given as $1, stripped, and its memory with one child: as an idle daemon, and as the init
# of a command.
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

# Written in small pieces, as files are installed: of one that was written at once the kernel maps more than is used.
strip -o "$work/stripped" "$binary"
cat "$work/stripped" > "$work/circus"
chmod 755 "$work/circus"
printf 'binary, stripped  %d bytes\n' "$(stat -c %s "$work/circus")"

cat > "$work/circus.ini" <<INI
[circus]
endpoint = ipc://$work/circus.sock

[watcher:idle]
cmd = sleep 1000
INI
# The child has been executed once its name is no longer circus's.
child_is_up() {
    local child
    child=$(cat "/proc/$daemon/task/$daemon/children")
    [ "$(cat "/proc/${child%% *}/comm")" = sleep ]
}

# Prints the memory of a circus with one child, as $1; the rest is its arguments.
memory() {
    local name=$1 deadline=$((SECONDS + 10))
    shift
    "$work/circus" "$@" > "$work/log" 2>&1 &
    daemon=$!
    until child_is_up 2> /dev/null; do
        if [ $SECONDS -ge $deadline ] || ! kill -0 "$daemon" 2> /dev/null; then
            echo "size: circus did not start its child:" >&2
            cat "$work/log" >&2
            exit 1
        fi
        sleep 0.05
    done
    awk -v name="$name" '/^(Rss|Pss):/ { printf "%-18s%d KiB\n", name ", " toupper(substr($1, 1, 3)), $2 }' \
        "/proc/$daemon/smaps_rollup"
    kill "$daemon"
    wait "$daemon" || true
    daemon=
}

memory "idle daemon" "$work/circus.ini"
memory "circus run" run -- sleep 1000
