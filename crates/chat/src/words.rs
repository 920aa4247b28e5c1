//! What a person reads about each event and error.
//!
//! The client library reports events and typed errors; only this file has the sentences. Every
//! function is pure: the caller decides what is shown where.

mod access;
mod tls;

use std::fmt::Display;

use client::dial::DialError;
use client::link::LinkError;
use client::{
    ClientError, Disconnect, Event, Person, Refusal, RequestRefused, ServerError, Topic,
    Undelivered,
};
use wire::{Address, ErrorCode, TopicName};

use crate::output::plural::counted;
use crate::output::shell::Word;

/// The program that should be running on a topic server.
pub(crate) const TOPICSERVER: &str = "topicserver";
/// The answer to a request when there is no server.
pub(crate) const NO_SERVER: &str = "only a topic server can answer that, and not with --classic";
/// Something was typed after the connection was lost.
pub(crate) const KEPT: &str = "not connected: what is typed is kept and sent later";

/// Topics that an answer lists at most; further ones are counted.
const LONGEST_ANSWER: usize = 20;
/// Characters of a line that identify it.
const SHOWN: usize = 60;

/// A notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Words {
    /// For information.
    Info(String),
    /// Something is lost, or isn't as it should be.
    Warning(String),
}

fn info(what: impl Display) -> Vec<Words> {
    vec![Words::Info(what.to_string())]
}

fn warning(what: impl Display) -> Vec<Words> {
    vec![Words::Warning(what.to_string())]
}

/// The notices for an event of the client.
pub(crate) fn event(event: &Event, server: &str) -> Vec<Words> {
    match event {
        Event::LineRefused { line, error } => {
            let what = if error.is(ErrorCode::StorageFull) {
                "is not stored, so only those who were there got it"
            } else {
                "was not delivered"
            };
            let line = shortened(&line.text);
            warning(format_args!("a line {what}: {line} ({error})"))
        }
        Event::Joined { topics, again } => info(joined(topics, server, *again)),
        Event::Left(topic) => info(format_args!("left {topic}")),
        Event::NameTaken(name) => info(format_args!("the name {name} is taken")),
        Event::NameReserved(_)
        | Event::Authenticated { .. }
        | Event::NotAuthenticated
        | Event::JoinRefused { .. }
        | Event::Removed { .. } => access::event(event, server),
        Event::Gap { topic, count } => {
            let messages = counted(*count, "message", "messages");
            warning(format_args!(
                "{messages} of {topic} can't be recovered: the server no longer has them"
            ))
        }
        Event::Incomplete(topic) => warning(format_args!(
            "messages of {topic} that were sent meanwhile may be missing: not all could be \
             recovered"
        )),
        Event::HistoryFailed { topic, error } => warning(format_args!(
            "older messages of {topic} can't be fetched: {error}"
        )),
        Event::RequestRefused(RequestRefused::NotConnected) => {
            warning("not connected: ask again when you are")
        }
        Event::RequestRefused(RequestRefused::Unsupported) => warning(format_args!(
            "{server} doesn't know the extended protocol, and can't answer"
        )),
        Event::ServerError(error) => {
            let error = access::reason(error);
            warning(format_args!("{server} says: {error}"))
        }
        Event::Notice(text) => warning(format_args!("{server} says: {text}")),
        Event::FellBack => info(format_args!(
            "{server} doesn't know the extended protocol: there are no names and no history, and \
             nothing is acknowledged or recovered (--classic doesn't ask for it)"
        )),
        Event::Recovered => info(format_args!(
            "{server} has answered after all: what is sent from now on is acknowledged"
        )),
        event => connection(event, server),
    }
}

/// The notices for an event of the connection.
fn connection(event: &Event, server: &str) -> Vec<Words> {
    match event {
        Event::Secured(proof) => tls::secured(*proof, server),
        Event::StillConnecting { server } => info(still_connecting(server)),
        Event::Unreachable(error) => match error.is_final() {
            true => warning(next_address(dial_error(error, TOPICSERVER))),
            false => info(next_address(dial_error(error, TOPICSERVER))),
        },
        Event::Disconnected { cause, .. } => warning(format_args!(
            "the connection to {server} is lost: {}",
            disconnect(cause, server)
        )),
        Event::Retrying { pause, error } => {
            let seconds = pause.as_secs_f64();
            info(match error {
                None if pause.is_zero() => "trying again".to_owned(),
                None => format!("trying again in {seconds:.1} s"),
                Some(error) => {
                    let error = dial_error(error, TOPICSERVER);
                    format!("trying again in {seconds:.1} s: {error}")
                }
            })
        }
        _ => Vec::new(),
    }
}

/// Whether nothing is lost by the event, because the client goes on by itself.
pub(crate) fn will_pass(event: &Event) -> bool {
    match event {
        Event::Disconnected { .. } | Event::Retrying { .. } => true,
        Event::Unreachable(error) => !error.is_final(),
        _ => false,
    }
}

/// One address of a server doesn't do.
pub(crate) fn next_address(why: impl Display) -> String {
    format!("{why}; the next address is tried")
}

/// The topics that an event is about; none if it is about none.
pub(crate) fn about(event: &Event) -> Vec<&str> {
    match event {
        Event::Joined { topics, .. } => topics.iter().map(TopicName::as_str).collect(),
        Event::LineRefused { line, .. } => vec![line.topic.as_str()],
        Event::Incomplete(topic) | Event::HistoryFailed { topic, .. } => vec![topic.as_str()],
        Event::Gap { topic, .. }
        | Event::Members { topic, .. }
        | Event::UserJoined { topic, .. }
        | Event::UserLeft { topic, .. } => vec![topic],
        Event::Removed { topic, .. } => vec![topic.as_str()],
        _ => Vec::new(),
    }
}

/// The notices for a person about an event with people and topics.
pub(crate) fn news(event: &Event, server: &str) -> Vec<Words> {
    match event {
        Event::UserJoined { user, topic, .. } => info(format_args!("{user} has joined {topic}")),
        Event::UserLeft { user, topic } => info(format_args!("{user} has left {topic}")),
        Event::Topics(topics) => list(topics),
        Event::Members {
            topic,
            count,
            users,
            more,
        } => members(topic, *count, users, *more, server),
        Event::Found { user, ip, port } => info(format_args!("{user} is at {}", address(ip, port))),
        _ => Vec::new(),
    }
}

fn joined(topics: &[TopicName], server: &str, again: bool) -> String {
    let names: Vec<&str> = topics.iter().map(TopicName::as_str).collect();
    let again = if again { " again" } else { "" };
    format!("joined {} at {server}{again}", names.join(", "))
}

fn members(topic: &str, count: u64, users: &[Person], more: bool, server: &str) -> Vec<Words> {
    let others = count.saturating_sub(users.len() as u64);
    let names: Vec<&str> = users.iter().map(|person| person.user.as_str()).collect();
    let mut who = names.join(", ");
    if others > 0 {
        let and = if who.is_empty() { "" } else { ", and " };
        let what = if more { "others" } else { "without a name" };
        who += &format!("{and}{others} {what}");
    }
    let mut words = info(format_args!("in {topic}: {who}"));
    if count <= 1 {
        let (server, is_option) = (Word(server.to_string()), topic.starts_with('-'));
        let before = if is_option { "-- " } else { "" };
        let topic = Word(topic);
        words.extend(info(format_args!(
            "nobody else is here yet; others come with: chat -topic {server} {before}{topic}"
        )));
    }
    words
}

fn list(topics: &[Topic]) -> Vec<Words> {
    if topics.is_empty() {
        return info("there are no topics");
    }
    let line = |topic: &Topic| {
        let members = counted(topic.members, "member", "members");
        let messages = counted(topic.messages, "message", "messages");
        Words::Info(format!("{}: {members}, {messages} so far", topic.name))
    };
    let mut sorted: Vec<_> = topics.iter().collect();
    sorted.sort_by_key(|topic| std::cmp::Reverse(topic.members));
    let shown = sorted.into_iter().take(LONGEST_ANSWER);
    let mut words: Vec<_> = shown.map(line).collect();
    if let more @ 1.. = topics.len().saturating_sub(LONGEST_ANSWER) {
        words.extend(info(format_args!("and {more} more")));
    }
    words
}

/// Connecting takes unusually long.
pub(crate) fn still_connecting(address: &Address) -> String {
    format!("still connecting to {address}")
}

/// The other side doesn't close.
pub(crate) fn kept_open(peer: impl Display) -> String {
    format!("everything is sent; {peer} keeps the connection open and isn't waited for any longer")
}

/// Why a server doesn't say where a user is.
pub(crate) fn lookup_error(code: &str, text: &str) -> String {
    if code == ErrorCode::UnknownUser.as_str() {
        return text.into();
    }
    access::reason(&ServerError {
        code: code.into(),
        text: text.into(),
    })
}

/// An address as it is typed: IPv6 in brackets.
pub(crate) fn address(ip: &str, port: &str) -> String {
    match ip.contains(':') {
        true => format!("[{ip}]:{port}"),
        false => format!("{ip}:{port}"),
    }
}

/// Why no connection was made. `expected` is the program that should be running there.
pub(crate) fn dial_error(error: &DialError, expected: &str) -> String {
    match error {
        DialError::NotFound { .. } => format!("{error}; is the name right?"),
        DialError::Refused { .. } => format!("{error}: is {expected} running there?"),
        DialError::Timeout { .. } => format!(
            "{error}: are the address and the network right? (--connect-timeout waits longer)"
        ),
        DialError::Failed { .. } => format!("{error}; are the address and the network right?"),
        DialError::Tls { address, source } => tls::error(address, source),
        DialError::SecretInPlain { address } => access::secret_in_plain(address),
    }
}

/// Why no connection was made to any address of a server.
pub(crate) fn unreachable(errors: &[DialError]) -> String {
    let errors = errors.iter().map(|error| dial_error(error, TOPICSERVER));
    let errors: Vec<_> = errors.collect();
    match &errors[..] {
        [error] => error.clone(),
        errors => format!("none of the addresses can be used: {}", errors.join("; ")),
    }
}

/// How a connection was lost.
pub(crate) fn link_error(error: &LinkError) -> String {
    match error {
        LinkError::Io(error) => error.to_string(),
        LinkError::Scan(error) => format!("what came is no frame ({}: {error})", error.code()),
        LinkError::Unfinished => "it ended in the middle of a frame".into(),
        LinkError::Cut => "it was cut off".into(),
        LinkError::Closed => "the other side closed it".into(),
    }
}

/// Why a connection to a server was lost.
fn disconnect(cause: &Disconnect, server: &str) -> String {
    match cause {
        Disconnect::Link(error) => link_error(error),
        Disconnect::Silent => "the other side stopped responding".into(),
        Disconnect::Asked => "the server has asked to connect again".into(),
        Disconnect::Server(error) if error.is(ErrorCode::TlsRequired) => tls::required(server),
        Disconnect::Server(error) => access::reason(error),
        Disconnect::Dial(error) => dial_error(error, TOPICSERVER),
    }
}

/// Why a client has ended without having delivered everything.
pub(crate) fn client_error(error: &ClientError, server: &str) -> String {
    match error {
        ClientError::Dial(error) => dial_error(error, TOPICSERVER),
        ClientError::Unreachable(errors) => unreachable(errors),
        ClientError::NoRandomness(error) => format!("can't make a key: {error}"),
        ClientError::Lost { cause, undelivered } => {
            lost(server, &disconnect(cause, server), undelivered)
        }
        ClientError::Unconnected => format!(
            "the input has ended, and {server} can't be reached: the last lines may not have \
             arrived"
        ),
        ClientError::Unacknowledged {
            timeout,
            undelivered: left,
        } => format!(
            "{server} acknowledged nothing for {} s: {}; is it running, and is the network up? \
             (--ack-timeout waits longer)",
            timeout.as_secs_f64(),
            undelivered(left)
        ),
        ClientError::NoHistory { timeout } => format!(
            "{server} did not send the older messages within {} s: is it running, and is the \
             network up? (--ack-timeout waits longer)",
            timeout.as_secs_f64()
        ),
        ClientError::NameTaken(name) => {
            format!("the name {name} is taken at {server}: choose another one (--name)")
        }
        ClientError::NameReserved(name) => format!(
            "the name {name} is reserved at {server}: choose another one (--name), or prove that \
             it is yours (--token-file, --user)"
        ),
        ClientError::Refused(Refusal::Server(error)) => {
            format!("{server} refused to let us join: {}", access::reason(error))
        }
        ClientError::Refused(refusal) => {
            format!("{server} refused to let us join: {refusal}")
        }
    }
}

/// A connection that was lost, and what that means for the input.
pub(crate) fn lost(peer: impl Display, cause: &str, left: &Undelivered) -> String {
    let left = undelivered(left);
    format!("the connection to {peer} is lost: {cause}; {left}")
}

/// What happened to the typed lines.
pub(crate) fn undelivered(undelivered: &Undelivered) -> String {
    match undelivered {
        Undelivered::Unsent(0) => "the last lines may not have arrived".into(),
        Undelivered::Unsent(count) => {
            let lines = counted(*count as u64, "line", "lines");
            format!("{lines} could not be sent")
        }
        Undelivered::Unacknowledged { count: 0, .. } => "all that was typed has arrived".into(),
        Undelivered::Unacknowledged { count: 1, first } => {
            format!("1 line may not have arrived: {}", shortened(first))
        }
        Undelivered::Unacknowledged { count, first } => {
            let first = shortened(first);
            format!("{count} lines may not have arrived, the first: {first}")
        }
    }
}

/// A line as a notice names it: in quotation marks, its beginning if it is long.
pub(crate) fn shortened(line: &str) -> String {
    match line.char_indices().nth(SHOWN) {
        None => format!("\"{line}\""),
        Some((end, _)) => format!("\"{}…\"", &line[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_named_by_its_beginning() {
        assert_eq!(
            shortened("é".repeat(60).as_str()),
            format!("\"{}\"", "é".repeat(60))
        );
        assert_eq!(
            shortened("é".repeat(61).as_str()),
            format!("\"{}…\"", "é".repeat(60))
        );
        assert_eq!(shortened(""), "\"\"");
    }

    #[test]
    fn one_is_singular_wherever_something_is_counted() {
        let topic = |members, messages| Topic {
            name: "t".into(),
            members,
            messages,
        };
        assert_eq!(list(&[topic(1, 1)]), info("t: 1 member, 1 message so far"));
        assert_eq!(
            list(&[topic(0, 2)]),
            info("t: 0 members, 2 messages so far")
        );
        assert_eq!(
            undelivered(&Undelivered::Unsent(1)),
            "1 line could not be sent"
        );
        assert_eq!(
            undelivered(&Undelivered::Unsent(2)),
            "2 lines could not be sent"
        );
    }

    #[test]
    fn addresses_are_shown_as_they_are_typed() {
        assert_eq!(address("::1", "2"), "[::1]:2");
        assert_eq!(address("127.0.0.1", "2"), "127.0.0.1:2");
    }
}
