//! Finds out how to reach the other side, before a conversation begins.

use std::io::{self, Write as _};
use std::time::Duration;

use client::dial::{DialError, Dialer, Protection};
use client::{ServerAddress, ServerList};
use wire::{Address, UserName};

use super::{App, Finished};
use crate::access::{self, MeetError, Reach};
use crate::discovery;
use crate::error::Failure;
use crate::modes::direct::{Entrance, Partner};
use crate::modes::topic::Audience;

impl App {
    /// Lists the servers on this network.
    pub(super) async fn find(&self, time: Duration) -> Finished {
        let found = match discovery::find(time).await {
            Ok(found) if found.is_empty() => return Finished::failed(Failure::NoServers),
            Ok(found) => found,
            Err(source) => return Finished::failed(Failure::CantFind { source }),
        };
        let list: String = found.iter().map(ToString::to_string).collect();
        let mut output = io::stdout().lock();
        let written = output.write_all(list.as_bytes());
        match written.and_then(|()| output.flush()) {
            Ok(()) => Finished::done(),
            Err(source) => Finished::failed(Failure::Output { source }),
        }
    }

    /// Forgets the keys of a server.
    pub(super) fn forget(&self, servers: &[Address]) -> Finished {
        match access::forget(servers, self.environment.config.as_deref()) {
            Ok(forgotten) => {
                for (server, keys) in forgotten {
                    let keys = access::pins(&keys);
                    self.notices.say(format_args!("forgot {server}: {keys}"));
                }
                Finished::done()
            }
            Err(error) => Finished::failed(error.into()),
        }
    }

    /// Finds out how a server is reached, and whether the person trusts it. The screen isn't
    /// taken yet.
    pub(super) async fn reach(
        &self,
        servers: &ServerList,
        audience: Audience,
    ) -> Result<Reach, Failure> {
        let folder = self.environment.config.as_deref();
        let mut reach = Reach::find(servers, &self.options.access, folder)?;
        let options = self.client_options(&reach, Vec::new(), audience);
        let payload = reach.payload();
        let dialer = |server: &ServerAddress| options.dialer_for(server, payload);
        match reach.meet(dialer).await {
            Ok(()) => {}
            // A server may come later.
            Err(MeetError::Dial(errors))
                if self.options.wait && !errors.iter().all(DialError::is_final) => {}
            Err(MeetError::Dial(errors)) => {
                return Err(Failure::of_dialing(errors, &reach.known));
            }
            Err(MeetError::Access(error)) => return Err(error.into()),
        }
        reach.log_in().await?;
        if let Some(path) = reach.open_token_file() {
            let path = path.display();
            self.notices.warn(format_args!(
                "others on this machine can read the token in {path}: chmod 600 lets only you"
            ));
        }
        Ok(reach)
    }

    /// The dialer for a direct call.
    pub(super) fn peers_dialer(&self, address: Address) -> Dialer {
        Dialer {
            address,
            timeout: self.options.connect_timeout,
            max_frame: self.options.max_frame,
            protection: Protection::Plain,
        }
    }

    /// Prepares a call of a user whom a topic server knows.
    pub(super) async fn user(
        &self,
        user: UserName,
        servers: &ServerList,
    ) -> Result<Partner, Failure> {
        // The server is only asked where that user is.
        let audience = Audience::Pipe;
        let reach = self.reach(servers, audience).await?;
        let options = self.client_options(&reach, Vec::new(), audience);
        let entrance = |server: &ServerAddress| Entrance {
            dialer: options.dialer(server),
            upgrade: options.upgraded_dialer(server),
        };
        let servers = reach.servers.iter().map(entrance).collect();
        let Reach {
            known, credential, ..
        } = reach;
        Ok(Partner::User {
            user,
            servers,
            known,
            credential,
        })
    }
}
