//! What a line means that begins with a slash.
//!
//! Reads lines and nothing else: whoever typed one carries it out. A line that
//! looks like a command and is none is never sent.

use wire::{TopicName, UserName};

/// What was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Something to say where one is speaking.
    Say(String),
    /// `/me`: something that one does.
    Me(String),
    /// `/join`: take part in a topic, and speak there.
    Join(TopicName),
    /// `/leave`: without a name, the topic where one speaks.
    Leave(Option<TopicName>),
    /// `/topic`: speak there; without a name, say where one can.
    Topic(Option<TopicName>),
    /// `/who`: without a name, where one speaks.
    Who(Option<TopicName>),
    /// `/topics`.
    Topics,
    /// `/lookup`.
    Lookup(UserName),
    /// `/call`.
    Call(UserName),
    /// `/accept`.
    Accept,
    /// `/decline`.
    Decline,
    /// `/hangup`.
    HangUp,
    /// `/last`.
    Last(u64),
    /// `/search`.
    Search(String),
    /// `/help`.
    Help,
    /// `/quit`.
    Quit,
}

/// A command as it is explained.
struct Entry {
    name: &'static str,
    /// What follows the name.
    takes: &'static str,
    does: &'static str,
}

const COMMANDS: [Entry; 16] = [
    entry(
        "/join",
        "TOPIC",
        "take part in a topic too, and speak there",
    ),
    entry(
        "/leave",
        "[TOPIC]",
        "take part no longer; without TOPIC, where you speak",
    ),
    entry(
        "/topic",
        "[TOPIC]",
        "speak there; without TOPIC, say where you can",
    ),
    entry("/who", "[TOPIC]", "who is there"),
    entry("/topics", "", "what topics the server has"),
    entry("/lookup", "NAME", "where somebody can be reached"),
    entry(
        "/call",
        "NAME",
        "talk with somebody directly, if they --listen",
    ),
    entry("/accept", "", "talk with whoever calls you"),
    entry("/decline", "", "don't"),
    entry("/hangup", "", "end the call"),
    entry("/last", "COUNT", "show the last messages again"),
    entry("/search", "TEXT", "what of this run holds TEXT"),
    entry("/me", "TEXT", "say what you do: * alice waves"),
    entry("/help", "", "this"),
    entry("/quit", "", "leave; Ctrl-D does too"),
    entry("//", "TEXT", "say /TEXT, which is no command then"),
];

const KEYS: &str = "\
Tab completes, Up and Ctrl-R bring back what was typed, Alt-Enter begins another
line of the same message. (!) after a name: its letters are of several
scripts, so it may look like somebody else's.
";

const fn entry(name: &'static str, takes: &'static str, does: &'static str) -> Entry {
    Entry { name, takes, does }
}

/// Reads what was typed, or says what is wrong with it.
pub(super) fn read(line: &str) -> Result<Command, String> {
    let Some(rest) = line.strip_prefix('/') else {
        return Ok(Command::Say(line.into()));
    };
    if rest.starts_with('/') {
        return Ok(Command::Say(rest.into()));
    }
    let (name, argument) = match line.split_once(char::is_whitespace) {
        Some((name, argument)) => (name, argument.trim()),
        None => (line, ""),
    };
    let needed = || match argument {
        "" => Err(format!("{name} needs something after it: type /help")),
        text => Ok(text.to_owned()),
    };
    match name {
        "/join" => topic(&needed()?).map(Command::Join),
        "/leave" => optional_topic(argument).map(Command::Leave),
        "/topic" => optional_topic(argument).map(Command::Topic),
        "/who" => optional_topic(argument).map(Command::Who),
        "/topics" => Ok(Command::Topics),
        "/lookup" => {
            let name = UserName::new(&needed()?).map_err(|error| error.to_string())?;
            Ok(Command::Lookup(name))
        }
        "/call" => {
            let name = UserName::new(&needed()?).map_err(|error| error.to_string())?;
            Ok(Command::Call(name))
        }
        "/accept" => Ok(Command::Accept),
        "/decline" => Ok(Command::Decline),
        "/hangup" => Ok(Command::HangUp),
        "/last" => match needed()?.parse() {
            Ok(count) if count > 0 => Ok(Command::Last(count)),
            _ => Err(format!(
                "/last needs a number of messages, not {argument:?}"
            )),
        },
        "/search" => needed().map(Command::Search),
        "/me" => needed().map(Command::Me),
        "/help" => Ok(Command::Help),
        "/quit" => Ok(Command::Quit),
        _ => Err(format!(
            "{name} is no command, and nothing was sent: type /help, or /{line} to say it"
        )),
    }
}

fn topic(name: &str) -> Result<TopicName, String> {
    TopicName::new(name).map_err(|error| error.to_string())
}

fn optional_topic(name: &str) -> Result<Option<TopicName>, String> {
    match name {
        "" => Ok(None),
        name => topic(name).map(Some),
    }
}

/// The commands that begin so, as they are typed.
pub(super) fn beginning_with(start: &str) -> Vec<String> {
    let named = COMMANDS
        .iter()
        .filter(|entry| entry.name.starts_with(start));
    let with_space = |entry: &Entry| match entry.takes {
        "" => entry.name.to_owned(),
        _ => format!("{} ", entry.name),
    };
    named
        .filter(|entry| entry.name != "//")
        .map(with_space)
        .collect()
}

/// What follows the command is a topic's name.
pub(super) fn takes_topic(command: &str) -> bool {
    let mut named = COMMANDS.iter().filter(|entry| entry.name == command);
    named.any(|entry| entry.takes.contains("TOPIC"))
}

/// What there is to type.
pub(super) fn help() -> String {
    let line = |entry: &Entry| {
        let form = format!("{} {}", entry.name, entry.takes);
        format!("  {form:<16} {}\n", entry.does)
    };
    COMMANDS.iter().map(line).collect::<String>() + KEYS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str) -> TopicName {
        TopicName::new(name).expect("a name")
    }

    #[test]
    fn what_begins_with_no_slash_or_with_two_is_said() {
        for (line, said) in [
            ("hello", "hello"),
            (" /who", " /who"),
            ("//who", "/who"),
            ("///", "//"),
            ("", ""),
        ] {
            assert_eq!(read(line), Ok(Command::Say(said.into())), "{line}");
        }
    }

    #[test]
    fn commands_are_read_with_what_they_take() {
        for (line, command) in [
            ("/join lab", Command::Join(topic("lab"))),
            ("/join two words ", Command::Join(topic("two words"))),
            ("/leave", Command::Leave(None)),
            ("/leave lab", Command::Leave(Some(topic("lab")))),
            ("/topic  lab", Command::Topic(Some(topic("lab")))),
            ("/who", Command::Who(None)),
            ("/topics", Command::Topics),
            ("/last 20", Command::Last(20)),
            ("/me waves  twice", Command::Me("waves  twice".into())),
            ("/search a b", Command::Search("a b".into())),
            ("/quit", Command::Quit),
            ("/help", Command::Help),
        ] {
            assert_eq!(read(line), Ok(command), "{line}");
        }
    }

    #[test]
    fn what_is_no_command_is_refused_with_what_to_do() {
        for line in ["/", "/joinlab", "/usr/bin/env", "/Quit", "/wave"] {
            let refusal = read(line).unwrap_err();
            assert!(refusal.contains("nothing was sent"), "{refusal}");
            assert!(refusal.contains(&format!("/{line} to say it")), "{refusal}");
        }
        for line in ["/join", "/me ", "/lookup", "/last", "/last x", "/last 0"] {
            assert!(read(line).unwrap_err().contains("needs"), "{line}");
        }
    }

    #[test]
    fn every_command_is_in_the_help_and_is_known() {
        for Entry { name, .. } in &COMMANDS {
            assert!(help().contains(name));
            assert!(!read(name).is_err_and(|error| error.contains("no command")));
        }
        assert!(help().lines().all(|line| line.len() <= 80), "{}", help());
    }

    #[test]
    fn commands_are_completed() {
        assert_eq!(beginning_with("/l"), ["/leave ", "/lookup ", "/last "]);
        assert_eq!(beginning_with("/topi"), ["/topic ", "/topics"]);
        assert!(takes_topic("/leave") && !takes_topic("/me") && !takes_topic("x"));
    }
}
