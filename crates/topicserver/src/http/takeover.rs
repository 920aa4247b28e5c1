//! Taking a connection over from the HTTP library: if its request is for a stream or a WebSocket,
//! it becomes a session straight on the socket.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::header::CONTENT_LENGTH;
use axum::response::Response;
use bytes::Bytes;
use parking_lot::Mutex;
use wire::{RegistrationOptions, TopicName};

use crate::access::{ConnectionPermit, Principal};
use crate::clock;
use crate::http::connection::Io;
use crate::http::query::Ending;
use crate::http::stream_reader::StreamReader;
use crate::http::websocket_reader::WebSocketReader;
use crate::metrics::Speaks;
use crate::outbox::SharedOutbox;
use crate::outbox::form::Form;
use crate::outbox::individual::Individual;
use crate::outbox::positions::StreamPositions;
use crate::session::Session;
use crate::state::{AddressPermit, ConnectionGuard, Serving};

/// What the connection becomes. The request's handler puts it into the answer's extensions.
#[derive(Clone, Debug)]
pub(crate) enum Takeover {
    /// A session that only listens.
    Stream(Box<Listening>),
    WebSocket(Principal),
}

impl Takeover {
    /// What the connection counts as.
    fn speaks(&self) -> Speaks {
        match self {
            Self::Stream(_) => Speaks::Stream,
            Self::WebSocket(_) => Speaks::WebSocket,
        }
    }
}

/// What a stream listens to.
#[derive(Clone, Debug)]
pub(crate) struct Listening {
    pub(crate) principal: Principal,
    pub(crate) topics: Vec<TopicName>,
    pub(crate) options: RegistrationOptions,
    pub(crate) form: Form,
    pub(crate) ending: Ending,
}

impl Listening {
    /// The stream's individual settings.
    fn individual(&self) -> Individual {
        let names = self.topics.iter().map(TopicName::as_str);
        let says_positions = self.topics.len() > 1 && self.form.has_ids();
        Individual {
            positions: says_positions.then(|| StreamPositions::of(names)),
            remaining: self.ending.count,
        }
    }
}

/// What the connection becomes, and the head of the answer.
pub(crate) struct Pending {
    takeover: Takeover,
    head: Vec<u8>,
    permits: Permits,
}

/// The permits that count the connection from now on.
#[derive(Default)]
pub(crate) struct Permits {
    /// For the account's, or the address's, limit of connections.
    pub(crate) limited: Option<ConnectionPermit>,
    pub(crate) forwarded: Option<Forwarded>,
}

/// The client that a proxy forwards.
pub(crate) struct Forwarded {
    pub(crate) client: SocketAddr,
    pub(crate) permit: AddressPermit,
}

/// Where the service puts it.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<Mutex<Option<Pending>>>);

impl Slot {
    /// Puts it in, if the answer's extensions have a takeover.
    pub(crate) fn fill(&self, response: &mut Response, permits: Permits) -> bool {
        let Some(takeover) = response.extensions_mut().remove::<Takeover>() else {
            return false;
        };
        let mut head = write_head(response);
        if let Takeover::Stream(listening) = &takeover {
            head.extend(listening.form.begin());
        }
        *self.0.lock() = Some(Pending {
            takeover,
            head,
            permits,
        });
        true
    }

    pub(crate) fn is_filled(&self) -> bool {
        self.0.lock().is_some()
    }

    pub(crate) fn take(&self) -> Option<Pending> {
        self.0.lock().take()
    }
}

impl Pending {
    /// Writes the answer's head, and serves the connection until it ends. `first` was read after
    /// the request. `None` if the server is ending.
    pub(crate) fn begin(
        self,
        io: Io,
        first: Bytes,
        mut guard: ConnectionGuard,
        outbox: SharedOutbox,
    ) -> Option<Serving> {
        let Self {
            takeover,
            head,
            permits: Permits { limited, forwarded },
        } = self;
        if let Some(Forwarded { client, permit }) = forwarded {
            outbox.set_peer(client);
            guard.take_permit(permit);
        }
        let (form, individual) = match &takeover {
            Takeover::Stream(listening) => (listening.form, listening.individual()),
            Takeover::WebSocket(_) => (Form::WebSocket, Individual::default()),
        };
        if !outbox.begin(form, individual, head) {
            return None;
        }
        let (interval, max) = {
            let config = guard.config();
            (config.ping_interval, config.frame_limits.max_frame)
        };
        let reader = io.into_reader();
        guard
            .counted()
            .become_one(takeover.speaks(), reader.is_secure());
        Some(match takeover {
            Takeover::Stream(listening) => {
                let Listening {
                    principal,
                    topics,
                    options,
                    ending,
                    ..
                } = *listening;
                // Whatever the peer sends from now on is discarded.
                let reader = StreamReader::new(reader, outbox.clone(), interval, ending.until);
                let session = Session::new(reader, outbox, guard).of(principal, limited);
                Box::pin(session.listening(topics, options).run())
            }
            Takeover::WebSocket(principal) => {
                let reader = WebSocketReader::new(reader, first, outbox.clone(), interval, max);
                let session = Session::new(reader, outbox, guard).of(principal, limited);
                Box::pin(session.run())
            }
        })
    }
}

/// The head of an answer as it goes over the wire. The router has set the length of an empty
/// body; a stream has none.
fn write_head(response: &Response) -> Vec<u8> {
    let mut head = String::new();
    // Writing into memory can't fail.
    let _ = write!(head, "HTTP/1.1 {}\r\n", response.status());
    let now = httpdate::fmt_http_date(clock::date());
    let _ = write!(head, "date: {now}\r\n");
    let mut head = head.into_bytes();
    let headers = response.headers().iter();
    for (name, value) in headers.filter(|(name, _)| *name != CONTENT_LENGTH) {
        let parts = [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"];
        head.extend(parts.concat());
    }
    head.extend(b"\r\n");
    head
}
