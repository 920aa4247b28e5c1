//! Completions of `chat` for three shells: with one dash, as the specification writes
//! options, and with two; and with the servers' names of the configuration file.

use std::fmt::Write as _;

use clap::{Arg, Command, ValueHint};

/// Prints the servers' names.
const SERVERS: &str =
    r#"--print-config 2>/dev/null | sed -n '/^\[servers\]/,$s/^"\(.*\)" = .*/\1/p'"#;

struct Opt<'a> {
    name: &'a str,
    help: String,
    takes: Takes,
}

enum Takes {
    Nothing,
    Values(Vec<String>),
    File,
    Anything(String),
}

fn options(command: &Command) -> Vec<Opt<'_>> {
    let option = |arg: &'_ Arg| {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let values: Vec<String> = arg
            .get_possible_values()
            .iter()
            .map(|value| value.get_name().to_owned())
            .collect();
        let name = arg.get_value_names().and_then(|names| names.first());
        let takes = match arg.get_action().takes_values() {
            false => Takes::Nothing,
            true if arg.get_value_hint() == ValueHint::FilePath => Takes::File,
            true if name.is_some_and(|name| name == "FILE") => Takes::File,
            true if !values.is_empty() => Takes::Values(values),
            true => Takes::Anything(name.map(ToString::to_string).unwrap_or_default()),
        };
        (help, takes)
    };
    let named = command.get_arguments().filter_map(|arg| {
        let (help, takes) = option(arg);
        let name = arg.get_long()?;
        Some(Opt { name, help, takes })
    });
    named.collect()
}

pub(crate) fn bash(command: &Command) -> String {
    let options = options(command);
    let names = |dash: &str| {
        let names = options
            .iter()
            .map(|option| format!("{dash}{}", option.name));
        names.collect::<Vec<_>>().join(" ")
    };
    let mut cases = String::new();
    for Opt { name, takes, .. } in &options {
        let words = match takes {
            Takes::Nothing => continue,
            Takes::Values(values) => format!("compgen -W '{}' -- \"$cur\"", values.join(" ")),
            Takes::File => "compgen -f -- \"$cur\"".into(),
            Takes::Anything(_) => "true".into(),
        };
        let _ = writeln!(
            cases,
            "        -{name} | --{name}) mapfile -t COMPREPLY < <({words}); return ;;"
        );
    }
    format!(
        r#"# Completions of chat for bash.
_chat() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD - 1]}}
    case $prev in
{cases}    esac
    case $cur in
        --*) mapfile -t COMPREPLY < <(compgen -W '{}' -- "$cur") ;;
        -*) mapfile -t COMPREPLY < <(compgen -W '{}' -- "$cur") ;;
        *@*) mapfile -t COMPREPLY < <(compgen -P "${{cur%@*}}@" -W "$(_chat_servers)" -- "${{cur##*@}}") ;;
        *) mapfile -t COMPREPLY < <(compgen -W "$(_chat_servers)" -- "$cur") ;;
    esac
}}

# The servers' names in the configuration file.
_chat_servers() {{
    "${{COMP_WORDS[0]}}" {SERVERS}
}}

complete -F _chat chat
"#,
        names("--"),
        names("-"),
    )
}

pub(crate) fn zsh(command: &Command) -> String {
    let mut specs = String::new();
    for Opt { name, help, takes } in &options(command) {
        let help = help
            .replace('\'', r"'\''")
            .replace('[', r"\[")
            .replace(']', r"\]");
        let takes = match takes {
            Takes::Nothing => String::new(),
            Takes::Values(values) => format!(":value:({})", values.join(" ")),
            Takes::File => ":file:_files".into(),
            Takes::Anything(value) => format!(":{value}: "),
        };
        let _ = writeln!(
            specs,
            "        '(-{name} --{name})'{{-{name},--{name}}}'[{help}]{takes}' \\"
        );
    }
    format!(
        r#"#compdef chat
# Completions of chat for zsh.

# The servers' names in the configuration file.
_chat_servers() {{
    local -a servers
    servers=(${{(f)"$("${{words[1]}}" {SERVERS})"}})
    compadd -a servers
}}

_chat() {{
    _arguments \
{specs}        '*:address, port or topic:_chat_servers'
}}

_chat "$@"
"#
    )
}

pub(crate) fn fish(command: &Command) -> String {
    let mut lines = String::new();
    for Opt { name, help, takes } in &options(command) {
        let help = help.replace('\\', "\\\\").replace('\'', r"\'");
        let takes = match takes {
            Takes::Nothing => String::new(),
            Takes::Values(values) => format!(" -x -a '{}'", values.join(" ")),
            Takes::File => " -r -F".into(),
            Takes::Anything(_) => " -x".into(),
        };
        let _ = writeln!(
            lines,
            "complete -c chat -o {name} -l {name} -d '{help}'{takes}"
        );
    }
    format!(
        r#"# Completions of chat for fish.

# The servers' names in the configuration file.
function __chat_servers
    chat {SERVERS}
end

complete -c chat -f -a '(__chat_servers)'
{lines}"#
    )
}
