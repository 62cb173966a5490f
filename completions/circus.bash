# bash completion for circus, circusd and circusctl. Made by tests/completions.rs from the tables of commands and
# options; `make completions` makes it anew.

# Takes the lines that begin as the word that is typed.
_circus_offer() {
    local word
    while IFS= read -r word; do
        if [[ -n $word && $word == "$cur"* ]]; then
            printf -v word '%q' "$word"
            COMPREPLY+=("$word")
        fi
    done <<< "$1"
}

_circus_words() {
    local IFS=$'\n'
    _circus_offer "$*"
}

_circus_files() {
    local name
    compopt -o filenames 2> /dev/null
    while IFS= read -r name; do
        COMPREPLY+=("$name")
    done < <(compgen -f -- "$cur")
}

# The names of the watchers, from the daemon that the line is for.
_circus_watchers() {
    local ctl=("$program") names
    [[ ${program##*/} == circusctl ]] || ctl+=(ctl)
    names=$("${ctl[@]}" ${endpoint:+"--endpoint=$endpoint"} --timeout=1 list 2> /dev/null) || return
    _circus_offer "${names//,/$'\n'}"
}

_circus_parts='ctl check init top run'
_circus_commands='add decr deploy dstats get globaloptions incr kill list listen listsockets logs metrics numprocesses numwatchers options quit reload reloadconfig restart rollback rm set signal start stats status stop tail why'
_circus_valued='--log-level --log-output --logger-config --pidfile --endpoint --token-file --timeout --ssh --ssh_keyfile --sort --filter --grace --remap --option --soak --surge --canary --signum --graceful_timeout --match --lines --pid'
_circus_signals='HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS RTMIN RTMAX'

# The argument of an option.
_circus_argument() {
    case $1 in
    --log-level) _circus_words debug info warning error critical ;;
    --log-output) _circus_files ;;
    --logger-config) _circus_files ;;
    --pidfile) _circus_files ;;
    --endpoint) _circus_files ;;
    --token-file) _circus_files ;;
    --ssh_keyfile) _circus_files ;;
    --signum) _circus_words $_circus_signals ;;
    --match) _circus_words glob regex simple ;;
    esac
}

# The options that can stand here.
_circus_options() {
    case $part-$command in
    ctl-add) _circus_words --start --option --waiting ;;
    ctl-decr) _circus_words --waiting ;;
    ctl-deploy) _circus_words --soak --surge --sequential --canary --go --back --dry-run --waiting ;;
    ctl-incr) _circus_words --waiting ;;
    ctl-kill) _circus_words --signum --graceful_timeout --waiting ;;
    ctl-quit) _circus_words --waiting ;;
    ctl-reload) _circus_words --sequential --terminate --waiting ;;
    ctl-reloadconfig) _circus_words --dry-run --waiting ;;
    ctl-restart) _circus_words --match --waiting ;;
    ctl-rollback) _circus_words --waiting ;;
    ctl-rm) _circus_words --nostop --waiting ;;
    ctl-set) _circus_words --waiting ;;
    ctl-signal) _circus_words --children --recursive ;;
    ctl-start) _circus_words --match --waiting ;;
    ctl-stats) _circus_words --extended ;;
    ctl-status) _circus_words --check --details ;;
    ctl-stop) _circus_words --match --waiting ;;
    ctl-tail) _circus_words --lines --follow --stdout --stderr --pid ;;
    ctl-) _circus_words --endpoint --token-file --timeout --no-wait --watch --json --prettify --ssh --ssh_keyfile --help --version ;;
    check-*) _circus_words --json --offline --help ;;
    init-*) _circus_words --systemd --container --help ;;
    top-*) _circus_words --endpoint --once --json --sort --filter --help --version ;;
    run-*) _circus_words --grace --group --remap --no-sweep --help ;;
    -*) _circus_words --log-level --log-output --logger-config --pidfile --daemon --check --help --version ;;
    esac
}

# The word behind a command.
_circus_behind() {
    case "$command $place" in
    'decr '* | 'deploy '* | 'get 0' | 'incr '* | 'kill '* | 'list '* | 'logs 1' | 'logs 2' | 'logs 3' | 'logs 4' | 'logs 5' | 'logs 6' | 'logs 7' | 'logs 8' | 'logs 9' | 'numprocesses '* | 'options '* | 'reload '* | 'restart '* | 'rollback '* | 'rm '* | 'set 0' | 'signal 0' | 'start '* | 'stats '* | 'status '* | 'stop '* | 'tail '* | 'why '*) _circus_watchers ;;
    'get 1' | 'get 2' | 'get 3' | 'get 4' | 'get 5' | 'get 6' | 'get 7' | 'get 8' | 'get 9') _circus_words $_circus_keys ;;
    'set 1' | 'set 3' | 'set 5' | 'set 7' | 'set 9') _circus_words $_circus_settable ;;
    'set 2' | 'set 4' | 'set 6' | 'set 8') _circus_value ;;
    'signal 1' | 'signal 2' | 'signal 3' | 'signal 4' | 'signal 5' | 'signal 6' | 'signal 7' | 'signal 8' | 'signal 9') _circus_words $_circus_signals ;;
    'logs 0') _circus_words rotate reopen ;;
    esac
}

# The value of an option that is set.
_circus_value() {
    case $prev in
    shell | copy_env | copy_path | autostart | critical | singleton | use_sockets | close_child_stdin | close_child_stdout | close_child_stderr | on_demand | stop_children | send_hup | no_new_privs | clear_groups) _circus_words True False ;;
    respawn) _circus_words True False on-failure ;;
    stop_signal | reload_signal) _circus_words HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS RTMIN RTMAX ;;
    kill_mode) _circus_words group process tree ;;
    esac
}

_circus_keys='cmd args working_dir numprocesses shell shell_args executable uid gid copy_env copy_path virtualenv virtualenv_py_ver env_file warmup_delay autostart respawn respawn_delay respawn_delay_max respawn_window reload_surge success_codes success_signals critical retry_in max_retry priority singleton use_sockets sockets stdin_socket close_child_stdin close_child_stdout close_child_stderr on_demand stop_signal stop_children graceful_timeout kill_mode stop_command send_hup reload_signal reload_command max_age max_age_variance max_rss ready ready_timeout after requires health health_interval health_timeout health_retries watchdog nice ionice oom_score_adj umask no_new_privs capabilities clear_groups sandbox sandbox.net hook_timeout hooks_uid ring_bytes stdout_stream.class stderr_stream.class stdout_stream.filename stderr_stream.filename stdout_stream.max_bytes stderr_stream.max_bytes stdout_stream.backup_count stderr_stream.backup_count stdout_stream.time_format stderr_stream.time_format stdout_stream.color stderr_stream.color stdout_stream.rotate_when stderr_stream.rotate_when stdout_stream.rotate_interval stderr_stream.rotate_interval stdout_stream.utc stderr_stream.utc stdout_stream.prefix stderr_stream.prefix stdout_stream.address stderr_stream.address stdout_stream.facility stderr_stream.facility stdout_stream.severity stderr_stream.severity stdout_stream.tag stderr_stream.tag stdout_stream.compress stderr_stream.compress'
_circus_settable='cmd args working_dir numprocesses shell shell_args executable uid gid copy_env copy_path virtualenv virtualenv_py_ver env_file warmup_delay autostart respawn respawn_delay respawn_delay_max respawn_window reload_surge success_codes success_signals critical retry_in max_retry priority singleton use_sockets sockets stdin_socket close_child_stdin close_child_stdout close_child_stderr on_demand stop_signal stop_children graceful_timeout kill_mode stop_command send_hup reload_signal reload_command max_age max_age_variance max_rss ready ready_timeout after requires health health_interval health_timeout health_retries watchdog nice ionice oom_score_adj umask no_new_privs capabilities clear_groups sandbox sandbox.net hook_timeout hooks_uid ring_bytes stdout_stream.class stderr_stream.class stdout_stream.filename stderr_stream.filename stdout_stream.max_bytes stderr_stream.max_bytes stdout_stream.backup_count stderr_stream.backup_count stdout_stream.time_format stderr_stream.time_format stdout_stream.color stderr_stream.color stdout_stream.rotate_when stderr_stream.rotate_when stdout_stream.rotate_interval stderr_stream.rotate_interval stdout_stream.utc stderr_stream.utc stdout_stream.prefix stderr_stream.prefix stdout_stream.address stderr_stream.address stdout_stream.facility stderr_stream.facility stdout_stream.severity stderr_stream.severity stdout_stream.tag stderr_stream.tag stdout_stream.compress stderr_stream.compress'

_circus() {
    local program=$1 cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local first=1 part= command= place=0 endpoint= word i
    COMPREPLY=()
    # bash takes --endpoint=/x apart at the =.
    if [[ $cur == '=' ]]; then
        cur=
    elif [[ $prev == '=' ]]; then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    if [[ ${program##*/} == circusctl ]]; then
        part=ctl
    elif [[ ${program##*/} != circusd && $COMP_CWORD -gt 1 && " $_circus_parts " == *" ${COMP_WORDS[1]} "* ]]; then
        part=${COMP_WORDS[1]} first=2
    fi
    for ((i = first; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word == --* && " $_circus_valued " == *" $word "* ]]; then
            [[ ${COMP_WORDS[i + 1]} == '=' ]] && ((i++))
            ((i++))
            [[ $word == --endpoint && $i -lt $COMP_CWORD ]] && endpoint=${COMP_WORDS[i]}
        elif [[ $word == -?* ]]; then
            :
        elif [[ -z $command ]]; then
            command=$word
        else
            ((place++))
        fi
    done
    if [[ " $_circus_valued " == *" $prev "* ]]; then
        _circus_argument "$prev"
    elif [[ $cur == -* ]]; then
        _circus_options
    elif [[ $part == ctl && -z $command ]]; then
        _circus_words $_circus_commands
    elif [[ $part == ctl ]]; then
        _circus_behind
    else
        [[ -z $part && $first -eq $COMP_CWORD && ${program##*/} != circusd ]] && _circus_words $_circus_parts
        [[ -z $command ]] && _circus_files
    fi
}

complete -F _circus circus circusd circusctl
