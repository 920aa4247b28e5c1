//! The sentences about TLS.

use client::Pin;
use client::tls::{KeyError, Proof, ProvenBy, TlsError};
use wire::Address;

use super::{Words, info};

/// Why there is no TLS with a server, and what to do.
pub(super) fn error(server: &Address, error: &TlsError) -> String {
    let problem = format!("no TLS with {server}");
    match error {
        TlsError::Key(KeyError::Unknown { found }) => {
            format!("{server} is new, and its key isn't trusted: {found}")
        }
        TlsError::Key(KeyError::Changed { known, found }) => changed(server, known, *found),
        TlsError::Key(KeyError::NoAuthorities) => format!(
            "{problem}: its certificate is from an authority, and this machine trusts none: \
             install its package of CA certificates, or give the authority's with --tls-ca FILE"
        ),
        TlsError::UnknownIssuer => format!(
            "{problem}: its certificate is from an authority that isn't trusted here \
             (--tls-ca FILE trusts those in FILE)"
        ),
        TlsError::Expired => format!(
            "{problem}: its certificate has expired, and its operator must renew it; or is \
             this machine's clock wrong?"
        ),
        TlsError::NotValidYet => {
            format!("{problem}: its certificate isn't valid yet; is this machine's clock right?")
        }
        TlsError::WrongName => format!(
            "{problem}: its certificate is for another name; is this the name that it is for?"
        ),
        TlsError::NotTls => format!(
            "{server} doesn't speak TLS; tcp://{server} speaks plain text, which others on the \
             way can read"
        ),
        TlsError::Closed => format!(
            "{problem}: {error}; is {} running there?",
            super::TOPICSERVER
        ),
        error => format!("{problem}: {error}"),
    }
}

fn changed(server: &Address, known: &[Pin], found: Pin) -> String {
    let known: Vec<String> = known.iter().map(ToString::to_string).collect();
    let known = known.join(" or ");
    format!(
        "the key of {server} has changed: it should be {known}, and is {found}. Somebody may \
         pretend to be {server}. If you know that it has a new key, forget the old one: \
         chat --forget {server} (or correct the address)"
    )
}

/// The server requires TLS, and the address forbids it.
pub(super) fn required(server: &str) -> String {
    format!("it speaks only TLS: use the address tls://{server}")
}

/// The server has proven who it is.
pub(super) fn secured(proof: Proof, server: &str) -> Vec<Words> {
    match proof.by {
        ProvenBy::FirstUse => info(format_args!(
            "{server} is new: its key {} is trusted from now on",
            proof.key
        )),
        ProvenBy::Authority | ProvenBy::Pin => Vec::new(),
    }
}
