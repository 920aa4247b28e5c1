//! Requests of a client: frames with nothing but `extended`.

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, IgnoredAny};
use serde_json::value::RawValue;

use crate::credential::Credential;
use crate::extended;
use crate::frame_error::FrameError;
use crate::line::to_line;
use crate::page::Page;
use crate::topic_name::TopicName;

/// A request of an extended client.
#[derive(Debug)]
pub enum Request {
    /// `auth`: log in, or renew a login before it expires.
    Auth(Credential),
    /// `leave`: leave these topics.
    Leave(Vec<TopicName>),
    /// `who`: send a page of the members of this topic with a name.
    Who(TopicName, Page),
    /// `lookup`: send the address of this user.
    Lookup(String),
    /// `topics`: send a page of the topics.
    Topics(Page),
    /// `history`: send messages of this topic before a number, or its newest ones.
    History {
        /// The topic.
        topic: TopicName,
        /// The messages with lower numbers than this; without it, the newest ones.
        before: Option<u64>,
        /// The most messages.
        limit: Option<u64>,
    },
    /// `ping`: send a pong with the same value.
    Ping(Box<RawValue>),
    /// `pong`: the answer to a ping of the server's.
    Pong,
    /// `end`: the client has finished sending, like a peer that closes its sending side.
    End,
}

/// The possible members, of which exactly one must be there. A member counts even if it is null.
#[derive(serde::Deserialize)]
struct Members<'a> {
    #[serde(default, deserialize_with = "present")]
    auth: Option<Credential>,
    #[serde(borrow, default, deserialize_with = "present")]
    leave: Option<Names<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    who: Option<Who<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    lookup: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    topics: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    history: Option<Range<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    ping: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "present")]
    pong: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    end: Option<IgnoredAny>,
}

/// The one member of a request that is written.
#[derive(serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Written<'a> {
    Auth(&'a Credential),
    Leave(Vec<&'a str>),
    Who(WrittenWho<'a>),
    Lookup(&'a str),
    Topics(&'a Page),
    History(Range<'a>),
    Ping(&'a RawValue),
    Pong(()),
    End(Nothing),
}

/// An object without members.
#[derive(serde::Serialize)]
struct Nothing {}

/// `who` as it is written: the name alone if its first page is asked for.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum WrittenWho<'a> {
    First(&'a str),
    Page {
        topic: &'a str,
        #[serde(flatten)]
        page: &'a Page,
    },
}

impl<'a> From<&'a Request> for Written<'a> {
    fn from(request: &'a Request) -> Self {
        match request {
            Request::Auth(credential) => Self::Auth(credential),
            Request::Leave(topics) => Self::Leave(topics.iter().map(TopicName::as_str).collect()),
            Request::Who(topic, page) if *page == Page::default() => {
                Self::Who(WrittenWho::First(topic.as_str()))
            }
            Request::Who(topic, page) => Self::Who(WrittenWho::Page {
                topic: topic.as_str(),
                page,
            }),
            Request::Lookup(user) => Self::Lookup(user),
            Request::Topics(page) => Self::Topics(page),
            Request::History {
                topic,
                before,
                limit,
            } => Self::History(Range {
                topic: topic.as_str().into(),
                before: *before,
                limit: *limit,
            }),
            Request::Ping(value) => Self::Ping(value),
            Request::Pong => Self::Pong(()),
            Request::End => Self::End(Nothing {}),
        }
    }
}

/// The value of `history`.
#[derive(serde::Serialize, serde::Deserialize)]
struct Range<'a> {
    #[serde(borrow)]
    topic: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
}

/// Names of topics, or a single one, as in a registration.
#[derive(serde::Deserialize)]
#[serde(untagged, expecting = "\"leave\" is an array of strings")]
enum Names<'a> {
    One(#[serde(borrow)] Cow<'a, str>),
    Many(#[serde(borrow)] Vec<Cow<'a, str>>),
}

/// A topic's name, or an object with it and the page.
#[derive(serde::Deserialize)]
#[serde(
    untagged,
    expecting = "\"who\" is a topic's name, or an object with \"topic\", \"after\" and \"limit\""
)]
enum Who<'a> {
    First(#[serde(borrow)] Cow<'a, str>),
    Page {
        #[serde(borrow)]
        topic: Cow<'a, str>,
        #[serde(flatten)]
        page: Page,
    },
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
        found.extend(members.auth.map(Self::Auth));
        if let Some(names) = members.leave {
            found.push(Self::Leave(names.read()?));
        }
        if let Some(who) = members.who {
            let (topic, page) = match who {
                Who::First(topic) => (topic, Page::default()),
                Who::Page { topic, page } => (topic, page),
            };
            found.push(Self::Who(TopicName::new(&topic)?, page));
        }
        found.extend(members.lookup.map(|user| Self::Lookup(user.into_owned())));
        if let Some(page) = members.topics {
            found.push(Self::Topics(topics_page(page)?));
        }
        if let Some(range) = members.history {
            found.push(Self::History {
                topic: TopicName::new(&range.topic)?,
                before: range.before,
                limit: range.limit,
            });
        }
        found.extend(members.ping.map(|value| Self::Ping(value.to_owned())));
        found.extend(members.pong.map(|_| Self::Pong));
        found.extend(members.end.map(|_| Self::End));
        match (found.pop(), found.is_empty()) {
            (Some(request), true) => Ok(request),
            (Some(_), false) => Err(FrameError::SeveralRequests),
            (None, _) => Err(FrameError::Extended),
        }
    }
}

/// The page of topics that is asked for. Any value but an object asks for the first.
fn topics_page(json: &RawValue) -> Result<Page, FrameError> {
    match json.get().starts_with('{') {
        true => Ok(extended::read(json.get().as_bytes())?),
        false => Ok(Page::default()),
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
    use std::num::NonZeroU32;

    use super::*;
    use crate::{Frame, Limits, Scan, Scanner, Secret};

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
        let page = |after: Option<&str>, limit: Option<u32>| Page {
            after: after.map(Into::into),
            limit: limit.and_then(NonZeroU32::new),
        };
        let token = Secret::new("ntr_a_b").unwrap();
        for (request, line) in [
            (
                Request::Auth(Credential::Token(token)),
                r#"{"extended":{"auth":"ntr_a_b"}}"#,
            ),
            (
                Request::Leave(vec![topic("a\"b"), topic("c")]),
                r#"{"extended":{"leave":["a\"b","c"]}}"#,
            ),
            (
                Request::Who(topic("t"), Page::default()),
                r#"{"extended":{"who":"t"}}"#,
            ),
            (
                Request::Who(topic("t"), page(Some("al\"ice"), None)),
                r#"{"extended":{"who":{"topic":"t","after":"al\"ice"}}}"#,
            ),
            (
                Request::Lookup("bob".into()),
                r#"{"extended":{"lookup":"bob"}}"#,
            ),
            (
                Request::Topics(Page::default()),
                r#"{"extended":{"topics":{}}}"#,
            ),
            (
                Request::Topics(page(Some("lab"), Some(7))),
                r#"{"extended":{"topics":{"after":"lab","limit":7}}}"#,
            ),
            (
                Request::History {
                    topic: topic("t"),
                    before: Some(58),
                    limit: None,
                },
                r#"{"extended":{"history":{"topic":"t","before":58}}}"#,
            ),
            (Request::ping(1), r#"{"extended":{"ping":1}}"#),
            (Request::Pong, r#"{"extended":{"pong":null}}"#),
            (Request::End, r#"{"extended":{"end":{}}}"#),
        ] {
            let written = request.to_line();
            assert_eq!(written, format!("{line}\n").as_bytes());
            assert_eq!(format!("{:?}", read(&written)), format!("{request:?}"));
        }
    }
}
