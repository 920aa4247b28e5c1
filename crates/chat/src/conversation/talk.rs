//! The loop over one connection: keyboard × connection × screen.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::io;
use std::pin::{Pin, pin};

use wire::{ErrorCode, Received};

use super::{Conversation, Ending, Role, at};
use crate::countdown::{Countdown, Passed};
use crate::link::{Incoming, Link, LinkError, Said};
use crate::screen::Closed;

/// The state of the conversation over one connection.
#[derive(Debug)]
pub(super) struct Talk<'a> {
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

impl<'a> Talk<'a> {
    pub(super) fn new(all: &'a mut Conversation, link: &'a mut Link, role: Role) -> Self {
        Self {
            all,
            link,
            role,
            closing: None,
            peer_done: false,
            pause: None,
            late: false,
            broken: None,
        }
    }

    pub(super) async fn run(mut self, beside: impl Future<Output = Infallible>) -> Ending {
        let mut beside = pin!(beside);
        loop {
            if let Some(ending) = self.prepare().await {
                return ending;
            }
            let event = self.next_event(beside.as_mut()).await;
            if let Some(ending) = self.handle(event) {
                return ending;
            }
        }
    }

    /// Does what doesn't have to wait: begins the next frame, or sees that there
    /// is none to come.
    async fn prepare(&mut self) -> Option<Ending> {
        if self.is_held_up() {
            self.restart_drain();
        }
        if !self.all.screen.has_room()
            && let Some(session) = &mut self.all.session
        {
            session.held_up();
        }
        if self.broken.is_some() || self.link.outgoing.is_busy() {
            return None;
        }
        if let Some(frame) = self.next_frame() {
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

    fn next_frame(&mut self) -> Option<Vec<u8>> {
        if self.closing.is_some() {
            return None;
        }
        let Conversation { input, session, .. } = &mut *self.all;
        let (source, destination) = self.link.endpoints();
        match session {
            Some(session) => session.next_frame(input, source, destination),
            None => Some(input.message(source, destination)?.to_line()),
        }
    }

    async fn next_event(&mut self, beside: Pin<&mut impl Future<Output = Infallible>>) -> Event {
        let countdown = self.closing.as_ref().or(self.pause.as_ref());
        let countdown = countdown.map(Countdown::step_end);
        let deadline = self.all.deadline().into_iter().chain(countdown).min();
        let Conversation { input, screen, .. } = &mut *self.all;
        let Link {
            incoming, outgoing, ..
        } = &mut *self.link;
        let reads = !self.peer_done && screen.has_room();
        let writes = self.broken.is_none() && outgoing.is_busy();
        tokio::select! {
            () = input.receive(), if input.wants_more() => Event::Typed,
            read = read_before(incoming, reads, beside, !self.peer_done) => Event::Read(read),
            written = outgoing.write_on(), if writes => Event::Written(written),
            shown = screen.hand_over() => Event::Shown(shown),
            () = at(deadline) => Event::TimeOver,
        }
    }

    fn handle(&mut self, event: Event) -> Option<Ending> {
        match event {
            Event::Typed => {
                self.pause = None;
                self.all.obey();
                None
            }
            Event::Read(Ok(0)) => self.stream_ended(),
            Event::Read(Ok(_)) => self.read(),
            Event::Read(Err(error)) => Some(Ending::Lost(error.into())),
            Event::Written(Ok(complete)) => {
                if complete {
                    self.wrote();
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
        if let Err(halt) = self.all.look_at_the_time() {
            return Some(halt.into());
        }
        let countdown = self.closing.as_mut().or(self.pause.as_mut());
        if countdown?.check() == Passed::NotYet {
            return None;
        }
        match self.closing {
            Some(_) => Some(Ending::KeptOpen),
            None => Some(self.both_done()),
        }
    }

    /// A frame was written whole.
    fn wrote(&mut self) {
        let Conversation { input, session, .. } = &mut *self.all;
        let line = match session {
            Some(session) => session.wrote(input),
            None => input.sent(),
        };
        if let Some(line) = line {
            self.all.screen.show_own(&line);
        }
    }

    /// Takes in what was read.
    fn read(&mut self) -> Option<Ending> {
        if self.closing.is_some() && self.role != Role::Server {
            // A direct peer that goes on sending isn't keeping us waiting. A
            // topic may go on for ever.
            self.restart_drain();
        }
        if let Some(session) = &mut self.all.session {
            session.heard();
        }
        let mut busy = false;
        loop {
            let said = match self.link.incoming.next_frame() {
                Ok(Some(said)) => said,
                Ok(None) => return busy.then_some(Ending::Busy),
                Err(error) => return Some(Ending::Lost(error.into())),
            };
            match self.all.take_in(&said) {
                Ok(()) => {}
                Err(halt) => return Some(halt.into()),
            }
            if let Said::Message(letter) = said {
                busy |= self.role == Role::Called && is_busy(&letter.message);
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
fn is_busy(message: &Received<'_>) -> bool {
    let (topic, text) = (message.topic.decode(), message.text.decode());
    let code = ErrorCode::Busy.as_str();
    let reason = text.strip_prefix(code);
    topic == ErrorCode::TOPIC && reason.is_some_and(|reason| reason.starts_with(':'))
}
