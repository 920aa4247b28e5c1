//! TLS to NATS, and logins: what is right works, and what isn't is said.

use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa};
use serde_json::Value;

use super::nats::{Setup, program};
use super::starting::refused;
use super::*;

/// A folder for a test's files.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("natter-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn start(more: &str) -> Option<Nats> {
    let setup = Setup {
        count: 1,
        jetstream: "sync_interval: always",
        more,
    };
    Nats::with(&program()?, setup)
}

/// An authority, a certificate for a name that it has signed, and its key, as PEM.
fn certificate(name: &str) -> [String; 3] {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = || rcgen::KeyPair::generate().unwrap();
    let issuer = CertifiedIssuer::self_signed(authority, key()).unwrap();
    let own = key();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = certificate.signed_by(&own, &issuer).unwrap();
    [
        ("CERTIFICATE", issuer.der().to_vec()),
        ("CERTIFICATE", certificate.der().to_vec()),
        ("PRIVATE KEY", own.serialize_der()),
    ]
    .map(|(label, der)| {
        let body = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    })
}

/// The same NATS servers, reached over TLS.
fn over_tls(nats: &Nats) -> ClusterConfig {
    let mut config = config(nats);
    let url = format!("tls://127.0.0.1:{}", nats.servers[0].port);
    config.servers = vec![url.parse().unwrap()];
    config
}

#[tokio::test]
async fn tls_needs_the_authority_that_has_signed_the_certificate() {
    let folder = Folder::new("nats-tls");
    let [ca, certificate_pem, key] = certificate("127.0.0.1");
    let ca = folder.write("ca.pem", &ca);
    let [cert, key] = [
        folder.write("cert.pem", &certificate_pem),
        folder.write("key.pem", &key),
    ];
    let tls = format!("tls {{ cert_file: {cert:?}, key_file: {key:?} }}");
    let Some(nats) = start(&tls) else { return };
    let mut config = over_tls(&nats);
    config.ca = Some(ca.clone());
    let (log, _) = JetStream::open(&config, KEEP_AGE).await.unwrap();
    append_all(&log, &topic("t"), &["x"]).await;

    // Without its name and with that of another one.
    let [other, ..] = certificate("127.0.0.1");
    let other = folder.write("other.pem", &other);
    for wrong in [None, Some(other)] {
        config.ca = wrong;
        let error = refused(&config).await;
        assert!(matches!(error, EngineError::Tls { .. }), "{error}");
        let text = error.to_string();
        let place = format!("tls://127.0.0.1:{}", nats.servers[0].port);
        for part in [&place, "--cluster-ca", "invalid peer certificate"] {
            assert!(text.contains(part), "{text}");
        }
    }

    // NATS asks for TLS, whatever the URL says.
    config.servers = super::config(&nats).servers;
    let error = refused(&config).await;
    assert!(matches!(error, EngineError::Tls { .. }), "{error}");
    config.ca = Some(ca);
    JetStream::open(&config, KEEP_AGE).await.unwrap();

    // A file without certificates, and none.
    for wrong in [folder.write("empty.pem", "hello\n"), folder.0.join("none")] {
        config.ca = Some(wrong.clone());
        let error = refused(&config).await;
        assert!(matches!(error, EngineError::Authorities { .. }), "{error}");
        assert!(error.to_string().contains(wrong.to_str().unwrap()));
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_and_a_server_without_tls_are_refused() {
    let folder = Folder::new("nats-name");
    let [ca, certificate_pem, key] = certificate("nats.example");
    let ca = folder.write("ca.pem", &ca);
    let [cert, key] = [
        folder.write("cert.pem", &certificate_pem),
        folder.write("key.pem", &key),
    ];
    let tls = format!("tls {{ cert_file: {cert:?}, key_file: {key:?} }}");
    for more in [tls.as_str(), ""] {
        let Some(nats) = start(more) else { return };
        let mut config = over_tls(&nats);
        config.ca = Some(ca.clone());
        let error = refused(&config).await;
        assert!(matches!(error, EngineError::Tls { .. }), "{error}");
        assert!(error.to_string().contains("\"tls\" block"), "{error}");
    }
}

/// Signs claims, as NATS's own tools do.
fn signed(by: &KeyPair, subject: &KeyPair, name: &str, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(&json!({"typ": "JWT", "alg": "ed25519-nkey"}));
    let body = part(&json!({
        "jti": name, "iat": 1_700_000_000, "iss": by.public_key(), "name": name,
        "sub": subject.public_key(), "nats": claims,
    }));
    let signature = by.sign(format!("{header}.{body}").as_bytes()).unwrap();
    format!("{header}.{body}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// A file of credentials as NATS makes it.
fn creds(jwt: &str, user: &KeyPair) -> String {
    let seed = user.seed().unwrap();
    format!(
        "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
}

#[tokio::test]
async fn credentials_log_in_and_those_of_others_do_not() {
    let folder = Folder::new("nats-creds");
    let [operator, system, account] = [
        KeyPair::new_operator(),
        KeyPair::new_account(),
        KeyPair::new_account(),
    ];
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
        "conn": -1, "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
    });
    let claims = |kind: &str| json!({"type": kind, "version": 2});
    let of_account = json!({"type": "account", "version": 2, "limits": limits});
    let operator_jwt = signed(&operator, &operator, "O", &claims("operator"));
    let system_jwt = signed(&operator, &system, "SYS", &claims("account"));
    let account_jwt = signed(&operator, &account, "A", &of_account);
    let more = format!(
        "operator: {operator_jwt}\nsystem_account: {}\nresolver: MEMORY\n\
         resolver_preload: {{ {}: {system_jwt}, {}: {account_jwt} }}",
        system.public_key(),
        system.public_key(),
        account.public_key(),
    );
    let Some(nats) = start(&more) else { return };
    let of_user = json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1});
    let (user, stranger) = (KeyPair::new_user(), KeyPair::new_user());
    let jwt = signed(&account, &user, "natter", &of_user);
    let mut config = config(&nats);
    config.credentials = Some(folder.write("natter.creds", &creds(&jwt, &user)));
    let (log, _) = JetStream::open(&config, KEEP_AGE).await.unwrap();
    append_all(&log, &topic("t"), &["x"]).await;

    // Another one's seed, an account that NATS doesn't know, and nothing.
    let strange = signed(&KeyPair::new_account(), &stranger, "natter", &of_user);
    for wrong in [creds(&jwt, &stranger), creds(&strange, &stranger)] {
        let path = folder.write("wrong.creds", &wrong);
        config.credentials = Some(path.clone());
        let error = refused(&config).await;
        assert!(matches!(error, EngineError::Login { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(path.to_str().unwrap()), "{text}");
        assert!(!text.contains(&stranger.seed().unwrap()), "{text}");
    }
    config.credentials = None;
    let text = refused(&config).await.to_string();
    assert!(text.contains("refuses a server without a login"), "{text}");
    assert!(text.contains("--cluster-credentials"), "{text}");
    // A file that is cut.
    config.credentials = Some(folder.write("cut.creds", &creds(&jwt, &user)[..200]));
    let error = refused(&config).await;
    assert!(matches!(error, EngineError::Credentials { .. }), "{error}");
    assert!(error.to_string().contains("cut.creds"), "{error}");
}

#[tokio::test]
async fn a_token_logs_in_and_another_one_does_not() {
    let folder = Folder::new("nats-token");
    let Some(nats) = start("authorization { token: \"a-token-of-nats\" }") else {
        return;
    };
    let mut config = config(&nats);
    config.credentials = Some(folder.write("token", "a-token-of-nats\n"));
    JetStream::open(&config, KEEP_AGE).await.unwrap();
    let path = folder.write("token", "another-token\n");
    let text = refused(&config).await.to_string();
    assert!(text.contains(path.to_str().unwrap()), "{text}");
    assert!(!text.contains("another-token"), "{text}");
    config.credentials = None;
    let url = |token: &str| format!("nats://{token}@127.0.0.1:{}", nats.servers[0].port);
    config.servers = vec![url("another-token").parse().unwrap()];
    let text = refused(&config).await.to_string();
    assert!(text.contains("refuses the login in --cluster;"), "{text}");
    assert!(!text.contains("another-token"), "{text}");
    config.servers = vec![url("a-token-of-nats").parse().unwrap()];
    JetStream::open(&config, KEEP_AGE).await.unwrap();
}
