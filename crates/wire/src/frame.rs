//! The frames as types: reading one, writing one.
//!
//! Reading borrows from the bytes and decodes only on request: a server that relays a
//! message never looks into its text.

use std::borrow::Cow;
use std::net::SocketAddr;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::extended;
use crate::frame_error::FrameError;
use crate::line::to_line;
use crate::notes::Span;
use crate::options::{MessageOptions, RegistrationOptions};
use crate::request::Request;
use crate::scan::Value;
use crate::topic_name::TopicName;

/// One frame as it was read, told by its keys.
#[derive(Debug)]
pub enum Frame<'a> {
    /// `topics`.
    Registration {
        /// The names, none twice, in the order given.
        topics: Vec<TopicName>,
        /// `extended`, which makes the connection an extended one.
        options: Option<Box<RegistrationOptions>>,
    },
    /// `message`.
    Message {
        /// `message.topic`; an allowed name.
        topic: Cow<'a, str>,
        /// `message.text`.
        text: JsonStr<'a>,
        /// `extended.id`: the sender wants an acknowledgement.
        id: Option<Cow<'a, str>>,
    },
    /// `extended` alone.
    Request(Request),
}

impl<'a> Frame<'a> {
    /// Reads the frame in a value that a scanner found in `bytes`.
    pub fn read(bytes: &'a [u8], value: &Value) -> Result<Self, FrameError> {
        let json = Json(&bytes[value.start..value.end]);
        if !json.0.starts_with(b"{") {
            return Err(FrameError::NotAnObject(json.kind()));
        }
        let notes = &value.notes;
        if let Some(key) = notes.duplicate {
            return Err(FrameError::Duplicate(key));
        }
        match (notes.topics, notes.message) {
            (Some(topics), None) => Ok(Self::Registration {
                topics: json.part(topics).read_topics()?,
                options: value.extended(bytes).map(extended::read).transpose()?,
            }),
            (None, Some(message)) => Self::read_message(json, message, bytes, value),
            (Some(_), Some(_)) => Err(FrameError::Ambiguous),
            (None, None) => match value.extended(bytes) {
                Some(extended) => Request::read(extended).map(Self::Request),
                None => Err(FrameError::Unknown),
            },
        }
    }

    fn read_message(
        json: Json<'a>,
        message: Span,
        bytes: &'a [u8],
        value: &Value,
    ) -> Result<Self, FrameError> {
        let Received { topic, text } = Received::parts(json, message, value)?;
        Ok(Self::Message {
            topic: topic.as_topic()?,
            text,
            id: match value.extended(bytes) {
                Some(extended) => read_id(extended)?,
                None => None,
            },
        })
    }
}

/// Reads the id under which a message is to be acknowledged. Under `extended` a
/// classic program may have anything at all, which is dropped.
fn read_id(extended: &[u8]) -> Result<Option<Cow<'_, str>>, FrameError> {
    if !extended.starts_with(b"{") {
        return Ok(None);
    }
    let options: MessageOptions<'_> = extended::read(extended)?;
    Ok(options.id)
}

/// A message as its final receiver reads it, with any topic.
///
/// A server needs an allowed name to relay by. A program that only shows the message
/// does not, so it shows messages with any name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received<'a> {
    /// `message.topic`; any text.
    pub topic: JsonStr<'a>,
    /// `message.text`.
    pub text: JsonStr<'a>,
}

impl<'a> Received<'a> {
    /// Reads the message that a scanner found in `bytes`; any other frame is
    /// [`FrameError::Unknown`].
    pub fn read(bytes: &'a [u8], value: &Value) -> Result<Self, FrameError> {
        let json = Json(&bytes[value.start..value.end]);
        match (value.notes.duplicate, value.notes.message) {
            (Some(key), _) => Err(FrameError::Duplicate(key)),
            (None, Some(message)) => Self::parts(json, message, value),
            (None, None) => Err(FrameError::Unknown),
        }
    }

    fn parts(json: Json<'a>, message: Span, value: &Value) -> Result<Self, FrameError> {
        json.part(message).expect("message", "an object", b'{')?;
        let part = |span: Option<Span>, name| {
            let part = json.part(span.ok_or(FrameError::Missing(name))?);
            part.expect(name, "a string", b'"').map(JsonStr)
        };
        Ok(Self {
            topic: part(value.notes.topic, "topic")?,
            text: part(value.notes.text, "text")?,
        })
    }
}

/// A valid JSON value. The scanner has checked that it is UTF-8; it is converted to text only
/// where needed.
#[derive(Clone, Copy)]
struct Json<'a>(&'a [u8]);

impl<'a> Json<'a> {
    fn part(self, span: Span) -> Self {
        Self(self.0.get(span.range()).unwrap_or_default())
    }

    /// The value, if its first byte is that of the right type.
    fn expect(
        self,
        name: &'static str,
        expected: &'static str,
        first: u8,
    ) -> Result<&'a [u8], FrameError> {
        if self.0.first() == Some(&first) {
            return Ok(self.0);
        }
        Err(FrameError::WrongType {
            name,
            expected,
            found: self.kind(),
        })
    }

    /// What kind of value it is, in words.
    fn kind(self) -> &'static str {
        match self.0.first() {
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            Some(b't' | b'f') => "true or false",
            Some(b'n') => "null",
            _ => "a number",
        }
    }

    /// Reads `topics`: an array of names, or a lone one.
    fn read_topics(self) -> Result<Vec<TopicName>, FrameError> {
        const EXPECTED: &str = "an array of strings";
        if self.0.starts_with(b"\"") {
            let name = JsonStr(self.0).as_topic()?;
            return Ok(vec![TopicName::new(&name)?]);
        }
        let array = self.expect("topics", EXPECTED, b'[')?;
        let strings: Vec<&serde_json::value::RawValue> =
            serde_json::from_slice(array).unwrap_or_default();
        let mut names = Vec::with_capacity(strings.len());
        let mut seen = std::collections::HashSet::with_capacity(strings.len());
        for string in strings {
            let string = Json(string.get().as_bytes()).expect("topics", EXPECTED, b'"')?;
            let name = TopicName::new(&JsonStr(string).as_topic()?)?;
            if seen.insert(name.clone()) {
                names.push(name);
            }
        }
        Ok(names)
    }
}

/// A JSON string as it stands on the wire, quotation marks and escapes included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonStr<'a>(&'a [u8]);

impl<'a> JsonStr<'a> {
    /// The text that it stands for.
    ///
    /// JSON can escape half of a surrogate pair, which is no text: each becomes
    /// U+FFFD, as everywhere where text can't be shown.
    pub fn decode(self) -> Cow<'a, str> {
        match self.unescaped() {
            Some(plain) => Cow::Borrowed(plain),
            None => Cow::Owned(decode_escaped(self.0)),
        }
    }

    /// The text as a topic's name, if it is allowed as one.
    fn as_topic(self) -> Result<Cow<'a, str>, FrameError> {
        let name = match self.unescaped() {
            Some(plain) => Cow::Borrowed(plain),
            None => match serde_json::from_slice(self.0) {
                Ok(name) => Cow::Owned(name),
                Err(_) => {
                    return Err(FrameError::WrongType {
                        name: "topic",
                        expected: "a string of whole characters",
                        found: "one with half a surrogate pair",
                    });
                }
            },
        };
        TopicName::check(&name)?;
        Ok(name)
    }

    /// The text between the quotation marks, if nothing in it is escaped.
    fn unescaped(self) -> Option<&'a str> {
        let inner = self.0.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        if inner.contains(&b'\\') {
            return None;
        }
        std::str::from_utf8(inner).ok()
    }
}

/// Decodes a string with escapes, lone surrogates included.
fn decode_escaped(quoted: &[u8]) -> String {
    let text = serde_json::from_slice::<WideText>(quoted);
    let bytes = text.map_or_else(|_| Vec::new(), |text| text.0);
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// A string's bytes as `serde_json` gives them when asked for bytes: UTF-8, but
/// that lone surrogates are encoded too.
struct WideText(Vec<u8>);

impl<'de> serde::Deserialize<'de> for WideText {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl serde::de::Visitor<'_> for Bytes {
            type Value = WideText;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<WideText, E> {
                Ok(WideText(bytes.to_vec()))
            }
        }
        from.deserialize_bytes(Bytes)
    }
}

/// One end of a connection, as frames name it: both parts are strings there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint(SocketAddr);

impl From<SocketAddr> for Endpoint {
    /// An IPv4 address that was mapped into IPv6 is written as IPv4.
    fn from(address: SocketAddr) -> Self {
        Self(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut endpoint = to.serialize_struct("Endpoint", 2)?;
        endpoint.serialize_field("ip", &self.0.ip())?;
        endpoint.serialize_field("port", &Text(self.0.port()))?;
        endpoint.end()
    }
}

/// A value that is written as a string.
struct Text<T>(T);

impl<T: std::fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

/// A registration to be written.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Registration<'a> {
    /// The client's own end of the connection.
    pub source: Endpoint,
    /// The topics to receive from and to send to.
    #[serde(serialize_with = "write_names")]
    pub topics: &'a [TopicName],
    /// The options; `None` for a classic client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extended: Option<&'a RegistrationOptions>,
}

/// A message to be written.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The sender's end of the connection.
    pub source: Endpoint,
    /// The receiver's end.
    pub destination: Endpoint,
    /// The topic's name.
    pub topic: &'a str,
    /// The text.
    pub text: &'a str,
}

impl Registration<'_> {
    /// The frame as it goes over the wire: one line, with its end.
    pub fn to_line(&self) -> Vec<u8> {
        to_line(self)
    }
}

impl Message<'_> {
    /// The frame as it goes over the wire: one line, with its end.
    pub fn to_line(&self) -> Vec<u8> {
        to_line(self)
    }

    /// The frame with an id, under which it is to be acknowledged.
    pub fn to_line_with_id(&self, id: &str) -> Vec<u8> {
        #[derive(serde::Serialize)]
        struct Asking<'a> {
            extended: Id<'a>,
            #[serde(flatten)]
            message: &'a Message<'a>,
        }
        #[derive(serde::Serialize)]
        struct Id<'a> {
            id: &'a str,
        }
        to_line(&Asking {
            extended: Id { id },
            message: self,
        })
    }
}

impl Serialize for Message<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Body<'a> {
            topic: &'a str,
            text: &'a str,
        }
        let mut message = to.serialize_struct("Message", 3)?;
        message.serialize_field("source", &self.source)?;
        message.serialize_field("destination", &self.destination)?;
        let (topic, text) = (self.topic, self.text);
        message.serialize_field("message", &Body { topic, text })?;
        message.end()
    }
}

fn write_names<S: Serializer>(names: &[TopicName], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(names.iter().map(TopicName::as_str))
}

#[cfg(test)]
mod tests;
