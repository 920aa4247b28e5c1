//! The value of `extended` in a registration and in a message: who the client is, what it has
//! already, and which messages it wants acknowledged.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, Unexpected};

use crate::credential::Credential;
use crate::user_name::{UserName, UserNameError};

/// The options of a registration. All are optional; the key `extended` by itself makes the
/// connection extended.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RegistrationOptions {
    /// The client's credential, which is checked before anything else of the registration.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub auth: Option<Credential>,
    /// The name by which others know this connection.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<UserName>,
    /// The port on which the user can be called directly, 1 to 65535.
    #[serde(skip_serializing_if = "Option::is_none", default, with = "port")]
    pub port: Option<u16>,
    /// The client's secret, the same after each reconnect, by which the server recognises two
    /// connections as one publisher.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub client: Option<ClientKey>,
    /// Send this many of the newest messages of each topic.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last: Option<u64>,
    /// Send messages from this time on, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<u64>,
    /// By topic name, the position that the client has already.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub resume: BTreeMap<String, Position>,
}

/// A position in a topic's order.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Position {
    /// The epoch of the topic's history; opaque to clients.
    pub epoch: String,
    /// The sequence number of the last message that was seen; 0 for none.
    pub seq: u64,
}

/// A client's secret: 1 to 64 bytes of text.
#[derive(Clone, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct ClientKey(String);

impl ClientKey {
    /// The longest key, in bytes: room for a UUID or a hash in any usual form.
    pub const MAX_BYTES: usize = 64;

    /// Takes `key` if it is neither empty nor too long.
    pub fn new(key: &str) -> Option<Self> {
        (1..=Self::MAX_BYTES)
            .contains(&key.len())
            .then(|| Self(key.to_owned()))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Not the key, which nobody else may see.
impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(client key)")
    }
}

/// The longest message id, in bytes: room for a UUID and a counter.
pub const MAX_ID_BYTES: usize = 128;

/// The options of a message.
#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct MessageOptions<'a> {
    /// Acknowledge the message under this id.
    #[serde(borrow, default, deserialize_with = "id")]
    pub(crate) id: Option<Cow<'a, str>>,
}

/// A text that `serde_json` can borrow where nothing in it is escaped.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn id<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Cow<'de, str>>, D::Error> {
    let Text(id) = Text::deserialize(from)?;
    if (1..=MAX_ID_BYTES).contains(&id.len()) {
        return Ok(Some(id));
    }
    let expected = format!("an id of 1 to {MAX_ID_BYTES} bytes");
    Err(D::Error::invalid_length(id.len(), &expected.as_str()))
}

impl<'de> Deserialize<'de> for ClientKey {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Text(key) = Text::deserialize(from)?;
        Self::new(&key).ok_or_else(|| {
            let expected = format!("a client of 1 to {} bytes", Self::MAX_BYTES);
            D::Error::invalid_length(key.len(), &expected.as_str())
        })
    }
}

impl<'de> Deserialize<'de> for UserName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Text(name) = Text::deserialize(from)?;
        Self::new(&name).map_err(|error: UserNameError| D::Error::custom(error))
    }
}

/// A port as frames write it, as a string; a number is taken too.
mod port {
    use super::{Cow, Deserialize, Deserializer, Unexpected};
    use serde::Serializer;
    use serde::de::Error as _;

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(port: &Option<u16>, to: S) -> Result<S::Ok, S::Error> {
        match port {
            Some(port) => to.collect_str(port),
            None => to.serialize_none(),
        }
    }

    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Written<'a> {
        Number(u64),
        Text(#[serde(borrow)] Cow<'a, str>),
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u16>, D::Error> {
        const EXPECTED: &str = "a port from 1 to 65535";
        let (port, found) = match Written::deserialize(from) {
            Ok(Written::Number(number)) => (u16::try_from(number).ok(), number.to_string()),
            Ok(Written::Text(text)) => (text.parse().ok(), text.into_owned()),
            Err(_) => {
                return Err(D::Error::invalid_type(
                    Unexpected::Other("something else"),
                    &EXPECTED,
                ));
            }
        };
        match port {
            Some(port) if port > 0 => Ok(Some(port)),
            _ => Err(D::Error::invalid_value(Unexpected::Str(&found), &EXPECTED)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_show_a_clients_key() {
        let key = ClientKey::new("9f86d081884c7d65").unwrap();
        assert!(!format!("{key:?}").contains("9f86"), "{key:?}");
        assert_eq!(key.as_str(), "9f86d081884c7d65");
    }
}
