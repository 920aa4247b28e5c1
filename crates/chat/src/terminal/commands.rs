//! The commands that a person can type: lines that begin with a slash.
//!
//! Only reads them; [`super::context`] performs them. A line that looks like a command
//! and is none is never sent.

use wire::{TopicName, TopicNameError, UserName, UserNameError};

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
    /// `/nick`: be called otherwise.
    Nick(UserName),
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

const COMMANDS: [Entry; 17] = [
    entry(
        "/join",
        "TOPIC",
        "take part in one more topic, and speak there",
    ),
    entry(
        "/leave",
        "[TOPIC]",
        "leave TOPIC, or the topic where you speak",
    ),
    entry(
        "/topic",
        "[TOPIC]",
        "speak there; without TOPIC, list your topics",
    ),
    entry("/who", "[TOPIC]", "list who is there"),
    entry("/topics", "", "list the server's topics"),
    entry("/lookup", "NAME", "show where somebody can be reached"),
    entry("/nick", "NAME", "change your name, if nobody else has it"),
    entry(
        "/call",
        "NAME",
        "talk with somebody directly, if they --listen",
    ),
    entry("/accept", "", "talk with the person who calls you"),
    entry("/decline", "", "refuse the call"),
    entry("/hangup", "", "end the call"),
    entry("/last", "COUNT", "fetch older messages"),
    entry(
        "/search",
        "TEXT",
        "walk through the messages that contain TEXT",
    ),
    entry("/me", "TEXT", "say what you do: * alice waves"),
    entry("/help", "", "show this help"),
    entry("/quit", "", "leave; Ctrl-D does too"),
    entry("//", "TEXT", "send /TEXT as a line"),
];

const KEYS: &str = "\
Enter sends; Alt-Enter starts a new line within the message; Tab completes.
Up and Ctrl-R bring back earlier lines, Ctrl-_ undoes, Ctrl-W and Ctrl-U cut, Ctrl-Y
puts it back. PageUp, PageDown, Home and End scroll. Alt-1 to Alt-9, Ctrl-N and Ctrl-P
choose a topic, Alt-A the next one with a mention. Alt-S hides the sides, Ctrl-L draws
everything anew. (!) marks a name that mixes scripts, and may look like another one.
";

const fn entry(name: &'static str, takes: &'static str, does: &'static str) -> Entry {
    Entry { name, takes, does }
}

/// Why a line is no command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CommandError {
    /// Its argument is missing.
    #[error("{0} needs something after it: type /help")]
    Incomplete(String),
    /// Its argument is no number of messages.
    #[error("/last needs a number of messages, not {0:?}")]
    NoCount(String),
    /// Its argument is no topic.
    #[error(transparent)]
    Topic(#[from] TopicNameError),
    /// Its argument is no user's name.
    #[error(transparent)]
    User(#[from] UserNameError),
    /// There is no such command.
    #[error("{name} is no command, and nothing was sent: type /help, or /{line} to say it")]
    Unknown {
        /// How it begins.
        name: String,
        /// All that was typed.
        line: String,
    },
}

/// Reads what was typed, or says what is wrong with it.
pub(super) fn read(line: &str) -> Result<Command, CommandError> {
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
        "" => Err(CommandError::Incomplete(name.into())),
        text => Ok(text.to_owned()),
    };
    match name {
        "/join" => Ok(Command::Join(TopicName::new(&needed()?)?)),
        "/leave" => optional_topic(argument).map(Command::Leave),
        "/topic" => optional_topic(argument).map(Command::Topic),
        "/who" => optional_topic(argument).map(Command::Who),
        "/topics" => Ok(Command::Topics),
        "/lookup" => Ok(Command::Lookup(UserName::new(&needed()?)?)),
        "/nick" => Ok(Command::Nick(UserName::new(&needed()?)?)),
        "/call" => Ok(Command::Call(UserName::new(&needed()?)?)),
        "/accept" => Ok(Command::Accept),
        "/decline" => Ok(Command::Decline),
        "/hangup" => Ok(Command::HangUp),
        "/last" => match needed()?.parse() {
            Ok(count) if count > 0 => Ok(Command::Last(count)),
            _ => Err(CommandError::NoCount(argument.into())),
        },
        "/search" => needed().map(Command::Search),
        "/me" => needed().map(Command::Me),
        "/help" => Ok(Command::Help),
        "/quit" => Ok(Command::Quit),
        _ => Err(CommandError::Unknown {
            name: name.into(),
            line: line.into(),
        }),
    }
}

fn optional_topic(name: &str) -> Result<Option<TopicName>, CommandError> {
    match name {
        "" => Ok(None),
        name => Ok(Some(TopicName::new(name)?)),
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

/// What follows the command is somebody's name.
pub(super) fn takes_name(command: &str) -> bool {
    let mut named = COMMANDS.iter().filter(|entry| entry.name == command);
    named.any(|entry| entry.takes == "NAME")
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
            let refusal = read(line).unwrap_err().to_string();
            assert!(refusal.contains("nothing was sent"), "{refusal}");
            assert!(refusal.contains(&format!("/{line} to say it")), "{refusal}");
        }
        for line in ["/join", "/me ", "/lookup", "/last", "/last x", "/last 0"] {
            let error = read(line).unwrap_err().to_string();
            assert!(error.contains("needs"), "{line}");
        }
    }

    #[test]
    fn every_command_is_in_the_help_and_is_known() {
        for Entry { name, .. } in &COMMANDS {
            assert!(help().contains(name));
            assert!(!matches!(read(name), Err(CommandError::Unknown { .. })));
        }
        assert!(help().lines().all(|line| line.len() <= 90), "{}", help());
    }

    #[test]
    fn commands_are_completed() {
        assert_eq!(beginning_with("/l"), ["/leave ", "/lookup ", "/last "]);
        assert_eq!(beginning_with("/topi"), ["/topic ", "/topics"]);
        assert!(takes_topic("/leave") && !takes_topic("/me") && !takes_topic("x"));
    }
}
