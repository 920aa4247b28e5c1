//! Topic mode: everybody who is registered for some topics at one server.
//!
//! Dials, registers, and does both again when the connection is lost. What is
//! typed meanwhile is kept by the conversation, and what the new connection has to
//! make good by its session. Never speaks direct mode.

use std::future::pending;
use std::io;

use tokio::time::{Instant, sleep};
use wire::{Registration, TopicName};

use crate::conversation::{Conversation, Ending, Meanwhile, Role};
use crate::dial::{DialError, Dialer};
use crate::failure::Failure;
use crate::link::{Link, LinkError};
use crate::reconnect::BackOff;
use crate::session::Session;

/// Takes part in `topics` until the input or the connection ends; with
/// `reconnect`, only the input.
pub(crate) async fn join(
    all: &mut Conversation,
    server: &Dialer,
    topics: &[TopicName],
    reconnect: bool,
) -> Result<(), Failure> {
    let address = &server.address;
    let mut link = match all.meanwhile(server.dial(), false, None).await {
        Meanwhile::Happened(link) => link?,
        Meanwhile::Failed(failure) => return Err(failure),
        Meanwhile::NothingLeft | Meanwhile::ScreenClosed => return Ok(()),
    };
    let mut back_off = BackOff::new();
    let mut again = "";
    loop {
        let began = Instant::now();
        let ending = match register(all, &mut link, topics).await {
            Ok(()) => {
                if all.session.is_none() {
                    let names: Vec<&str> = topics.iter().map(TopicName::as_str).collect();
                    let names = names.join(", ");
                    let notice = format_args!("joined {names} at {address}{again}");
                    all.notices.say(notice);
                }
                again = " again";
                all.talk(&mut link, Role::Server, pending()).await
            }
            Err(error) => Ending::Lost(error.into()),
        };
        let cause = match ending {
            Ending::Done | Ending::ScreenClosed => return Ok(()),
            Ending::KeptOpen => {
                all.notices.say(format_args!(
                    "everything is sent; {address} keeps the connection open \
                     and isn't waited for any longer"
                ));
                return Ok(());
            }
            Ending::Failed(failure) => return Err(failure),
            Ending::Lost(cause) => cause,
            Ending::Left | Ending::Busy => LinkError::Closed,
        };
        back_off.connection_ended(began.elapsed());
        let cause = match &mut all.session {
            Some(session) => session.disconnected(cause),
            None => cause,
        };
        let is_finished = all.is_finished();
        let is_replaced = all.session.as_ref().is_some_and(Session::is_replaced);
        let is_safe = all.session.as_ref().is_some_and(Session::is_safe);
        if (!reconnect || is_replaced || is_finished) && !(is_finished && is_safe) {
            return Err(Failure::Lost {
                peer: address.to_string(),
                cause,
                left: all.left(),
            });
        }
        let notice = format_args!("the connection to {address} is lost: {cause}");
        all.notices.warn(notice);
        all.show_in_flight();
        drop(link);
        link = match connect_again(all, server, &mut back_off).await? {
            Some(link) => link,
            None => return Ok(()),
        };
    }
}

/// Tries until it succeeds; nothing when standard output is closed meanwhile.
async fn connect_again(
    all: &mut Conversation,
    server: &Dialer,
    back_off: &mut BackOff,
) -> Result<Option<Link>, Failure> {
    const KEPT: &str = "not connected: what is typed is kept and sent later";
    let notices = all.notices.clone();
    let attempts = async {
        let mut failed: Option<DialError> = None;
        loop {
            let pause = back_off.pause();
            let seconds = pause.as_secs_f64();
            match failed {
                None => notices.say(format_args!("trying again in {seconds:.1} s")),
                Some(error) => notices.say(format_args!("trying again in {seconds:.1} s: {error}")),
            }
            sleep(pause).await;
            match server.dial().await {
                Ok(link) => return link,
                Err(error) => failed = Some(error),
            }
        }
    };
    match all.meanwhile(attempts, true, Some(KEPT)).await {
        Meanwhile::Happened(link) => Ok(Some(link)),
        Meanwhile::ScreenClosed => Ok(None),
        Meanwhile::Failed(failure) => Err(failure),
        Meanwhile::NothingLeft if all.session.as_ref().is_some_and(Session::is_safe) => Ok(None),
        Meanwhile::NothingLeft => Err(Failure::EndedUnconnected {
            server: server.address.to_string(),
        }),
    }
}

/// Registers: the first frame of a connection.
async fn register(all: &mut Conversation, link: &mut Link, topics: &[TopicName]) -> io::Result<()> {
    let (source, _) = link.endpoints();
    let registration = match &mut all.session {
        Some(session) => session.connected(source),
        None => Registration {
            source,
            topics,
            extended: None,
        }
        .to_line(),
    };
    link.outgoing.write_first(&registration).await
}
