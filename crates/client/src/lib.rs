//! Publish to topics of a `topicserver` and subscribe to them, over connections that may
//! be lost.
//!
//! [`Client::connect`] dials the server and registers for topics. It returns two handles:
//! the [`Client`] takes lines and requests, and [`Events`] reports what happens. A task
//! behind them resumes, sends again and reconnects; it ends when it is told to
//! [`finish`](Client::finish), when it fails, or when both handles are dropped.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use client::{Client, Event, Line, Options};
//! use wire::TopicName;
//!
//! let topic = TopicName::new("lab")?;
//! let options = Options::new("127.0.0.1:20000".parse()?, vec![topic.clone()]);
//! let (client, mut events) = Client::connect(options).await?;
//! client.send(Line { topic, text: "hello".into() }).await?;
//! while let Some(event) = events.next().await {
//!     if let Event::Message(message) = event {
//!         println!("{}: {}", message.topic, message.text);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The folder `examples` has a publisher, a subscriber and a bot. The tests run them
//! against a server that is killed meanwhile.
//!
//! # Delivery
//!
//! With a server that knows the extended protocol:
//!
//! - **Each line is delivered once, and a publisher's lines stay in order.** A line is kept
//!   until the server acknowledges it, and is sent again over the next connection under the
//!   same id. The server recognises the id, for as long as it remembers ids
//!   (`docs/delivery.md`). An acknowledgement means that the line is flushed to disk, if the
//!   server has a disk to store it on.
//! - **Each message arrives once, in the topic's order.** A new connection resumes after the
//!   last message that was seen without a gap.
//! - **Nothing is lost unannounced.** Messages that the server no longer has are an
//!   [`Event::Gap`] or an [`Event::Incomplete`]; lines that it refuses are an
//!   [`Event::LineRefused`]; lines that may not have arrived when the client ends are
//!   counted in its [`ClientError`].
//! - **A server that is ending is left at a random moment** within the time that it names, so
//!   that not all of its clients reach the next one at once ([`Disconnect::Asked`]).
//! - Delivery is from this process: lines that were not acknowledged are not kept when the
//!   process ends.
//!
//! With a classic server ([`Event::FellBack`]) nothing is acknowledged and nothing that is
//! missed can be recovered. Then [`Event::Delivered`] only means that the line was handed to
//! the system.
//!
//! # Several servers
//!
//! [`Options::servers`] may have several addresses ([`ServerList`]): entrances of one service,
//! which have the same topics and the same history. The client begins with one at random, so that
//! clients with the same list spread over the servers. When a server can't be reached or is lost,
//! the client goes on at the next one, with the same position in each topic and the same ids;
//! only after a whole round without success does it pause longer each time. A server that hasn't
//! accepted the connection after 2 s isn't waited for any longer before the next one is tried,
//! too. [`Event::Connected`] says which one it is.
//!
//! A server can name others: when it ends, and when it registers a client. They are tried beside
//! those that were given. What they refuse is no end, because nobody has chosen them: the client
//! goes back to its own. With a credential, only what was named over TLS, or within this machine,
//! is used, and only in the same way.
//!
//! # TLS
//!
//! A server's address says how it is spoken to ([`ServerAddress`]): `tls://HOST:PORT` over
//! TLS, `tcp://HOST:PORT` over plain TCP. `HOST:PORT` alone leaves it to the server: if it
//! refuses plain text with the error `tls-required`, the client dials again with TLS. Until
//! the server has answered, for at most a second, no line is sent to a bare address, so that
//! nothing but the registration has gone in plain text.
//!
//! [`Options::trust`] says whom the client takes for the server ([`tls::Trust`]). One of the
//! system's authorities, or of [given ones](tls::Certificates), vouches for a server; or the
//! server has signed its certificate itself, and has a key that is known: one of
//! [`tls::Trust::pins`], or the one in the address `tls://HOST:PORT#sha256:…`. The client
//! reports each connection's [`tls::Proof`] by [`Event::Secured`], so that a program can keep
//! the keys that it has seen. With another key than the known one, no other connection is
//! made, and the client ends.
//!
//! # Credentials
//!
//! [`Options::credential`] is a token, or a user's name and password. Each registration begins
//! with it, and nothing of the registration takes effect before the server has checked it. If
//! it isn't accepted, the client fails or, later, ends ([`Disconnect::Server`] with one of the
//! codes `unauthenticated`, `expired`, `revoked`); it never goes on without a login. A credential is
//! sent over plain TCP only within this machine ([`Options::plain_secrets`]): with an address
//! that leaves it open, it makes the client speak TLS with any other machine.
//!
//! # Back-pressure
//!
//! Both ways are bounded in bytes. [`Client::send`] waits while 256 KiB of lines wait to be
//! sent and as many wait for their acknowledgements; [`Client::try_send`] gives the line
//! back. In the other direction the client stops reading from the server while two batches
//! of events, of one read each, wait for the program.
//!
//! Acknowledgements arrive in the same stream as messages. So a program that stops reading
//! [`Events`] until `send` returns can wait for itself. Either read events in another task;
//! or `select!` between [`Client::reserve`] and [`Events::next`], as the bot among the
//! examples does; or drop [`Events`], if you only publish: then events are discarded.
//!
//! # Cancel safety
//!
//! [`Events::next`] and [`Client::reserve`] are cancel safe: a future that is dropped has
//! taken nothing. [`Client::send`] and [`Client::request`] are not: what was given to a
//! future that is dropped may be lost, so `select!` on `reserve` instead. Dropping the future
//! of [`Client::finish`] doesn't stop the client from finishing.
//!
//! # Errors
//!
//! Everything that goes wrong is a type: [`ClientError`] ends a client, [`Disconnect`] says
//! why a connection was lost, [`SendError`] gives a line back, [`ServerError`] has the
//! server's code and text. The client handles a lost connection itself, and fails only if
//! connecting again would not help or is off, if the first connection can't be made, or if
//! after `finish` the server acknowledges nothing for [`Options::ack_timeout`].
//!
//! # Without this task
//!
//! The parts are public, for programs with a loop of their own: [`session`] is the protocol
//! without a socket or a clock, [`link`] a connection of frames, [`dial`] makes one,
//! [`queue`] holds the lines, [`deadline`] is a time limit that a suspended machine doesn't
//! miss.

mod address;
mod backoff;
mod channels;
mod claim;
mod client;
mod connection;
pub mod deadline;
pub mod dial;
mod error;
mod event;
pub mod frame;
mod line;
pub mod link;
mod options;
mod pin;
mod pool;
pub mod queue;
mod race;
mod reconnect;
mod secret;
mod server_list;
pub mod session;
pub mod tls;

pub use address::{Security, ServerAddress, ServerAddressError};
pub use client::{Client, Ended, Events, Permit, SendError};
pub use dial::Payload;
pub use error::{
    ClientError, Disconnect, HistoryError, Refusal, ServerError, SessionError, Undelivered,
};
pub use event::{
    Arrival, Closing, Event, Finished, HistoryPage, Incoming, Outcome, Person, RequestRefused,
    Topic,
};
pub use line::Line;
pub use options::{Options, PlainSecrets};
pub use pin::{Pin, PinError};
pub use secret::NoRandomness;
pub use server_list::{ServerList, ServerListError};
pub use session::{History, Name, Presence, Protocol, Request};
