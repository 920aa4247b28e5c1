//! Servers that speak TLS, and the ways to them.

use std::io;
use std::net::{SocketAddr, TcpStream};

use rustls::ClientConfig;
use topicserver::{CertificateSource, Config, TlsConfig, TlsMode};

use crate::common::tls::TlsEnd;
use crate::common::{Client, LIMIT, Process, Stream, TestServer, state_directory, tls};

/// A server that speaks TLS besides everything else.
pub fn optional() -> TestServer {
    with(|_| {})
}

/// The same with other settings.
pub fn with(change: impl FnOnce(&mut Config)) -> TestServer {
    let mut config = Config {
        tls: TlsConfig {
            certificate: Some(CertificateSource::SelfSigned { names: Vec::new() }),
            ..TlsConfig::default()
        },
        ..Config::default()
    };
    change(&mut config);
    TestServer::with(config)
}

/// A server that speaks nothing else.
pub fn required() -> TestServer {
    with(|config| config.tls.mode = Some(TlsMode::Required))
}

pub fn socket(addr: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect_timeout(&addr, LIMIT).unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket.set_write_timeout(Some(LIMIT)).unwrap();
    socket
}

/// A client whose handshake is done.
pub fn connect(addr: SocketAddr) -> Client {
    Client::with(Stream::tls(socket(addr)).unwrap())
}

/// The same, and registered.
pub fn join(addr: SocketAddr, topic: &str) -> Client {
    let mut client = connect(addr);
    client.join(&[topic]);
    client
}

/// A connection with settings of the test's.
pub fn end_with(addr: SocketAddr, config: ClientConfig) -> io::Result<TlsEnd> {
    TlsEnd::with(socket(addr), config)
}

pub fn config() -> ClientConfig {
    tls::config()
}

/// The real program with a certificate of its own, and where that certificate is.
pub fn program(options: &[&str]) -> (Process, String) {
    let server = Process::start(&[&["--tls-self-signed"], options].concat());
    let file = state_directory().join("natter/tls/certificate.pem");
    (server, file.to_str().unwrap().to_owned())
}
