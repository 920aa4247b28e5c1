//! What a client asks of the server in a frame with nothing but `extended`.

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, IgnoredAny};
use serde_json::value::RawValue;

use crate::frame::to_line;
use crate::{FrameError, TopicName, extended};

/// A question, or a wish, of an extended client.
#[derive(Debug)]
pub enum Request {
    /// `leave`: of these topics it wants no more.
    Leave(Vec<TopicName>),
    /// `who`: who is in this topic?
    Who(TopicName),
    /// `lookup`: where is this user?
    Lookup(String),
    /// `topics`: what topics are there?
    Topics,
    /// `ping`: is the server still there? It answers with the same value.
    Ping(Box<RawValue>),
    /// `pong`: the answer to a ping of the server's.
    Pong,
}

/// The members of which there is one. That a member is there counts, even where
/// it is null.
#[derive(serde::Deserialize)]
struct Members<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    leave: Option<Names<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    who: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    lookup: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "present")]
    topics: Option<IgnoredAny>,
    #[serde(borrow, default, deserialize_with = "present")]
    ping: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "present")]
    pong: Option<IgnoredAny>,
}

/// The one member of a request that is written.
#[derive(serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Written<'a> {
    Leave(Vec<&'a str>),
    Who(&'a str),
    Lookup(&'a str),
    Topics {},
    Ping(&'a RawValue),
    Pong(()),
}

impl<'a> From<&'a Request> for Written<'a> {
    fn from(request: &'a Request) -> Self {
        match request {
            Request::Leave(topics) => Self::Leave(topics.iter().map(TopicName::as_str).collect()),
            Request::Who(topic) => Self::Who(topic.as_str()),
            Request::Lookup(user) => Self::Lookup(user),
            Request::Topics => Self::Topics {},
            Request::Ping(value) => Self::Ping(value),
            Request::Pong => Self::Pong(()),
        }
    }
}

/// Names of topics, or a lone one, as in a registration.
#[derive(serde::Deserialize)]
#[serde(untagged, expecting = "\"leave\" is an array of strings")]
enum Names<'a> {
    One(#[serde(borrow)] Cow<'a, str>),
    Many(#[serde(borrow)] Vec<Cow<'a, str>>),
}

fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

impl Request {
    /// A ping that the server answers with this number.
    pub fn ping(number: u64) -> Self {
        let value = serde_json::value::to_raw_value(&number);
        // Writing a number into memory can't fail.
        Self::Ping(value.unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }

    /// The frame as it goes over the wire: one line, with its end.
    ///
    /// A [`Request::Pong`] is written without the ping's value, which reading
    /// drops too: the answer to a ping is [`Event::Pong`](crate::Event::Pong).
    pub fn to_line(&self) -> Vec<u8> {
        #[derive(serde::Serialize)]
        struct Frame<'a> {
            extended: Written<'a>,
        }
        to_line(&Frame {
            extended: Written::from(self),
        })
    }

    /// Reads the value of `extended`, which is valid JSON.
    pub(crate) fn read(json: &[u8]) -> Result<Self, FrameError> {
        let members: Members<'_> = extended::read(json)?;
        let mut found = Vec::with_capacity(1);
        if let Some(names) = members.leave {
            found.push(Self::Leave(names.read()?));
        }
        if let Some(topic) = members.who {
            found.push(Self::Who(TopicName::new(&topic)?));
        }
        found.extend(members.lookup.map(|user| Self::Lookup(user.into_owned())));
        found.extend(members.topics.map(|_| Self::Topics));
        found.extend(members.ping.map(|value| Self::Ping(value.to_owned())));
        found.extend(members.pong.map(|_| Self::Pong));
        match (found.pop(), found.is_empty()) {
            (Some(request), true) => Ok(request),
            (Some(_), false) => Err(FrameError::SeveralRequests),
            (None, _) => Err(FrameError::Extended),
        }
    }
}

impl Names<'_> {
    fn read(self) -> Result<Vec<TopicName>, FrameError> {
        let names = match self {
            Self::One(name) => vec![name],
            Self::Many(names) => names,
        };
        let read = |name: Cow<'_, str>| TopicName::new(&name).map_err(FrameError::from);
        names.into_iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Frame, Limits, Scan, Scanner};

    fn read(line: &[u8]) -> Request {
        let scan = Scanner::new(Limits::default()).scan(line).unwrap();
        let Scan::Value(value) = scan else {
            panic!("{scan:?}");
        };
        match Frame::read(line, &value).unwrap() {
            Frame::Request(request) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_request_is_written_as_it_is_read() {
        let topic = |name| TopicName::new(name).unwrap();
        for (request, line) in [
            (
                Request::Leave(vec![topic("a\"b"), topic("c")]),
                r#"{"extended":{"leave":["a\"b","c"]}}"#,
            ),
            (Request::Who(topic("t")), r#"{"extended":{"who":"t"}}"#),
            (
                Request::Lookup("bob".into()),
                r#"{"extended":{"lookup":"bob"}}"#,
            ),
            (Request::Topics, r#"{"extended":{"topics":{}}}"#),
            (Request::ping(1), r#"{"extended":{"ping":1}}"#),
            (Request::Pong, r#"{"extended":{"pong":null}}"#),
        ] {
            let written = request.to_line();
            assert_eq!(written, format!("{line}\n").as_bytes());
            assert_eq!(format!("{:?}", read(&written)), format!("{request:?}"));
        }
    }
}
