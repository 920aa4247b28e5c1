//! Puts a run of the program together: keyboard, screen and mode; and ends it.

mod ends;
mod reach;

use std::io;
use std::time::SystemTime;

use client::queue::Queue;
use client::{Client, Name, Presence, Protocol, ServerList};
use wire::{TopicName, UserName};

use crate::access::Reach;
use crate::calls::manager::{CallSettings, Calls};
use crate::cli::{Config, Extended, History, Mode, Options};
use crate::conversation::{Conversation, Rules};
use crate::environment::Environment;
use crate::error::Failure;
use crate::input::keyboard::{FrameLimits, Input};
use crate::modes::direct::Partner;
use crate::modes::topic::{Audience, Requests, Servers, TopicMode};
use crate::modes::{direct, topic};
use crate::output::notice::{NoticeReader, Notices};
use crate::output::people::People;
use crate::output::screen::Screen;
use crate::pipe;
use crate::terminal::{self, Restore};
use ends::{Ends, Location};

/// How a run ended. An interrupt is not among them: it ends `run` from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything that was asked for is done.
    Done,
    /// Something failed, and one line on standard error has said what.
    Failed,
    /// No message came within `--timeout`.
    Silent,
}

/// Whether a person at a terminal uses the whole screen.
pub fn is_interactive(options: &Options, environment: &Environment) -> bool {
    let is_script = options.json || options.count.is_some() || options.timeout.is_some();
    let is_plain = options.plain || options.whole || is_script;
    !is_plain && terminal::is_there(environment.term.as_deref())
}

/// Carries on the conversation that `config` describes, until it ends.
///
/// Everything that was received is written, and every notice too, before this returns. An
/// error means that a thread could not be started.
pub async fn run(config: Config, environment: Environment) -> io::Result<Exit> {
    let Config { mode, options } = config;
    let converses = !matches!(mode, Mode::Find { .. } | Mode::Forget { .. });
    let interactive = converses && is_interactive(&options, &environment);
    let (notices, reader) = if interactive {
        let (notices, reader) = Notices::unwritten();
        (notices, Some(reader))
    } else {
        (Notices::start(options.quiet)?, None)
    };
    let app = App {
        options,
        environment,
        notices,
        people: People::default(),
    };
    let place = mode.to_string();
    let partner = match mode {
        Mode::Join { servers, topics } => {
            let finished = app.run_topic(&servers, topics, reader).await?;
            return Ok(app.finish(finished).await);
        }
        Mode::Find { time } => {
            let finished = app.find(time).await;
            return Ok(app.finish(finished).await);
        }
        Mode::Forget { servers } => {
            let finished = app.forget(&servers);
            return Ok(app.finish(finished).await);
        }
        Mode::Wait { port } => Ok(Partner::Caller { port }),
        Mode::Call { peer } => Ok(Partner::Peer(app.peers_dialer(peer))),
        Mode::CallUser { user, servers } => app.user(user, &servers).await,
    };
    let finished = match partner {
        Ok(partner) => app.run_direct(partner, place, reader).await?,
        Err(failure) => {
            // There is no screen, so notices are written to standard error at the end.
            drop(reader);
            Finished::failed(failure)
        }
    };
    Ok(app.finish(finished).await)
}

/// The state that both modes need.
struct App {
    options: Options,
    environment: Environment,
    notices: Notices,
    people: People,
}

/// The result of a run.
struct Finished {
    result: Result<(), Failure>,
    /// Something typed was never sent, and a notice has said so.
    has_refused: bool,
}

impl App {
    async fn run_topic(
        &self,
        servers: &ServerList,
        topics: Vec<TopicName>,
        reader: Option<NoticeReader>,
    ) -> io::Result<Finished> {
        let audience = Audience::of(reader.as_ref());
        let (reach, calls) = match self.prepare(servers, audience).await {
            Ok(prepared) => prepared,
            Err(failure) => return Ok(Finished::failed(failure)),
        };
        let options = self.client_options(&reach, topics.clone(), audience);
        let Reach { servers, known, .. } = reach;
        let limits = self.limits(options.max_line_frame());
        let location = Location::of_server(&servers, limits);
        let Ends {
            keyboard,
            screen,
            restore,
            abandoned,
        } = self.ends(&topics, location, reader)?;
        let input = Input::new(keyboard, topics[0].clone(), limits, self.notices.clone());
        let silence = screen.silence(self.options.timeout);
        let (client, events) = match Client::start(options) {
            Ok(handles) => handles,
            Err(error) => {
                let failure = Failure::of_client(error, servers.addresses(), &known);
                return Ok(Finished::failed(failure));
            }
        };
        let running = topic::run(TopicMode {
            client,
            events,
            servers: Servers::new(servers),
            known,
            input,
            screen,
            notices: self.notices.clone(),
            people: self.people.clone(),
            calls,
            audience,
            requests: self.requests(),
            stays: self.options.stay,
            topics: topics.len(),
        });
        let ended = tokio::select! {
            ended = running => ended,
            () = silence => return Ok(self.silent()),
            failure = abandoned => return Ok(Finished::abandoned(failure, restore)),
        };
        let finished = write_out(ended.input, ended.screen, restore, ended.result).await;
        Ok(finished.without(ended.refused))
    }

    /// Finds out how to reach the server, and starts to listen for direct calls.
    async fn prepare(
        &self,
        servers: &ServerList,
        audience: Audience,
    ) -> Result<(Reach, Option<Calls>), Failure> {
        let reach = self.reach(servers, audience).await?;
        let calls = self.start_calls(audience)?;
        Ok((reach, calls))
    }

    async fn run_direct(
        &self,
        partner: Partner,
        place: String,
        reader: Option<NoticeReader>,
    ) -> io::Result<Finished> {
        let max_frame = self.options.max_frame;
        let topic = direct::topic();
        let topics = [topic.clone()];
        let location = Location {
            server: terminal::Server::None,
            name: place,
            max_line_frame: max_frame,
        };
        let Ends {
            keyboard,
            screen,
            restore,
            abandoned,
        } = self.ends(&topics, location, reader)?;
        let input = Input::new(
            keyboard,
            topic,
            self.limits(max_frame),
            self.notices.clone(),
        );
        let silence = screen.silence(self.options.timeout);
        let mut conversation = Conversation {
            input,
            queue: Queue::new(String::new()),
            screen,
            notices: self.notices.clone(),
            rules: self.rules(),
        };
        let running = direct::run(&mut conversation, partner, max_frame);
        let result = tokio::select! {
            result = running => result,
            () = silence => return Ok(self.silent()),
            failure = abandoned => return Ok(Finished::abandoned(failure, restore)),
        };
        let Conversation { input, screen, .. } = conversation;
        Ok(write_out(input, screen, restore, result).await)
    }

    /// The rules by which a direct conversation ends.
    fn rules(&self) -> Rules {
        Rules {
            stay: self.options.stay,
            drain_timeout: self.options.drain_timeout,
            pause: pipe::pause(),
            wait: self.options.wait,
        }
    }

    /// No message came within `--timeout`.
    fn silent(&self) -> Finished {
        let timeout = self.options.timeout.unwrap_or_default();
        Finished::failed(Failure::Silent { timeout })
    }

    fn requests(&self) -> Requests {
        match self.options.extended {
            Some(_) => Requests::Possible,
            None => Requests::Impossible,
        }
    }

    /// Direct calls during a topic, which only a person at a terminal can make and take.
    fn start_calls(&self, audience: Audience) -> Result<Option<Calls>, Failure> {
        let Some(extended) = &self.options.extended else {
            return Ok(None);
        };
        if audience == Audience::Pipe {
            if extended.listen.is_some() {
                self.notices
                    .say("--listen needs a terminal, where you can answer: a pipe takes no calls");
            }
            return Ok(None);
        }
        let settings = CallSettings {
            port: extended.listen,
            max_frame: self.options.max_frame,
            timeout: self.options.connect_timeout,
        };
        Calls::start(settings, self.notices.clone(), self.people.clone()).map(Some)
    }

    fn limits(&self, max_line_frame: usize) -> FrameLimits {
        FrameLimits {
            max_frame: self.options.max_frame,
            max_line_frame,
        }
    }

    fn client_options(
        &self,
        reach: &Reach,
        topics: Vec<TopicName>,
        audience: Audience,
    ) -> client::Options {
        let mut options = client::Options::new(reach.servers.clone(), topics);
        options.trust = reach.trust.clone();
        options.credential = reach.credential.clone();
        options.plain_secrets = reach.plain_secrets;
        options.reconnect = self.options.reconnect;
        options.wait = self.options.wait;
        options.connect_timeout = self.options.connect_timeout;
        options.drain_timeout = self.options.drain_timeout;
        options.max_frame = self.options.max_frame;
        options.presence = match audience {
            Audience::Person => Presence::Follow,
            Audience::Pipe => Presence::Ignore,
        };
        let Some(extended) = &self.options.extended else {
            options.protocol = Protocol::Classic;
            return options;
        };
        options.name = self.name(extended, audience);
        options.history = history(extended.history);
        options.ack_timeout = extended.ack_timeout;
        options.port = extended.listen.filter(|_| audience == Audience::Person);
        options
    }

    /// The name for this run. Without `--name`, a person gets the usual name.
    fn name(&self, extended: &Extended, audience: Audience) -> Name {
        if let Some(name) = &extended.name {
            return Name::Required(name.clone());
        }
        if audience == Audience::Pipe {
            return Name::Anonymous;
        }
        let login = || UserName::new(self.environment.login.as_deref()?).ok();
        let usual = self.options.usual_name.clone().or_else(login);
        usual.map_or(Name::Anonymous, Name::Preferred)
    }

    /// Reports what failed, and returns how the run ended.
    async fn finish(self, finished: Finished) -> Exit {
        let exit = match &finished.result {
            Err(Failure::Silent { .. }) => Exit::Silent,
            Err(_) => Exit::Failed,
            Ok(()) if finished.has_refused => Exit::Failed,
            Ok(()) => Exit::Done,
        };
        self.notices.finish(finished.result.err()).await;
        exit
    }
}

impl Finished {
    fn done() -> Self {
        Self {
            result: Ok(()),
            has_refused: false,
        }
    }

    /// Counts the lines that the server has refused as a failure.
    fn without(mut self, count: u64) -> Self {
        if count > 0 && self.result.is_ok() {
            self.result = Err(Failure::Undelivered { count });
        }
        self
    }

    fn failed(failure: Failure) -> Self {
        Self {
            result: Err(failure),
            has_refused: false,
        }
    }
}

impl Finished {
    /// The person has left without what was not sent.
    fn abandoned(failure: Failure, restore: Option<Restore>) -> Self {
        drop(restore);
        Self::failed(failure)
    }
}

/// Which messages from before the start to ask for.
fn history(history: History) -> client::History {
    match history {
        History::None | History::Last(0) => client::History::None,
        History::Last(count) => client::History::Last(count),
        History::Since(ago) => {
            #[expect(
                clippy::disallowed_methods,
                reason = "somebody asks by the time of day"
            )]
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            let since = now.unwrap_or_default().saturating_sub(ago);
            client::History::Since(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
        }
    }
}

/// Writes out what is left, and puts the terminal back.
async fn write_out(
    input: Input,
    screen: Screen,
    restore: Option<Restore>,
    result: Result<(), Failure>,
) -> Finished {
    let has_refused = input.has_refused();
    // A person who is still typing isn't waited for.
    drop(input);
    let result = match screen.finish().await {
        Ok(()) => result,
        Err(source) => Err(Failure::Output { source }),
    };
    drop(restore);
    Finished {
        result,
        has_refused,
    }
}
