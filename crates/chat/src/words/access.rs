//! The sentences about logins and permissions.

use client::{Event, ServerError};
use wire::{Address, ErrorCode};

use super::{Words, info, warning};

/// A secret was to be sent to another machine where others can read it.
pub(super) fn secret_in_plain(server: &Address) -> String {
    format!(
        "a token or a password isn't sent to {server} in plain text, which others on the way can \
         read: use the address tls://{server}, or --insecure-auth if you trust the network"
    )
}

/// The notices for an event about logins and permissions.
pub(super) fn event(event: &Event, server: &str) -> Vec<Words> {
    match event {
        Event::NameReserved(name) => info(format_args!("the name {name} is reserved here")),
        Event::Authenticated {
            user: Some(user), ..
        } => info(format_args!("logged in to {server} as {user}")),
        Event::Authenticated { user: None, .. } => info(format_args!("logged in to {server}")),
        Event::NotAuthenticated => warning(format_args!(
            "{server} has no accounts, and hasn't checked who you are"
        )),
        Event::JoinRefused { topic, error } => {
            let why = reason(error);
            warning(format_args!("can't join {topic}: {server} says: {why}"))
        }
        Event::Removed { topic, code } => warning(format_args!(
            "you are no longer in {topic}: {server} doesn't allow it ({code})"
        )),
        _ => Vec::new(),
    }
}

/// The server's error. Errors about logins and permissions get a sentence.
pub(super) fn reason(error: &ServerError) -> String {
    let ServerError { text, .. } = error;
    for (code, sentence) in [
        (ErrorCode::Forbidden, "you may not do that"),
        (ErrorCode::NameReserved, "that name is reserved"),
        (ErrorCode::Protected, "it serves only its own network"),
        (ErrorCode::Expired, "your login has expired"),
        (ErrorCode::Revoked, "your login is no longer valid"),
        (
            ErrorCode::TooManyAttempts,
            "too many logins have failed, and further ones are refused for a while",
        ),
        (
            ErrorCode::RateLimited,
            "you send more than you may, and are read more slowly",
        ),
    ] {
        if error.is(code) {
            return format!("{sentence} ({code}: {text})");
        }
    }
    if error.is(ErrorCode::Unauthenticated) {
        return format!(
            "it must know who you are ({error}); --token-file FILE tells it, or --user NAME on a \
             terminal"
        );
    }
    error.to_string()
}
