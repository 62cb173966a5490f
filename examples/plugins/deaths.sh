#!/bin/sh
# A plugin of circus: writes a line to a file whenever a process has ended otherwise than with exit code 0.
#
#   [plugin:deaths]
#   cmd = sh examples/plugins/deaths.sh
#   file = /tmp/deaths.log
#
# Events come as lines of JSON on the standard input; the plugin's own options are in the environment.

file=${CIRCUS_PLUGIN_FILE:?say where to write: file = PATH}
while read -r event; do
    case $event in
    *'"topic":"watcher.'*'.reap"'*) ;;
    *) continue ;;
    esac
    watcher=${event#*'"topic":"watcher.'}
    watcher=${watcher%'.reap"'*}
    code=${event#*'"exit_code":'}
    code=${code%%[,\}]*}
    [ "$code" = 0 ] || echo "$(date '+%Y-%m-%d %H:%M:%S') $watcher: $code" >> "$file"
done
