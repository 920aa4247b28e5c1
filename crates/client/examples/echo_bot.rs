//! Answers each new message of a topic that begins with `!echo`.
//!
//! `cargo run -p natter-client --example echo_bot -- 127.0.0.1:20000 lab`

use std::collections::VecDeque;

use client::{Arrival, Client, Event, Line, Name, Options};
use wire::{TopicName, UserName};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(server), Some(topic)) = (arguments.next(), arguments.next()) else {
        anyhow::bail!("usage: echo_bot ADDRESS:PORT TOPIC");
    };
    let topic = TopicName::new(&topic)?;
    let mut options = Options::new(server.parse()?, vec![topic.clone()]);
    options.name = Name::Preferred(UserName::new("echo")?);
    let (client, mut events) = Client::connect(options).await?;
    // Events are read while replies wait, or acknowledgements would wait behind them.
    let mut replies = VecDeque::new();
    loop {
        tokio::select! {
            permit = client.reserve(), if !replies.is_empty() => {
                permit?.send(replies.drain(..).collect());
            }
            event = events.next() => match event {
                Some(Event::Message(message)) if message.arrival == Arrival::Live => {
                    let text = message.text.strip_prefix("!echo ");
                    let line = text.map(|text| Line { topic: topic.clone(), text: text.into() });
                    replies.extend(line.filter(|line| client.fits(line)));
                }
                Some(Event::Ended(outcome)) => drop(outcome?),
                Some(_) => {}
                None => return Ok(()),
            }
        }
    }
}
