//! The loop over one connection to a peer.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::io;
use std::pin::{Pin, pin};

use client::deadline::{Deadline, Progress};
use client::frame::Frame;
use client::link::{FrameReader, Link, LinkError, Written};
use client::queue::Acknowledgements;
use client::{Arrival, Incoming};
use tokio::time::{Instant, sleep_until};
use wire::{Envelope, ErrorCode};

use super::{Conversation, Ending, Role};
use crate::output::messages::Closed;

/// The state of the conversation over one connection.
#[derive(Debug)]
pub(super) struct Talk<'a> {
    all: &'a mut Conversation,
    link: &'a mut Link,
    role: Role,
    /// Everything is sent, and our side is closed: the deadline for the peer to close its side.
    closing: Option<Deadline>,
    /// The peer has sent everything; it may still be reading.
    peer_done: bool,
    /// The peer is still sent what is typed until this has passed.
    pause: Option<Deadline>,
    /// Something was sent to the peer since it has finished.
    late: bool,
    /// Sending has failed. What the peer sent before is still read.
    broken: Option<io::Error>,
}

/// What the loop woke up for.
enum Woken {
    /// Something was typed, or the input has ended.
    Typed,
    /// That many bytes arrived; none at the end of the stream.
    Read(io::Result<usize>),
    /// Part of a frame was written.
    Written(io::Result<Written>),
    /// Something was displayed, or the screen is closed.
    Shown(Result<(), Closed>),
    /// The drain timeout or a pause has made a step.
    Timeout,
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
            let woken = self.wait(beside.as_mut()).await;
            if let Some(ending) = self.handle(woken) {
                return ending;
            }
        }
    }

    /// Does the work that needn't wait: begins the next frame, or notices that there will be
    /// none.
    async fn prepare(&mut self) -> Option<Ending> {
        if self.is_held_up() {
            self.restart_drain();
        }
        if self.broken.is_some() || self.link.writer.is_busy() {
            return None;
        }
        if let Some(frame) = self.next_frame() {
            self.link.writer.begin(frame);
            self.pause = None;
            return None;
        }
        if self.peer_done {
            if self.all.input.has_ended() || self.all.screen.is_done() {
                return Some(self.both_done());
            }
            if let Some(length) = self.all.rules.pause {
                self.pause
                    .get_or_insert_with(|| Deadline::start(length, now()));
            }
        } else if self.all.is_finished() && self.closing.is_none() {
            self.link.writer.shutdown().await;
            self.restart_drain();
        }
        None
    }

    fn next_frame(&mut self) -> Option<Vec<u8>> {
        if self.closing.is_some() {
            return None;
        }
        let (source, destination) = self.link.endpoints();
        let next = self.all.queue.begin(Acknowledgements::None)?;
        Some(next.line.message(source, destination).to_line())
    }

    async fn wait(&mut self, beside: Pin<&mut impl Future<Output = Infallible>>) -> Woken {
        let deadline = self.closing.as_ref().or(self.pause.as_ref());
        let deadline = deadline.map(Deadline::next_check);
        let wants_input = self.all.wants_input();
        let Conversation { input, screen, .. } = &mut *self.all;
        let Link { reader, writer, .. } = &mut *self.link;
        let reads = !self.peer_done && screen.has_room();
        let writes = self.broken.is_none() && writer.is_busy();
        tokio::select! {
            () = input.receive(), if wants_input => Woken::Typed,
            read = read_before(reader, reads, beside, !self.peer_done) => Woken::Read(read),
            written = writer.write_on(), if writes => Woken::Written(written),
            shown = screen.hand_over() => Woken::Shown(shown),
            () = at(deadline) => Woken::Timeout,
        }
    }

    fn handle(&mut self, woken: Woken) -> Option<Ending> {
        match woken {
            Woken::Typed => {
                self.pause = None;
                self.all.take_input();
                None
            }
            Woken::Read(Ok(0)) => self.stream_ended(),
            Woken::Read(Ok(_)) => self.read(),
            Woken::Read(Err(error)) => Some(Ending::Lost(error.into())),
            Woken::Written(Ok(Written::Partly)) | Woken::Shown(Ok(())) => None,
            Woken::Written(Ok(Written::Completely)) => {
                if let Some(line) = self.all.queue.written() {
                    self.all.screen.show_own(line, None);
                }
                self.late |= self.peer_done;
                None
            }
            Woken::Written(Err(error)) if self.peer_done => Some(Ending::Lost(error.into())),
            Woken::Written(Err(error)) => {
                self.broken = Some(error);
                None
            }
            Woken::Shown(Err(Closed)) => Some(Ending::ScreenClosed),
            Woken::Timeout => self.check_deadline(),
        }
    }

    fn check_deadline(&mut self) -> Option<Ending> {
        if self.is_held_up() {
            self.restart_drain();
        }
        let deadline = self.closing.as_mut().or(self.pause.as_mut());
        if deadline?.check(now()) == Progress::Running {
            return None;
        }
        match self.closing {
            Some(_) => Some(Ending::KeptOpen),
            None => Some(self.both_done()),
        }
    }

    /// Shows what was read.
    fn read(&mut self) -> Option<Ending> {
        if self.closing.is_some() {
            // A peer that goes on sending restarts the drain timeout.
            self.restart_drain();
        }
        let mut busy = false;
        loop {
            let message = match self.link.reader.next_frame() {
                Ok(Some(Frame::Message(frame))) => frame.message,
                Ok(Some(Frame::Event(_))) => continue,
                Ok(None) => return busy.then_some(Ending::Busy),
                Err(error) => return Some(Ending::Lost(error.into())),
            };
            let incoming = Incoming {
                topic: message.topic.decode().into(),
                text: message.text.decode().into(),
                envelope: Envelope::default(),
                arrival: Arrival::Live,
            };
            let says_busy = self.role == Role::Called && is_busy(&incoming);
            busy |= says_busy;
            // A person gets this in our own words when the call has ended.
            if !(says_busy && self.all.screen.is_persons()) {
                self.all.screen.show(&incoming);
            }
        }
    }

    fn stream_ended(&mut self) -> Option<Ending> {
        if self.link.reader.is_partial() {
            return Some(Ending::Lost(LinkError::Unfinished));
        }
        if let Some(error) = self.broken.take() {
            return Some(Ending::Lost(error.into()));
        }
        if self.closing.is_some() {
            return Some(Ending::Done);
        }
        self.peer_done = true;
        None
    }

    /// Handles that the peer has sent everything, and that we have too, at least for now.
    fn both_done(&mut self) -> Ending {
        let refused = if self.late {
            self.link.writer.take_error()
        } else {
            None
        };
        match refused {
            Some(error) => Ending::Lost(error.into()),
            None if self.all.is_finished() => Ending::Done,
            None => Ending::PeerLeft,
        }
    }

    /// Whether we have stopped reading because nobody reads our output. Then the peer may have
    /// closed long ago.
    fn is_held_up(&self) -> bool {
        self.closing.is_some() && !self.all.screen.has_room()
    }

    fn restart_drain(&mut self) {
        self.closing = Some(Deadline::start(self.all.rules.drain_timeout, now()));
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// Waits until that time, or for ever without one.
async fn at(deadline: Option<std::time::Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => pending().await,
    }
}

/// Waits for bytes, and runs `beside` meanwhile. Reading comes first, so that a peer that has
/// left is noticed before the next caller is told that we are busy.
async fn read_before(
    reader: &mut FrameReader,
    reads: bool,
    beside: Pin<&mut impl Future<Output = Infallible>>,
    is_open: bool,
) -> io::Result<usize> {
    tokio::select! {
        biased;
        read = reader.fill(), if reads => read,
        never = beside, if is_open => match never {},
        else => pending().await,
    }
}

/// Whether this is the answer of a peer that is in another call.
fn is_busy(incoming: &Incoming) -> bool {
    ErrorCode::Busy.is_told(&incoming.topic, &incoming.text)
}
