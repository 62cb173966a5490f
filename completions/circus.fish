# fish completion for circus, circusd and circusctl. Made by tests/completions.rs from the tables of commands and
# options; `make completions` makes it anew.

# Reads the line as far as the cursor: the part (ctl for circusctl), the command, how many words stand behind that,
# and the endpoint.
function __circus_read
    set -g __circus_part ''
    set -g __circus_command ''
    set -g __circus_place 0
    set -g __circus_endpoint
    set -l words (commandline -opc)
    set -l program (string replace -r '.*/' '' -- $words[1])
    set -e words[1]
    if test $program = circusctl
        set __circus_part ctl
    else if test $program != circusd; and set -q words[1]; and contains -- $words[1] $__circus_parts
        set __circus_part $words[1]
        set -e words[1]
    end
    while set -q words[1]
        if contains -- $words[1] $__circus_valued
            test $words[1] = --endpoint; and set __circus_endpoint --endpoint=$words[2]
            set -e words[1]
        else if string match -q -- '--endpoint=*' $words[1]
            set __circus_endpoint $words[1]
        else if string match -qr -- '^-.' $words[1]
        else if test -z $__circus_command
            set __circus_command $words[1]
        else
            set __circus_place (math $__circus_place + 1)
        end
        set -e words[1]
    end
end

# Whether the part and the command are these; * stands for any.
function __circus_at
    __circus_read
    test $__circus_part = $argv[1]; and string match -q -- $argv[2] "$__circus_command"
end

# Whether the word behind a command is one of these: COMMAND PLACE, or COMMAND * for any place.
function __circus_word
    __circus_read
    test $__circus_part = ctl; or return
    for place in $argv
        string match -q -- $place "$__circus_command $__circus_place"; and return
    end
    return 1
end

# Whether the word before is one of these.
function __circus_behind
    set -l words (commandline -opc)
    contains -- $words[-1] $argv
end

# The names of the watchers, from the daemon that the line is for.
function __circus_watchers
    __circus_read
    set -l ctl (commandline -opc)[1]
    string match -q -- '*circusctl' $ctl; or set -a ctl ctl
    $ctl $__circus_endpoint --timeout=1 list 2>/dev/null | string split ,
end

complete -c circus -f
complete -c circusd -f
complete -c circusctl -f
complete -c circus -n "__circus_at '' ''" -F
complete -c circus -n "__circus_at check ''" -F
complete -c circusd -n "__circus_at '' ''" -F

set -g __circus_parts ctl check init top run
set -g __circus_valued --log-level --log-output --logger-config --pidfile --endpoint --token-file --timeout --ssh --ssh_keyfile --sort --filter --grace --remap --option --soak --surge --canary --signum --graceful_timeout --match --lines --pid

complete -c circus -n "__circus_at '' ''" -a ctl -d 'control a running daemon'
complete -c circus -n "__circus_at '' ''" -a check -d 'read a configuration and say what is wrong with it'
complete -c circus -n "__circus_at '' ''" -a init -d 'make a configuration to begin with'
complete -c circus -n "__circus_at '' ''" -a top -d 'watch watchers, processes and sockets'
complete -c circus -n "__circus_at '' ''" -a run -d 'be the init of one command'
complete -c circus -n "__circus_at '' '*'" -l log-level -x -a 'debug info warning error critical' -d 'debug, info, warning, error or critical'
complete -c circusd -n "__circus_at '' '*'" -l log-level -x -a 'debug info warning error critical' -d 'debug, info, warning, error or critical'
complete -c circus -n "__circus_at '' '*'" -l log-output -r -F -d 'where the log goes: a file, syslog:///PATH?FACILITY, syslog://HOST[:PORT]?FACILITY, or - for the standard error output'
complete -c circusd -n "__circus_at '' '*'" -l log-output -r -F -d 'where the log goes: a file, syslog:///PATH?FACILITY, syslog://HOST[:PORT]?FACILITY, or - for the standard error output'
complete -c circus -n "__circus_at '' '*'" -l logger-config -r -F -d 'accepted and ignored: it is for Python\'s logging'
complete -c circusd -n "__circus_at '' '*'" -l logger-config -r -F -d 'accepted and ignored: it is for Python\'s logging'
complete -c circus -n "__circus_at '' '*'" -l pidfile -r -F -d 'write the pid to this file'
complete -c circusd -n "__circus_at '' '*'" -l pidfile -r -F -d 'write the pid to this file'
complete -c circus -n "__circus_at '' '*'" -l daemon -d 'go into the background when everything is ready'
complete -c circusd -n "__circus_at '' '*'" -l daemon -d 'go into the background when everything is ready'
complete -c circus -n "__circus_at '' '*'" -l check -d 'the same as `circus check CONFIG`'
complete -c circusd -n "__circus_at '' '*'" -l check -d 'the same as `circus check CONFIG`'
complete -c circus -n "__circus_at '' '*'" -l help -d 'show this help'
complete -c circusd -n "__circus_at '' '*'" -l help -d 'show this help'
complete -c circus -n "__circus_at '' '*'" -l version -d 'show the version'
complete -c circusd -n "__circus_at '' '*'" -l version -d 'show the version'
complete -c circus -n "__circus_at check '*'" -l json -d 'print the configuration as JSON; findings go to the standard error output'
complete -c circus -n "__circus_at check '*'" -l offline -d 'leave out what depends on this machine: users, programs and directories; for a file that runs elsewhere'
complete -c circus -n "__circus_at check '*'" -l help -d 'print this help'
complete -c circus -n "__circus_at init '*'" -l systemd -d 'for circus as a service of systemd'
complete -c circus -n "__circus_at init '*'" -l container -d 'for circus as the init of a container'
complete -c circus -n "__circus_at init '*'" -l help -d 'print this help'
complete -c circus -n "__circus_at top '*'" -l endpoint -r -F -d 'where circus listens: PATH, ipc://PATH, @NAME, tcp://HOST:PORT'
complete -c circus -n "__circus_at top '*'" -l once -d 'print everything once and end'
complete -c circus -n "__circus_at top '*'" -l sort -x -d 'name, state, uptime, restarts, cpu or memory'
complete -c circus -n "__circus_at top '*'" -l filter -x -d 'only watchers with this in their names'
complete -c circus -n "__circus_at top '*'" -l help -d 'show this help'
complete -c circus -n "__circus_at top '*'" -l version -d 'show the version'
complete -c circus -n "__circus_at run '*'" -l grace -x -d 'how long the rest may take to end after the command, in seconds (10); 0 kills it at once'
complete -c circus -n "__circus_at run '*'" -l group -d 'pass signals on to the whole process group of the command'
complete -c circus -n "__circus_at run '*'" -l remap -x -d 'pass the signal FROM on as TO; 0 for TO drops it'
complete -c circus -n "__circus_at run '*'" -l no-sweep -d 'leave what is left after the command alone'
complete -c circus -n "__circus_at run '*'" -l help -d 'show this help'

# circus ctl, as circus
complete -c circus -n "__circus_at ctl ''" -l endpoint -r -F -d 'where circus listens: PATH, ipc://PATH, @NAME, tcp://HOST:PORT'
complete -c circus -n "__circus_at ctl ''" -l token-file -r -F -d 'the token that a port wants (or the variable CIRCUS_TOKEN_FILE)'
complete -c circus -n "__circus_at ctl ''" -l timeout -x -d 'how long to wait for the answer (5; with --waiting: for ever)'
complete -c circus -n "__circus_at ctl ''" -l no-wait -d 'at a terminal: answer start, stop, restart and reload before they are done'
complete -c circus -n "__circus_at ctl ''" -l watch -d 'at a terminal: show status again every second'
complete -c circus -n "__circus_at ctl ''" -l json -d 'print the answer as JSON'
complete -c circus -n "__circus_at ctl ''" -l prettify -d 'with --json: over several lines, sorted'
complete -c circus -n "__circus_at ctl ''" -l ssh -x -d 'run circus ctl on that host'
complete -c circus -n "__circus_at ctl ''" -l ssh_keyfile -r -F -d 'with --ssh: the key to use'
complete -c circus -n "__circus_at ctl ''" -l help -d 'print this, or the help of a command'
complete -c circus -n "__circus_at ctl ''" -l version -d 'print the version'
complete -c circus -n "__circus_at ctl ''" -a add -d 'add a watcher'
complete -c circus -n "__circus_at ctl add" -l start -d 'start it at once'
complete -c circus -n "__circus_at ctl add" -l option -x -d 'an option of the watcher; may be repeated'
complete -c circus -n "__circus_at ctl add" -l waiting -d 'answer when the work is done'
complete -c circus -n "__circus_at ctl ''" -a decr -d 'run NB fewer processes (default: 1)'
complete -c circus -n "__circus_at ctl decr" -l waiting -d 'answer when the work is done'
complete -c circus -n "__circus_at ctl ''" -a deploy -d 'read the file again for some watchers, and replace their processes if the new ones do well'
complete -c circus -n "__circus_at ctl deploy" -l soak -x -d 'how long new processes have to do well before old ones stop'
complete -c circus -n "__circus_at ctl deploy" -l surge -x -d 'how many processes beside numprocesses there may be at a time'
complete -c circus -n "__circus_at ctl deploy" -l sequential -d 'one process after the other'
complete -c circus -n "__circus_at ctl deploy" -l canary -x -d 'start N of them beside the old ones, then wait for --go or --back'
complete -c circus -n "__circus_at ctl deploy" -l go -d 'the canary is good: replace the rest'
complete -c circus -n "__circus_at ctl deploy" -l back -d 'the canary is not: stop it'
complete -c circus -n "__circus_at ctl deploy" -l dry-run -d 'do nothing, and show what would change'
complete -c circus -n "__circus_at ctl deploy" -l waiting -d 'answer when the work is done'
complete -c circus -n "__circus_at ctl ''" -a dstats -d 'show what circus itself uses'
complete -c circus -n "__circus_at ctl ''" -a get -d 'show some options of a watcher'
complete -c circus -n "__circus_at ctl ''" -a globaloptions -d 'show the options of circus itself'
complete -c circus -n "__circus_at ctl ''" -a incr -d 'run NB more processes (default: 1)'
complete -c circus -n "__circus_at ctl incr" -l waiting -d 'answer when the work is done'
complete -c circus -n "__circus_at ctl ''" -a kill -d 'stop processes of a watcher; they are replaced'
complete -c circus -n "__circus_at ctl kill" -l signum -x -a 'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS RTMIN RTMAX' -d 'instead of stop_signal, by name or number'
complete -c circus -n "__circus_at ctl kill" -l graceful_timeout -x -d 'instead of that of the watcher'
complete -c circus -n "__circus_at ctl kill" -l waiting -d 'answer when the work is done'
complete -c circus -n "__circus_at ctl ''" -a list -d 'list the watchers, or the processes of some'
complete -c circus -n "__circus_at ctl ''" -a listen -d 'print events as they happen'
complete -c circus -n "__circus_at ctl ''" -a listsockets -d 'list the sockets'
complete -c circus -n "__circus_at ctl ''" -a logs -d 'rotate or reopen the files that output goes to'
complete -c circus -n "__circus_at ctl ''" -a metrics -d 'print what is counted and measured, as OpenMetrics text'
complete -c circus -n "__circus_at ctl ''" -a numprocesses -d 'print how many processes run'
complete -c circus -n "__circus_at ctl ''" -a numwatchers -d 'print how many watchers there are'
complete -c circus -n "__circus_at ctl ''" -a options -d 'show all options of watchers'
complete -c circus -n "__circus_at ctl ''" -a quit -d 'stop everything and end circus'
complete -c circus -n "__circus_at ctl quit" -l waiting -d 'answer when the work is done'
complete -c circus -n "__circus_at ctl ''" -a reload -d 'replace the processes of watchers, or of all, without a gap'
complete -c circus -n "__circus_at ctl reload" -l sequential -d 'one process after the other'
complete -c circus -n "__circus_at ctl reload" -l terminate -d 'stop the old processes first'
complete -c circus -n "__circus_at ctl reload" -l waiting -d 'answer when the work is done'
complete -c circus -n "__circus_at ctl ''" -a reloadconfig -d 'read the configuration again and apply what has changed'
complete -c circus -n "__circus_at ctl reloadconfig" -l dry-run -d 'do nothing, and show what would change'
complete -c circus -n "__circus_at ctl reloadconfig" -l waiting -d 'answer when the work is done'
complete -c circus -n "__circus_at ctl ''" -a restart -d 'stop watchers, then start them'
complete -c circus -n "__circus_at ctl restart" -l match -x -a 'glob regex simple' -d 'how NAME is meant: glob (the default), regex or simple'
complete -c circus -n "__circus_at ctl restart" -l waiting -d 'answer when the work is done'
complete -c circus -n "__circus_at ctl ''" -a rollback -d 'go back to the generation of options and processes before'
complete -c circus -n "__circus_at ctl rollback" -l waiting -d 'answer when the work is done'
complete -c circus -n "__circus_at ctl ''" -a rm -d 'remove watchers'
complete -c circus -n "__circus_at ctl rm" -l nostop -d 'leave its processes running'
complete -c circus -n "__circus_at ctl rm" -l waiting -d 'answer when the work is done'
complete -c circus -n "__circus_at ctl ''" -a set -d 'set options of a watcher while it runs'
complete -c circus -n "__circus_at ctl set" -l waiting -d 'answer when the work is done'
complete -c circus -n "__circus_at ctl ''" -a signal -d 'send a signal to processes of a watcher'
complete -c circus -n "__circus_at ctl signal" -l children -d 'to the children of the process instead'
complete -c circus -n "__circus_at ctl signal" -l recursive -d 'to all its descendants too'
complete -c circus -n "__circus_at ctl ''" -a start -d 'start watchers'
complete -c circus -n "__circus_at ctl start" -l match -x -a 'glob regex simple' -d 'how NAME is meant: glob (the default), regex or simple'
complete -c circus -n "__circus_at ctl start" -l waiting -d 'answer when the work is done'
complete -c circus -n "__circus_at ctl ''" -a stats -d 'show what processes use'
complete -c circus -n "__circus_at ctl stats" -l extended -d 'with what the hook extended_stats adds; --json shows it'
complete -c circus -n "__circus_at ctl ''" -a status -d 'show the states of watchers, or of all'
complete -c circus -n "__circus_at ctl status" -l check -d 'exit with 3 unless every watcher that should run does'
complete -c circus -n "__circus_at ctl status" -l details -d 'processes, times, memory, and what is wrong, as on a terminal'
complete -c circus -n "__circus_at ctl ''" -a stop -d 'stop watchers'
complete -c circus -n "__circus_at ctl stop" -l match -x -a 'glob regex simple' -d 'how NAME is meant: glob (the default), regex or simple'
complete -c circus -n "__circus_at ctl stop" -l waiting -d 'answer when the work is done'
complete -c circus -n "__circus_at ctl ''" -a tail -d 'show the last lines that the processes of watchers wrote'
complete -c circus -n "__circus_at ctl tail" -l lines -x -d 'how many; 10 unless given (-n LINES)'
complete -c circus -n "__circus_at ctl tail" -l follow -d 'go on with what comes, until the watcher is removed (-f)'
complete -c circus -n "__circus_at ctl tail" -l stdout -d 'only what the processes wrote to their standard output'
complete -c circus -n "__circus_at ctl tail" -l stderr -d 'only what they wrote to their standard error output'
complete -c circus -n "__circus_at ctl tail" -l pid -x -d 'only what this process wrote; it may have ended'
complete -c circus -n "__circus_at ctl ''" -a why -d 'explain the states of watchers'
complete -c circus -n "__circus_word 'decr 0' 'deploy *' 'get 0' 'incr 0' 'kill 0' 'list *' 'logs 1' 'numprocesses *' 'options *' 'reload *' 'restart *' 'rollback *' 'rm *' 'set 0' 'signal 0' 'start *' 'stats 0' 'status *' 'stop *' 'tail *' 'why *'" -a '(__circus_watchers)'
complete -c circus -n "__circus_word 'get 1' 'get 2' 'get 3' 'get 4' 'get 5' 'get 6' 'get 7' 'get 8' 'get 9'" -a 'cmd args numprocesses shell shell_args executable working_dir uid gid copy_env copy_path virtualenv virtualenv_py_ver env_file warmup_delay autostart respawn respawn_delay respawn_delay_max respawn_window reload_surge success_codes success_signals critical retry_in max_retry priority singleton use_sockets sockets stdin_socket close_child_stdin close_child_stdout close_child_stderr on_demand stop_signal stop_children graceful_timeout kill_mode stop_command send_hup reload_signal reload_command max_age max_age_variance max_rss ready ready_timeout after requires health health_interval health_timeout health_retries watchdog nice ionice oom_score_adj umask no_new_privs capabilities clear_groups sandbox sandbox.net hook_timeout hooks_uid ring_bytes stdout_stream.class stderr_stream.class stdout_stream.filename stderr_stream.filename stdout_stream.max_bytes stderr_stream.max_bytes stdout_stream.backup_count stderr_stream.backup_count stdout_stream.time_format stderr_stream.time_format stdout_stream.color stderr_stream.color stdout_stream.rotate_when stderr_stream.rotate_when stdout_stream.rotate_interval stderr_stream.rotate_interval stdout_stream.utc stderr_stream.utc stdout_stream.prefix stderr_stream.prefix stdout_stream.address stderr_stream.address stdout_stream.facility stderr_stream.facility stdout_stream.severity stderr_stream.severity stdout_stream.tag stderr_stream.tag stdout_stream.compress stderr_stream.compress'
complete -c circus -n "__circus_word 'set 1' 'set 3' 'set 5' 'set 7' 'set 9'" -a 'cmd args numprocesses shell shell_args executable working_dir uid gid copy_env copy_path virtualenv virtualenv_py_ver env_file warmup_delay autostart respawn respawn_delay respawn_delay_max respawn_window reload_surge success_codes success_signals critical retry_in max_retry priority singleton use_sockets sockets stdin_socket close_child_stdin close_child_stdout close_child_stderr on_demand stop_signal stop_children graceful_timeout kill_mode stop_command send_hup reload_signal reload_command max_age max_age_variance max_rss ready ready_timeout after requires health health_interval health_timeout health_retries watchdog nice ionice oom_score_adj umask no_new_privs capabilities clear_groups sandbox sandbox.net hook_timeout hooks_uid ring_bytes stdout_stream.class stderr_stream.class stdout_stream.filename stderr_stream.filename stdout_stream.max_bytes stderr_stream.max_bytes stdout_stream.backup_count stderr_stream.backup_count stdout_stream.time_format stderr_stream.time_format stdout_stream.color stderr_stream.color stdout_stream.rotate_when stderr_stream.rotate_when stdout_stream.rotate_interval stderr_stream.rotate_interval stdout_stream.utc stderr_stream.utc stdout_stream.prefix stderr_stream.prefix stdout_stream.address stderr_stream.address stdout_stream.facility stderr_stream.facility stdout_stream.severity stderr_stream.severity stdout_stream.tag stderr_stream.tag stdout_stream.compress stderr_stream.compress'
complete -c circus -n "__circus_word 'signal 1' 'signal 2'" -a 'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS RTMIN RTMAX'
complete -c circus -n "__circus_word 'logs 0'" -a 'rotate reopen'
complete -c circus -n "__circus_word 'set 2' 'set 4' 'set 6' 'set 8'; and __circus_behind shell copy_env copy_path autostart critical singleton use_sockets close_child_stdin close_child_stdout close_child_stderr on_demand stop_children send_hup no_new_privs clear_groups" -a 'True False'
complete -c circus -n "__circus_word 'set 2' 'set 4' 'set 6' 'set 8'; and __circus_behind respawn" -a 'True False on-failure'
complete -c circus -n "__circus_word 'set 2' 'set 4' 'set 6' 'set 8'; and __circus_behind stop_signal reload_signal" -a 'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS RTMIN RTMAX'
complete -c circus -n "__circus_word 'set 2' 'set 4' 'set 6' 'set 8'; and __circus_behind kill_mode" -a 'group process tree'

# circus ctl, as circusctl
complete -c circusctl -n "__circus_at ctl ''" -l endpoint -r -F -d 'where circus listens: PATH, ipc://PATH, @NAME, tcp://HOST:PORT'
complete -c circusctl -n "__circus_at ctl ''" -l token-file -r -F -d 'the token that a port wants (or the variable CIRCUS_TOKEN_FILE)'
complete -c circusctl -n "__circus_at ctl ''" -l timeout -x -d 'how long to wait for the answer (5; with --waiting: for ever)'
complete -c circusctl -n "__circus_at ctl ''" -l no-wait -d 'at a terminal: answer start, stop, restart and reload before they are done'
complete -c circusctl -n "__circus_at ctl ''" -l watch -d 'at a terminal: show status again every second'
complete -c circusctl -n "__circus_at ctl ''" -l json -d 'print the answer as JSON'
complete -c circusctl -n "__circus_at ctl ''" -l prettify -d 'with --json: over several lines, sorted'
complete -c circusctl -n "__circus_at ctl ''" -l ssh -x -d 'run circus ctl on that host'
complete -c circusctl -n "__circus_at ctl ''" -l ssh_keyfile -r -F -d 'with --ssh: the key to use'
complete -c circusctl -n "__circus_at ctl ''" -l help -d 'print this, or the help of a command'
complete -c circusctl -n "__circus_at ctl ''" -l version -d 'print the version'
complete -c circusctl -n "__circus_at ctl ''" -a add -d 'add a watcher'
complete -c circusctl -n "__circus_at ctl add" -l start -d 'start it at once'
complete -c circusctl -n "__circus_at ctl add" -l option -x -d 'an option of the watcher; may be repeated'
complete -c circusctl -n "__circus_at ctl add" -l waiting -d 'answer when the work is done'
complete -c circusctl -n "__circus_at ctl ''" -a decr -d 'run NB fewer processes (default: 1)'
complete -c circusctl -n "__circus_at ctl decr" -l waiting -d 'answer when the work is done'
complete -c circusctl -n "__circus_at ctl ''" -a deploy -d 'read the file again for some watchers, and replace their processes if the new ones do well'
complete -c circusctl -n "__circus_at ctl deploy" -l soak -x -d 'how long new processes have to do well before old ones stop'
complete -c circusctl -n "__circus_at ctl deploy" -l surge -x -d 'how many processes beside numprocesses there may be at a time'
complete -c circusctl -n "__circus_at ctl deploy" -l sequential -d 'one process after the other'
complete -c circusctl -n "__circus_at ctl deploy" -l canary -x -d 'start N of them beside the old ones, then wait for --go or --back'
complete -c circusctl -n "__circus_at ctl deploy" -l go -d 'the canary is good: replace the rest'
complete -c circusctl -n "__circus_at ctl deploy" -l back -d 'the canary is not: stop it'
complete -c circusctl -n "__circus_at ctl deploy" -l dry-run -d 'do nothing, and show what would change'
complete -c circusctl -n "__circus_at ctl deploy" -l waiting -d 'answer when the work is done'
complete -c circusctl -n "__circus_at ctl ''" -a dstats -d 'show what circus itself uses'
complete -c circusctl -n "__circus_at ctl ''" -a get -d 'show some options of a watcher'
complete -c circusctl -n "__circus_at ctl ''" -a globaloptions -d 'show the options of circus itself'
complete -c circusctl -n "__circus_at ctl ''" -a incr -d 'run NB more processes (default: 1)'
complete -c circusctl -n "__circus_at ctl incr" -l waiting -d 'answer when the work is done'
complete -c circusctl -n "__circus_at ctl ''" -a kill -d 'stop processes of a watcher; they are replaced'
complete -c circusctl -n "__circus_at ctl kill" -l signum -x -a 'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS RTMIN RTMAX' -d 'instead of stop_signal, by name or number'
complete -c circusctl -n "__circus_at ctl kill" -l graceful_timeout -x -d 'instead of that of the watcher'
complete -c circusctl -n "__circus_at ctl kill" -l waiting -d 'answer when the work is done'
complete -c circusctl -n "__circus_at ctl ''" -a list -d 'list the watchers, or the processes of some'
complete -c circusctl -n "__circus_at ctl ''" -a listen -d 'print events as they happen'
complete -c circusctl -n "__circus_at ctl ''" -a listsockets -d 'list the sockets'
complete -c circusctl -n "__circus_at ctl ''" -a logs -d 'rotate or reopen the files that output goes to'
complete -c circusctl -n "__circus_at ctl ''" -a metrics -d 'print what is counted and measured, as OpenMetrics text'
complete -c circusctl -n "__circus_at ctl ''" -a numprocesses -d 'print how many processes run'
complete -c circusctl -n "__circus_at ctl ''" -a numwatchers -d 'print how many watchers there are'
complete -c circusctl -n "__circus_at ctl ''" -a options -d 'show all options of watchers'
complete -c circusctl -n "__circus_at ctl ''" -a quit -d 'stop everything and end circus'
complete -c circusctl -n "__circus_at ctl quit" -l waiting -d 'answer when the work is done'
complete -c circusctl -n "__circus_at ctl ''" -a reload -d 'replace the processes of watchers, or of all, without a gap'
complete -c circusctl -n "__circus_at ctl reload" -l sequential -d 'one process after the other'
complete -c circusctl -n "__circus_at ctl reload" -l terminate -d 'stop the old processes first'
complete -c circusctl -n "__circus_at ctl reload" -l waiting -d 'answer when the work is done'
complete -c circusctl -n "__circus_at ctl ''" -a reloadconfig -d 'read the configuration again and apply what has changed'
complete -c circusctl -n "__circus_at ctl reloadconfig" -l dry-run -d 'do nothing, and show what would change'
complete -c circusctl -n "__circus_at ctl reloadconfig" -l waiting -d 'answer when the work is done'
complete -c circusctl -n "__circus_at ctl ''" -a restart -d 'stop watchers, then start them'
complete -c circusctl -n "__circus_at ctl restart" -l match -x -a 'glob regex simple' -d 'how NAME is meant: glob (the default), regex or simple'
complete -c circusctl -n "__circus_at ctl restart" -l waiting -d 'answer when the work is done'
complete -c circusctl -n "__circus_at ctl ''" -a rollback -d 'go back to the generation of options and processes before'
complete -c circusctl -n "__circus_at ctl rollback" -l waiting -d 'answer when the work is done'
complete -c circusctl -n "__circus_at ctl ''" -a rm -d 'remove watchers'
complete -c circusctl -n "__circus_at ctl rm" -l nostop -d 'leave its processes running'
complete -c circusctl -n "__circus_at ctl rm" -l waiting -d 'answer when the work is done'
complete -c circusctl -n "__circus_at ctl ''" -a set -d 'set options of a watcher while it runs'
complete -c circusctl -n "__circus_at ctl set" -l waiting -d 'answer when the work is done'
complete -c circusctl -n "__circus_at ctl ''" -a signal -d 'send a signal to processes of a watcher'
complete -c circusctl -n "__circus_at ctl signal" -l children -d 'to the children of the process instead'
complete -c circusctl -n "__circus_at ctl signal" -l recursive -d 'to all its descendants too'
complete -c circusctl -n "__circus_at ctl ''" -a start -d 'start watchers'
complete -c circusctl -n "__circus_at ctl start" -l match -x -a 'glob regex simple' -d 'how NAME is meant: glob (the default), regex or simple'
complete -c circusctl -n "__circus_at ctl start" -l waiting -d 'answer when the work is done'
complete -c circusctl -n "__circus_at ctl ''" -a stats -d 'show what processes use'
complete -c circusctl -n "__circus_at ctl stats" -l extended -d 'with what the hook extended_stats adds; --json shows it'
complete -c circusctl -n "__circus_at ctl ''" -a status -d 'show the states of watchers, or of all'
complete -c circusctl -n "__circus_at ctl status" -l check -d 'exit with 3 unless every watcher that should run does'
complete -c circusctl -n "__circus_at ctl status" -l details -d 'processes, times, memory, and what is wrong, as on a terminal'
complete -c circusctl -n "__circus_at ctl ''" -a stop -d 'stop watchers'
complete -c circusctl -n "__circus_at ctl stop" -l match -x -a 'glob regex simple' -d 'how NAME is meant: glob (the default), regex or simple'
complete -c circusctl -n "__circus_at ctl stop" -l waiting -d 'answer when the work is done'
complete -c circusctl -n "__circus_at ctl ''" -a tail -d 'show the last lines that the processes of watchers wrote'
complete -c circusctl -n "__circus_at ctl tail" -l lines -x -d 'how many; 10 unless given (-n LINES)'
complete -c circusctl -n "__circus_at ctl tail" -l follow -d 'go on with what comes, until the watcher is removed (-f)'
complete -c circusctl -n "__circus_at ctl tail" -l stdout -d 'only what the processes wrote to their standard output'
complete -c circusctl -n "__circus_at ctl tail" -l stderr -d 'only what they wrote to their standard error output'
complete -c circusctl -n "__circus_at ctl tail" -l pid -x -d 'only what this process wrote; it may have ended'
complete -c circusctl -n "__circus_at ctl ''" -a why -d 'explain the states of watchers'
complete -c circusctl -n "__circus_word 'decr 0' 'deploy *' 'get 0' 'incr 0' 'kill 0' 'list *' 'logs 1' 'numprocesses *' 'options *' 'reload *' 'restart *' 'rollback *' 'rm *' 'set 0' 'signal 0' 'start *' 'stats 0' 'status *' 'stop *' 'tail *' 'why *'" -a '(__circus_watchers)'
complete -c circusctl -n "__circus_word 'get 1' 'get 2' 'get 3' 'get 4' 'get 5' 'get 6' 'get 7' 'get 8' 'get 9'" -a 'cmd args numprocesses shell shell_args executable working_dir uid gid copy_env copy_path virtualenv virtualenv_py_ver env_file warmup_delay autostart respawn respawn_delay respawn_delay_max respawn_window reload_surge success_codes success_signals critical retry_in max_retry priority singleton use_sockets sockets stdin_socket close_child_stdin close_child_stdout close_child_stderr on_demand stop_signal stop_children graceful_timeout kill_mode stop_command send_hup reload_signal reload_command max_age max_age_variance max_rss ready ready_timeout after requires health health_interval health_timeout health_retries watchdog nice ionice oom_score_adj umask no_new_privs capabilities clear_groups sandbox sandbox.net hook_timeout hooks_uid ring_bytes stdout_stream.class stderr_stream.class stdout_stream.filename stderr_stream.filename stdout_stream.max_bytes stderr_stream.max_bytes stdout_stream.backup_count stderr_stream.backup_count stdout_stream.time_format stderr_stream.time_format stdout_stream.color stderr_stream.color stdout_stream.rotate_when stderr_stream.rotate_when stdout_stream.rotate_interval stderr_stream.rotate_interval stdout_stream.utc stderr_stream.utc stdout_stream.prefix stderr_stream.prefix stdout_stream.address stderr_stream.address stdout_stream.facility stderr_stream.facility stdout_stream.severity stderr_stream.severity stdout_stream.tag stderr_stream.tag stdout_stream.compress stderr_stream.compress'
complete -c circusctl -n "__circus_word 'set 1' 'set 3' 'set 5' 'set 7' 'set 9'" -a 'cmd args numprocesses shell shell_args executable working_dir uid gid copy_env copy_path virtualenv virtualenv_py_ver env_file warmup_delay autostart respawn respawn_delay respawn_delay_max respawn_window reload_surge success_codes success_signals critical retry_in max_retry priority singleton use_sockets sockets stdin_socket close_child_stdin close_child_stdout close_child_stderr on_demand stop_signal stop_children graceful_timeout kill_mode stop_command send_hup reload_signal reload_command max_age max_age_variance max_rss ready ready_timeout after requires health health_interval health_timeout health_retries watchdog nice ionice oom_score_adj umask no_new_privs capabilities clear_groups sandbox sandbox.net hook_timeout hooks_uid ring_bytes stdout_stream.class stderr_stream.class stdout_stream.filename stderr_stream.filename stdout_stream.max_bytes stderr_stream.max_bytes stdout_stream.backup_count stderr_stream.backup_count stdout_stream.time_format stderr_stream.time_format stdout_stream.color stderr_stream.color stdout_stream.rotate_when stderr_stream.rotate_when stdout_stream.rotate_interval stderr_stream.rotate_interval stdout_stream.utc stderr_stream.utc stdout_stream.prefix stderr_stream.prefix stdout_stream.address stderr_stream.address stdout_stream.facility stderr_stream.facility stdout_stream.severity stderr_stream.severity stdout_stream.tag stderr_stream.tag stdout_stream.compress stderr_stream.compress'
complete -c circusctl -n "__circus_word 'signal 1' 'signal 2'" -a 'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS RTMIN RTMAX'
complete -c circusctl -n "__circus_word 'logs 0'" -a 'rotate reopen'
complete -c circusctl -n "__circus_word 'set 2' 'set 4' 'set 6' 'set 8'; and __circus_behind shell copy_env copy_path autostart critical singleton use_sockets close_child_stdin close_child_stdout close_child_stderr on_demand stop_children send_hup no_new_privs clear_groups" -a 'True False'
complete -c circusctl -n "__circus_word 'set 2' 'set 4' 'set 6' 'set 8'; and __circus_behind respawn" -a 'True False on-failure'
complete -c circusctl -n "__circus_word 'set 2' 'set 4' 'set 6' 'set 8'; and __circus_behind stop_signal reload_signal" -a 'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS RTMIN RTMAX'
complete -c circusctl -n "__circus_word 'set 2' 'set 4' 'set 6' 'set 8'; and __circus_behind kill_mode" -a 'group process tree'
