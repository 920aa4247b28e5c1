//! A line of text: what a program publishes.

use std::net::{Ipv6Addr, SocketAddr};

use wire::{Endpoint, Message, TopicName};

/// A character that JSON escapes takes up to six bytes: `\u001b`.
const LONGEST_ESCAPE: usize = 6;

/// A line of text on its way to a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The topic it is published to.
    pub topic: TopicName,
    /// The text.
    pub text: String,
}

impl Line {
    /// The line as a message.
    pub fn message(&self, source: Endpoint, destination: Endpoint) -> Message<'_> {
        let (topic, text) = (self.topic.as_str(), self.text.as_str());
        Message {
            source,
            destination,
            topic,
            text,
        }
    }

    /// The line fits into a frame of that many bytes, with any peers: the longest
    /// addresses are assumed.
    pub fn fits(&self, max_frame: usize) -> bool {
        let longest = SocketAddr::from((Ipv6Addr::from([0xffff; 8]), u16::MAX)).into();
        let empty = Message {
            text: "",
            ..self.message(longest, longest)
        };
        // Most lines are far below the limit, and needn't be encoded to know it.
        let most = self.text.len() * LONGEST_ESCAPE + empty.to_line().len();
        let encoded = || self.message(longest, longest).to_line();
        most <= max_frame || encoded().trim_ascii_end().len() <= max_frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fits_if_its_frame_with_the_longest_addresses_does() {
        let longest: Endpoint = SocketAddr::from((Ipv6Addr::from([0xffff; 8]), u16::MAX)).into();
        for text in ["x".repeat(500), "\u{1b}".repeat(100), "é".repeat(300)] {
            let topic = TopicName::new("t").expect("a name");
            let line = Line { topic, text };
            let frame = line.message(longest, longest).to_line();
            let length = frame.trim_ascii_end().len();
            assert!(line.fits(length) && !line.fits(length - 1), "{length}");
        }
    }
}
