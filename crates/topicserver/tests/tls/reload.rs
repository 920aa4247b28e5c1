//! A new certificate takes the place of another one while the server runs.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use topicserver::CertificateSource;

use crate::common::tls::TlsEnd;
use crate::common::{Bystanders, Client, LIMIT, Process, Stream, eventually};
use crate::server;

/// A certificate and its key, in a directory of a test's own.
pub struct Files {
    directory: PathBuf,
}

/// One certificate with its key.
pub struct Pair {
    pub certificate: String,
    pub key: String,
    der: Vec<u8>,
}

impl Pair {
    /// A new one, for which somebody else vouches.
    pub fn issued() -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = rcgen::DnType::CommonName;
        authority
            .distinguished_name
            .push(name, "a test's authority");
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::self_signed(authority, key).unwrap();
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = parameters.signed_by(&key, &issuer).unwrap();
        Self {
            certificate: pem("CERTIFICATE", certificate.der()),
            key: pem("PRIVATE KEY", &key.serialize_der()),
            der: certificate.der().to_vec(),
        }
    }
}

fn pem(label: &str, bytes: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

impl Files {
    pub fn new(name: &str) -> Self {
        let name = format!("natter-tls-{name}-{:016x}", getrandom::u64().unwrap());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir(&directory).unwrap();
        Self { directory }
    }

    /// With a pair in them.
    pub fn issued(name: &str) -> Self {
        let files = Self::new(name);
        files.write(&Pair::issued());
        files
    }

    pub fn certificate(&self) -> PathBuf {
        self.directory.join("certificate.pem")
    }

    pub fn key(&self) -> PathBuf {
        self.directory.join("key.pem")
    }

    pub fn write(&self, pair: &Pair) {
        std::fs::write(self.certificate(), &pair.certificate).unwrap();
        std::fs::write(self.key(), &pair.key).unwrap();
    }

    pub fn source(&self) -> CertificateSource {
        CertificateSource::Files {
            certificate: self.certificate(),
            key: self.key(),
        }
    }

    /// Starts the real program with them.
    fn serve(&self, options: &[&str]) -> Process {
        let (certificate, key) = (self.certificate(), self.key());
        let files = [
            "--tls-cert",
            certificate.to_str().unwrap(),
            "--tls-key",
            key.to_str().unwrap(),
        ];
        Process::start(&[&files, options].concat())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// What the server shows to a new connection.
fn shown(server: &Process) -> Vec<u8> {
    let end = server::end_with(server.v4(), server::config());
    end.unwrap().certificate()
}

#[test]
fn sighup_brings_the_new_certificate_and_disturbs_nobody() {
    let (first, second) = (Pair::issued(), Pair::issued());
    let files = Files::new("sighup");
    files.write(&first);
    let server = files.serve(&[]);
    assert_eq!(shown(&server), first.der);
    let mut old = server::join(server.v4(), "t");
    let mut publisher = server.join(&["t"]);
    // Messages go on and on, and not one is missing.
    let sending = std::thread::spawn(move || {
        for number in 0..3_000 {
            publisher.say("t", &number.to_string());
        }
        publisher
    });
    files.write(&second);
    server.signal("HUP");
    server.wait_for("new connections get the new certificate");
    assert_eq!(shown(&server), second.der);
    for number in 0..3_000 {
        old.expect("t", &number.to_string());
    }
    drop(sending.join().unwrap());
    server.signal("HUP");
    server.wait_for("the certificate is unchanged");
}

#[test]
fn changed_files_are_noticed_without_a_signal() {
    let (first, second, third) = (Pair::issued(), Pair::issued(), Pair::issued());
    let files = Files::new("changed");
    files.write(&first);
    let server = files.serve(&["--tls-check-interval", "1"]);
    let mut old = server::join(server.v4(), "t");
    files.write(&second);
    eventually("the second certificate", || {
        (shown(&server) == second.der).then_some(())
    });
    // As Kubernetes does it: the files are links into a directory, which is swapped.
    let new = files.directory.join("new");
    std::fs::create_dir(&new).unwrap();
    std::fs::write(new.join("certificate.pem"), &third.certificate).unwrap();
    std::fs::write(new.join("key.pem"), &third.key).unwrap();
    for name in ["key.pem", "certificate.pem"] {
        let link = files.directory.join("link");
        std::os::unix::fs::symlink(new.join(name), &link).unwrap();
        std::fs::rename(&link, files.directory.join(name)).unwrap();
    }
    eventually("the third certificate", || {
        (shown(&server) == third.der).then_some(())
    });
    old.sync();
}

#[test]
fn what_cant_be_used_keeps_the_old_one_and_is_said_once() {
    let (first, second) = (Pair::issued(), Pair::issued());
    let files = Files::new("kept");
    files.write(&first);
    let server = files.serve(&["--tls-check-interval", "1"]);
    let hup = |part: &str| {
        server.signal("HUP");
        server.wait_for(part);
        assert_eq!(shown(&server), first.der, "{part}");
    };
    // The certificate is there and its key isn't yet.
    std::fs::write(files.certificate(), &second.certificate).unwrap();
    hup("is not the key of the first certificate in");
    // Half a file.
    let half = &second.certificate[..second.certificate.len() / 2];
    std::fs::write(files.certificate(), half).unwrap();
    hup("is no PEM file");
    std::fs::write(files.certificate(), "").unwrap();
    hup("there is no certificate in");
    std::fs::remove_file(files.certificate()).unwrap();
    hup("can't read");
    // Nothing of that is repeated every second.
    let lines = server.log();
    for part in ["is no PEM file", "there is no certificate in"] {
        let count = lines.iter().filter(|line| line.contains(part)).count();
        assert_eq!(count, 1, "{part}: {lines:#?}");
    }
    files.write(&second);
    server.signal("HUP");
    server.wait_for("new connections get the new certificate");
    assert_eq!(shown(&server), second.der);
}

#[test]
fn a_server_doesnt_start_with_what_cant_be_used() {
    let (first, second) = (Pair::issued(), Pair::issued());
    let files = Files::new("start");
    let run = |certificate: &str, key: &str, why: &str| {
        std::fs::write(files.certificate(), certificate).unwrap();
        std::fs::write(files.key(), key).unwrap();
        let mut command = crate::common::program();
        command.arg("0").arg("--tls-cert").arg(files.certificate());
        command.arg("--tls-key").arg(files.key());
        let output = crate::common::finish(&mut command);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{why}");
        assert!(text.contains(why), "{why}: {text}");
    };
    run(
        &first.certificate,
        &second.key,
        "is not the key of the first certificate in",
    );
    run(&first.key, &first.key, "there is no certificate in");
    run(
        &first.certificate,
        &first.certificate,
        "there is no private key in",
    );
    run(
        &pem("CERTIFICATE", b"x"),
        &first.key,
        "the first certificate in",
    );
    run(
        &first.certificate,
        &pem("PRIVATE KEY", b"x"),
        "can't be used",
    );
    std::fs::remove_file(files.key()).unwrap();
    let mut command = crate::common::program();
    command.arg("0").arg("--tls-cert").arg(files.certificate());
    let output = crate::common::finish(command.arg("--tls-key").arg(files.key()));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("can't read")
    );
    let mut command = crate::common::program();
    let output = crate::common::finish(command.args(["0", "--tls", "required"]));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("--tls-self-signed"), "{text}");
}

#[test]
fn a_certificate_that_ends_soon_is_said() {
    let pair = |days: i64| {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let today = rcgen::date_time_ymd(1970, 1, 1) + now;
        parameters.not_before = today - Duration::from_secs(90 * 24 * 3600);
        let distance = Duration::from_secs(days.unsigned_abs() * 24 * 3600 + 60);
        parameters.not_after = if days < 0 {
            today - distance
        } else {
            today + distance
        };
        let certificate = parameters.self_signed(&key).unwrap();
        Pair {
            certificate: pem("CERTIFICATE", certificate.der()),
            key: pem("PRIVATE KEY", &key.serialize_der()),
            der: certificate.der().to_vec(),
        }
    };
    for (days, said) in [
        (13, "expires in 13 days"),
        (1, "expires in 24 h"),
        (-1, "has expired"),
    ] {
        let files = Files::new("ends");
        files.write(&pair(days));
        let server = files.serve(&[]);
        server.wait_for(said);
    }
    let files = Files::new("ends");
    files.write(&pair(20));
    let server = files.serve(&[]);
    shown(&server);
    assert!(!server.log().iter().any(|line| line.contains("expire")));
}

#[test]
fn a_certificate_of_ones_own_keeps_its_key_over_restarts() {
    let files = Files::new("own");
    let data = files.directory.join("data");
    let fingerprint = || {
        let server = Process::start(&["--tls-self-signed", "--data", data.to_str().unwrap()]);
        let line = server.wait_for("fingerprint sha256:");
        let said = line.split_once("fingerprint ").unwrap().1.to_owned();
        let command = server.wait_for("connect with: chat -topic");
        let port = server.listens_on().port();
        assert!(
            command.contains(&format!(":{port}#{said}' TOPIC")),
            "{command}"
        );
        (said, shown(&server))
    };
    assert_eq!(fingerprint(), fingerprint());
    let written = std::fs::read_to_string(data.join("tls/certificate.pem")).unwrap();
    assert!(
        written.starts_with("Made by topicserver for: "),
        "{written}"
    );
}
