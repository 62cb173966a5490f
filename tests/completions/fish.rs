//! The completion for fish.

use super::Facts;
use super::facts::{
    Argument, Opt, WORDS, Word, argument, fixed, flags_of, grouped, keys, places, signal_names,
};
use circus::control::commands::COMMANDS;

const HEAD: &str = r#"# fish completion for circus, circusd and circusctl. Made by tests/completions.rs from the tables of commands and
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
"#;

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// A line for an option under a condition.
fn option(program: &str, condition: &str, option: &Opt) -> String {
    let argument = match option.value.as_deref().map(argument) {
        None => String::new(),
        Some(Argument::Words(words)) => format!(" -x -a {}", quoted(&words.join(" "))),
        Some(Argument::File) => " -r -F".into(),
        Some(Argument::Anything) => " -x".into(),
    };
    let (name, help) = (&option.name, quoted(&option.help));
    format!("complete -c {program} -n \"{condition}\" -l {name}{argument} -d {help}\n")
}

pub fn script(facts: &Facts) -> String {
    let all = facts.all();
    let valued: Vec<String> = all
        .iter()
        .filter(|option| option.value.is_some())
        .map(|option| format!("--{}", option.name))
        .collect();
    let parts: Vec<&str> = facts.parts.iter().map(|(name, _)| name.as_str()).collect();
    let mut text = HEAD.to_string();
    text += &format!(
        "\nset -g __circus_parts {}\nset -g __circus_valued {}\n\n",
        parts.join(" "),
        valued.join(" ")
    );
    for (name, _) in &facts.parts {
        let help = quoted(Facts::about(name));
        text += &format!("complete -c circus -n \"__circus_at '' ''\" -a {name} -d {help}\n");
    }
    for it in &facts.daemon {
        text += &option("circus", "__circus_at '' '*'", it);
        text += &option("circusd", "__circus_at '' '*'", it);
    }
    for (name, options) in facts.parts.iter().filter(|(name, _)| name != "ctl") {
        options.iter().for_each(|it| text += &option("circus", &format!("__circus_at {name} '*'"), it));
    }
    for program in ["circus", "circusctl"] {
        text += &format!("\n# circus ctl, as {program}\n");
        for (_, options) in facts.parts.iter().filter(|(name, _)| name == "ctl") {
            options.iter().for_each(|it| text += &option(program, "__circus_at ctl ''", it));
        }
        let at = |what: &str| format!("complete -c {program} -n {what}");
        for command in COMMANDS {
            let (name, help) = (command.name, quoted(command.summary));
            text += &format!("{} -a {name} -d {help}\n", at("\"__circus_at ctl ''\""));
            let condition = format!("__circus_at ctl {name}");
            flags_of(command).iter().for_each(|it| text += &option(program, &condition, it));
        }
        for kind in WORDS {
            let words = match kind {
                Word::Watcher => "(__circus_watchers)".into(),
                Word::Key => keys(false).join(" "),
                Word::Settable => keys(true).join(" "),
                Word::Signal => signal_names().join(" "),
                Word::Value => continue,
            };
            let places: Vec<String> = places(kind).iter().map(|place| format!("'{place}'")).collect();
            text += &format!(
                "{} -a {}\n",
                at(&format!("\"__circus_word {}\"", places.join(" "))),
                quoted(&words)
            );
        }
        for (place, words) in fixed() {
            text +=
                &format!("{} -a {}\n", at(&format!("\"__circus_word '{place}'\"")), quoted(&words.join(" ")));
        }
        let places: Vec<String> = places(Word::Value).iter().map(|place| format!("'{place}'")).collect();
        for (keys, words) in grouped() {
            let condition =
                format!("\"__circus_word {}; and __circus_behind {}\"", places.join(" "), keys.join(" "));
            text += &format!("{} -a {}\n", at(&condition), quoted(&words.join(" ")));
        }
    }
    text
}
