//! How a server logs in to NATS.

use std::path::Path;

use async_nats::ConnectOptions;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::super::error::EngineError;
use crate::config::{ClusterConfig, NatsUrl};

/// The line by which a file of NATS's own kind begins.
const OWN_KIND: &str = "-----BEGIN NATS USER JWT-----";

/// Options that log in as the configuration says: by the file, or by what a URL has.
pub(super) fn options(config: &ClusterConfig) -> Result<ConnectOptions, EngineError> {
    let options = ConnectOptions::new();
    let options = match &config.credentials {
        Some(path) => from_file(options, path)?,
        None => from_urls(options, &config.servers),
    };
    match &config.ca {
        Some(path) => with_authorities(options, path),
        None => Ok(options),
    }
}

/// Of whom a login is, without its secret.
pub(super) fn named(config: &ClusterConfig) -> String {
    match &config.credentials {
        Some(path) => format!("the login in {}", path.display()),
        None if config.servers.iter().any(|url| url.user().is_some()) => {
            "the login in --cluster".to_owned()
        }
        None => "a server without a login".to_owned(),
    }
}

/// async-nats reads the file when it connects, and takes one without certificates, too.
fn with_authorities(options: ConnectOptions, path: &Path) -> Result<ConnectOptions, EngineError> {
    let wrong = |cause: String| EngineError::Authorities {
        path: path.to_owned(),
        cause,
    };
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        certificate.map_err(|error| wrong(error.to_string()))?;
        count += 1;
    }
    match count {
        0 => Err(wrong("there is no certificate in it".to_owned())),
        _ => Ok(options.add_root_certificates(path.to_owned())),
    }
}

fn from_file(options: ConnectOptions, path: &Path) -> Result<ConnectOptions, EngineError> {
    let wrong = |cause: String| EngineError::Credentials {
        path: path.to_owned(),
        cause,
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    if text.contains(OWN_KIND) {
        return options
            .credentials(&text)
            .map_err(|error| wrong(error.to_string()));
    }
    let line = text.trim();
    match line.split_once(':') {
        _ if line.is_empty() || line.contains('\n') => Err(wrong(
            "this is a file of credentials as NATS makes it, or one line with USER:PASSWORD, or \
             with a token"
                .to_owned(),
        )),
        Some((user, password)) => {
            Ok(options.user_and_password(user.to_owned(), password.to_owned()))
        }
        None => Ok(options.token(line.to_owned())),
    }
}

/// The first URL with a user is good for all servers: they are one cluster.
fn from_urls(options: ConnectOptions, servers: &[NatsUrl]) -> ConnectOptions {
    let Some(url) = servers.iter().find(|url| url.user().is_some()) else {
        return options;
    };
    match (url.user(), url.password()) {
        (Some(user), Some(password)) => {
            options.user_and_password(user.to_owned(), password.to_owned())
        }
        (Some(token), None) => options.token(token.to_owned()),
        (None, _) => options,
    }
}
