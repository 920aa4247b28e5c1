//! `chat`, the terminal client: two people directly, or any number by topic.
//!
//! What was typed becomes a [`cli::Config`]; [`run`] does it. Standard output
//! carries messages and nothing else, notices go to standard error. Nothing
//! here ends the process or reads the environment: that is `main.rs` alone.

pub mod cli;

mod conversation;
mod dial;
mod direct;
mod failure;
mod input;
mod lines;
mod link;
mod notice;
mod plain;
mod reconnect;
mod sanitize;
mod screen;
mod system;
mod topic;

use std::io;

use cli::{Config, Mode};
use conversation::{Conversation, Rules};
use dial::Dialer;
use failure::Failure;
use input::Input;
use notice::Notices;

/// How a run ended. An interrupt is not among them: it ends `run` from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything was done that was asked for.
    Done,
    /// Something failed, and one line on standard error has said what.
    Failed,
}

/// Carries on the conversation that `config` describes, until it ends.
///
/// Everything that was received is written, and everything there is to say is
/// said, before this returns. An error means that no thread could be started.
pub async fn run(config: Config) -> io::Result<Exit> {
    let Config { mode, options } = config;
    let notices = Notices::start()?;
    let topic = match &mode {
        Mode::Join { topic, .. } => topic.as_str(),
        Mode::Wait { .. } | Mode::Call { .. } => direct::TOPIC,
    };
    let keyboard = plain::keyboard(options.max_frame)?;
    let mut conversation = Conversation {
        input: Input::new(keyboard, topic, options.max_frame, notices.clone()),
        screen: plain::screen()?,
        notices: notices.clone(),
        rules: Rules {
            stay: options.stay,
            drain_timeout: options.drain_timeout,
            pause: plain::pause(),
        },
    };
    let dialer = |address, expected| Dialer {
        address,
        expected,
        timeout: options.connect_timeout,
        max_frame: options.max_frame,
        notices: notices.clone(),
    };
    let result = match mode {
        Mode::Wait { port } => direct::wait(&mut conversation, port, options.max_frame).await,
        Mode::Call { peer } => direct::call(&mut conversation, &dialer(peer, "chat")).await,
        Mode::Join { server, topic } => {
            let server = dialer(server, "topicserver");
            topic::join(&mut conversation, &server, &topic, options.reconnect).await
        }
    };
    Ok(finish(conversation, result).await)
}

/// Writes out what is left, says what failed, and sums up.
async fn finish(conversation: Conversation, result: Result<(), Failure>) -> Exit {
    let Conversation {
        input,
        screen,
        notices,
        ..
    } = conversation;
    let result = match screen.finish().await {
        Ok(()) => result,
        Err(source) => Err(Failure::Output { source }),
    };
    let failed = result.is_err() || input.has_refused();
    notices.finish(result.err()).await;
    if failed { Exit::Failed } else { Exit::Done }
}
