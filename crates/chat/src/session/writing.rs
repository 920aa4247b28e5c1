//! What is written next: the part of a session that speaks.

use wire::Endpoint;

use super::{As, Session, State};
use crate::delivery::Next;
use crate::input::{Input, Line};

/// Is the server still there?
pub(super) const PING: &[u8] = b"{\"extended\":{\"ping\":1}}\n";

/// What a frame is that is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writing {
    /// What is nobody's line.
    Other,
    /// A line in flight.
    Again(u64),
    /// The input's next line.
    Fresh,
    /// A line in flight that won't be acknowledged.
    AgainForGood(u64),
    /// The input's next line, which won't be acknowledged.
    FreshForGood,
}

impl Session {
    /// The next frame to write, if there is one.
    pub(crate) fn next_frame(
        &mut self,
        input: &Input,
        source: Endpoint,
        destination: Endpoint,
    ) -> Option<Vec<u8>> {
        self.writing = Writing::Other;
        match self.to_register_again.take() {
            Some(As::Classic) => return Some(self.registration(source, None)),
            Some(As::Extended) => return Some(self.whole_registration(source)),
            None => {}
        }
        if let Some(pong) = self.to_pong.take() {
            return Some(pong);
        }
        if std::mem::take(&mut self.to_ping) {
            return Some(PING.to_vec());
        }
        if let Some(request) = self.next_request(input, source) {
            return Some(request);
        }
        let is_classic = self.state == State::Classic;
        let (number, message) = match self.delivery.next() {
            Next::Full => return None,
            Next::Again { number, line } => {
                self.writing = match is_classic {
                    true => Writing::AgainForGood(number),
                    false => Writing::Again(number),
                };
                (number, line.message(source, destination))
            }
            Next::Fresh(number) => {
                let message = input.message(source, destination)?;
                self.writing = match is_classic {
                    true => Writing::FreshForGood,
                    false => Writing::Fresh,
                };
                (number, message)
            }
        };
        Some(match is_classic {
            true => message.to_line(),
            false => message.to_line_with_id(&self.delivery.id(number)),
        })
    }

    /// That frame was written whole: the line, if nothing more will come of it.
    pub(crate) fn wrote(&mut self, input: &mut Input) -> Option<Line> {
        match std::mem::replace(&mut self.writing, Writing::Other) {
            Writing::Other => None,
            Writing::Again(number) => {
                self.delivery.wrote_again(number);
                None
            }
            Writing::Fresh => {
                if let Some(line) = input.sent() {
                    self.delivery.wrote_fresh(line);
                }
                None
            }
            Writing::AgainForGood(number) => self.delivery.settle(&self.delivery.id(number)),
            Writing::FreshForGood => input.sent(),
        }
    }
}
