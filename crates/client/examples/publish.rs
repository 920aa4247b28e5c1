//! Publishes each line of standard input, and ends when the server has stored them all.
//!
//! `cargo run -p natter-client --example publish -- 127.0.0.1:20000 lab < lines`

use std::io::BufRead as _;

use client::{Client, Line, Options};
use wire::TopicName;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(server), Some(topic)) = (arguments.next(), arguments.next()) else {
        anyhow::bail!("usage: publish ADDRESS:PORT TOPIC");
    };
    let topic = TopicName::new(&topic)?;
    let options = Options::new(server.parse()?, vec![topic.clone()]);
    // This program reads no events, so it drops them.
    let (client, _) = Client::connect(options).await?;
    for text in std::io::stdin().lock().lines() {
        let (topic, text) = (topic.clone(), text?);
        // Waits while the queue is full; lines are sent again after a lost connection.
        client.send(Line { topic, text }).await?;
    }
    // An error says how many lines may not have arrived.
    let finished = client.finish().await?;
    anyhow::ensure!(finished.refused == 0, "refused: {}", finished.refused);
    Ok(())
}
