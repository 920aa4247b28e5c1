//! Names in NATS: of streams, and of the subjects of topics.

use wire::TopicName;
use xxhash_rust::xxh3::xxh3_64;

/// The digits of base32hex in lower case. They are in the order of their values, so texts are in
/// the order of the names that they stand for.
const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

/// Bits of a digit.
const BITS: u32 = 5;

/// The names in NATS of one cluster.
#[derive(Clone, Debug)]
pub(super) struct Names {
    cluster: String,
    shards: Vec<Shard>,
}

/// A stream, with the topics of one shard.
#[derive(Clone, Debug)]
pub(super) struct Shard {
    /// The stream's name.
    pub(super) stream: String,
    pub(super) number: usize,
    /// What the subjects of its records begin with.
    log: String,
    /// What the subjects of their copies begin with.
    live: String,
}

/// A topic, as NATS knows it.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    pub(super) shard: &'a Shard,
    token: String,
    hash: u64,
}

impl Names {
    pub(super) fn new(cluster: &str, shards: usize) -> Self {
        let upper = cluster.to_ascii_uppercase();
        let shard = |number| Shard {
            stream: format!("{upper}_{number:02}"),
            number,
            log: format!("{cluster}.log.{number:02}."),
            live: format!("{cluster}.live.{number:02}."),
        };
        Self {
            cluster: cluster.to_owned(),
            shards: (0..shards).map(shard).collect(),
        }
    }

    pub(super) fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// The stream of what isn't of a topic, and is kept for ever.
    pub(super) fn meta_stream(&self) -> String {
        format!("{}_META", self.cluster.to_ascii_uppercase())
    }

    /// A subject of that stream.
    pub(super) fn meta(&self, word: &str) -> String {
        format!("{}.meta.{word}", self.cluster)
    }

    /// A subject of messages that aren't kept.
    pub(super) fn bus(&self, subject: &str) -> String {
        format!("{}.bus.{subject}", self.cluster)
    }

    /// A subject that nobody subscribes to.
    pub(super) fn nobody(&self) -> String {
        format!("{}.nobody", self.cluster)
    }

    pub(super) fn place(&self, topic: &TopicName) -> Place<'_> {
        let name = topic.as_str().as_bytes();
        let hash = xxh3_64(name);
        let count = self.shards.len().max(1) as u64;
        let number = usize::try_from(hash % count).unwrap_or_default();
        Place {
            shard: &self.shards[number],
            token: encoded(name),
            hash,
        }
    }
}

impl Shard {
    /// All subjects of its records.
    pub(super) fn all(&self) -> String {
        format!("{}*", self.log)
    }

    /// Where copies of its records go, as NATS writes it.
    pub(super) fn all_live(&self) -> String {
        format!("{}{{{{wildcard(1)}}}}", self.live)
    }

    /// All subjects of copies.
    pub(super) fn every_live(&self) -> String {
        format!("{}*", self.live)
    }

    /// The topic whose records have this subject.
    pub(super) fn topic(&self, subject: &str) -> Option<TopicName> {
        let name = decoded(subject.strip_prefix(&self.log)?)?;
        TopicName::new(std::str::from_utf8(&name).ok()?).ok()
    }
}

impl Place<'_> {
    /// The subject of the topic's records.
    pub(super) fn log(&self) -> String {
        format!("{}{}", self.shard.log, self.token)
    }

    /// The subject of their copies.
    pub(super) fn live(&self) -> String {
        format!("{}{}", self.shard.live, self.token)
    }

    /// The id of a record among all that are in the topic's stream.
    pub(super) fn message_id(&self, id: &str) -> String {
        format!("{:016x}:{id}", self.hash)
    }
}

/// The bytes in base32hex, without padding.
fn encoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut buffer, mut bits) = (0_u32, 0);
    for byte in bytes {
        buffer = buffer << 8 | u32::from(*byte);
        bits += 8;
        while bits >= BITS {
            bits -= BITS;
            text.push(digit(buffer >> bits));
        }
    }
    if bits > 0 {
        text.push(digit(buffer << (BITS - bits)));
    }
    text
}

fn digit(value: u32) -> char {
    DIGITS[value as usize & 31].into()
}

/// The bytes that a text in base32hex stands for.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut buffer, mut bits) = (0_u32, 0);
    for letter in text.bytes() {
        let value = match letter {
            b'0'..=b'9' => letter - b'0',
            b'a'..=b'v' => letter - b'a' + 10,
            _ => return None,
        };
        buffer = buffer << BITS | u32::from(value);
        bits += BITS;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(buffer >> bits & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_token_stands_for_its_name_and_sorts_as_it_does(
            one in "[^\\p{Cc}]{1,60}",
            other in "[^\\p{Cc}]{1,60}",
        ) {
            let names = Names::new("natter", 16);
            let topic = |name: &str| TopicName::new(name).unwrap();
            let (one, other) = (topic(&one), topic(&other));
            let place = names.place(&one);
            prop_assert_eq!(place.shard.topic(&place.log()), Some(one.clone()));
            prop_assert!(place.token.bytes().all(|byte| DIGITS.contains(&byte)));
            let tokens = (&place.token, &names.place(&other).token);
            prop_assert_eq!(tokens.0.cmp(tokens.1), one.as_str().cmp(other.as_str()));
        }
    }

    #[test]
    fn the_names_in_nats_are_fixed() {
        let names = Names::new("my-chat", 16);
        assert_eq!(names.meta_stream(), "MY-CHAT_META");
        let place = names.place(&TopicName::new("lame-conversation").unwrap());
        assert_eq!(place.shard.stream, "MY-CHAT_09");
        assert_eq!(place.log(), "my-chat.log.09.dhgmqp9dcdnmstj5e9pm2t39dtn0");
        assert_eq!(place.live(), "my-chat.live.09.dhgmqp9dcdnmstj5e9pm2t39dtn0");
        assert_eq!(place.message_id("1:2:a"), "54347d698c514259:1:2:a");
        assert_eq!(place.shard.all(), "my-chat.log.09.*");
        assert_eq!(place.shard.all_live(), "my-chat.live.09.{{wildcard(1)}}");
        // The longest name there is.
        let longest = names
            .place(&TopicName::new(&"x".repeat(255)).unwrap())
            .log();
        assert_eq!(longest.len(), "my-chat.log.09.".len() + 408);
    }

    #[test]
    fn other_subjects_are_of_no_topic() {
        let names = Names::new("natter", 1);
        let shard = &names.shards()[0];
        for subject in ["natter.log.01.c4", "natter.log.00.", "natter.log.00.W", "x"] {
            assert_eq!(shard.topic(subject), None, "{subject}");
        }
    }
}
