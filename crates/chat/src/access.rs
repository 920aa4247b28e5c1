//! How a server is reached: over TCP or TLS, with which key, and with which credential.
//!
//! Reads what a run needs before its first connection, and asks the person about a server
//! that is new. Knows no topic and no message.

mod ask;
mod known;
mod login;

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use client::dial::{DialError, Dialer, Protection};
use client::tls::{
    Authorities, Certificates, CertificatesError, KeyError, Proof, ProvenBy, TlsError, Trust,
    UnknownKey,
};
use client::{Payload, Pin, PlainSecrets, Security, ServerAddress};
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
    #[error("{server} is not among the known servers in {}", .path.display())]
    NotKnown {
        /// The server.
        server: Address,
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
    /// Its address. If the address leaves open whether to use TLS, the file of known servers
    /// decides.
    pub(crate) server: ServerAddress,
    /// Which certificates and keys are trusted.
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
        mut server: ServerAddress,
        access: &Access,
        folder: Option<&Path>,
    ) -> Result<Self, AccessError> {
        let known = KnownServers::within(folder);
        let pins = known.keys(&server.address)?;
        if server.security == Security::Automatic && !pins.is_empty() {
            server.security = Security::Tls;
        }
        if let Some(given) = server.pin
            && !pins.is_empty()
            && !pins.contains(&given)
        {
            return Err(AccessError::OtherPin {
                server: server.address,
                given,
                known: pins,
            });
        }
        let trust = Trust {
            authorities: access
                .authorities
                .as_deref()
                .map_or(Ok(Authorities::System), authorities)?,
            pins,
            unknown: match access.accept_new {
                true => UnknownKey::Accept,
                false => UnknownKey::Refuse,
            },
        };
        Ok(Self {
            server,
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
        self.credential = login::find(&self.login, &self.server.address).await?;
        Ok(())
    }

    /// The file with the token, if others on this machine may read it.
    pub(crate) fn open_token_file(&self) -> Option<&Path> {
        match &self.login {
            Login::Token(path) if system::is_readable_by_others(path) => Some(path),
            _ => None,
        }
    }

    /// Asks the person about a new server, if there is a terminal. Other errors are left to the
    /// conversation, which meets them again.
    pub(crate) async fn meet(&mut self, dialer: &Dialer) -> Result<(), MeetError> {
        let is_tls = match dialer.protection {
            Protection::Tls(_) => true,
            Protection::TlsToOthers(_) => !is_here(&dialer.address.host),
            Protection::Plain | Protection::PlainWithinMachine => false,
        };
        let is_known = !self.trust.pins.is_empty() || self.server.pin.is_some();
        let accepts = self.trust.unknown == UnknownKey::Accept;
        if !is_tls || is_known || accepts || !ask::can_ask() {
            return Ok(());
        }
        let found = match dialer.dial().await {
            Ok(_) => return Ok(()),
            Err(error) => match unknown_key(&error) {
                Some(found) => found,
                None => return Err(MeetError::Dial(error)),
            },
        };
        let server = self.server.address.clone();
        let question = format!(
            "chat: {server} is new. The fingerprint of its key is\n  {found}\nIf that is what \
             topicserver printed there, type yes to trust it from now on: "
        );
        match ask::ask(&question).await {
            Ok(answer) if is_yes(&answer) => {}
            Ok(_) => return Err(AccessError::NotTrusted { server }.into()),
            Err(source) => return Err(AccessError::Ask { server, source }.into()),
        }
        let by = ProvenBy::FirstUse;
        let proof = Proof { key: found, by };
        self.known
            .remember(&server, proof)
            .map_err(AccessError::from)?;
        self.trust.pins = vec![found];
        Ok(())
    }
}

/// Why a conversation doesn't begin.
#[derive(Debug)]
pub(crate) enum MeetError {
    /// The server isn't trusted.
    Access(AccessError),
    /// No connection can be made.
    Dial(DialError),
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

/// Whether a host is certainly this machine.
fn is_here(host: &str) -> bool {
    let ip = host.parse::<IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.to_canonical().is_loopback())
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

/// Forgets a server. Returns the keys that it had.
pub(crate) fn forget(server: &Address, folder: Option<&Path>) -> Result<Vec<Pin>, AccessError> {
    let known = KnownServers::within(folder);
    let keys = known.forget(server)?;
    match keys.is_empty() {
        true => Err(AccessError::NotKnown {
            server: server.clone(),
            path: known.path()?.to_owned(),
        }),
        false => Ok(keys),
    }
}
