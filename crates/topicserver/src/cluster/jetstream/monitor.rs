//! What a NATS server says of itself on its monitoring port.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::error::EngineError;
use crate::config::MonitorUrl;

/// Time for an answer.
const MONITOR_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer.
const LONGEST: u64 = 1024 * 1024;

/// What is known of a NATS server.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Report {
    /// Its id.
    pub(super) server: String,
    pub(super) version: String,
    pub(super) has_jetstream: bool,
    /// It flushes what it acknowledges.
    pub(super) is_flushing: bool,
    /// Servers with JetStream in its cluster, as far as it knows.
    pub(super) cluster_size: usize,
}

#[derive(Deserialize)]
struct Varz {
    version: String,
}

#[derive(Deserialize)]
struct Jsz {
    server_id: String,
    #[serde(default)]
    disabled: bool,
    config: Option<JetStreamConfig>,
    meta_cluster: Option<MetaCluster>,
}

#[derive(Deserialize)]
struct JetStreamConfig {
    /// Absent if it doesn't.
    #[serde(default)]
    sync_always: bool,
}

#[derive(Deserialize)]
struct MetaCluster {
    #[serde(default)]
    cluster_size: usize,
}

/// Asks a NATS server what it is.
pub(super) async fn look(monitor: &MonitorUrl) -> Result<Report, EngineError> {
    let failed = |cause: String| EngineError::Monitors {
        causes: vec![format!("http://{}: {cause}", monitor.authority())],
    };
    let asked = async {
        let varz: Varz = get(monitor, "/varz").await?;
        let jsz: Jsz = get(monitor, "/jsz?config=true").await?;
        Ok(report(varz, jsz))
    };
    match timeout(MONITOR_TIMEOUT, asked).await {
        Ok(result) => result.map_err(failed),
        Err(_) => Err(failed("no answer came in time".to_owned())),
    }
}

fn report(varz: Varz, jsz: Jsz) -> Report {
    Report {
        server: jsz.server_id,
        version: varz.version,
        has_jetstream: !jsz.disabled,
        is_flushing: jsz.config.is_some_and(|config| config.sync_always),
        cluster_size: jsz.meta_cluster.map_or(1, |meta| meta.cluster_size),
    }
}

/// Asks by HTTP 1.0, which sends the answer as it is, and closes.
async fn get<T: DeserializeOwned>(monitor: &MonitorUrl, path: &str) -> Result<T, String> {
    let host = monitor.authority();
    let text = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(host).await.map_err(text)?;
    let request = format!("GET {path} HTTP/1.0\r\nhost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(text)?;
    let mut answer = Vec::new();
    let mut limited = stream.take(LONGEST);
    limited.read_to_end(&mut answer).await.map_err(text)?;
    let body = body(&answer)?;
    serde_json::from_slice(body).map_err(|error| format!("it isn't a NATS server's: {error}"))
}

/// The body of an answer of HTTP, if it is a good one.
fn body(answer: &[u8]) -> Result<&[u8], String> {
    let end = memchr::memmem::find(answer, b"\r\n\r\n").ok_or("what answers isn't HTTP")?;
    let head = String::from_utf8_lossy(&answer[..end]);
    match head.split(' ').nth(1) {
        Some("200") => Ok(&answer[end + 4..]),
        status => Err(format!("it answers with {}", status.unwrap_or("nonsense"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flushing_is_only_believed_if_it_is_said() {
        let look = |jsz: &str| {
            let varz = serde_json::from_str(r#"{"version":"2.15.1","port":4222}"#).unwrap();
            report(varz, serde_json::from_str(jsz).unwrap())
        };
        let always = look(
            r#"{"server_id":"N","config":{"sync_always":true},"meta_cluster":{"cluster_size":3}}"#,
        );
        assert!(always.is_flushing && always.has_jetstream);
        assert_eq!((always.server.as_str(), always.cluster_size), ("N", 3));
        for jsz in [
            r#"{"server_id":"N","config":{"sync_interval":120000000000}}"#,
            r#"{"server_id":"N"}"#,
        ] {
            assert!(!look(jsz).is_flushing, "{jsz}");
        }
        assert!(!look(r#"{"server_id":"N","disabled":true}"#).has_jetstream);
    }

    #[test]
    fn only_a_good_answer_has_a_body() {
        assert_eq!(body(b"HTTP/1.0 200 OK\r\na: b\r\n\r\n{}"), Ok(&b"{}"[..]));
        for wrong in [
            "HTTP/1.0 404 Not Found\r\n\r\nx",
            "",
            "HTTP/1.0 200 OK",
            "x\r\n\r\n",
        ] {
            assert!(body(wrong.as_bytes()).is_err(), "{wrong:?}");
        }
    }
}
