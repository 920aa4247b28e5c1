//! Direct calls beside a topic: one at a time, by name.
//!
//! A task of its own owns the line: whoever calls is let through when the person
//! who is called says so. What is said there is shown among everything else. Knows
//! no topic and no server.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use wire::{Address, ErrorCode};

use crate::dial::{DialError, Dialer};
use crate::direct;
use crate::failure::Failure;
use crate::input::Line;
use crate::link::{Link, Said};
use crate::notice::Notices;
use crate::people::People;

/// Steps that wait to be taken: as many as anybody types while one is taken.
const WAITING: usize = 64;
/// Lines that wait to be sent while the other side doesn't read.
const UNSENT: usize = 256;

/// What a person does about a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Calls somebody who was looked up.
    Dial {
        /// Whom.
        name: String,
        /// Where.
        address: Address,
    },
    /// Lets whoever calls through.
    Accept,
    /// Doesn't.
    Decline,
    /// Ends the call.
    HangUp,
    /// Says something to the other side.
    Say(String),
}

/// The handle by which a person's steps are taken.
#[derive(Clone, Debug)]
pub(crate) struct Calls(mpsc::Sender<Step>);

impl Calls {
    /// Waits for calls on a port, if there is one, and for what the person does.
    pub(crate) fn start(
        port: Option<u16>,
        max_frame: usize,
        timeout: Duration,
        notices: Notices,
        people: People,
    ) -> Result<Self, Failure> {
        let listener = match port {
            Some(port) => {
                let bound = direct::bind(port);
                Some(bound.map_err(|source| Failure::Bind { port, source })?)
            }
            None => None,
        };
        let (steps, taken) = mpsc::channel(WAITING);
        let exchange = Exchange {
            listener,
            max_frame,
            timeout,
            notices,
            people,
            line: State::Free,
            unsent: VecDeque::new(),
        };
        tokio::spawn(exchange.run(taken));
        Ok(Self(steps))
    }

    /// Takes a step.
    pub(crate) fn take(&self, step: Step) {
        // Nobody types so much faster than it is done.
        let _ = self.0.try_send(step);
    }
}

struct Exchange {
    listener: Option<TcpListener>,
    max_frame: usize,
    timeout: Duration,
    notices: Notices,
    people: People,
    line: State,
    /// What waits to be said.
    unsent: VecDeque<String>,
}

type Dialling = Pin<Box<dyn Future<Output = Result<Link, DialError>> + Send>>;

enum State {
    Free,
    Dialling { name: String, dialling: Dialling },
    Ringing { who: String, link: Box<Link> },
    Talking { who: String, link: Box<Link> },
}

enum Event {
    Dialled(Result<Box<Link>, DialError>),
    Read(io::Result<usize>),
    Written(io::Result<bool>),
}

impl State {
    /// Waits for what comes over the line. Cancel safe.
    async fn next(&mut self) -> Event {
        match self {
            Self::Free | Self::Ringing { .. } => pending().await,
            Self::Dialling { dialling, .. } => Event::Dialled(dialling.await.map(Box::new)),
            Self::Talking { link, .. } => {
                let Link {
                    incoming, outgoing, ..
                } = &mut **link;
                tokio::select! {
                    read = incoming.fill() => Event::Read(read),
                    written = outgoing.write_on(), if outgoing.is_busy() => Event::Written(written),
                }
            }
        }
    }
}

impl Exchange {
    async fn run(mut self, mut steps: mpsc::Receiver<Step>) {
        loop {
            tokio::select! {
                step = steps.recv() => match step {
                    Some(step) => self.take(step),
                    None => return,
                },
                caller = accept(self.listener.as_ref(), self.max_frame) => self.ring(caller),
                event = self.line.next() => self.handle(event).await,
            }
            self.say_next();
        }
    }

    fn take(&mut self, step: Step) {
        match (step, std::mem::replace(&mut self.line, State::Free)) {
            (Step::Dial { name, address }, State::Free) => self.dial(name, address),
            (Step::Accept, State::Ringing { who, link }) => {
                self.people.call_from(None);
                self.notices
                    .say(format_args!("you talk with {who} now: /hangup ends that"));
                self.line = State::Talking { who, link };
            }
            (Step::Decline | Step::HangUp, State::Ringing { link, who }) => {
                self.people.call_from(None);
                self.notices
                    .say(format_args!("{who} is told that you can't"));
                tokio::spawn(link.refuse(ErrorCode::Busy, "can't talk now; try again later"));
            }
            (Step::HangUp, State::Talking { who, .. } | State::Dialling { name: who, .. }) => {
                self.unsent.clear();
                self.notices.say(format_args!("you have hung up on {who}"));
            }
            (Step::Say(text), line @ (State::Talking { .. } | State::Dialling { .. }))
                if self.unsent.len() < UNSENT =>
            {
                self.unsent.push_back(text);
                self.line = line;
            }
            (step, line) => {
                self.line = line;
                self.notices.warn(self.why_not(&step));
            }
        }
    }

    /// Why a step can't be taken, and what can.
    fn why_not(&self, step: &Step) -> &'static str {
        match (step, &self.line) {
            (Step::Dial { .. }, _) => "there is a call already: /hangup first",
            (Step::Say(_), State::Talking { .. } | State::Dialling { .. }) => {
                "not sent: the other side doesn't read"
            }
            (Step::Say(_), _) => "not sent: nobody is on the line; /topic TOPIC speaks there again",
            _ => "there is no call",
        }
    }

    fn dial(&mut self, name: String, address: Address) {
        self.notices
            .say(format_args!("calling {name} at {address}"));
        let dialer = Dialer {
            address,
            expected: "chat --listen",
            timeout: self.timeout,
            max_frame: self.max_frame,
            notices: self.notices.clone(),
        };
        let dialling = Box::pin(async move { dialer.dial().await });
        self.line = State::Dialling { name, dialling };
    }

    fn ring(&mut self, link: Link) {
        if !matches!(self.line, State::Free) {
            let reason = "somebody else is being talked to; try again later";
            tokio::spawn(link.refuse(ErrorCode::Busy, reason));
            return;
        }
        let who = link.remote().ip().to_string();
        self.notices.ring(format_args!(
            "somebody calls you from {who}: /accept or /decline"
        ));
        self.people.call_from(Some(&who));
        let link = Box::new(link);
        self.line = State::Ringing { who, link };
    }

    async fn handle(&mut self, event: Event) {
        match event {
            Event::Dialled(Ok(link)) => {
                if let State::Dialling { name, .. } = std::mem::replace(&mut self.line, State::Free)
                {
                    self.notices.say(format_args!(
                        "it rings at {name}'s: what you say is heard when they accept"
                    ));
                    let who = name;
                    self.line = State::Talking { who, link };
                }
            }
            Event::Dialled(Err(error)) => {
                self.line = State::Free;
                self.unsent.clear();
                self.people.end_call();
                self.notices.warn(error);
            }
            Event::Read(Ok(1..)) => self.show().await,
            Event::Read(_) => self.end(),
            Event::Written(Ok(false)) => {}
            Event::Written(Ok(true)) => {
                if let Some(text) = self.unsent.pop_front() {
                    let topic = direct::topic().as_str().into();
                    self.notices.show_own(Line { topic, text }).await;
                }
            }
            Event::Written(Err(_)) => self.end(),
        }
    }

    /// Shows what was said.
    async fn show(&mut self) {
        let State::Talking { who, link } = &mut self.line else {
            return;
        };
        loop {
            match link.incoming.next_frame() {
                Ok(Some(Said::Message(letter))) => {
                    let (topic, text) = (letter.message.topic, letter.message.text);
                    let (topic, text) = (topic.decode().as_ref().into(), text.decode().into());
                    let line = Line { topic, text };
                    self.notices.show(who.clone(), line).await;
                }
                Ok(Some(Said::Event(_))) => {}
                Ok(None) => return,
                Err(_) => return self.end(),
            }
        }
    }

    /// The other side has ended the call.
    fn end(&mut self) {
        if let State::Talking { who, .. } = std::mem::replace(&mut self.line, State::Free) {
            self.people.end_call();
            let unsent = self.unsent.len();
            self.unsent.clear();
            self.notices
                .say(format_args!("the call with {who} has ended"));
            if unsent > 0 {
                self.notices.warn(format_args!("lines not sent: {unsent}"));
            }
        }
    }

    /// Begins to send what is to be said next.
    fn say_next(&mut self) {
        if let State::Talking { link, .. } = &mut self.line
            && !link.outgoing.is_busy()
            && let Some(text) = self.unsent.front()
        {
            let (source, destination) = link.endpoints();
            let topic = direct::topic();
            let message = wire::Message {
                source,
                destination,
                topic: topic.as_str(),
                text,
            };
            link.outgoing.begin(message.to_line());
        }
    }
}

/// Waits for a caller who is still there. Cancel safe: who wasn't accepted waits.
async fn accept(listener: Option<&TcpListener>, max_frame: usize) -> Link {
    let Some(listener) = listener else {
        return pending().await;
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Ok(link) = Link::new(stream, max_frame) {
                    return link;
                }
            }
            // Descriptors may run out for a while.
            Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    }
}
