//! The completion for zsh.

use super::Facts;
use super::facts::{
    Argument, Opt, WORDS, Word, argument, cases, fixed, flags_of, grouped, keys, signal_names,
};
use circus::control::commands::COMMANDS;

const HEAD: &str = r#"#compdef circus circusd circusctl
# zsh completion for circus, circusd and circusctl. Made by tests/completions.rs from the tables of commands and
# options; `make completions` makes it anew.

# The names of the watchers, from the daemon that the line is for.
_circus_watchers() {
    local names
    local -a ctl=($words[1])
    [[ ${words[1]:t} == circusctl ]] || ctl+=(ctl)
    names=$($ctl ${endpoint:+--endpoint=$endpoint} --timeout=1 list 2> /dev/null) || return
    compadd -- ${(s:,:)names}
}

"#;

const TAIL: &str = r#"
_circus() {
    local part= command= endpoint= word prev=$words[CURRENT-1]
    integer first=2 place=0 i
    if [[ ${words[1]:t} == circusctl ]]; then
        part=ctl
    elif [[ ${words[1]:t} != circusd && $CURRENT -gt 2 && -n ${(M)_circus_parts:#$words[2]:*} ]]; then
        part=$words[2] first=3
    fi
    for ((i = first; i < CURRENT; i++)); do
        word=${(Q)words[i]}
        if [[ -n ${(M)_circus_valued:#$word} ]]; then
            ((++i))
            [[ $word == --endpoint && $i -lt $CURRENT ]] && endpoint=${(Q)words[i]}
        elif [[ $word == --endpoint=* ]]; then
            endpoint=${word#*=}
        elif [[ $word == -?* ]]; then
            :
        elif [[ -z $command ]]; then
            command=$word
        else
            ((++place))
        fi
    done
    if [[ -n ${(M)_circus_valued:#$prev} ]]; then
        _circus_argument $prev
    elif [[ $words[CURRENT] == --*=* ]]; then
        prev=${words[CURRENT]%%=*}
        compset -P '*='
        _circus_argument $prev
    elif [[ $words[CURRENT] == -* ]]; then
        _circus_options
    elif [[ $part == ctl && -z $command ]]; then
        _describe -t commands command _circus_commands
    elif [[ $part == ctl ]]; then
        _circus_behind
    else
        if [[ -z $part && $CURRENT -eq $first && ${words[1]:t} != circusd ]]; then
            _describe -t commands command _circus_parts
        fi
        [[ -z $command ]] && _files
    fi
}

_circus "$@"
"#;

/// `NAME:HELP` as `_describe` takes it.
fn described(name: &str, help: &str) -> String {
    format!("'{name}:{}'", help.replace('\'', "'\\''").replace(':', "\\:"))
}

fn describe(options: &[Opt]) -> String {
    let options: Vec<String> =
        options.iter().map(|option| described(&format!("--{}", option.name), &option.help)).collect();
    format!("options=({}) ;;\n", options.join(" "))
}

pub fn script(facts: &Facts) -> String {
    let mut text = HEAD.to_string();
    let all = facts.all();
    let valued: Vec<&Opt> = all.iter().filter(|option| option.value.is_some()).collect();
    let array = |name: &str, words: Vec<String>| {
        format!(
            "typeset -ga {name}=(\n{})\n",
            words.iter().map(|word| format!("    {word}\n")).collect::<String>()
        )
    };
    let parts = facts.parts.iter().map(|(name, _)| described(name, Facts::about(name))).collect();
    text += &array("_circus_parts", parts);
    let commands = COMMANDS.iter().map(|command| described(command.name, command.summary)).collect();
    text += &array("_circus_commands", commands);
    let list = |name: &str, words: &str| format!("typeset -ga {name}=({words})\n");
    let names: Vec<String> = valued.iter().map(|option| format!("--{}", option.name)).collect();
    text += &list("_circus_valued", &names.join(" "));
    text += &list("_circus_signals", &signal_names().join(" "));
    text += &list("_circus_keys", &keys(false).join(" "));
    text += &list("_circus_settable", &keys(true).join(" "));

    text += "\n# The argument of an option.\n_circus_argument() {\n    case $1 in\n";
    for option in &valued {
        let does = match argument(option.value.as_deref().unwrap_or_default()) {
            Argument::Words(words) if words == signal_names() => "compadd -- $_circus_signals".into(),
            Argument::Words(words) => format!("compadd -- {}", words.join(" ")),
            Argument::File => "_files".into(),
            Argument::Anything => format!("_message {}", option.name),
        };
        text += &format!("    --{}) {does} ;;\n", option.name);
    }
    text += "    esac\n}\n\n# The options that can stand here.\n_circus_options() {\n    local -a options\n";
    text += "    case $part-$command in\n";
    for command in COMMANDS.iter().filter(|command| command.flags().next().is_some()) {
        text += &format!("    ctl-{}) {}", command.name, describe(&flags_of(command)));
    }
    for (name, options) in &facts.parts {
        let rest = if name == "ctl" { "" } else { "*" };
        text += &format!("    {name}-{rest}) {}", describe(options));
    }
    text += &format!(
        "    -*) {}    esac\n    _describe -o -t options option options\n}}\n",
        describe(&facts.daemon)
    );

    text += "\n# The word behind a command.\n_circus_behind() {\n    case \"$command $place\" in\n";
    for kind in WORDS {
        let does = match kind {
            Word::Watcher => "_circus_watchers",
            Word::Key => "compadd -- $_circus_keys",
            Word::Settable => "compadd -- $_circus_settable",
            Word::Value => "_circus_value",
            Word::Signal => "compadd -- $_circus_signals",
        };
        text += &format!("    {}) {does} ;;\n", cases(kind));
    }
    for (place, words) in fixed() {
        text += &format!("    '{place}') compadd -- {} ;;\n", words.join(" "));
    }
    text += "    esac\n}\n\n# The value of an option that is set.\n_circus_value() {\n    case $prev in\n";
    for (keys, words) in grouped() {
        text += &format!("    {}) compadd -- {} ;;\n", keys.join(" | "), words.join(" "));
    }
    text + "    esac\n}\n" + TAIL
}
