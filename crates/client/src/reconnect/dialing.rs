//! Making a connection to one of the servers, while the program goes on.

use std::future::Future;
use std::pin::pin;

use tokio::time::sleep;

use super::Driver;
use crate::backoff::BackOff;
use crate::channels::{Command, at, now, perform};
use crate::dial::DialError;
use crate::error::{ClientError, Disconnect, SessionError};
use crate::event::Event;
use crate::link::{Link, LinkError};
use crate::pool::{Carrier, Place};
use crate::race::{Progress, Race};

/// Which connection is being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The first one: it is waited for even if the program has nothing more to send.
    First,
    /// One after a connection was lost: it is waited for as long as lines are left.
    Again,
}

/// The result of a wait without a connection.
pub(super) enum Meanwhile<T> {
    /// The event has happened.
    Happened(T),
    /// The program is finishing, and nothing is left to send.
    NothingLeft,
    /// The deadline for the lines that are left has passed.
    Failed(ClientError),
    /// The program has dropped its handles.
    Abandoned,
}

/// Why none of the servers could be reached: one error each.
type Errors = Vec<DialError>;

impl Driver {
    /// Makes the first connection; until it succeeds, if the program wants to wait.
    pub(super) async fn connect_first(
        &mut self,
        back_off: &mut BackOff,
    ) -> Meanwhile<Result<Link, ClientError>> {
        let errors = match self.dial(self.pool.again(), Attempt::First).await {
            Meanwhile::Happened(Ok(link)) => return Meanwhile::Happened(Ok(link)),
            Meanwhile::Happened(Err(errors)) => errors,
            other => return other.without(),
        };
        if !self.waits {
            return Meanwhile::Happened(Err(errors.into()));
        }
        let again = self.connect_again(back_off, Attempt::First, errors);
        match again.await {
            Meanwhile::Happened(link) => Meanwhile::Happened(Ok(link)),
            other => other.without(),
        }
    }

    /// Makes the connection that takes over the claimed name.
    pub(super) async fn change_connection(
        &mut self,
        claimed: Link,
        back_off: &mut BackOff,
    ) -> Meanwhile<Link> {
        self.claimed = Some(claimed);
        self.session.disconnected(LinkError::Closed.into(), now());
        match self.dial(self.pool.again(), Attempt::Again).await {
            Meanwhile::Happened(Ok(link)) => Meanwhile::Happened(link),
            Meanwhile::Happened(Err(errors)) => {
                let again = self.connect_again(back_off, Attempt::Again, errors);
                again.await
            }
            other => other.without(),
        }
    }

    /// The outcome if no other connection can be made.
    fn lost(&self, mut errors: Errors) -> ClientError {
        match errors.pop() {
            Some(error) if self.session.has_joined() => ClientError::Lost {
                cause: Disconnect::Dial(Box::new(error)),
                undelivered: self.session.undelivered(),
            },
            last => {
                errors.extend(last);
                errors.into()
            }
        }
    }

    /// Tries until it succeeds. `errors` are those of the last round.
    pub(super) async fn connect_again(
        &mut self,
        back_off: &mut BackOff,
        attempt: Attempt,
        mut errors: Errors,
    ) -> Meanwhile<Link> {
        if attempt == Attempt::Again && self.session.is_finished() {
            return Meanwhile::NothingLeft;
        }
        let mut moving = self.session.take_move();
        loop {
            if self.pool.is_hopeless() {
                return Meanwhile::Failed(self.lost(errors));
            }
            let (pause, places) = match moving.take() {
                Some(moving) => {
                    if !moving.servers.is_empty() {
                        self.pool.name(&moving.servers);
                    }
                    let pause = moving.at.saturating_duration_since(now());
                    (pause.max(back_off.before_moving()), self.pool.elsewhere())
                }
                None if self.pool.has_more() => (back_off.spread(), self.pool.next()),
                None => {
                    self.pool.begin_round();
                    (back_off.pause(), self.pool.next())
                }
            };
            let error = errors.pop();
            self.session.emit(Event::Retrying { pause, error });
            match self.meanwhile(sleep(pause), attempt).await {
                Meanwhile::Happened(()) => {}
                other => return other.without(),
            }
            errors = match self.dial(places, attempt).await {
                Meanwhile::Happened(Ok(link)) => return Meanwhile::Happened(link),
                Meanwhile::Happened(Err(errors)) => errors,
                other => return other.without(),
            };
        }
    }

    /// Makes a connection to one of these servers, or says why none can be made.
    async fn dial(
        &mut self,
        places: Vec<Place>,
        attempt: Attempt,
    ) -> Meanwhile<Result<Link, Errors>> {
        let dialers = places
            .into_iter()
            .map(|place| (place, self.pool.dialer(place).clone()));
        let mut race = Race::new(dialers.collect::<Vec<_>>());
        let mut errors = Vec::new();
        loop {
            match self.meanwhile(race.next(), attempt).await {
                Meanwhile::Happened(Progress::Slow(server)) => {
                    self.session.emit(Event::StillConnecting { server });
                }
                Meanwhile::Happened(Progress::Failed(place, error)) => {
                    self.pool.tried(place);
                    if error.is_final() {
                        self.pool.refuse(place);
                    }
                    if race.goes_on() {
                        self.session.emit(Event::Unreachable(error.clone()));
                    }
                    errors.push(error);
                }
                Meanwhile::Happened(Progress::Connected(place, link)) => {
                    self.connected(place, &link);
                    return Meanwhile::Happened(Ok(*link));
                }
                Meanwhile::Happened(Progress::Over) => return Meanwhile::Happened(Err(errors)),
                other => return other.without(),
            }
        }
    }

    fn connected(&mut self, place: Place, link: &Link) {
        let carrier = match link.proof() {
            Some(_) => Carrier::Tls,
            None if link.remote().ip().is_loopback() => Carrier::Machine,
            None => Carrier::Network,
        };
        self.pool.connected(place, carrier);
        let server = self.pool.current().address.clone();
        self.session.emit(Event::Connected { server });
        if let Some(proof) = link.proof() {
            self.pool.secured(proof);
            self.session.emit(Event::Secured(proof));
        }
    }

    /// Waits for `event`, and takes commands meanwhile.
    async fn meanwhile<T>(
        &mut self,
        event: impl Future<Output = T>,
        attempt: Attempt,
    ) -> Meanwhile<T> {
        let mut event = pin!(event);
        loop {
            if attempt == Attempt::Again && self.session.is_finished() {
                return Meanwhile::NothingLeft;
            }
            if self.program.is_gone(&self.session) {
                return Meanwhile::Abandoned;
            }
            let deadline = self
                .session
                .poll_timeout()
                .filter(|_| attempt == Attempt::Again);
            let is_open = self.program.commands.is_open;
            tokio::select! {
                happened = &mut event => return Meanwhile::Happened(happened),
                () = at(deadline) => match self.session.handle_timeout(now()) {
                    Ok(()) | Err(SessionError::Lost(_)) => {}
                    Err(SessionError::Failed(error)) => return Meanwhile::Failed(error),
                },
                command = self.program.commands.next(), if self.session.has_room() => {
                    if let Some(Command::Send(lines)) = &command {
                        for line in lines.iter().cloned() {
                            self.session.emit(Event::Kept(line));
                        }
                    }
                    perform(command, &mut self.session);
                }
                () = self.program.events.ready(), if self.session.has_events() => {
                    self.program.events.send_now(&mut self.session);
                }
                () = self.program.events.closed(), if !is_open && !self.session.is_finishing() => {}
            }
        }
    }
}

impl<T> Meanwhile<T> {
    /// The same result for another kind of event, which has not happened.
    pub(super) fn without<U>(self) -> Meanwhile<U> {
        match self {
            Self::NothingLeft => Meanwhile::NothingLeft,
            Self::Failed(error) => Meanwhile::Failed(error),
            Self::Happened(_) | Self::Abandoned => Meanwhile::Abandoned,
        }
    }
}
