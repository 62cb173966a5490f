//! The completion for bash.

use super::Facts;
use super::facts::{
    Argument, Opt, WORDS, Word, argument, cases, fixed, flags_of, grouped, keys, signal_names,
};
use circus::control::commands::COMMANDS;

const HEAD: &str = r#"# bash completion for circus, circusd and circusctl. Made by tests/completions.rs from the tables of commands and
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

"#;

const TAIL: &str = r#"
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
"#;

pub fn script(facts: &Facts) -> String {
    let names = |options: &[Opt]| {
        options.iter().map(|option| format!("--{}", option.name)).collect::<Vec<_>>().join(" ")
    };
    let all: Vec<Opt> = facts.all();
    let valued: Vec<&Opt> = all.iter().filter(|option| option.value.is_some()).collect();
    let list = |words: Vec<String>| words.join(" ");
    let commands = COMMANDS.iter().map(|command| command.name.to_string()).collect();
    let mut text = HEAD.to_string();
    text +=
        &format!("_circus_parts='{}'\n", list(facts.parts.iter().map(|(name, _)| name.clone()).collect()));
    text += &format!("_circus_commands='{}'\n", list(commands));
    text += &format!(
        "_circus_valued='{}'\n",
        list(valued.iter().map(|option| format!("--{}", option.name)).collect())
    );
    text += &format!("_circus_signals='{}'\n\n", signal_names().join(" "));

    text += "# The argument of an option.\n_circus_argument() {\n    case $1 in\n";
    for option in &valued {
        let does = match argument(option.value.as_deref().unwrap_or_default()) {
            Argument::Words(words) if words == signal_names() => "_circus_words $_circus_signals".into(),
            Argument::Words(words) => format!("_circus_words {}", words.join(" ")),
            Argument::File => "_circus_files".into(),
            Argument::Anything => continue,
        };
        text += &format!("    --{}) {does} ;;\n", option.name);
    }
    text += "    esac\n}\n\n# The options that can stand here.\n_circus_options() {\n    case $part-$command in\n";
    for command in COMMANDS.iter().filter(|command| command.flags().next().is_some()) {
        text += &format!("    ctl-{}) _circus_words {} ;;\n", command.name, names(&flags_of(command)));
    }
    for (name, options) in &facts.parts {
        let rest = if name == "ctl" { "" } else { "*" };
        text += &format!("    {name}-{rest}) _circus_words {} ;;\n", names(options));
    }
    text += &format!("    -*) _circus_words {} ;;\n    esac\n}}\n", names(&facts.daemon));

    text += "\n# The word behind a command.\n_circus_behind() {\n    case \"$command $place\" in\n";
    for kind in WORDS {
        let does = match kind {
            Word::Watcher => "_circus_watchers",
            Word::Key => "_circus_words $_circus_keys",
            Word::Settable => "_circus_words $_circus_settable",
            Word::Value => "_circus_value",
            Word::Signal => "_circus_words $_circus_signals",
        };
        text += &format!("    {}) {does} ;;\n", cases(kind));
    }
    for (place, words) in fixed() {
        text += &format!("    '{place}') _circus_words {} ;;\n", words.join(" "));
    }
    text += "    esac\n}\n\n# The value of an option that is set.\n_circus_value() {\n    case $prev in\n";
    for (keys, words) in grouped() {
        text += &format!("    {}) _circus_words {} ;;\n", keys.join(" | "), words.join(" "));
    }
    text += "    esac\n}\n\n";
    text +=
        &format!("_circus_keys='{}'\n_circus_settable='{}'\n", keys(false).join(" "), keys(true).join(" "));
    text + TAIL
}
