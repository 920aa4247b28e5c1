//! `chat`, the terminal client: two people directly, or any number by topic.
//!
//! What was typed becomes a [`cli::Config`]; [`run`] does it. Standard output
//! carries messages and nothing else, notices go to standard error. Nothing
//! here ends the process or reads the environment: that is `main.rs` alone.

pub mod cli;

mod conversation;
mod countdown;
mod delivery;
mod dial;
mod direct;
mod failure;
mod input;
mod left;
mod lines;
mod link;
mod notice;
mod plain;
mod pulse;
mod random;
mod reconnect;
mod sanitize;
mod screen;
mod seen;
mod session;
mod system;
mod topic;

use std::io;
use std::time::{Duration, SystemTime};

use cli::{Config, Extended, Mode};
use conversation::{Conversation, Rules};
use dial::Dialer;
use failure::Failure;
use input::Input;
use notice::Notices;
use screen::Format;
use seen::History;
use session::Session;
use wire::{Address, TopicName};

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
    let (topic, session) = match &mode {
        Mode::Join { server, topic } => {
            let extended = options.extended.as_ref();
            let setup =
                extended.map(|extended| setup(server, topic, extended, options.drain_timeout));
            let session = setup.map(|setup| Session::new(setup, notices.clone()));
            (topic.as_str(), session)
        }
        Mode::Wait { .. } | Mode::Call { .. } => (direct::TOPIC, None),
    };
    let (reserved, envelope) = match session {
        Some(_) => (session::ID_MEMBER, session::ENVELOPE),
        None => (0, 0),
    };
    let max_frame = options.max_frame;
    let format = if options.json {
        Format::Json
    } else {
        Format::Plain
    };
    let keyboard = plain::keyboard(max_frame)?;
    let mut conversation = Conversation {
        input: Input::new(keyboard, topic, max_frame, reserved, notices.clone()),
        screen: plain::screen(format)?,
        notices: notices.clone(),
        rules: Rules {
            stay: options.stay,
            drain_timeout: options.drain_timeout,
            pause: plain::pause(),
        },
        session,
    };
    let dialer = |address, expected| Dialer {
        address,
        expected,
        timeout: options.connect_timeout,
        max_frame: max_frame + envelope,
        notices: notices.clone(),
    };
    let result = match mode {
        Mode::Wait { port } => direct::wait(&mut conversation, port, max_frame).await,
        Mode::Call { peer } => direct::call(&mut conversation, &dialer(peer, "chat")).await,
        Mode::Join { server, topic } => {
            let server = dialer(server, "topicserver");
            topic::join(&mut conversation, &server, &topic, options.reconnect).await
        }
    };
    Ok(finish(conversation, result).await)
}

/// What a session with `server` is begun with.
fn setup(
    server: &Address,
    topic: &TopicName,
    extended: &Extended,
    drain_timeout: Duration,
) -> session::Setup {
    let history = match extended.history {
        cli::History::None | cli::History::Last(0) => History::None,
        cli::History::Last(count) => History::Last(count),
        cli::History::Since(ago) => {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            let since = now.unwrap_or_default().saturating_sub(ago);
            History::Since(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
        }
    };
    session::Setup {
        server: server.to_string(),
        topic: topic.clone(),
        name: extended.name.clone(),
        history,
        ack_timeout: extended.ack_timeout,
        drain_timeout,
        client: random::client_key(),
        run: random::digits(delivery::RUN_DIGITS),
    }
}

/// Writes out what is left, says what failed, and sums up.
async fn finish(conversation: Conversation, result: Result<(), Failure>) -> Exit {
    let Conversation {
        input,
        screen,
        notices,
        session,
        ..
    } = conversation;
    let result = match screen.finish().await {
        Ok(()) => result,
        Err(source) => Err(Failure::Output { source }),
    };
    let result = match (result, session.map_or(0, |session| session.refused_lines())) {
        (Ok(()), count @ 1..) => Err(Failure::Undelivered { count }),
        (result, _) => result,
    };
    let failed = result.is_err() || input.has_refused();
    notices.finish(result.err()).await;
    if failed { Exit::Failed } else { Exit::Done }
}
