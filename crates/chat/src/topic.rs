//! Topic mode: everybody who is registered for a topic at one server.
//!
//! Dials, registers, and does both again when the connection is lost. What is
//! typed meanwhile is kept by the conversation. Never speaks direct mode.

use std::future::pending;

use tokio::time::{Instant, sleep};
use wire::{Registration, TopicName};

use crate::conversation::{Conversation, Ending, Meanwhile, Role};
use crate::dial::{DialError, Dialer};
use crate::failure::Failure;
use crate::link::{Link, LinkError};
use crate::reconnect::BackOff;

/// Takes part in `topic` until the input or the connection ends; with
/// `reconnect`, only the input.
pub(crate) async fn join(
    all: &mut Conversation,
    server: &Dialer,
    topic: &TopicName,
    reconnect: bool,
) -> Result<(), Failure> {
    let address = &server.address;
    let mut link = match all.meanwhile(connect(server, topic), false, None).await {
        Meanwhile::Happened(link) => link?,
        Meanwhile::NothingLeft | Meanwhile::ScreenClosed => return Ok(()),
    };
    all.notices.say(format_args!("joined {topic} at {address}"));
    let mut back_off = BackOff::new();
    loop {
        let began = Instant::now();
        let cause = match all.talk(&mut link, Role::Server, pending()).await {
            Ending::Done | Ending::ScreenClosed => return Ok(()),
            Ending::KeptOpen => {
                all.notices.say(format_args!(
                    "everything is sent; {address} keeps the connection open \
                     and isn't waited for any longer"
                ));
                return Ok(());
            }
            Ending::Lost(cause) => cause,
            Ending::Left | Ending::Busy => LinkError::Closed,
        };
        back_off.connection_ended(began.elapsed());
        if !reconnect || all.is_finished() {
            return Err(Failure::Lost {
                peer: address.to_string(),
                cause,
                unsent: all.input.unsent(),
            });
        }
        let notice = format_args!("the connection to {address} is lost: {cause}");
        all.notices.say(notice);
        drop(link);
        link = match connect_again(all, server, topic, &mut back_off).await? {
            Some(link) => link,
            None => return Ok(()),
        };
        all.notices
            .say(format_args!("joined {topic} at {address} again"));
    }
}

/// Tries until it succeeds; nothing when standard output is closed meanwhile.
async fn connect_again(
    all: &mut Conversation,
    server: &Dialer,
    topic: &TopicName,
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
            match connect(server, topic).await {
                Ok(link) => return link,
                Err(error) => failed = Some(error),
            }
        }
    };
    match all.meanwhile(attempts, true, Some(KEPT)).await {
        Meanwhile::Happened(link) => Ok(Some(link)),
        Meanwhile::ScreenClosed => Ok(None),
        Meanwhile::NothingLeft => Err(Failure::EndedUnconnected {
            server: server.address.to_string(),
        }),
    }
}

/// Dials and registers: the registration is the first frame of a connection.
async fn connect(server: &Dialer, topic: &TopicName) -> Result<Link, DialError> {
    let mut link = server.dial().await?;
    let (source, _) = link.endpoints();
    let topics = std::slice::from_ref(topic);
    let extended = None;
    let registration = Registration {
        source,
        topics,
        extended,
    }
    .to_line();
    match link.outgoing.write_first(&registration).await {
        Ok(()) => Ok(link),
        Err(error) => Err(server.failed(error)),
    }
}
