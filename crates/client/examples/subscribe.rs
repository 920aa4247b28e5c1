//! Prints the messages of a topic: those the server still has, and then those that come.
//! After a lost connection it resumes, so that none is missing and none comes twice.
//!
//! `cargo run -p natter-client --example subscribe -- 127.0.0.1:20000 lab`

use std::io::Write as _;

use client::{Client, Event, History, Options};
use wire::TopicName;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(server), Some(topic)) = (arguments.next(), arguments.next()) else {
        anyhow::bail!("usage: subscribe ADDRESS:PORT TOPIC");
    };
    let mut options = Options::new(server.parse()?, vec![TopicName::new(&topic)?]);
    options.history = History::Last(u64::MAX);
    let (_client, mut events) = Client::connect(options).await?;
    let mut stdout = std::io::stdout();
    while let Some(event) = events.next().await {
        match event {
            Event::Message(message) => writeln!(stdout, "{}", message.text)?,
            Event::Gap { count, .. } => eprintln!("messages that are lost: {count}"),
            Event::Incomplete(topic) => eprintln!("messages of {topic} may be missing"),
            Event::Disconnected { cause, .. } => eprintln!("disconnected: {cause}"),
            Event::Joined { .. } => eprintln!("joined"),
            Event::Ended(outcome) => drop(outcome?),
            _ => {}
        }
        stdout.flush()?;
    }
    Ok(())
}
