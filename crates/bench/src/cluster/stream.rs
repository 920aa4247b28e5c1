//! The stream of bare JetStream that the cluster is compared with: file storage, three
//! replicas, as the cluster's own streams.

use super::servers::COUNT;
use crate::protocols::jetstream::{JetStream, SUBJECTS};
use crate::protocols::nats::Nats;
use crate::protocols::{Codec, Step, shown};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const NAME: &str = "TOPICBENCH";
/// Where the answers come.
const INBOX: &str = "_INBOX.topicbench-api";
/// A stream has its leader by then.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Makes the stream.
pub(super) fn create(nats: SocketAddr) -> Result<()> {
    let config = json!({
        "name": NAME,
        "subjects": [format!("{SUBJECTS}.>")],
        "storage": "file",
        "num_replicas": COUNT,
    });
    request(nats, "CREATE", &config)
}

/// Deletes it with its messages.
pub(super) fn delete(nats: SocketAddr) -> Result<()> {
    request(nats, "DELETE", &json!({}))
}

fn request(nats: SocketAddr, verb: &str, body: &Value) -> Result<()> {
    let what = || format!("STREAM.{verb} of {NAME} at {nats}");
    let answer = exchange(nats, verb, &body.to_string()).with_context(what)?;
    let json: Value = serde_json::from_slice(&answer).with_context(what)?;
    ensure!(
        json["error"].is_null(),
        "{}: JetStream answered {}",
        what(),
        json["error"]
    );
    Ok(())
}

fn exchange(nats: SocketAddr, verb: &str, body: &str) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(nats)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    let mut out = Vec::new();
    Nats.join(INBOX, &mut out);
    let length = body.len();
    let line = format!("PUB $JS.API.STREAM.{verb}.{NAME} {INBOX} {length}\r\n{body}\r\n");
    out.extend_from_slice(line.as_bytes());
    stream.write_all(&out)?;
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match Nats.next(&bytes)? {
            Step::Incomplete => {
                let read = stream.read(&mut buffer)?;
                ensure!(read > 0, "NATS ended the connection: {}", shown(&bytes));
                bytes.extend_from_slice(&buffer[..read]);
            }
            Step::Skip(used) => drop(bytes.drain(..used)),
            Step::Answer(used, answer) => {
                bytes.drain(..used);
                stream.write_all(&answer)?;
            }
            Step::Delivery { payload, .. } => return Ok(payload.to_vec()),
        }
    }
}

/// How it is published to.
pub(super) const JOURNAL: &JetStream = &JetStream;
