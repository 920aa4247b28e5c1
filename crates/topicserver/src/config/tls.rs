//! The options of TLS.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::Config;
use super::parse::{Seconds, count, seconds, time_up_to};

/// The settings of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// Whether connections may or must speak TLS; `None`: they may when there is a certificate.
    pub mode: Option<TlsMode>,
    /// Where the certificate comes from; `None`: there is none.
    pub certificate: Option<CertificateSource>,
    /// The directory for a self-signed certificate if `data` is not set.
    pub state_directory: Option<PathBuf>,
    /// The oldest version that is accepted.
    pub min_version: TlsVersion,
    /// Time from a connection's first byte to the end of its handshake.
    pub handshake_timeout: Duration,
    /// Maximum handshakes that are computed, or wait for a core, at the same time.
    pub max_handshakes: usize,
    /// Time between two checks of the files.
    pub check_interval: Duration,
    /// How long browsers should use only https for this host; `None` sends no such header.
    pub hsts: Option<Duration>,
}

/// Whether connections may or must speak TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TlsMode {
    /// Connections may not speak TLS.
    Off,
    /// Connections may speak TLS.
    Optional,
    /// Connections must speak TLS.
    Required,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TlsVersion {
    /// 1.2
    #[value(name = "1.2")]
    Tls12,
    /// 1.3
    #[value(name = "1.3")]
    Tls13,
}

/// Where the certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSource {
    /// PEM files.
    Files {
        /// The certificate, and the intermediate ones.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// The server makes the certificate.
    SelfSigned {
        /// Names and addresses of the server, in addition to those of the machine.
        names: Vec<String>,
    },
}

impl TlsConfig {
    /// Whether connections may or must speak TLS.
    pub fn mode(&self) -> TlsMode {
        self.mode.unwrap_or(match self.certificate {
            Some(_) => TlsMode::Optional,
            None => TlsMode::Off,
        })
    }
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            mode: None,
            certificate: None,
            state_directory: None,
            min_version: TlsVersion::Tls12,
            handshake_timeout: Config::DEFAULT_TLS_HANDSHAKE_TIMEOUT,
            max_handshakes: default_max_handshakes(),
            check_interval: Config::DEFAULT_TLS_CHECK_INTERVAL,
            hsts: None,
        }
    }
}

impl Config {
    /// Two round trips on a slow line, and a slow computer at the other end.
    pub const DEFAULT_TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
    /// Each takes about 0.1 ms of a core, so other work waits for at most about 6 ms when
    /// thousands come at once.
    pub const MAX_HANDSHAKES_PER_CORE: usize = 64;
    /// 60 s: a certificate is renewed weeks before it expires.
    pub const DEFAULT_TLS_CHECK_INTERVAL: Duration = Duration::from_secs(60);
}

/// Browsers keep the setting for at most this long.
const LONGEST_HSTS: u64 = 10 * 365 * 24 * 60 * 60;

fn default_max_handshakes() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    cores * Config::MAX_HANDSHAKES_PER_CORE
}

// No doc comment: clap would show it as the program's description.
#[derive(Clone, Debug, Args)]
pub(super) struct TlsOptions {
    /// Speak TLS with this certificate: a PEM file with the server's certificate first, then those
    /// that vouch for it
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The certificate's private key: a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Speak TLS with a certificate that the server makes, for the names of the machine and these
    #[arg(long, value_name = "NAMES", value_delimiter = ',', num_args = 0.., require_equals = true,
          conflicts_with = "tls_cert")]
    tls_self_signed: Option<Vec<String>>,

    /// Whether connections may or must speak TLS [default: optional with a certificate, otherwise
    /// off]
    #[arg(long, value_name = "WHEN", hide_possible_values = true,
          value_parser = clap::builder::EnumValueParser::<TlsMode>::new())]
    tls: Option<TlsMode>,

    /// Oldest version of TLS: 1.2 or 1.3
    #[arg(
        long,
        value_name = "VERSION",
        default_value = "1.2",
        hide_possible_values = true
    )]
    tls_min: TlsVersion,

    /// Time for a TLS handshake
    #[arg(long, value_name = "TIME", value_parser = seconds(1),
          default_value_t = Seconds::of(Config::DEFAULT_TLS_HANDSHAKE_TIMEOUT))]
    tls_handshake_timeout: Seconds,

    /// Maximum TLS handshakes that are computed at the same time; more wait [default: 64 per core]
    #[arg(long, value_name = "COUNT", value_parser = count(1))]
    max_handshakes: Option<usize>,

    /// Time between two checks whether the files of --tls-cert and --tls-key have changed
    #[arg(long, value_name = "TIME", value_parser = seconds(1),
          default_value_t = Seconds::of(Config::DEFAULT_TLS_CHECK_INTERVAL))]
    tls_check_interval: Seconds,

    /// Tell browsers to use https only for this host, on every port, for this long. Not sent with
    /// a self-signed certificate
    #[arg(long, value_name = "TIME", conflicts_with = "tls_self_signed",
          value_parser = time_up_to(1, LONGEST_HSTS))]
    hsts: Option<Seconds>,
}

impl TlsOptions {
    pub(super) fn apply(&self, config: &mut Config) {
        let files = self.tls_cert.clone().zip(self.tls_key.clone());
        let self_signed = self.tls_self_signed.clone();
        config.tls = TlsConfig {
            mode: self.tls,
            certificate: match (files, self_signed) {
                (Some((certificate, key)), _) => {
                    Some(CertificateSource::Files { certificate, key })
                }
                (None, Some(names)) => Some(CertificateSource::SelfSigned { names }),
                (None, None) => None,
            },
            state_directory: None,
            min_version: self.tls_min,
            handshake_timeout: self.tls_handshake_timeout.into(),
            max_handshakes: self.max_handshakes.unwrap_or_else(default_max_handshakes),
            check_interval: self.tls_check_interval.into(),
            hsts: self.hsts.map(Into::into),
        };
    }
}
