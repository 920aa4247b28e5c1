//! Logging in: by a token at once, by a password after a moment. Wrong passwords are counted.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use wire::{Credential, Secret, UserName};

use super::control::Access;
use super::guessing::Attempt;
use super::login_error::LoginError;
use super::password::PasswordHash;
use super::policy::Policy;
use super::principal::Principal;
use super::sealed::Sealed;

/// The state of a login.
pub(crate) enum Login {
    /// It is decided.
    Done(Result<Principal, LoginError>),
    /// A password has to be checked.
    Password(Box<PasswordLogin>),
}

/// A password that has to be checked.
pub(crate) struct PasswordLogin {
    user: String,
    password: Secret,
    /// `None` for an unknown user, or one without a password.
    kept: Option<PasswordHash>,
    attempt: Attempt,
}

impl Login {
    /// The result of the login.
    pub(crate) async fn finish(self, access: &Access) -> Result<Principal, LoginError> {
        match self {
            Self::Done(done) => done,
            Self::Password(login) => login.finish(access).await,
        }
    }
}

impl Access {
    /// Checks the credential of a client at `peer`. `now` is in milliseconds since the Unix
    /// epoch.
    pub(crate) fn log_in(&self, credential: &Credential, peer: IpAddr, now: u64) -> Login {
        let policy = self.policy();
        match credential {
            Credential::Token(token) => Login::Done(self.by_token(&policy, token.expose(), now)),
            Credential::Password { user, password } => {
                // A program that only supports passwords may send a token as the password.
                let by_token = match policy.principal_by_token(password.expose(), now) {
                    Err(LoginError::UnknownToken) => {
                        return self.by_password(&policy, user, password, peer);
                    }
                    Ok(principal) if !is_of(&principal, user) => {
                        Err(self.failed(LoginError::WrongPassword, peer, user))
                    }
                    Ok(principal) => Ok(self.watched(principal)),
                    other => other,
                };
                Login::Done(by_token)
            }
        }
    }

    /// Seals a login, for a browser to keep.
    pub(crate) fn seal_login(&self, principal: &Principal, now: u64) -> Result<Sealed, LoginError> {
        let sealer = self.sealer().ok_or(LoginError::NoAccounts)?;
        sealer.seal(principal, now)
    }

    /// Who brings a login that a browser keeps.
    pub(crate) fn open_login(&self, text: &str, now: u64) -> Result<Principal, LoginError> {
        let sealer = self.sealer().ok_or(LoginError::Over)?;
        let principal = sealer.open(text, &self.policy(), now)?;
        Ok(self.watched(principal))
    }

    /// Ends the login that somebody's browser keeps, and what was opened by it.
    /// False if no browser keeps one.
    pub(crate) fn end_login(&self, principal: &Principal, now: u64) -> bool {
        let (Some(login), Some(sealer)) = (principal.login(), self.sealer()) else {
            return false;
        };
        sealer.end(login, now);
        self.look_again();
        true
    }

    /// Gives somebody who has logged in a ticket, and says for how long it is good.
    pub(crate) fn give_ticket(
        &self,
        principal: &Principal,
    ) -> Result<(String, Duration), LoginError> {
        let tickets = self.tickets().ok_or(LoginError::NoAccounts)?;
        let ticket = tickets.give(principal, Instant::now())?;
        Ok((ticket, tickets.lifetime()))
    }

    /// Who brings a ticket, which is used up then.
    pub(crate) fn take_ticket(
        &self,
        ticket: &str,
        peer: IpAddr,
        now: u64,
    ) -> Result<Principal, LoginError> {
        let tickets = self.tickets().ok_or(LoginError::NoAccounts)?;
        let principal = tickets.take(ticket, Instant::now())?;
        // Since it was given out, something may have changed.
        self.check(&principal, peer, now).map_err(LoginError::Ended)
    }

    /// Tokens can't be guessed, so failures aren't counted. Otherwise a client with a revoked
    /// token would sometimes get another error.
    fn by_token(&self, policy: &Policy, token: &str, now: u64) -> Result<Principal, LoginError> {
        let principal = policy.principal_by_token(token, now)?;
        Ok(self.watched(principal))
    }

    fn by_password(&self, policy: &Policy, user: &str, password: &Secret, peer: IpAddr) -> Login {
        let kept = policy.password_of(user);
        if let Some(kept) = kept
            && let Some(checker) = self.checker()
            && checker.remembers(user, password.expose(), kept)
        {
            let principal = policy.principal_by_password(user, kept);
            return Login::Done(principal.ok_or(LoginError::WrongPassword));
        }
        match self.guessing().begin(peer, user, Instant::now()) {
            Err(error) => Login::Done(Err(error.into())),
            Ok(attempt) => Login::Password(Box::new(PasswordLogin {
                user: user.to_owned(),
                password: password.clone(),
                kept: kept.cloned(),
                attempt,
            })),
        }
    }

    /// Counts a failure, and returns the error for the client.
    fn failed(&self, error: LoginError, peer: IpAddr, account: &str) -> LoginError {
        match self.guessing().begin(peer, account, Instant::now()) {
            Ok(attempt) => {
                attempt.failed();
                error
            }
            Err(error) => error.into(),
        }
    }

    fn watched(&self, principal: Principal) -> Principal {
        self.watch(&principal);
        principal
    }
}

impl PasswordLogin {
    async fn finish(self, access: &Access) -> Result<Principal, LoginError> {
        let Self {
            user,
            password,
            kept,
            attempt,
        } = self;
        let Some(checker) = access.checker() else {
            return Err(LoginError::NoAccounts);
        };
        let checked = checker.check(&user, password.expose(), kept.as_ref());
        let is_right = checked.await?;
        let principal = match kept {
            // The password may have been changed meanwhile.
            Some(kept) if is_right => access.policy().principal_by_password(&user, &kept),
            _ => None,
        };
        match principal {
            Some(principal) => {
                attempt.succeeded(Instant::now());
                Ok(principal)
            }
            None => {
                attempt.failed();
                Err(LoginError::WrongPassword)
            }
        }
    }
}

/// Whether the principal is this user. A token without a user fits every name.
fn is_of(principal: &Principal, user: &str) -> bool {
    let is_user = |account: &UserName| account.as_str() == user;
    principal.account().is_none_or(is_user)
}

#[cfg(test)]
mod tests;
