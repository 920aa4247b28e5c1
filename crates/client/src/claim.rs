//! Claims another name while the old connection goes on.
//!
//! A connection can't change its name. So the new name is claimed over a second connection, under
//! the same key: the server grants or refuses it, and until then nothing has changed. The next
//! connection then takes the name over, as a reconnecting client does.

use tokio::time::timeout;
use wire::{
    ClientKey, Credential, ErrorCode, Event as ServerEvent, Registration, RegistrationOptions,
    UserName,
};

use crate::dial::Dialer;
use crate::error::ServerError;
use crate::frame::Frame;
use crate::link::Link;

/// Why a name was not granted.
#[derive(Clone, Debug)]
pub(crate) enum ClaimError {
    /// The server has refused it.
    Refused(ServerError),
    /// The connection to the server was lost.
    Lost,
}

/// A name that is claimed, and the client that claims it.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) name: UserName,
    pub(crate) key: ClientKey,
    pub(crate) credential: Option<Credential>,
    pub(crate) reason: ClaimReason,
}

/// Why a name is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClaimReason {
    /// The program has asked for the name, and gets an event with the result.
    Asked,
    /// The program has preferred the name from the beginning, and it may be free now.
    Wished,
}

/// Claims a name. It is held as long as the returned connection.
pub(crate) async fn claim(dialer: Dialer, claim: Claim) -> Result<Link, ClaimError> {
    let time = dialer.timeout;
    match timeout(time, ask(&dialer, &claim)).await {
        Ok(result) => result,
        Err(_) => Err(ClaimError::Lost),
    }
}

async fn ask(dialer: &Dialer, claim: &Claim) -> Result<Link, ClaimError> {
    let lost = |_| ClaimError::Lost;
    let mut link = dialer.dial().await.map_err(|_| ClaimError::Lost)?;
    let (source, _) = link.endpoints();
    let options = RegistrationOptions {
        auth: claim.credential.clone(),
        user: Some(claim.name.clone()),
        client: Some(claim.key.clone()),
        ..RegistrationOptions::default()
    };
    let registration = Registration {
        source,
        topics: &[],
        extended: Some(&options),
    };
    let frame = registration.to_line();
    link.writer.write_all(&frame).await.map_err(lost)?;
    loop {
        if link.reader.fill().await.map_err(lost)? == 0 {
            return Err(ClaimError::Lost);
        }
        let mut is_granted = false;
        while let Some(frame) = link.reader.next_frame().map_err(|_| ClaimError::Lost)? {
            match frame {
                Frame::Event(ServerEvent::Registered(_)) => is_granted = true,
                Frame::Event(ServerEvent::Error(told)) => {
                    return Err(ClaimError::Refused(ServerError {
                        code: told.code.as_ref().into(),
                        text: told.text.as_ref().into(),
                    }));
                }
                Frame::Message(frame) if frame.message.topic.decode() == ErrorCode::TOPIC => {
                    let text = frame.message.text.decode();
                    return Err(ClaimError::Refused(ServerError::read(&text)));
                }
                _ => {}
            }
        }
        if is_granted {
            return Ok(link);
        }
    }
}
