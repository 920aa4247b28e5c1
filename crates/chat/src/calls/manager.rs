//! Direct calls beside a topic: one at a time, by name.
//!
//! A task holds the call. A caller is connected when the person accepts. The lines of a
//! call are shown among everything else. Knows no topic and no server.

use std::future::pending;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use client::Line;
use client::dial::{DialError, Dialer, Protection};
use client::frame::Frame;
use client::link::{Link, Written};
use client::queue::{Acknowledgements, Queue};
use tokio::sync::mpsc;
use wire::{Address, ErrorCode, TopicName};

use super::dial::{LISTENER, dial};
use super::listen::{BusyNotices, Listener};
use crate::error::Failure;
use crate::input::action::CallAction;
use crate::output::item::{Call, CallLine};
use crate::output::notice::Notices;
use crate::output::people::People;
use crate::output::plural::counted;
use crate::words;

/// Actions that wait to be performed. The conversation waits for room.
const WAITING: usize = 16;

/// The topic of every message in a direct call.
pub(crate) fn topic() -> TopicName {
    TopicName::new("direct").unwrap_or_else(|_| unreachable!("it is allowed as one"))
}

/// The handle through which a person's actions reach the call.
#[derive(Clone, Debug)]
pub(crate) struct Calls(mpsc::Sender<CallAction>);

/// How calls are made and taken.
#[derive(Debug)]
pub(crate) struct CallSettings {
    /// The port on which calls are taken, if any.
    pub(crate) port: Option<u16>,
    /// The longest frame, in bytes.
    pub(crate) max_frame: usize,
    /// The longest that making a call may take.
    pub(crate) timeout: Duration,
}

impl Calls {
    /// Starts to wait for calls, and for what the person does.
    pub(crate) fn start(
        settings: CallSettings,
        notices: Notices,
        people: People,
    ) -> Result<Self, Failure> {
        let listen = |port| Listener::bind(port, settings.max_frame, notices.clone());
        let listener = settings.port.map(listen).transpose()?;
        let (actions, taken) = mpsc::channel(WAITING);
        let manager = CallManager {
            listener,
            settings,
            notices,
            people,
            state: State::Idle,
            queue: Queue::new(String::new()),
            busy_notices: BusyNotices::default(),
        };
        tokio::spawn(manager.run(taken));
        Ok(Self(actions))
    }

    /// Waits until the next action can be performed. `None` if calls have ended.
    ///
    /// Cancel safe: nothing is handed over before the permit is used.
    pub(crate) async fn reserve(&self) -> Option<mpsc::Permit<'_, CallAction>> {
        self.0.reserve().await.ok()
    }
}

struct CallManager {
    listener: Option<Listener>,
    settings: CallSettings,
    notices: Notices,
    people: People,
    state: State,
    /// What waits to be said.
    queue: Queue,
    busy_notices: BusyNotices,
}

type Dialing = Pin<Box<dyn Future<Output = Result<Link, DialError>> + Send>>;

enum State {
    Idle,
    Dialing {
        who: Party,
        dialing: Dialing,
    },
    Ringing {
        who: Party,
        link: Box<Link>,
        /// Something was said before the call is answered, which waits to be read.
        has_spoken: bool,
    },
    Talking {
        who: Party,
        link: Box<Link>,
    },
}

/// The other side of a call, as far as it is known.
#[derive(Clone, Debug)]
struct Party {
    /// What the view is called, and whose lines are shown in it.
    name: String,
    /// In a sentence.
    phrase: String,
}

impl Party {
    fn named(name: String) -> Self {
        let phrase = name.clone();
        Self { name, phrase }
    }

    /// Somebody at that address, where those are whose names are known.
    fn at(ip: String, names: &[String]) -> Self {
        match names {
            [] => Self {
                phrase: format!("somebody at {ip}"),
                name: ip,
            },
            [name] => Self::named(name.clone()),
            [one, other] => Self::named(format!("{one} or {other}")),
            [one, other, ..] => Self {
                phrase: format!("{one}, {other} or somebody else at {ip}"),
                name: ip,
            },
        }
    }
}

impl std::fmt::Display for Party {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(&self.phrase)
    }
}

enum Woken {
    Dialed(Result<Box<Link>, DialError>),
    Read(io::Result<usize>),
    Written(io::Result<Written>),
}

impl State {
    /// Waits for what happens in the call. Cancel safe.
    async fn next(&mut self) -> Woken {
        match self {
            Self::Idle => pending().await,
            Self::Ringing {
                link, has_spoken, ..
            } => match has_spoken {
                true => pending().await,
                false => Woken::Read(link.reader.fill().await),
            },
            Self::Dialing { dialing, .. } => Woken::Dialed(dialing.await.map(Box::new)),
            Self::Talking { link, .. } => {
                let Link { reader, writer, .. } = &mut **link;
                tokio::select! {
                    read = reader.fill() => Woken::Read(read),
                    written = writer.write_on(), if writer.is_busy() => Woken::Written(written),
                }
            }
        }
    }
}

impl CallManager {
    async fn run(mut self, mut actions: mpsc::Receiver<CallAction>) {
        loop {
            tokio::select! {
                action = actions.recv() => match action {
                    Some(action) => self.perform(action).await,
                    None => return,
                },
                caller = accept(self.listener.as_ref()) => self.on_caller(caller),
                woken = self.state.next() => self.handle(woken).await,
            }
            self.send_next();
        }
    }

    async fn perform(&mut self, action: CallAction) {
        match (action, std::mem::replace(&mut self.state, State::Idle)) {
            (CallAction::Dial { name, address }, State::Idle) => self.dial(name, address),
            (CallAction::Accept, State::Ringing { who, link, .. }) => {
                self.people.set_caller(None);
                self.notices
                    .say(format_args!("you talk with {who} now: /hangup ends that"));
                self.state = State::Talking { who, link };
                // What was said while it rang.
                self.show().await;
            }
            (CallAction::Decline | CallAction::HangUp, State::Ringing { link, who, .. }) => {
                self.people.set_caller(None);
                self.notices
                    .say(format_args!("{who} is told that you can't"));
                tokio::spawn(link.refuse(ErrorCode::Busy, "can't talk now; try again later"));
            }
            (CallAction::HangUp, State::Talking { who, .. } | State::Dialing { who, .. }) => {
                self.notices.say(format_args!("you have hung up on {who}"));
                self.forget_unsent().await;
            }
            (CallAction::Say(text), state @ (State::Talking { .. } | State::Dialing { .. }))
                if self.queue.has_room() =>
            {
                let topic = topic();
                self.queue.push(Line { topic, text });
                self.state = state;
            }
            (action, state) => {
                self.state = state;
                self.notices.warn(self.why_not(&action));
                if let CallAction::Say(text) = action {
                    self.notices.send_call(Call::NotSaid(text)).await;
                }
            }
        }
    }

    /// Why an action can't be performed, and what can be done.
    fn why_not(&self, action: &CallAction) -> &'static str {
        match (action, &self.state) {
            (CallAction::Dial { .. }, _) => "there is a call already: /hangup first",
            (CallAction::Say(_), State::Talking { .. } | State::Dialing { .. }) => {
                "not sent: the other side doesn't read"
            }
            (CallAction::Say(_), _) => "not sent: nobody is on the line; /leave closes this view",
            _ => "there is no call",
        }
    }

    fn dial(&mut self, name: String, address: Address) {
        self.notices
            .say(format_args!("calling {name} at {address}"));
        let dialer = Dialer {
            address,
            timeout: self.settings.timeout,
            max_frame: self.settings.max_frame,
            protection: Protection::Plain,
        };
        let notices = self.notices.clone();
        let dialing = Box::pin(async move { dial(&dialer, &notices).await });
        let who = Party::named(name);
        self.state = State::Dialing { who, dialing };
    }

    fn on_caller(&mut self, link: Link) {
        let ip = link.remote().ip().to_string();
        let names = self.people.at(&ip);
        let who = Party::at(ip.clone(), &names);
        if let Some(what) = self.busy_with() {
            if self.busy_notices.is_due() {
                self.notices.say(format_args!("{who} called while {what}"));
            }
            let reason = "somebody else is being talked to; try again later";
            tokio::spawn(link.refuse(ErrorCode::Busy, reason));
            return;
        }
        let address = match names.len() {
            1 | 2 => format!(" ({ip})"),
            // It is named already.
            _ => String::new(),
        };
        self.notices.alert(format_args!(
            "{who}{address} calls you: /accept or /decline"
        ));
        self.people.set_caller(Some(&who.name));
        self.state = State::Ringing {
            who,
            link: Box::new(link),
            has_spoken: false,
        };
    }

    /// What keeps us from taking another call.
    fn busy_with(&self) -> Option<String> {
        match &self.state {
            State::Idle => None,
            State::Dialing { who, .. } => Some(format!("you were calling {who}")),
            State::Ringing { who, .. } => Some(format!("{who} was calling")),
            State::Talking { .. } => Some("you were in a call".into()),
        }
    }

    /// A caller has said something before the call is answered, or has hung up.
    fn on_ringing(&mut self, read: &io::Result<usize>) {
        let State::Ringing {
            who, has_spoken, ..
        } = &mut self.state
        else {
            return;
        };
        if matches!(read, Ok(1..)) {
            *has_spoken = true;
            return;
        }
        self.notices.say(format_args!("{who} has hung up"));
        self.people.set_caller(None);
        self.state = State::Idle;
    }

    async fn handle(&mut self, woken: Woken) {
        match woken {
            Woken::Dialed(Ok(link)) => {
                if let State::Dialing { who, .. } = std::mem::replace(&mut self.state, State::Idle)
                {
                    self.notices.say(format_args!(
                        "it rings at {who}'s: what you say is heard when they accept"
                    ));
                    self.state = State::Talking { who, link };
                }
            }
            Woken::Dialed(Err(error)) => {
                self.state = State::Idle;
                self.notices.warn(words::dial_error(&error, LISTENER));
                self.forget_unsent().await;
            }
            Woken::Read(read) if matches!(self.state, State::Ringing { .. }) => {
                self.on_ringing(&read);
            }
            Woken::Read(Ok(1..)) => self.show().await,
            Woken::Read(_) => self.end().await,
            Woken::Written(Ok(Written::Partly)) => {}
            Woken::Written(Ok(Written::Completely)) => {
                if let Some(Line { topic, text }) = self.queue.written() {
                    let topic = topic.to_string();
                    let who = None;
                    self.notices.show(CallLine { who, topic, text }).await;
                }
            }
            Woken::Written(Err(_)) => self.end().await,
        }
    }

    /// Shows what was said.
    async fn show(&mut self) {
        let State::Talking { who, link } = &mut self.state else {
            return;
        };
        loop {
            match link.reader.next_frame() {
                Ok(Some(Frame::Message(frame))) if is_busy(&frame.message) => {
                    let notice = format!("{who} doesn't take the call now; try again later");
                    self.notices.warn(notice);
                    self.state = State::Idle;
                    return self.forget_unsent().await;
                }
                Ok(Some(Frame::Message(frame))) => {
                    let line = CallLine {
                        who: Some(who.name.clone()),
                        topic: frame.message.topic.decode().into(),
                        text: frame.message.text.decode().into(),
                    };
                    self.notices.show(line).await;
                }
                Ok(Some(Frame::Event(_))) => {}
                Ok(None) => return,
                Err(_) => return self.end().await,
            }
        }
    }

    /// The other side has ended the call.
    async fn end(&mut self) {
        if let State::Talking { who, .. } = std::mem::replace(&mut self.state, State::Idle) {
            self.notices
                .say(format_args!("the call with {who} has ended"));
            self.forget_unsent().await;
        }
    }

    /// Drops what was not sent, and says how much that is. The screen puts it back into
    /// the box.
    async fn forget_unsent(&mut self) {
        let unsent = self.queue.unsent();
        self.queue = Queue::new(String::new());
        if unsent > 0 {
            let lines = counted(unsent as u64, "line was", "lines were");
            self.notices.warn(format_args!("{lines} not sent"));
        }
        self.notices.send_call(Call::Ended).await;
    }

    /// Begins to send what is to be said next.
    fn send_next(&mut self) {
        if let State::Talking { link, .. } = &mut self.state
            && !link.writer.is_busy()
        {
            let (source, destination) = link.endpoints();
            if let Some(next) = self.queue.begin(Acknowledgements::None) {
                link.writer
                    .begin(next.line.message(source, destination).to_line());
            }
        }
    }
}

/// The answer of a program that refuses the call.
fn is_busy(message: &wire::Received<'_>) -> bool {
    ErrorCode::Busy.is_told(&message.topic.decode(), &message.text.decode())
}

/// Waits for a caller who is still there. Cancel safe.
async fn accept(listener: Option<&Listener>) -> Link {
    match listener {
        Some(listener) => listener.accept().await,
        None => pending().await,
    }
}
