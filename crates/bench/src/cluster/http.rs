//! What is asked of a server over HTTP: whether it is ready, what it counts, to publish.

use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than a server of a cluster takes to say that it doesn't reach NATS.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// The body of what it answers.
pub(super) fn get(address: SocketAddr, path: &str) -> Result<String> {
    ask(address, "GET", path, "")
}

/// Publishes a text, and returns when it is acknowledged.
pub(super) fn publish(address: SocketAddr, topic: &str, text: &str) -> Result<()> {
    ask(address, "POST", &format!("/{topic}"), text).map(|_| ())
}

fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> Result<String> {
    let exchange = || -> Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        stream.set_nodelay(true)?;
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.0\r\nhost: {address}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("it has no head")?;
        match head.split(' ').nth(1) {
            Some("200") => Ok(body.to_owned()),
            _ => bail!("the answer is {head} {body}"),
        }
    };
    exchange().with_context(|| format!("{method} http://{address}{path}"))
}

/// A metric that has no labels, in the text of a server's metrics.
pub(super) fn metric(text: &str, name: &str) -> Result<f64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        .and_then(|value| value.parse().ok())
        .with_context(|| format!("there is no metric {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_found_by_its_whole_name() {
        let text = "# TYPE a counter\na_total 3\na 4.5\nb{x=\"1\"} 9\n";
        assert_eq!(metric(text, "a").unwrap(), 4.5);
        assert_eq!(metric(text, "a_total").unwrap(), 3.0);
        assert!(metric(text, "c").unwrap_err().to_string().contains('c'));
    }
}
