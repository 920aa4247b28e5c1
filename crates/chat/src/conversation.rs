//! The only loop: keyboard × connection × screen.
//!
//! Reading and writing go on at the same time, and each direction waits only for
//! itself: two clients that send each other megabytes don't lock each other, and
//! a blocked standard output stops neither sending nor an interrupt. Knows no
//! terminal, no address and no mode; says nothing itself, but how it ended.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use wire::ErrorCode;

use crate::input::Input;
use crate::link::{Incoming, Link, LinkError};
use crate::notice::Notices;
use crate::screen::{Closed, Screen};

/// What outlives any single connection.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) input: Input,
    pub(crate) screen: Screen,
    pub(crate) notices: Notices,
    pub(crate) rules: Rules,
}

/// When a conversation ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Not with the end of the input.
    pub(crate) stay: bool,
    /// So long after everything was sent, if the other side doesn't close.
    pub(crate) drain_timeout: Duration,
    /// A direct peer that has finished may still be listening, as we are when
    /// our input has ended: it is sent what comes without a longer pause. None
    /// for an input that ends by itself.
    pub(crate) pause: Option<Duration>,
}

/// What the other side is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A direct peer that called us.
    Caller,
    /// A direct peer that we called.
    Called,
    /// A topic server.
    Server,
}

/// How the conversation over one connection ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// Everything was sent, and the other side has closed.
    Done,
    /// Everything was sent, and the other side kept the connection open.
    KeptOpen,
    /// The other side closed, and our input goes on.
    Left,
    /// The connection is lost.
    Lost(LinkError),
    /// Whom we called talks to somebody else.
    Busy,
    /// Nobody reads standard output any more.
    ScreenClosed,
}

/// What happened while there was no connection.
#[derive(Debug)]
pub(crate) enum Meanwhile<T> {
    /// What was waited for.
    Happened(T),
    /// The input has ended, and nothing of it is left to send.
    NothingLeft,
    /// Nobody reads standard output any more.
    ScreenClosed,
}

impl Conversation {
    /// Everything was sent that there ever will be to send.
    pub(crate) fn is_finished(&self) -> bool {
        !self.rules.stay && self.input.has_ended() && self.input.unsent() == 0
    }

    /// Waits for `event`, and takes what is typed meanwhile; says `kept` once if
    /// that is anything.
    ///
    /// With `ends`, doesn't wait on when the input has ended and is sent.
    pub(crate) async fn meanwhile<T>(
        &mut self,
        event: impl Future<Output = T>,
        ends: bool,
        mut kept: Option<&str>,
    ) -> Meanwhile<T> {
        let mut event = pin!(event);
        loop {
            if ends && self.is_finished() {
                return Meanwhile::NothingLeft;
            }
            if self.input.unsent() > 0
                && let Some(notice) = kept.take()
            {
                self.notices.say(notice);
            }
            tokio::select! {
                happened = &mut event => return Meanwhile::Happened(happened),
                () = self.input.receive(), if self.input.wants_more() => {}
                shown = self.screen.hand_over() => if shown == Err(Closed) {
                    return Meanwhile::ScreenClosed;
                }
            }
        }
    }

    /// Talks over `link` until that ends. `beside` is what goes on meanwhile.
    pub(crate) async fn talk(
        &mut self,
        link: &mut Link,
        role: Role,
        beside: impl Future<Output = Infallible>,
    ) -> Ending {
        let mut talk = Talk {
            all: self,
            link,
            role,
            closing: None,
            peer_done: false,
            pause: None,
            late: false,
            broken: None,
        };
        let mut beside = pin!(beside);
        loop {
            if let Some(ending) = talk.prepare().await {
                return ending;
            }
            let event = talk.next_event(beside.as_mut()).await;
            if let Some(ending) = talk.handle(event) {
                return ending;
            }
        }
    }
}

/// The state of the conversation over one connection.
#[derive(Debug)]
struct Talk<'a> {
    all: &'a mut Conversation,
    link: &'a mut Link,
    role: Role,
    /// Everything is sent, and the other side was told so: it has so long.
    closing: Option<Countdown>,
    /// A direct peer has sent everything; it may still be receiving.
    peer_done: bool,
    /// It is sent what comes until this is over.
    pause: Option<Countdown>,
    /// Something was sent to it since.
    late: bool,
    /// Nothing can be sent any more; what came before is still to be read.
    broken: Option<io::Error>,
}

/// A time in which nothing comes. It passes in steps, and at each whatever has
/// come is heard first: a machine that stood still for a while is no peer that is
/// silent, and no input that pauses.
#[derive(Debug)]
struct Countdown {
    step: Duration,
    step_end: Instant,
    steps_left: u32,
}

impl Countdown {
    const STEPS: u32 = 5;

    fn begin(length: Duration) -> Self {
        let step = length / Self::STEPS;
        Self {
            step,
            step_end: Instant::now() + step,
            steps_left: Self::STEPS - 1,
        }
    }

    /// A step is over: begins the next, if there is one.
    fn goes_on(&mut self) -> bool {
        let goes_on = self.steps_left > 0;
        self.steps_left = self.steps_left.saturating_sub(1);
        self.step_end = Instant::now() + self.step;
        goes_on
    }
}

/// What the loop woke up for.
enum Event {
    /// Something was typed, or the input has ended.
    Typed,
    /// So many bytes arrived; none at the end of the stream.
    Read(io::Result<usize>),
    /// Some of a frame was written; true for the last of it.
    Written(io::Result<bool>),
    /// Something was displayed, or nothing can be any more.
    Shown(Result<(), Closed>),
    /// The drain timeout or a pause is over.
    TimeOver,
}

impl Talk<'_> {
    /// Does what doesn't have to wait: begins the next frame, or sees that there
    /// is none to come.
    async fn prepare(&mut self) -> Option<Ending> {
        if self.is_held_up() {
            self.restart_drain();
        }
        if self.broken.is_some() || self.link.outgoing.is_busy() {
            return None;
        }
        let (source, destination) = self.link.endpoints();
        if let Some(frame) = self.all.input.next_frame(source, destination) {
            self.link.outgoing.begin(frame);
            self.pause = None;
            return None;
        }
        if self.peer_done {
            if self.all.input.has_ended() {
                return Some(self.both_done());
            }
            if let Some(length) = self.all.rules.pause {
                self.pause.get_or_insert_with(|| Countdown::begin(length));
            }
        } else if self.all.is_finished() && self.closing.is_none() {
            self.link.outgoing.shutdown().await;
            self.restart_drain();
        }
        None
    }

    async fn next_event(&mut self, beside: Pin<&mut impl Future<Output = Infallible>>) -> Event {
        let Conversation { input, screen, .. } = &mut *self.all;
        let Link {
            incoming, outgoing, ..
        } = &mut *self.link;
        let reads = !self.peer_done && screen.has_room();
        let writes = self.broken.is_none() && outgoing.is_busy();
        let countdown = self.closing.as_ref().or(self.pause.as_ref());
        let deadline = countdown.map(|countdown| countdown.step_end);
        tokio::select! {
            () = input.receive(), if input.wants_more() => Event::Typed,
            read = read_before(incoming, reads, beside, !self.peer_done) => Event::Read(read),
            written = outgoing.write_on(), if writes => Event::Written(written),
            shown = screen.hand_over() => Event::Shown(shown),
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                Event::TimeOver
            }
        }
    }

    fn handle(&mut self, event: Event) -> Option<Ending> {
        match event {
            Event::Typed => {
                self.pause = None;
                None
            }
            Event::Read(Ok(0)) => self.stream_ended(),
            Event::Read(Ok(_)) => self.show_messages(),
            Event::Read(Err(error)) => Some(Ending::Lost(error.into())),
            Event::Written(Ok(complete)) => {
                if complete {
                    self.all.input.sent();
                    self.late |= self.peer_done;
                }
                None
            }
            Event::Written(Err(error)) if self.peer_done => Some(Ending::Lost(error.into())),
            Event::Written(Err(error)) => {
                self.broken = Some(error);
                None
            }
            Event::Shown(Ok(())) => None,
            Event::Shown(Err(Closed)) => Some(Ending::ScreenClosed),
            Event::TimeOver => self.time_over(),
        }
    }

    fn time_over(&mut self) -> Option<Ending> {
        if self.is_held_up() {
            self.restart_drain();
        }
        let countdown = self.closing.as_mut().or(self.pause.as_mut());
        if countdown.is_some_and(Countdown::goes_on) {
            return None;
        }
        match self.closing {
            Some(_) => Some(Ending::KeptOpen),
            None => Some(self.both_done()),
        }
    }

    /// Shows what was read.
    fn show_messages(&mut self) -> Option<Ending> {
        if self.closing.is_some() && self.role != Role::Server {
            // A direct peer that goes on sending isn't keeping us waiting. A
            // topic may go on for ever.
            self.restart_drain();
        }
        let mut busy = false;
        loop {
            match self.link.incoming.next_message() {
                Ok(Some(message)) => {
                    let (topic, text) = (message.topic.decode(), message.text.decode());
                    self.all.screen.show(&topic, &text);
                    busy |= self.role == Role::Called && is_busy(&topic, &text);
                }
                Ok(None) => return busy.then_some(Ending::Busy),
                Err(error) => return Some(Ending::Lost(error.into())),
            }
        }
    }

    fn stream_ended(&mut self) -> Option<Ending> {
        if self.link.incoming.is_partial() {
            return Some(Ending::Lost(LinkError::Unfinished));
        }
        if let Some(error) = self.broken.take() {
            return Some(Ending::Lost(error.into()));
        }
        if self.closing.is_some() {
            return Some(Ending::Done);
        }
        if self.role == Role::Server {
            return Some(Ending::Left);
        }
        self.peer_done = true;
        None
    }

    /// The peer has sent everything, and we have too, for now or for good.
    fn both_done(&mut self) -> Ending {
        let refused = if self.late {
            self.link.outgoing.take_error()
        } else {
            None
        };
        match refused {
            Some(error) => Ending::Lost(error.into()),
            None if self.all.is_finished() => Ending::Done,
            None => Ending::Left,
        }
    }

    /// A direct peer may have closed long ago, and it is we who don't read,
    /// because nobody reads our output. (A topic may go on for ever.)
    fn is_held_up(&self) -> bool {
        self.closing.is_some() && self.role != Role::Server && !self.all.screen.has_room()
    }

    fn restart_drain(&mut self) {
        self.closing = Some(Countdown::begin(self.all.rules.drain_timeout));
    }
}

/// Waits for bytes, and does `beside` meanwhile. Reading comes first: that our
/// peer has left must be known before the next caller is told that we are busy.
async fn read_before(
    incoming: &mut Incoming,
    reads: bool,
    beside: Pin<&mut impl Future<Output = Infallible>>,
    is_open: bool,
) -> io::Result<usize> {
    tokio::select! {
        biased;
        read = incoming.fill(), if reads => read,
        never = beside, if is_open => match never {},
        else => pending().await,
    }
}

/// The answer of somebody who talks to somebody else.
fn is_busy(topic: &str, text: &str) -> bool {
    let code = ErrorCode::Busy.as_str();
    let reason = text.strip_prefix(code);
    topic == ErrorCode::TOPIC && reason.is_some_and(|reason| reason.starts_with(':'))
}
