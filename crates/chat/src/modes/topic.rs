//! Topic mode: talks to all members of some topics at one server.
//!
//! The loop between a person or a pipe and the client: keyboard × events × screen. The client
//! library connects, registers and reconnects. Here its events become items on the screen, and
//! typed lines become its commands. Never speaks direct mode.

mod telling;

use std::collections::BTreeSet;
use std::future::pending;

use client::tls::Proof;
use client::{
    Client, Closing, Event, Events, Finished, Permit, Request, ServerAddress, ServerList,
};
use tokio::sync::mpsc;
use wire::{Address, ErrorCode, UserName};

use crate::access::KnownServers;
use crate::calls::manager::Calls;
use crate::error::Failure;
use crate::input::action::{Action, CallAction};
use crate::input::keyboard::{Entry, Input};
use crate::output::item::{Call, Item};
use crate::output::messages::Closed;
use crate::output::notice::{NoticeReader, Notices};
use crate::output::people::People;
use crate::output::screen::Screen;
use crate::words::{self, Words};

/// The parts of topic mode.
pub(crate) struct TopicMode {
    pub(crate) client: Client,
    pub(crate) events: Events,
    pub(crate) servers: Servers,
    /// The file of known servers.
    pub(crate) known: KnownServers,
    pub(crate) input: Input,
    pub(crate) screen: Screen,
    pub(crate) notices: Notices,
    pub(crate) people: People,
    /// Direct calls during the topics.
    pub(crate) calls: Option<Calls>,
    /// Who reads the output.
    pub(crate) audience: Audience,
    /// Whether the server can be sent requests.
    pub(crate) requests: Requests,
    /// Go on after the end of the input.
    pub(crate) stays: bool,
    /// The number of topics at the beginning.
    pub(crate) topics: usize,
}

/// The addresses of the server, and the one that is in use.
pub(crate) struct Servers {
    given: ServerList,
    /// Before the first connection: all of them.
    current: String,
}

impl Servers {
    pub(crate) fn new(given: ServerList) -> Self {
        Self {
            current: given.addresses(),
            given,
        }
    }

    /// Whether a person has given that address, and not another server.
    fn is_given(&self) -> bool {
        let is_it = |server: &ServerAddress| server.address.to_string() == self.current;
        self.given.iter().any(is_it)
    }
}

/// Who reads the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// A person at a terminal, who also wants to see who is there.
    Person,
    /// A program.
    Pipe,
}

impl Audience {
    /// A person, if notices are shown among the messages.
    pub(crate) fn of(reader: Option<&NoticeReader>) -> Self {
        match reader {
            Some(_) => Self::Person,
            None => Self::Pipe,
        }
    }
}

/// Whether the server can be sent requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Requests {
    /// All requests of the extended protocol.
    Possible,
    /// None, because the original protocol has no requests.
    Impossible,
}

/// What topic mode returns when it has ended.
pub(crate) struct Ended {
    pub(crate) input: Input,
    pub(crate) screen: Screen,
    /// Lines that the server refused, each of which has been named.
    pub(crate) refused: u64,
    pub(crate) result: Result<(), Failure>,
}

/// See [`TopicMode`].
struct Chat {
    all: TopicMode,
    connection: Connection,
    /// A call action that waits to be handed over.
    to_calls: Option<CallAction>,
    /// The user to call when the server has said where they are.
    to_call: Option<UserName>,
    /// The connection is lost, and no topic has been joined since.
    is_away: bool,
    /// What was said since then of attempts to connect.
    said: Vec<Vec<Words>>,
    /// The topics whose members the client asks for once more, after a change of our name.
    expected: BTreeSet<String>,
    /// The client takes no more commands.
    is_closed: bool,
    /// The client was told to finish.
    is_finishing: bool,
    refused: u64,
}

/// The state of the connection, for notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connection {
    /// There is a connection, or there never was one.
    Usual,
    /// It is lost, and no notice has said yet that typed lines are kept.
    Lost,
}

/// What the loop woke up for.
enum Woken {
    /// Something was typed, or the input has ended.
    Typed,
    /// Something was handed over.
    Sent,
    /// The client takes no more commands.
    CommandsClosed,
    Event(Option<Event>),
    /// Something was displayed, or the screen is closed.
    Shown(Result<(), Closed>),
}

/// Takes part in topics until the input or the client ends.
pub(crate) async fn run(all: TopicMode) -> Ended {
    let mut chat = Chat {
        all,
        connection: Connection::Usual,
        to_calls: None,
        to_call: None,
        is_away: false,
        said: Vec::new(),
        expected: BTreeSet::new(),
        is_closed: false,
        is_finishing: false,
        refused: 0,
    };
    let result = chat.run().await;
    let TopicMode { input, screen, .. } = chat.all;
    Ended {
        input,
        screen,
        refused: chat.refused,
        result,
    }
}

impl Chat {
    async fn run(&mut self) -> Result<(), Failure> {
        loop {
            self.perform_here();
            match self.wait().await {
                Woken::Typed | Woken::Sent | Woken::Shown(Ok(())) => {}
                Woken::CommandsClosed => self.is_closed = true,
                Woken::Shown(Err(Closed)) | Woken::Event(None) => return Ok(()),
                Woken::Event(Some(Event::Ended(outcome))) => return self.ended(outcome),
                Woken::Event(Some(event)) => self.on_event(event),
            }
            if self.has_no_topic() {
                let server = self.all.servers.current.clone();
                return Err(Failure::Removed { server });
            }
        }
    }

    /// Whether a program has no topic left. A person can join another one.
    fn has_no_topic(&self) -> bool {
        self.all.topics == 0 && self.all.audience == Audience::Pipe
    }

    async fn wait(&mut self) -> Woken {
        let sends = !self.is_closed && self.has_command();
        let to_calls = self.to_calls.is_some();
        let TopicMode {
            client,
            events,
            input,
            screen,
            calls,
            ..
        } = &mut self.all;
        tokio::select! {
            () = input.receive(), if input.wants_more() && !screen.is_done() => Woken::Typed,
            permit = client.reserve(), if sends => match permit {
                Ok(permit) => {
                    send(permit, input, &mut self.is_finishing);
                    Woken::Sent
                }
                Err(client::Ended) => Woken::CommandsClosed,
            },
            permit = reserve(calls.as_ref()), if to_calls => {
                if let (Some(permit), Some(action)) = (permit, self.to_calls.take()) {
                    permit.send(action);
                }
                Woken::Sent
            }
            event = events.next(), if screen.has_room() => Woken::Event(event),
            shown = screen.hand_over() => Woken::Shown(shown),
        }
    }

    /// Whether nothing more is to be sent or received.
    fn has_ended(&self) -> bool {
        let has_ended = self.all.input.has_ended() && !self.all.stays;
        has_ended || self.all.screen.is_done()
    }

    /// Whether there is a command for the client.
    fn has_command(&self) -> bool {
        match self.all.input.first() {
            Some(Entry::Line(_) | Entry::Action(Action::Request(_))) => true,
            Some(Entry::Action(_)) => false,
            None => self.has_ended() && !self.is_finishing,
        }
    }

    /// Performs the entries that don't concern the client, up to the first that does.
    fn perform_here(&mut self) {
        let is_possible = self.all.requests == Requests::Possible;
        while let Some(Entry::Action(action)) = self.all.input.first() {
            let waits = match action {
                Action::Request(_) => is_possible,
                Action::Call(_) => false,
                Action::CallAction(_) => self.to_calls.is_some(),
            };
            if waits {
                return;
            }
            match self.all.input.take() {
                Some(Entry::Action(Action::CallAction(action))) => self.to_calls = Some(action),
                Some(Entry::Action(Action::Call(user))) if is_possible => {
                    let lookup = Action::Request(Request::Lookup(user.clone()));
                    self.to_call = Some(user);
                    self.all.input.put_back(Entry::Action(lookup));
                }
                Some(Entry::Action(Action::Request(Request::History { topic, .. }))) => {
                    let failed = Item::OlderFailed(topic);
                    self.all.screen.happened(|| failed);
                    self.all.notices.warn(words::NO_SERVER);
                }
                _ => self.all.notices.warn(words::NO_SERVER),
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Message(incoming) => self.all.screen.show(&incoming),
            Event::Delivered { line, seq } => self.all.screen.show_own(line, seq),
            Event::History(page) => self.all.screen.happened(|| Item::Older(page)),
            Event::Kept(_) => self.say_kept(),
            event => {
                self.show_facts(&event);
                let is_expected = self.expects(&event);
                let passes = self.all.notices.is_quiet() && words::will_pass(&event);
                if !passes && !is_expected {
                    let about = words::about(&event);
                    for words in words::event(&event, &self.all.servers.current) {
                        self.say(words, &about);
                    }
                }
                self.update(&event);
                if self.all.audience == Audience::Person {
                    self.remember_people(&event);
                    if !is_expected {
                        self.on_news(&event);
                    }
                }
            }
        }
    }

    fn update(&mut self, event: &Event) {
        match event {
            Event::LineRefused { .. } => self.refused += 1,
            Event::Removed { .. } => self.all.topics = self.all.topics.saturating_sub(1),
            Event::Connected { server } => self.all.servers.current = server.to_string(),
            Event::Secured(proof) if self.all.servers.is_given() => self.remember(*proof),
            Event::Joined { .. } | Event::Registered { .. } => self.connection = Connection::Usual,
            Event::Disconnected { unsent, .. } => {
                self.connection = Connection::Lost;
                if *unsent > 0 {
                    self.say_kept();
                }
            }
            Event::ServerError(error)
                if error.is(ErrorCode::UnknownUser) && self.to_call.take().is_some() =>
            {
                self.all.screen.happened(|| Item::Call(Call::Ended));
            }
            _ => {}
        }
    }

    /// Keeps the key of the server that we are connected to.
    fn remember(&mut self, proof: Proof) {
        let Ok(server) = self.all.servers.current.parse::<Address>() else {
            return;
        };
        if let Err(error) = self.all.known.remember(&server, proof) {
            self.say(Words::Warning(error.to_string()), &[]);
        }
    }

    /// Calls a user who was found, if the lookup was for a call.
    fn call_found(&mut self, user: &str, ip: &str, port: &str) -> bool {
        let is_wanted = self
            .to_call
            .as_ref()
            .is_some_and(|name| name.as_str() == user);
        let address = words::address(ip, port).parse();
        let (true, Some(_), Ok(address)) = (is_wanted, &self.all.calls, address) else {
            return false;
        };
        self.to_call = None;
        let name = user.to_owned();
        let dial = CallAction::Dial { name, address };
        // It goes before the action that waits, which was typed later.
        if let Some(next) = self.to_calls.replace(dial) {
            self.all
                .input
                .put_back(Entry::Action(Action::CallAction(next)));
        }
        true
    }

    /// Handles the end of the client.
    fn ended(&mut self, outcome: client::Outcome) -> Result<(), Failure> {
        match outcome {
            Ok(Finished { closing, .. }) => {
                if closing == Closing::KeptOpen {
                    self.all
                        .notices
                        .say(words::kept_open(&self.all.servers.current));
                }
                Ok(())
            }
            Err(mut error) => {
                // Lines that the client never got are undelivered too.
                error.add_undelivered(&self.all.input.take_lines());
                let server = self.all.servers.current.clone();
                Err(Failure::of_client(error, server, &self.all.known))
            }
        }
    }
}

/// Sends the client the first typed lines, or that nothing more will be typed.
fn send(permit: Permit<'_>, input: &mut Input, is_finishing: &mut bool) {
    match input.first() {
        Some(Entry::Line(_)) => permit.send(input.take_lines()),
        Some(Entry::Action(_)) => {
            if let Some(Entry::Action(Action::Request(request))) = input.take() {
                permit.request(request);
            }
        }
        None => {
            permit.finish();
            *is_finishing = true;
        }
    }
}

/// Waits until a call action can be handed over; for ever without calls.
async fn reserve(calls: Option<&Calls>) -> Option<mpsc::Permit<'_, CallAction>> {
    match calls {
        Some(calls) => calls.reserve().await,
        None => pending().await,
    }
}
