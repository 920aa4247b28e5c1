//! Whom a client takes for the server: every kind of certificate, over a real handshake.

use std::net::SocketAddr;

use base64::Engine as _;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

/// An authority that only the tests know.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        Self::named("an authority")
    }

    fn named(name: &str) -> Self {
        let mut params = params(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = pem(params.self_signed(&key).expect("signed").der());
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    /// Trusts it alone.
    fn trust(&self) -> Trust {
        let certificates = Certificates::from_pem(self.pem.as_bytes()).expect("right");
        Trust {
            authorities: Authorities::Certificates(certificates),
            ..Trust::default()
        }
    }
}

/// A certificate as files have it.
fn pem(certificate: &CertificateDer<'_>) -> String {
    let base64 = base64::engine::general_purpose::STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n")
}

fn params(name: &str, for_names: &[&str]) -> CertificateParams {
    let names: Vec<String> = for_names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// A server's certificate, and the key to it.
struct Certificate {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

impl Certificate {
    fn by(authority: &Authority, params: &CertificateParams) -> Self {
        let key = KeyPair::generate().expect("a key");
        let signed = params.signed_by(&key, &authority.issuer).expect("signed");
        let certificate = signed.der().clone();
        Self { certificate, key }
    }

    fn self_signed(params: &CertificateParams, key: KeyPair) -> Self {
        let certificate = params.self_signed(&key).expect("signed").der().clone();
        Self { certificate, key }
    }

    fn pin(&self) -> Pin {
        Pin::of_key(&rcgen::PublicKeyData::subject_public_key_info(&self.key))
    }

    /// A server with it, for one connection: what comes is sent back.
    async fn serve(&self, protocols: &[&[u8]]) -> SocketAddr {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], key)
            .expect("a certificate");
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("a caller");
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let mut bytes = [0; 2];
                stream.read_exact(&mut bytes).await.expect("bytes");
                stream.write_all(&bytes).await.expect("written");
                stream.shutdown().await.expect("closed");
            }
        });
        address
    }

    /// Connects to a server with it, which is called so.
    async fn connect(&self, host: &str, trust: Trust) -> Result<Proof, TlsError> {
        let address = self.serve(&[PROTOCOL]).await;
        connect(address, host, trust).await
    }
}

async fn connect(address: SocketAddr, host: &str, trust: Trust) -> Result<Proof, TlsError> {
    let stream = TcpStream::connect(address).await.expect("connected");
    let (mut stream, proof) = Tls::new(trust).connect(host, stream).await?;
    stream.write_all(b"hi").await.expect("written");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.expect("read");
    assert_eq!(bytes, b"hi");
    Ok(proof)
}

fn pinned(pins: &[Pin], trust: &Trust) -> Trust {
    Trust {
        pins: pins.to_vec(),
        ..trust.clone()
    }
}

#[tokio::test]
async fn an_authority_vouches_for_names_and_addresses() {
    let authority = Authority::new();
    let names = ["lab.example", "127.0.0.1", "fe80::1"];
    let certificate = Certificate::by(&authority, &params("a server", &names));
    for host in ["lab.example", "127.0.0.1", "fe80::1%eth0"] {
        let proof = certificate.connect(host, authority.trust()).await;
        let proof = proof.expect(host);
        assert_eq!(proof.by, ProvenBy::Authority, "{host}");
        assert_eq!(proof.key, certificate.pin());
    }
    for host in ["lab2.example", "127.0.0.2", "localhost"] {
        let error = certificate.connect(host, authority.trust()).await;
        assert!(matches!(error, Err(TlsError::WrongName)), "{error:?}");
    }
    // The common name counts for nothing, and an address is no name.
    let named = Certificate::by(&authority, &params("127.0.0.1", &["lab.example"]));
    let error = named.connect("127.0.0.1", authority.trust()).await;
    assert!(matches!(error, Err(TlsError::WrongName)), "{error:?}");
}

#[tokio::test]
async fn a_pin_does_not_help_a_certificate_of_an_authority() {
    let authority = Authority::new();
    let mut old = params("a server", &["lab.example"]);
    old.not_before = date_time_ymd(2020, 1, 1);
    old.not_after = date_time_ymd(2021, 1, 1);
    let mut early = params("a server", &["lab.example"]);
    early.not_before = date_time_ymd(2220, 1, 1);
    early.not_after = date_time_ymd(2221, 1, 1);
    for (params, is_right) in [
        (
            old,
            (|error| matches!(error, TlsError::Expired)) as fn(&TlsError) -> bool,
        ),
        (early, |error| matches!(error, TlsError::NotValidYet)),
        (params("a server", &["x.example"]), |error| {
            matches!(error, TlsError::WrongName)
        }),
    ] {
        let certificate = Certificate::by(&authority, &params);
        let trust = pinned(&[certificate.pin()], &authority.trust());
        let error = certificate
            .connect("lab.example", trust)
            .await
            .expect_err("refused");
        assert!(is_right(&error), "{error:?}");
        assert!(!error.is_final());
    }
    for name in ["another", "an authority"] {
        let params = params("a server", &["lab.example"]);
        let stranger = Certificate::by(&Authority::named(name), &params);
        let trust = pinned(&[stranger.pin()], &authority.trust());
        let error = stranger.connect("lab.example", trust).await;
        assert!(matches!(error, Err(TlsError::UnknownIssuer)), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_vouches_for_itself_is_known_by_its_key() {
    let trust = Authority::new().trust();
    let key = || KeyPair::generate().expect("a key");
    let mut params = params("a server", &["elsewhere.example"]);
    params.not_after = date_time_ymd(2021, 1, 1);
    let certificate = Certificate::self_signed(&params, key());
    let found = certificate.pin();
    let refused = certificate.connect("lab.example", trust.clone()).await;
    let Err(TlsError::Key(error)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(error, KeyError::Unknown { found });
    // Neither the name nor the dates count, which nobody has checked.
    let both = [Pin::of_key(b"another"), found];
    let proof = certificate
        .connect("lab.example", pinned(&both, &trust))
        .await;
    assert_eq!(proof.expect("pinned").by, ProvenBy::Pin);
    // A new certificate for the same key.
    params.not_after = date_time_ymd(2100, 1, 1);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let renewed = KeyPair::try_from(certificate.key.serialize_der()).expect("a key");
    let renewed = Certificate::self_signed(&params, renewed);
    let proof = renewed
        .connect("lab.example", pinned(&[found], &trust))
        .await;
    assert_eq!(proof.expect("pinned").by, ProvenBy::Pin);
    let other = Certificate::self_signed(&params, key());
    for unknown in [UnknownKey::Refuse, UnknownKey::Accept] {
        let trust = Trust {
            unknown,
            ..pinned(&[found], &trust)
        };
        let refused = other.connect("lab.example", trust).await;
        let Err(error @ TlsError::Key(KeyError::Changed { .. })) = &refused else {
            panic!("{refused:?}");
        };
        assert!(error.is_final());
    }
}

#[tokio::test]
async fn the_first_key_is_accepted_if_it_may_be() {
    let certificate = Certificate::self_signed(
        &params("a server", &["lab.example"]),
        KeyPair::generate().expect("a key"),
    );
    let trust = Trust {
        unknown: UnknownKey::Accept,
        ..Authority::new().trust()
    };
    let proof = certificate
        .connect("lab.example", trust)
        .await
        .expect("accepted");
    assert_eq!(proof.by, ProvenBy::FirstUse);
    assert_eq!(proof.key, certificate.pin());
}

#[tokio::test]
async fn a_certificate_of_a_server_can_be_trusted_as_an_authority() {
    let params = params("a server", &["lab.example"]);
    let certificate = Certificate::self_signed(&params, KeyPair::generate().expect("a key"));
    let pem = pem(&certificate.certificate);
    let certificates = Certificates::from_pem(pem.as_bytes()).expect("right");
    let trust = || Trust {
        authorities: Authorities::Certificates(certificates.clone()),
        ..Trust::default()
    };
    let proof = certificate.connect("lab.example", trust()).await;
    assert_eq!(proof.expect("trusted").by, ProvenBy::Authority);
    // Then its name counts.
    let trust = pinned(&[certificate.pin()], &trust());
    let error = certificate.connect("x.example", trust).await;
    assert!(matches!(error, Err(TlsError::WrongName)), "{error:?}");
}

#[tokio::test]
async fn what_does_not_speak_tls_is_told_from_what_refuses_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("an address");
    let answers = [
        "{\"message\":{\"topic\":\"error\"}}\n",
        "HTTP/1.1 400 Bad\r\n\r\n",
        "",
    ];
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.expect("a caller");
            stream.write_all(answer.as_bytes()).await.expect("written");
            stream.shutdown().await.expect("closed");
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.expect("read");
        }
    });
    for answer in answers {
        let error = connect(address, "lab.example", Trust::default()).await;
        let is_right = match answer {
            "" => matches!(error, Err(TlsError::Closed)),
            _ => matches!(error, Err(TlsError::NotTls)),
        };
        assert!(is_right, "{answer:?}: {error:?}");
    }
    let authority = Authority::new();
    let certificate = Certificate::by(&authority, &params("a server", &["lab.example"]));
    let address = certificate.serve(&[b"http/1.1"]).await;
    let error = connect(address, "lab.example", authority.trust()).await;
    assert!(matches!(error, Err(TlsError::Refused(_))), "{error:?}");
    // A server that chooses by what comes first needs no name of a protocol.
    let address = certificate.serve(&[]).await;
    connect(address, "lab.example", authority.trust())
        .await
        .expect("connected");
}

#[test]
fn a_host_that_no_certificate_can_name_is_named() {
    for host in ["a b", "", "-", &"x".repeat(300)] {
        let error = server_name(host);
        assert!(matches!(error, Err(TlsError::BadName(_))), "{host}");
    }
}

#[test]
fn a_file_without_certificates_is_no_authority() {
    let pem = Authority::new().pem;
    assert!(Certificates::from_pem(pem.as_bytes()).is_ok());
    let twice = format!("a comment\n{pem}{pem}");
    assert!(Certificates::from_pem(twice.as_bytes()).is_ok());
    assert!(matches!(
        Certificates::from_pem(b"nothing"),
        Err(CertificatesError::None)
    ));
    let cut = &pem[..pem.len() / 2];
    assert!(Certificates::from_pem(cut.as_bytes()).is_err());
    let wrong = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(
        Certificates::from_pem(wrong.as_bytes()),
        Err(CertificatesError::Certificate(_))
    ));
}
