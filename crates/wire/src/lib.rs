//! natter's wire protocol, sans-IO: no socket, no task, no clock.
//!
//! A connection carries a stream of JSON values in UTF-8, one after another,
//! with nothing but optional white space between them. Bytes become frames in
//! two steps, each with its own type:
//!
//! 1. [`Scanner`] finds where one JSON value ends, however the stream was cut
//!    into pieces, checks that it is valid JSON within the [`Limits`], and notes
//!    where the parts are by which it is routed.
//! 2. [`Frame::read`] takes such a value and returns what it is: a registration,
//!    a message, or one of the extended protocol's requests. What a server sends
//!    besides messages is an [`Event`].
//!
//! "Not finished yet" is [`Scan::Partial`]; "can't be trusted any more" is
//! [`ScanError`], after which the stream has no next value; "well-formed, but no
//! frame that we know" is [`FrameError`], after which the stream goes on.
//! Writing goes through [`Registration`], [`Message`], [`Request`], [`Event`] and
//! [`EnvelopeWriter`], one line each.

mod address;
mod credential;
mod envelope;
mod error_code;
mod event;
mod extended;
mod frame;
mod frame_error;
mod grammar;
mod limits;
mod line;
mod notes;
mod options;
mod page;
mod plain;
mod request;
mod scan;
mod scan_error;
mod topic_name;
mod user_name;

pub use address::{Address, AddressError, SERVICE_TYPE};
pub use credential::{Credential, Secret};
pub use envelope::{Envelope, EnvelopeWriter};
pub use error_code::ErrorCode;
pub use event::{
    Ack, Authenticated, Durability, Event, Gap, HistoryRange, Members, Notice, Person, Presence,
    Reconnect, Registered, Removed, ReportedError, TopicState, TopicSummary,
};
pub use extended::{ExtendedError, MemberError};
pub use frame::{Endpoint, Frame, JsonStr, Message, Received, Registration};
pub use frame_error::FrameError;
pub use limits::Limits;
pub use notes::{Notes, Span};
pub use options::{ClientKey, MAX_ID_BYTES, Position, RegistrationOptions};
pub use page::Page;
pub use request::Request;
pub use scan::{Scan, Scanner, Value};
pub use scan_error::ScanError;
pub use topic_name::{TopicName, TopicNameError};
pub use user_name::{UserName, UserNameError};
