//! What a client is told at the beginning: where to connect, and how to behave there.

use std::time::Duration;

use wire::{Credential, Limits, TopicName};

use crate::address::{Security, ServerAddress};
use crate::dial::{Dialer, Payload, Protection};
use crate::pool::Pool;
use crate::queue::ID_MEMBER;
use crate::secret;
use crate::server_list::ServerList;
use crate::session::{
    ENVELOPE, FirstLines, HISTORY_BYTES, HISTORY_HEAD, History, Name, Presence, Protocol, Session,
    SessionConfig,
};
use crate::tls::{Tls, Trust};

/// Where to connect, and how to behave there.
#[derive(Clone, Debug)]
pub struct Options {
    /// The addresses of the service: of one server, or of several that are equal. The client uses
    /// one of them at a time, and goes on at the next when it is lost.
    pub servers: ServerList,
    /// Which servers the client trusts, over TLS. By default those with a certificate of one of
    /// the system's authorities, or with a key in their address. [`Trust::pins`] are for each of
    /// the servers, fingerprints in an address for that one alone.
    pub trust: Trust,
    /// The client's credential. None by default. Only the extended protocol can send it. It goes
    /// to [`Options::servers`], and to servers that one of them has named over TLS.
    pub credential: Option<Credential>,
    /// Where a credential may be sent over plain TCP. Only within this machine by default.
    pub plain_secrets: PlainSecrets,
    /// The topics to take part in.
    pub topics: Vec<TopicName>,
    /// The name by which others know the client. None by default.
    pub name: Name,
    /// Whether the client follows the members of its topics. Off by default.
    pub presence: Presence,
    /// Which messages from before the first registration to ask for. None by default.
    pub history: History,
    /// The port for direct calls, which the server tells other users.
    pub port: Option<u16>,
    /// Which protocol to speak. The extended one by default.
    pub protocol: Protocol,
    /// Connect again when the connection is lost. True by default.
    pub reconnect: bool,
    /// Try again until the first connection can be made. False by default: then the client
    /// fails if it can't.
    pub wait: bool,
    /// The longest that connecting to a server may take: 10 s by default. The next server is
    /// tried too after 2 s.
    pub connect_timeout: Duration,
    /// How long the server may acknowledge nothing after
    /// [`finish`](crate::Client::finish): 30 s by default.
    pub ack_timeout: Duration,
    /// How long the server has to answer a [`Request::History`](crate::Request::History): 30 s by default, which is
    /// longer than a server waits for its disk.
    pub answer_timeout: Duration,
    /// How long the server has to close its side after that: 3 s by default.
    pub drain_timeout: Duration,
    /// The longest frame, sent or received, in bytes: 64 KiB by default.
    pub max_frame: usize,
}

impl Options {
    /// The defaults.
    pub fn new(servers: ServerList, topics: Vec<TopicName>) -> Self {
        Self {
            servers,
            trust: Trust::default(),
            credential: None,
            plain_secrets: PlainSecrets::WithinMachine,
            topics,
            name: Name::Anonymous,
            presence: Presence::Ignore,
            history: History::None,
            port: None,
            protocol: Protocol::Extended,
            reconnect: true,
            wait: false,
            connect_timeout: Duration::from_secs(10),
            ack_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(3),
            max_frame: Limits::DEFAULT_MAX_FRAME,
        }
    }

    /// The longest frame of a line. With the extended protocol it must leave room for the line's
    /// id.
    pub fn max_line_frame(&self) -> usize {
        match self.protocol {
            Protocol::Extended => self.max_frame - ID_MEMBER.min(self.max_frame),
            Protocol::Classic => self.max_frame,
        }
    }

    /// The longest frame that may arrive: a message with the server's envelope, or a page of
    /// older messages.
    fn max_received_frame(&self) -> usize {
        match self.protocol {
            Protocol::Extended => HISTORY_BYTES.max(self.max_frame + ENVELOPE) + HISTORY_HEAD,
            Protocol::Classic => self.max_frame,
        }
    }

    /// The dialer of connections to a server, for a program that makes another one itself.
    pub fn dialer(&self, server: &ServerAddress) -> Dialer {
        self.dialer_for(server, self.payload())
    }

    /// The dialer for connections that carry this payload, also before the credential is known.
    pub fn dialer_for(&self, server: &ServerAddress, payload: Payload) -> Dialer {
        let is_guarded =
            payload == Payload::Secret && self.plain_secrets == PlainSecrets::WithinMachine;
        let tls = || Tls::new(self.trust.clone()).with_pins(&server.pins);
        Dialer {
            address: server.address.clone(),
            timeout: self.connect_timeout,
            max_frame: self.max_received_frame(),
            protection: match server.security {
                Security::Tls => Protection::Tls(tls()),
                Security::Automatic if is_guarded => Protection::TlsToOthers(tls()),
                Security::Plain if is_guarded => Protection::PlainWithinMachine,
                Security::Automatic | Security::Plain => Protection::Plain,
            },
        }
    }

    /// How a server is dialed that has refused plain text, if the address leaves that open.
    pub fn upgraded_dialer(&self, server: &ServerAddress) -> Option<Dialer> {
        let protection = Protection::Tls(self.upgrade(server)?);
        let dialer = self.dialer(server);
        Some(Dialer {
            protection,
            ..dialer
        })
    }

    /// The TLS settings for a server that refuses plain text, if the address leaves the choice
    /// open.
    fn upgrade(&self, server: &ServerAddress) -> Option<Tls> {
        let is_left = server.security == Security::Automatic;
        is_left.then(|| Tls::new(self.trust.clone()).with_pins(&server.pins))
    }

    /// What registrations carry.
    pub(crate) fn payload(&self) -> Payload {
        match self.credential {
            Some(_) => Payload::Secret,
            None => Payload::Public,
        }
    }

    /// Where the client can go.
    pub(crate) fn pool(&self) -> Pool {
        let given = self.servers.iter();
        let given = given.map(|server| (self.dialer(server), self.upgrade(server)));
        Pool::new(given.collect(), self.payload())
    }

    pub(crate) fn into_session(self) -> Result<Session, secret::NoRandomness> {
        let may_refuse = |server: &ServerAddress| {
            let is_plain = matches!(self.dialer(server).protection, Protection::Plain);
            is_plain && self.upgrade(server).is_some()
        };
        let first_lines = match self.servers.iter().any(may_refuse) {
            true => FirstLines::AfterAnswer,
            false => FirstLines::AtOnce,
        };
        Ok(Session::new(SessionConfig {
            topics: self.topics,
            name: self.name,
            presence: self.presence,
            history: self.history,
            port: self.port,
            credential: self.credential,
            ack_timeout: self.ack_timeout,
            replay_timeout: self.drain_timeout,
            answer_timeout: self.answer_timeout,
            key: secret::client_key()?,
            run: secret::run_id()?,
            protocol: self.protocol,
            first_lines,
        }))
    }
}

/// Where a credential may be sent over plain TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainSecrets {
    /// Only to a server on this machine.
    WithinMachine,
    /// To any server. Others on the network can read it.
    Anywhere,
}
