//! How a server is reached: over TCP or TLS, with which key, and with which credential.
//!
//! Reads what a run needs before its first connection, and asks the person about a server
//! that is new. Knows no topic and no message.

mod ask;
mod known;
mod login;
mod meet;

use std::io;
use std::path::{Path, PathBuf};

use client::dial::{DialError, Dialer, Protection};
use client::tls::{
    Authorities, Certificates, CertificatesError, KeyError, Proof, ProvenBy, TlsError, Trust,
    UnknownKey,
};
use client::{Payload, Pin, PlainSecrets, Security, ServerAddress, ServerList, ServerListError};
use wire::{Address, Credential};

pub(crate) use known::{KnownError, KnownServers, line};
pub(crate) use login::LoginError;

use crate::cli::{Access, Login};
use crate::system;

/// Why a server isn't dialed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccessError {
    /// The file of known servers can't be used.
    #[error(transparent)]
    Known(#[from] KnownError),
    /// One address is for TLS and another one for plain text, as it is known.
    #[error(transparent)]
    Servers(#[from] ServerListError),
    /// The credential can't be read.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The authorities' certificates can't be used.
    #[error("can't use {} (--tls-ca): {source}", .path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        source: CertificatesError,
    },
    /// The authorities' certificates can't be read.
    #[error("can't read {} (--tls-ca): {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The address has another fingerprint than the one that is known.
    #[error(
        "the address says that the key of {server} is {given}, but it is known by {}: if it has a \
         new key, forget the old one: chat --forget {server}", pins(.known)
    )]
    OtherPin {
        /// The server.
        server: Address,
        /// The fingerprint in the address.
        given: Pin,
        /// The fingerprints in the file of known servers.
        known: Vec<Pin>,
    },
    /// The person doesn't trust a server that is new.
    #[error("{server} is not trusted, and nothing was sent to it")]
    NotTrusted {
        /// The server.
        server: Address,
    },
    /// The server to be forgotten isn't known.
    #[error("{servers} is not among the known servers in {}", .path.display())]
    NotKnown {
        /// Its addresses.
        servers: String,
        /// The file of known servers.
        path: PathBuf,
    },
    /// The person can't be asked.
    #[error("can't ask about {server}: {source}")]
    Ask {
        /// The server.
        server: Address,
        /// What the system said.
        source: io::Error,
    },
}

/// Fingerprints, one after another.
pub(crate) fn pins(pins: &[Pin]) -> String {
    let pins: Vec<String> = pins.iter().map(ToString::to_string).collect();
    pins.join(" or ")
}

/// How a server is reached.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    /// Its addresses, each with the keys that are known. If an address leaves open whether to use
    /// TLS, the file of known servers decides.
    pub(crate) servers: ServerList,
    /// Which certificates are trusted, and what is done about unknown keys.
    pub(crate) trust: Trust,
    /// The file of known servers, where new keys are kept.
    pub(crate) known: KnownServers,
    /// The credential, once it is [read](Self::log_in).
    pub(crate) credential: Option<Credential>,
    /// Whether a credential may be sent over plain TCP.
    pub(crate) plain_secrets: PlainSecrets,
    login: Login,
}

impl Reach {
    /// Finds out how a server is reached. `folder` is where programs keep their configuration.
    pub(crate) fn find(
        servers: &ServerList,
        access: &Access,
        folder: Option<&Path>,
    ) -> Result<Self, AccessError> {
        let known = KnownServers::within(folder);
        let servers = servers.iter().map(|server| with_known(server, &known));
        let servers = servers.collect::<Result<Vec<_>, _>>()?;
        let trust = Trust {
            authorities: access
                .authorities
                .as_deref()
                .map_or(Ok(Authorities::System), authorities)?,
            pins: Vec::new(),
            unknown: match access.accept_new {
                true => UnknownKey::Accept,
                false => UnknownKey::Refuse,
            },
        };
        Ok(Self {
            servers: ServerList::new(servers)?,
            trust,
            known,
            credential: None,
            plain_secrets: match access.insecure_auth {
                true => PlainSecrets::Anywhere,
                false => PlainSecrets::WithinMachine,
            },
            login: access.login.clone(),
        })
    }

    /// Whether a credential will be sent to the server.
    pub(crate) fn payload(&self) -> Payload {
        match self.login {
            Login::None => Payload::Public,
            Login::Token(_) | Login::User(_) => Payload::Secret,
        }
    }

    /// Reads the credential; asks for a password.
    pub(crate) async fn log_in(&mut self) -> Result<(), AccessError> {
        self.credential = login::find(&self.login, &self.servers.addresses()).await?;
        Ok(())
    }

    /// The file with the token, if others on this machine may read it.
    pub(crate) fn open_token_file(&self) -> Option<&Path> {
        match &self.login {
            Login::Token(path) if system::is_readable_by_others(path) => Some(path),
            _ => None,
        }
    }

    /// Asks the person about new servers, if there is a terminal. `dialer` makes the dialer of a
    /// server. Other errors are left to the conversation, which meets them again; but if no server
    /// can be reached, it has no use to begin.
    pub(crate) async fn meet(
        &mut self,
        dialer: impl Fn(&ServerAddress) -> Dialer,
    ) -> Result<(), MeetError> {
        let accepts = self.trust.unknown == UnknownKey::Accept;
        let is_new = |server: &&ServerAddress| {
            let is_tls = match dialer(server).protection {
                Protection::Tls(_) => true,
                Protection::TlsToOthers(_) => !server.is_here(),
                Protection::Plain | Protection::PlainWithinMachine => false,
            };
            is_tls && server.pins.is_empty()
        };
        let new: Vec<_> = self.servers.iter().filter(is_new).cloned().collect();
        if new.is_empty() || accepts || !ask::can_ask() {
            return Ok(());
        }
        let is_all = new.len() == self.servers.iter().count();
        let mut met = meet::all(new.iter().map(&dialer).collect()).await;
        let mut servers: Vec<_> = self.servers.iter().cloned().collect();
        let mut failed = Vec::new();
        for server in &mut servers {
            let found = match met.remove(&server.address.to_string()) {
                Some(Err(error)) => match unknown_key(&error) {
                    Some(found) => found,
                    None => {
                        failed.push(error);
                        continue;
                    }
                },
                Some(Ok(())) | None => continue,
            };
            self.trust_if_asked(&server.address, found).await?;
            server.pins = vec![found];
        }
        if is_all && failed.len() == new.len() {
            return Err(MeetError::Dial(failed));
        }
        self.servers = ServerList::new(servers).map_err(AccessError::from)?;
        Ok(())
    }

    /// Asks the person whether this is the server's key, and keeps it.
    async fn trust_if_asked(&self, server: &Address, found: Pin) -> Result<(), AccessError> {
        let question = format!(
            "chat: {server} is new. The fingerprint of its key is\n  {found}\nIf that is what \
             topicserver printed there, type yes to trust it from now on: "
        );
        let server = server.clone();
        match ask::ask(&question).await {
            Ok(answer) if is_yes(&answer) => {}
            Ok(_) => return Err(AccessError::NotTrusted { server }),
            Err(source) => return Err(AccessError::Ask { server, source }),
        }
        let by = ProvenBy::FirstUse;
        let proof = Proof { key: found, by };
        Ok(self.known.remember(&server, proof)?)
    }
}

/// The server with the keys that are known of it.
fn with_known(server: &ServerAddress, known: &KnownServers) -> Result<ServerAddress, AccessError> {
    let mut server = server.clone();
    let pins = known.keys(&server.address)?;
    if pins.is_empty() {
        return Ok(server);
    }
    if server.security == Security::Automatic {
        server.security = Security::Tls;
    }
    if let Some(given) = server.pins.iter().find(|pin| !pins.contains(pin)) {
        return Err(AccessError::OtherPin {
            given: *given,
            server: server.address,
            known: pins,
        });
    }
    server.pins = pins;
    Ok(server)
}

/// Why a conversation doesn't begin.
#[derive(Debug)]
pub(crate) enum MeetError {
    /// The server isn't trusted.
    Access(AccessError),
    /// No connection can be made to any of the servers: one error each.
    Dial(Vec<DialError>),
}

impl From<AccessError> for MeetError {
    fn from(error: AccessError) -> Self {
        Self::Access(error)
    }
}

/// The key of a new server, if that is the error.
pub(crate) fn unknown_key(error: &DialError) -> Option<Pin> {
    match error {
        DialError::Tls { source, .. } => match **source {
            TlsError::Key(KeyError::Unknown { found }) => Some(found),
            _ => None,
        },
        _ => None,
    }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

fn authorities(path: &Path) -> Result<Authorities, AccessError> {
    let pem = std::fs::read(path).map_err(|source| AccessError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    match Certificates::from_pem(&pem) {
        Ok(certificates) => Ok(Authorities::Certificates(certificates)),
        Err(source) => Err(AccessError::Authorities {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Forgets a server with these addresses. Returns each that was known, with its keys.
pub(crate) fn forget(
    servers: &[Address],
    folder: Option<&Path>,
) -> Result<Vec<(Address, Vec<Pin>)>, AccessError> {
    let known = KnownServers::within(folder);
    let mut forgotten = Vec::new();
    for server in servers {
        let keys = known.forget(server)?;
        if !keys.is_empty() {
            forgotten.push((server.clone(), keys));
        }
    }
    match forgotten.is_empty() {
        true => Err(AccessError::NotKnown {
            servers: words(servers),
            path: known.path()?.to_owned(),
        }),
        false => Ok(forgotten),
    }
}

fn words(servers: &[Address]) -> String {
    let servers: Vec<_> = servers.iter().map(Address::to_string).collect();
    servers.join(" or ")
}
