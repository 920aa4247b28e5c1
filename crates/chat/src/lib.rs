//! `chat`, the terminal client: two people directly, or any number by topic.
//!
//! What was typed becomes a [`cli::Config`]; [`run`] does it. Standard output
//! carries messages and nothing else, notices go to standard error. Nothing
//! here ends the process or reads the environment: that is `main.rs` alone.

pub mod cli;

mod calls;
mod config;
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
mod order;
mod people;
mod plain;
mod pulse;
mod random;
mod reconnect;
mod sanitize;
mod screen;
mod seen;
mod session;
mod system;
mod terminal;
mod topic;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use calls::Calls;
use cli::{Config, Extended, Mode, Options, When};
use conversation::{Conversation, Rules};
use dial::Dialer;
use failure::Failure;
use input::Input;
use notice::{Notices, Said};
use people::People;
use screen::Format;
use seen::History;
use session::Session;
use terminal::{Restore, Terminal};
use wire::{Address, TopicName, UserName};

/// What the program finds around it, read by `main.rs` from the environment.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The person's login name.
    pub login: Option<String>,
    /// `NO_COLOR` is set.
    pub no_color: bool,
    /// What the terminal is called.
    pub term: Option<String>,
    /// Where programs remember things from run to run.
    pub state: Option<PathBuf>,
    /// Where people keep what they want of programs.
    pub config: Option<PathBuf>,
}

/// How a run ended. An interrupt is not among them: it ends `run` from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything was done that was asked for.
    Done,
    /// Something failed, and one line on standard error has said what.
    Failed,
}

/// A person sits at a terminal, and lines are edited there.
pub fn is_interactive(options: &Options, around: &Surroundings) -> bool {
    !options.json && !options.plain && terminal::is_there(around.term.as_deref())
}

/// Carries on the conversation that `config` describes, until it ends.
///
/// Everything that was received is written, and everything there is to say is
/// said, before this returns. An error means that no thread could be started.
pub async fn run(config: Config, around: Surroundings) -> io::Result<Exit> {
    let Config { mode, options } = config;
    let people = People::default();
    let interactive = is_interactive(&options, &around);
    let (notices, said) = if interactive {
        let (notices, said) = Notices::unwritten();
        (notices, Some(said))
    } else {
        (Notices::start()?, None)
    };
    let calls = match start_calls(&mode, &options, interactive, &notices, &people) {
        Ok(calls) => calls,
        Err(failure) => {
            drop(said);
            notices.finish(Some(failure)).await;
            return Ok(Exit::Failed);
        }
    };
    let (topics, session) = match &mode {
        Mode::Join { server, topics } => {
            let login = around.login.as_deref().filter(|_| interactive);
            let login = match &options.usual_name {
                Some(name) if interactive => Some(name.as_str()),
                _ => login,
            };
            let setup = options.extended.as_ref().map(|extended| session::Setup {
                drain_timeout: options.drain_timeout,
                is_watched: interactive,
                port: extended.listen.filter(|_| interactive),
                calls: calls.clone(),
                ..setup(server, topics, extended, login, people.clone())
            });
            let session = setup.map(|setup| Session::new(setup, notices.clone()));
            (topics.clone(), session)
        }
        Mode::Wait { .. } | Mode::Call { .. } | Mode::CallUser { .. } => {
            (vec![direct::topic()], None)
        }
    };
    let (reserved, envelope) = match session {
        Some(_) => (session::ID_MEMBER, session::ENVELOPE),
        None => (0, 0),
    };
    let max_frame = options.max_frame;
    let Ends {
        keyboard,
        screen,
        restore,
    } = ends(&mode, &options, &around, &topics, people, said)?;
    let topic = topics[0].as_str();
    let mut conversation = Conversation {
        input: Input::new(keyboard, topic, max_frame, reserved, notices.clone()),
        screen,
        notices: notices.clone(),
        rules: Rules {
            stay: options.stay,
            drain_timeout: options.drain_timeout,
            pause: plain::pause(),
        },
        calls,
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
        Mode::CallUser { user, server } => {
            let server = dialer(server, "topicserver");
            direct::call_user(&mut conversation, &server, &user).await
        }
        Mode::Join { server, .. } => {
            let server = dialer(server, "topicserver");
            topic::join(&mut conversation, &server, &topics, options.reconnect).await
        }
    };
    Ok(finish(conversation, restore, result).await)
}

/// The line for direct calls: a person's, beside a topic.
fn start_calls(
    mode: &Mode,
    options: &Options,
    interactive: bool,
    notices: &Notices,
    people: &People,
) -> Result<Option<Calls>, Failure> {
    match (mode, &options.extended) {
        (Mode::Join { .. }, Some(extended)) if interactive => {
            let (frame, timeout) = (options.max_frame, options.connect_timeout);
            let (notices, people) = (notices.clone(), people.clone());
            Calls::start(extended.listen, frame, timeout, notices, people).map(Some)
        }
        _ => Ok(None),
    }
}

/// Where lines come from, and where everything is shown.
struct Ends {
    keyboard: tokio::sync::mpsc::Receiver<Vec<lines::Typed>>,
    screen: screen::Screen,
    /// Puts a terminal back.
    restore: Option<Restore>,
}

/// With `said`, what notices are shown on a terminal, those of a person; otherwise
/// those of a pipe.
fn ends(
    mode: &Mode,
    options: &Options,
    around: &Surroundings,
    topics: &[TopicName],
    people: People,
    said: Option<Said>,
) -> io::Result<Ends> {
    let Some(said) = said else {
        let format = if options.json {
            Format::Json
        } else {
            Format::Plain
        };
        return Ok(Ends {
            keyboard: plain::keyboard(options.max_frame)?,
            screen: plain::screen(format)?,
            restore: None,
        });
    };
    let history = around.state.as_ref().filter(|_| options.history_file);
    let setup = terminal::Setup {
        topics: topics.to_vec(),
        has_server: matches!(mode, Mode::Join { .. }),
        is_colored: match options.color {
            When::Auto => !around.no_color,
            When::Always => true,
            When::Never => false,
        },
        rings: options.bell,
        people,
        history: history.map(|state| state.join("natter").join("history")),
    };
    let Terminal {
        keyboard,
        screen,
        restore,
    } = terminal::start(setup, said)?;
    Ok(Ends {
        keyboard,
        screen,
        restore: Some(restore),
    })
}

/// What a session with `server` is begun with. `login` is the name of a person who
/// chose none.
fn setup(
    server: &Address,
    topics: &[TopicName],
    extended: &Extended,
    login: Option<&str>,
    people: People,
) -> session::Setup {
    let login = login.and_then(|login| UserName::new(login).ok());
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
        topics: topics.to_vec(),
        port: None,
        calls: None,
        any_name: extended.name.is_none(),
        name: extended.name.clone().or(login),
        is_watched: false,
        people,
        history,
        ack_timeout: extended.ack_timeout,
        drain_timeout: Duration::ZERO,
        client: random::client_key(),
        run: random::digits(delivery::RUN_DIGITS),
    }
}

/// Writes out what is left, says what failed, and sums up.
async fn finish(
    conversation: Conversation,
    restore: Option<Restore>,
    result: Result<(), Failure>,
) -> Exit {
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
    drop(restore);
    let failed = result.is_err() || input.has_refused();
    notices.finish(result.err()).await;
    if failed { Exit::Failed } else { Exit::Done }
}
