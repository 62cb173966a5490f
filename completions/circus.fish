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
complete -c circus -n "__circus_at '' '*'" -l log-output -r -F -d 'where the log goes: a file, syslog:///PATH?FACILITY, syslog://HOST[:PORT]?FACILITY, or - for standard error'
complete -c circusd -n "__circus_at '' '*'" -l log-output -r -F -d 'where the log goes: a file, syslog:///PATH?FACILITY, syslog://HOST[:PORT]?FACILITY, or - for standard error'
complete -c circus -n "__circus_at '' '*'" -l logger-config -r -F -d 'ignored: it configures Python\'s logging'
complete -c circusd -n "__circus_at '' '*'" -l logger-config -r -F -d 'ignored: it configures Python\'s logging'
complete -c circus -n "__circus_at '' '*'" -l pidfile -r -F -d 'write the pid to this file'
complete -c circusd -n "__circus_at '' '*'" -l pidfile -r -F -d 'write the pid to this file'
complete -c circus -n "__circus_at '' '*'" -l daemon -d 'go into the background once everything is ready'
complete -c circusd -n "__circus_at '' '*'" -l daemon -d 'go into the background once everything is ready'
complete -c circus -n "__circus_at '' '*'" -l check -d 'the same as `circus check CONFIG`'
complete -c circusd -n "__circus_at '' '*'" -l check -d 'the same as `circus check CONFIG`'
complete -c circus -n "__circus_at '' '*'" -l help -d 'show this help'
complete -c circusd -n "__circus_at '' '*'" -l help -d 'show this help'
complete -c circus -n "__circus_at '' '*'" -l version -d 'show the version'
complete -c circusd -n "__circus_at '' '*'" -l version -d 'show the version'
complete -c circus -n "__circus_at check '*'" -l json -d 'print the configuration as JSON; findings go to standard error'
complete -c circus -n "__circus_at check '*'" -l offline -d 'ignore what depends on this machine: users, programs and directories; for a file that will run elsewhere'
complete -c circus -n "__circus_at check '*'" -l help -d 'print this help'
complete -c circus -n "__circus_at init '*'" -l systemd -d 'for circus as a systemd service'
complete -c circus -n "__circus_at init '*'" -l container -d 'for circus as the init of a container'
complete -c circus -n "__circus_at init '*'" -l help -d 'print this help'
complete -c circus -n "__circus_at top '*'" -l endpoint -r -F -d 'where circus listens: PATH, ipc://PATH, @NAME, tcp://HOST:PORT'
complete -c circus -n "__circus_at top '*'" -l once -d 'print everything once and exit'
complete -c circus -n "__circus_at top '*'" -l json -d 'the same, as JSON'
complete -c circus -n "__circus_at top '*'" -l sort -x -d 'name, state, uptime, restarts, cpu or memory'
complete -c circus -n "__circus_at top '*'" -l filter -x -d 'only watchers with TEXT in their names'
complete -c circus -n "__circus_at top '*'" -l help -d 'show this help'
complete -c circus -n "__circus_at top '*'" -l version -d 'show the version'
complete -c circus -n "__circus_at run '*'" -l grace -x -d 'how long the rest may take to terminate after the command, in seconds (10); 0: kill it at once'
complete -c circus -n "__circus_at run '*'" -l group -d 'forward signals to the whole process group of the command'
complete -c circus -n "__circus_at run '*'" -l remap -x -d 'forward signal FROM as TO; 0 for TO drops it'
complete -c circus -n "__circus_at run '*'" -l no-sweep -d 'leave alone what the command leaves behind'
complete -c circus -n "__circus_at run '*'" -l help -d 'show this help'

# circus ctl, as circus
complete -c circus -n "__circus_at ctl ''" -l endpoint -r -F -d 'where circus listens: PATH, ipc://PATH, @NAME, tcp://HOST:PORT'
complete -c circus -n "__circus_at ctl ''" -l token-file -r -F -d 'the token file for a TCP port (or the variable CIRCUS_TOKEN_FILE)'
complete -c circus -n "__circus_at ctl ''" -l timeout -x -d 'how long to wait for the answer (5; with --waiting: forever)'
complete -c circus -n "__circus_at ctl ''" -l no-wait -d 'at a terminal: do not wait until start, stop, restart or reload is done'
complete -c circus -n "__circus_at ctl ''" -l watch -d 'at a terminal: repeat status every second'
complete -c circus -n "__circus_at ctl ''" -l json -d 'print the answer as JSON'
complete -c circus -n "__circus_at ctl ''" -l prettify -d 'with --json: indented and sorted'
complete -c circus -n "__circus_at ctl ''" -l ssh -x -d 'run circus ctl on that host'
complete -c circus -n "__circus_at ctl ''" -l ssh_keyfile -r -F -d 'with --ssh: the key to use'
complete -c circus -n "__circus_at ctl ''" -l help -d 'print this help, or that of a command'
complete -c circus -n "__circus_at ctl ''" -l version -d 'print the version'
complete -c circus -n "__circus_at ctl ''" -a add -d 'add a watcher'
complete -c circus -n "__circus_at ctl add" -l start -d 'start it at once'
complete -c circus -n "__circus_at ctl add" -l option -x -d 'an option of the watcher; may be repeated'
complete -c circus -n "__circus_at ctl add" -l waiting -d 'answer once the work is done'
complete -c circus -n "__circus_at ctl ''" -a decr -d 'run NB fewer processes (default: 1)'
complete -c circus -n "__circus_at ctl decr" -l waiting -d 'answer once the work is done'
complete -c circus -n "__circus_at ctl ''" -a deploy -d 'deploy what the file says now for some watchers'
complete -c circus -n "__circus_at ctl deploy" -l soak -x -d 'how long new processes must run well before old ones are stopped'
complete -c circus -n "__circus_at ctl deploy" -l surge -x -d 'how many extra processes may run at a time'
complete -c circus -n "__circus_at ctl deploy" -l sequential -d 'one process at a time'
complete -c circus -n "__circus_at ctl deploy" -l canary -x -d 'start N new processes next to the old ones; then --go or --back'
complete -c circus -n "__circus_at ctl deploy" -l go -d 'the canary is good: replace the rest'
complete -c circus -n "__circus_at ctl deploy" -l back -d 'the canary is bad: stop it'
complete -c circus -n "__circus_at ctl deploy" -l dry-run -d 'change nothing, print what would change'
complete -c circus -n "__circus_at ctl deploy" -l waiting -d 'answer once the work is done'
complete -c circus -n "__circus_at ctl ''" -a dstats -d 'show what circus itself uses'
complete -c circus -n "__circus_at ctl ''" -a get -d 'show some options of a watcher'
complete -c circus -n "__circus_at ctl ''" -a globaloptions -d 'show options of circus itself'
complete -c circus -n "__circus_at ctl ''" -a incr -d 'run NB more processes (default: 1)'
complete -c circus -n "__circus_at ctl incr" -l waiting -d 'answer once the work is done'
complete -c circus -n "__circus_at ctl ''" -a kill -d 'replace processes of watchers'
complete -c circus -n "__circus_at ctl kill" -l signum -x -a 'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS RTMIN RTMAX' -d 'the signal to send instead of stop_signal, by name or number'
complete -c circus -n "__circus_at ctl kill" -l graceful_timeout -x -d 'overrides that of the watcher'
complete -c circus -n "__circus_at ctl kill" -l waiting -d 'answer once the work is done'
complete -c circus -n "__circus_at ctl ''" -a list -d 'list the watchers, or the processes of some'
complete -c circus -n "__circus_at ctl ''" -a listen -d 'print events as they happen'
complete -c circus -n "__circus_at ctl ''" -a listsockets -d 'list the sockets'
complete -c circus -n "__circus_at ctl ''" -a logs -d 'rotate or reopen log files'
complete -c circus -n "__circus_at ctl ''" -a metrics -d 'print metrics as OpenMetrics text'
complete -c circus -n "__circus_at ctl ''" -a numprocesses -d 'print the number of processes'
complete -c circus -n "__circus_at ctl ''" -a numwatchers -d 'print the number of watchers'
complete -c circus -n "__circus_at ctl ''" -a options -d 'show all options of watchers'
complete -c circus -n "__circus_at ctl ''" -a quit -d 'stop everything and exit'
complete -c circus -n "__circus_at ctl quit" -l waiting -d 'answer once the work is done'
complete -c circus -n "__circus_at ctl ''" -a reload -d 'replace the processes of watchers, or of all, without a gap'
complete -c circus -n "__circus_at ctl reload" -l sequential -d 'one process at a time'
complete -c circus -n "__circus_at ctl reload" -l terminate -d 'stop the old processes first'
complete -c circus -n "__circus_at ctl reload" -l waiting -d 'answer once the work is done'
complete -c circus -n "__circus_at ctl ''" -a reloadconfig -d 'read the configuration again and apply changes'
complete -c circus -n "__circus_at ctl reloadconfig" -l dry-run -d 'change nothing, print what would change'
complete -c circus -n "__circus_at ctl reloadconfig" -l waiting -d 'answer once the work is done'
complete -c circus -n "__circus_at ctl ''" -a restart -d 'stop watchers, then start them'
complete -c circus -n "__circus_at ctl restart" -l match -x -a 'glob regex simple' -d 'how to read NAME: glob (the default), regex or simple'
complete -c circus -n "__circus_at ctl restart" -l waiting -d 'answer once the work is done'
complete -c circus -n "__circus_at ctl ''" -a rollback -d 'go back to the previous options and processes'
complete -c circus -n "__circus_at ctl rollback" -l waiting -d 'answer once the work is done'
complete -c circus -n "__circus_at ctl ''" -a rm -d 'remove watchers'
complete -c circus -n "__circus_at ctl rm" -l nostop -d 'leave their processes running'
complete -c circus -n "__circus_at ctl rm" -l waiting -d 'answer once the work is done'
complete -c circus -n "__circus_at ctl ''" -a set -d 'set options of a watcher while it runs'
complete -c circus -n "__circus_at ctl set" -l waiting -d 'answer once the work is done'
complete -c circus -n "__circus_at ctl ''" -a signal -d 'send a signal to processes of watchers'
complete -c circus -n "__circus_at ctl signal" -l children -d 'to the children of the process, not to itself'
complete -c circus -n "__circus_at ctl signal" -l recursive -d 'to all its descendants too'
complete -c circus -n "__circus_at ctl ''" -a start -d 'start watchers'
complete -c circus -n "__circus_at ctl start" -l match -x -a 'glob regex simple' -d 'how to read NAME: glob (the default), regex or simple'
complete -c circus -n "__circus_at ctl start" -l waiting -d 'answer once the work is done'
complete -c circus -n "__circus_at ctl ''" -a stats -d 'show the resource use of processes'
complete -c circus -n "__circus_at ctl stats" -l extended -d 'add what the hook extended_stats reports; --json shows it'
complete -c circus -n "__circus_at ctl ''" -a status -d 'show the states of watchers, or of all'
complete -c circus -n "__circus_at ctl status" -l check -d 'exit with 3 unless every watcher that should run does'
complete -c circus -n "__circus_at ctl status" -l details -d 'processes, times, memory and problems, as on a terminal'
complete -c circus -n "__circus_at ctl ''" -a stop -d 'stop watchers'
complete -c circus -n "__circus_at ctl stop" -l match -x -a 'glob regex simple' -d 'how to read NAME: glob (the default), regex or simple'
complete -c circus -n "__circus_at ctl stop" -l waiting -d 'answer once the work is done'
complete -c circus -n "__circus_at ctl ''" -a tail -d 'show the last lines of output of watchers'
complete -c circus -n "__circus_at ctl tail" -l lines -x -d 'how many (-n LINES; default: 10)'
complete -c circus -n "__circus_at ctl tail" -l follow -d 'keep printing new output, until the watcher is removed (-f)'
complete -c circus -n "__circus_at ctl tail" -l stdout -d 'only what the processes wrote to standard output'
complete -c circus -n "__circus_at ctl tail" -l stderr -d 'only what they wrote to standard error'
complete -c circus -n "__circus_at ctl tail" -l pid -x -d 'only what this process wrote; it may have exited'
complete -c circus -n "__circus_at ctl ''" -a why -d 'explain the states of watchers'
complete -c circus -n "__circus_word 'decr *' 'deploy *' 'get 0' 'incr *' 'kill *' 'list *' 'logs 1' 'logs 2' 'logs 3' 'logs 4' 'logs 5' 'logs 6' 'logs 7' 'logs 8' 'logs 9' 'numprocesses *' 'options *' 'reload *' 'restart *' 'rollback *' 'rm *' 'set 0' 'signal 0' 'start *' 'stats *' 'status *' 'stop *' 'tail *' 'why *'" -a '(__circus_watchers)'
complete -c circus -n "__circus_word 'get 1' 'get 2' 'get 3' 'get 4' 'get 5' 'get 6' 'get 7' 'get 8' 'get 9'" -a 'cmd args working_dir numprocesses shell shell_args executable uid gid copy_env copy_path virtualenv virtualenv_py_ver env_file warmup_delay autostart respawn respawn_delay respawn_delay_max respawn_window reload_surge success_codes success_signals critical retry_in max_retry priority singleton use_sockets sockets stdin_socket close_child_stdin close_child_stdout close_child_stderr on_demand stop_signal stop_children graceful_timeout kill_mode stop_command send_hup reload_signal reload_command max_age max_age_variance max_rss ready ready_timeout after requires health health_interval health_timeout health_retries watchdog nice ionice oom_score_adj umask no_new_privs capabilities clear_groups sandbox sandbox.net hook_timeout hooks_uid ring_bytes stdout_stream.class stderr_stream.class stdout_stream.filename stderr_stream.filename stdout_stream.max_bytes stderr_stream.max_bytes stdout_stream.backup_count stderr_stream.backup_count stdout_stream.time_format stderr_stream.time_format stdout_stream.color stderr_stream.color stdout_stream.rotate_when stderr_stream.rotate_when stdout_stream.rotate_interval stderr_stream.rotate_interval stdout_stream.utc stderr_stream.utc stdout_stream.prefix stderr_stream.prefix stdout_stream.address stderr_stream.address stdout_stream.facility stderr_stream.facility stdout_stream.severity stderr_stream.severity stdout_stream.tag stderr_stream.tag stdout_stream.compress stderr_stream.compress'
complete -c circus -n "__circus_word 'set 1' 'set 3' 'set 5' 'set 7' 'set 9'" -a 'cmd args working_dir numprocesses shell shell_args executable uid gid copy_env copy_path virtualenv virtualenv_py_ver env_file warmup_delay autostart respawn respawn_delay respawn_delay_max respawn_window reload_surge success_codes success_signals critical retry_in max_retry priority singleton use_sockets sockets stdin_socket close_child_stdin close_child_stdout close_child_stderr on_demand stop_signal stop_children graceful_timeout kill_mode stop_command send_hup reload_signal reload_command max_age max_age_variance max_rss ready ready_timeout after requires health health_interval health_timeout health_retries watchdog nice ionice oom_score_adj umask no_new_privs capabilities clear_groups sandbox sandbox.net hook_timeout hooks_uid ring_bytes stdout_stream.class stderr_stream.class stdout_stream.filename stderr_stream.filename stdout_stream.max_bytes stderr_stream.max_bytes stdout_stream.backup_count stderr_stream.backup_count stdout_stream.time_format stderr_stream.time_format stdout_stream.color stderr_stream.color stdout_stream.rotate_when stderr_stream.rotate_when stdout_stream.rotate_interval stderr_stream.rotate_interval stdout_stream.utc stderr_stream.utc stdout_stream.prefix stderr_stream.prefix stdout_stream.address stderr_stream.address stdout_stream.facility stderr_stream.facility stdout_stream.severity stderr_stream.severity stdout_stream.tag stderr_stream.tag stdout_stream.compress stderr_stream.compress'
complete -c circus -n "__circus_word 'signal 1' 'signal 2' 'signal 3' 'signal 4' 'signal 5' 'signal 6' 'signal 7' 'signal 8' 'signal 9'" -a 'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS RTMIN RTMAX'
complete -c circus -n "__circus_word 'logs 0'" -a 'rotate reopen'
complete -c circus -n "__circus_word 'set 2' 'set 4' 'set 6' 'set 8'; and __circus_behind shell copy_env copy_path autostart critical singleton use_sockets close_child_stdin close_child_stdout close_child_stderr on_demand stop_children send_hup no_new_privs clear_groups" -a 'True False'
complete -c circus -n "__circus_word 'set 2' 'set 4' 'set 6' 'set 8'; and __circus_behind respawn" -a 'True False on-failure'
complete -c circus -n "__circus_word 'set 2' 'set 4' 'set 6' 'set 8'; and __circus_behind stop_signal reload_signal" -a 'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS RTMIN RTMAX'
complete -c circus -n "__circus_word 'set 2' 'set 4' 'set 6' 'set 8'; and __circus_behind kill_mode" -a 'group process tree'

# circus ctl, as circusctl
complete -c circusctl -n "__circus_at ctl ''" -l endpoint -r -F -d 'where circus listens: PATH, ipc://PATH, @NAME, tcp://HOST:PORT'
complete -c circusctl -n "__circus_at ctl ''" -l token-file -r -F -d 'the token file for a TCP port (or the variable CIRCUS_TOKEN_FILE)'
complete -c circusctl -n "__circus_at ctl ''" -l timeout -x -d 'how long to wait for the answer (5; with --waiting: forever)'
complete -c circusctl -n "__circus_at ctl ''" -l no-wait -d 'at a terminal: do not wait until start, stop, restart or reload is done'
complete -c circusctl -n "__circus_at ctl ''" -l watch -d 'at a terminal: repeat status every second'
complete -c circusctl -n "__circus_at ctl ''" -l json -d 'print the answer as JSON'
complete -c circusctl -n "__circus_at ctl ''" -l prettify -d 'with --json: indented and sorted'
complete -c circusctl -n "__circus_at ctl ''" -l ssh -x -d 'run circus ctl on that host'
complete -c circusctl -n "__circus_at ctl ''" -l ssh_keyfile -r -F -d 'with --ssh: the key to use'
complete -c circusctl -n "__circus_at ctl ''" -l help -d 'print this help, or that of a command'
complete -c circusctl -n "__circus_at ctl ''" -l version -d 'print the version'
complete -c circusctl -n "__circus_at ctl ''" -a add -d 'add a watcher'
complete -c circusctl -n "__circus_at ctl add" -l start -d 'start it at once'
complete -c circusctl -n "__circus_at ctl add" -l option -x -d 'an option of the watcher; may be repeated'
complete -c circusctl -n "__circus_at ctl add" -l waiting -d 'answer once the work is done'
complete -c circusctl -n "__circus_at ctl ''" -a decr -d 'run NB fewer processes (default: 1)'
complete -c circusctl -n "__circus_at ctl decr" -l waiting -d 'answer once the work is done'
complete -c circusctl -n "__circus_at ctl ''" -a deploy -d 'deploy what the file says now for some watchers'
complete -c circusctl -n "__circus_at ctl deploy" -l soak -x -d 'how long new processes must run well before old ones are stopped'
complete -c circusctl -n "__circus_at ctl deploy" -l surge -x -d 'how many extra processes may run at a time'
complete -c circusctl -n "__circus_at ctl deploy" -l sequential -d 'one process at a time'
complete -c circusctl -n "__circus_at ctl deploy" -l canary -x -d 'start N new processes next to the old ones; then --go or --back'
complete -c circusctl -n "__circus_at ctl deploy" -l go -d 'the canary is good: replace the rest'
complete -c circusctl -n "__circus_at ctl deploy" -l back -d 'the canary is bad: stop it'
complete -c circusctl -n "__circus_at ctl deploy" -l dry-run -d 'change nothing, print what would change'
complete -c circusctl -n "__circus_at ctl deploy" -l waiting -d 'answer once the work is done'
complete -c circusctl -n "__circus_at ctl ''" -a dstats -d 'show what circus itself uses'
complete -c circusctl -n "__circus_at ctl ''" -a get -d 'show some options of a watcher'
complete -c circusctl -n "__circus_at ctl ''" -a globaloptions -d 'show options of circus itself'
complete -c circusctl -n "__circus_at ctl ''" -a incr -d 'run NB more processes (default: 1)'
complete -c circusctl -n "__circus_at ctl incr" -l waiting -d 'answer once the work is done'
complete -c circusctl -n "__circus_at ctl ''" -a kill -d 'replace processes of watchers'
complete -c circusctl -n "__circus_at ctl kill" -l signum -x -a 'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS RTMIN RTMAX' -d 'the signal to send instead of stop_signal, by name or number'
complete -c circusctl -n "__circus_at ctl kill" -l graceful_timeout -x -d 'overrides that of the watcher'
complete -c circusctl -n "__circus_at ctl kill" -l waiting -d 'answer once the work is done'
complete -c circusctl -n "__circus_at ctl ''" -a list -d 'list the watchers, or the processes of some'
complete -c circusctl -n "__circus_at ctl ''" -a listen -d 'print events as they happen'
complete -c circusctl -n "__circus_at ctl ''" -a listsockets -d 'list the sockets'
complete -c circusctl -n "__circus_at ctl ''" -a logs -d 'rotate or reopen log files'
complete -c circusctl -n "__circus_at ctl ''" -a metrics -d 'print metrics as OpenMetrics text'
complete -c circusctl -n "__circus_at ctl ''" -a numprocesses -d 'print the number of processes'
complete -c circusctl -n "__circus_at ctl ''" -a numwatchers -d 'print the number of watchers'
complete -c circusctl -n "__circus_at ctl ''" -a options -d 'show all options of watchers'
complete -c circusctl -n "__circus_at ctl ''" -a quit -d 'stop everything and exit'
complete -c circusctl -n "__circus_at ctl quit" -l waiting -d 'answer once the work is done'
complete -c circusctl -n "__circus_at ctl ''" -a reload -d 'replace the processes of watchers, or of all, without a gap'
complete -c circusctl -n "__circus_at ctl reload" -l sequential -d 'one process at a time'
complete -c circusctl -n "__circus_at ctl reload" -l terminate -d 'stop the old processes first'
complete -c circusctl -n "__circus_at ctl reload" -l waiting -d 'answer once the work is done'
complete -c circusctl -n "__circus_at ctl ''" -a reloadconfig -d 'read the configuration again and apply changes'
complete -c circusctl -n "__circus_at ctl reloadconfig" -l dry-run -d 'change nothing, print what would change'
complete -c circusctl -n "__circus_at ctl reloadconfig" -l waiting -d 'answer once the work is done'
complete -c circusctl -n "__circus_at ctl ''" -a restart -d 'stop watchers, then start them'
complete -c circusctl -n "__circus_at ctl restart" -l match -x -a 'glob regex simple' -d 'how to read NAME: glob (the default), regex or simple'
complete -c circusctl -n "__circus_at ctl restart" -l waiting -d 'answer once the work is done'
complete -c circusctl -n "__circus_at ctl ''" -a rollback -d 'go back to the previous options and processes'
complete -c circusctl -n "__circus_at ctl rollback" -l waiting -d 'answer once the work is done'
complete -c circusctl -n "__circus_at ctl ''" -a rm -d 'remove watchers'
complete -c circusctl -n "__circus_at ctl rm" -l nostop -d 'leave their processes running'
complete -c circusctl -n "__circus_at ctl rm" -l waiting -d 'answer once the work is done'
complete -c circusctl -n "__circus_at ctl ''" -a set -d 'set options of a watcher while it runs'
complete -c circusctl -n "__circus_at ctl set" -l waiting -d 'answer once the work is done'
complete -c circusctl -n "__circus_at ctl ''" -a signal -d 'send a signal to processes of watchers'
complete -c circusctl -n "__circus_at ctl signal" -l children -d 'to the children of the process, not to itself'
complete -c circusctl -n "__circus_at ctl signal" -l recursive -d 'to all its descendants too'
complete -c circusctl -n "__circus_at ctl ''" -a start -d 'start watchers'
complete -c circusctl -n "__circus_at ctl start" -l match -x -a 'glob regex simple' -d 'how to read NAME: glob (the default), regex or simple'
complete -c circusctl -n "__circus_at ctl start" -l waiting -d 'answer once the work is done'
complete -c circusctl -n "__circus_at ctl ''" -a stats -d 'show the resource use of processes'
complete -c circusctl -n "__circus_at ctl stats" -l extended -d 'add what the hook extended_stats reports; --json shows it'
complete -c circusctl -n "__circus_at ctl ''" -a status -d 'show the states of watchers, or of all'
complete -c circusctl -n "__circus_at ctl status" -l check -d 'exit with 3 unless every watcher that should run does'
complete -c circusctl -n "__circus_at ctl status" -l details -d 'processes, times, memory and problems, as on a terminal'
complete -c circusctl -n "__circus_at ctl ''" -a stop -d 'stop watchers'
complete -c circusctl -n "__circus_at ctl stop" -l match -x -a 'glob regex simple' -d 'how to read NAME: glob (the default), regex or simple'
complete -c circusctl -n "__circus_at ctl stop" -l waiting -d 'answer once the work is done'
complete -c circusctl -n "__circus_at ctl ''" -a tail -d 'show the last lines of output of watchers'
complete -c circusctl -n "__circus_at ctl tail" -l lines -x -d 'how many (-n LINES; default: 10)'
complete -c circusctl -n "__circus_at ctl tail" -l follow -d 'keep printing new output, until the watcher is removed (-f)'
complete -c circusctl -n "__circus_at ctl tail" -l stdout -d 'only what the processes wrote to standard output'
complete -c circusctl -n "__circus_at ctl tail" -l stderr -d 'only what they wrote to standard error'
complete -c circusctl -n "__circus_at ctl tail" -l pid -x -d 'only what this process wrote; it may have exited'
complete -c circusctl -n "__circus_at ctl ''" -a why -d 'explain the states of watchers'
complete -c circusctl -n "__circus_word 'decr *' 'deploy *' 'get 0' 'incr *' 'kill *' 'list *' 'logs 1' 'logs 2' 'logs 3' 'logs 4' 'logs 5' 'logs 6' 'logs 7' 'logs 8' 'logs 9' 'numprocesses *' 'options *' 'reload *' 'restart *' 'rollback *' 'rm *' 'set 0' 'signal 0' 'start *' 'stats *' 'status *' 'stop *' 'tail *' 'why *'" -a '(__circus_watchers)'
complete -c circusctl -n "__circus_word 'get 1' 'get 2' 'get 3' 'get 4' 'get 5' 'get 6' 'get 7' 'get 8' 'get 9'" -a 'cmd args working_dir numprocesses shell shell_args executable uid gid copy_env copy_path virtualenv virtualenv_py_ver env_file warmup_delay autostart respawn respawn_delay respawn_delay_max respawn_window reload_surge success_codes success_signals critical retry_in max_retry priority singleton use_sockets sockets stdin_socket close_child_stdin close_child_stdout close_child_stderr on_demand stop_signal stop_children graceful_timeout kill_mode stop_command send_hup reload_signal reload_command max_age max_age_variance max_rss ready ready_timeout after requires health health_interval health_timeout health_retries watchdog nice ionice oom_score_adj umask no_new_privs capabilities clear_groups sandbox sandbox.net hook_timeout hooks_uid ring_bytes stdout_stream.class stderr_stream.class stdout_stream.filename stderr_stream.filename stdout_stream.max_bytes stderr_stream.max_bytes stdout_stream.backup_count stderr_stream.backup_count stdout_stream.time_format stderr_stream.time_format stdout_stream.color stderr_stream.color stdout_stream.rotate_when stderr_stream.rotate_when stdout_stream.rotate_interval stderr_stream.rotate_interval stdout_stream.utc stderr_stream.utc stdout_stream.prefix stderr_stream.prefix stdout_stream.address stderr_stream.address stdout_stream.facility stderr_stream.facility stdout_stream.severity stderr_stream.severity stdout_stream.tag stderr_stream.tag stdout_stream.compress stderr_stream.compress'
complete -c circusctl -n "__circus_word 'set 1' 'set 3' 'set 5' 'set 7' 'set 9'" -a 'cmd args working_dir numprocesses shell shell_args executable uid gid copy_env copy_path virtualenv virtualenv_py_ver env_file warmup_delay autostart respawn respawn_delay respawn_delay_max respawn_window reload_surge success_codes success_signals critical retry_in max_retry priority singleton use_sockets sockets stdin_socket close_child_stdin close_child_stdout close_child_stderr on_demand stop_signal stop_children graceful_timeout kill_mode stop_command send_hup reload_signal reload_command max_age max_age_variance max_rss ready ready_timeout after requires health health_interval health_timeout health_retries watchdog nice ionice oom_score_adj umask no_new_privs capabilities clear_groups sandbox sandbox.net hook_timeout hooks_uid ring_bytes stdout_stream.class stderr_stream.class stdout_stream.filename stderr_stream.filename stdout_stream.max_bytes stderr_stream.max_bytes stdout_stream.backup_count stderr_stream.backup_count stdout_stream.time_format stderr_stream.time_format stdout_stream.color stderr_stream.color stdout_stream.rotate_when stderr_stream.rotate_when stdout_stream.rotate_interval stderr_stream.rotate_interval stdout_stream.utc stderr_stream.utc stdout_stream.prefix stderr_stream.prefix stdout_stream.address stderr_stream.address stdout_stream.facility stderr_stream.facility stdout_stream.severity stderr_stream.severity stdout_stream.tag stderr_stream.tag stdout_stream.compress stderr_stream.compress'
complete -c circusctl -n "__circus_word 'signal 1' 'signal 2' 'signal 3' 'signal 4' 'signal 5' 'signal 6' 'signal 7' 'signal 8' 'signal 9'" -a 'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS RTMIN RTMAX'
complete -c circusctl -n "__circus_word 'logs 0'" -a 'rotate reopen'
complete -c circusctl -n "__circus_word 'set 2' 'set 4' 'set 6' 'set 8'; and __circus_behind shell copy_env copy_path autostart critical singleton use_sockets close_child_stdin close_child_stdout close_child_stderr on_demand stop_children send_hup no_new_privs clear_groups" -a 'True False'
complete -c circusctl -n "__circus_word 'set 2' 'set 4' 'set 6' 'set 8'; and __circus_behind respawn" -a 'True False on-failure'
complete -c circusctl -n "__circus_word 'set 2' 'set 4' 'set 6' 'set 8'; and __circus_behind stop_signal reload_signal" -a 'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS RTMIN RTMAX'
complete -c circusctl -n "__circus_word 'set 2' 'set 4' 'set 6' 'set 8'; and __circus_behind kill_mode" -a 'group process tree'
