//! Which form of answer a client wants.

use axum::http::header::{ACCEPT, HeaderMap};

/// The form in which a topic is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// One frame per line.
    Lines,
    /// Server-Sent Events.
    Events,
    /// One message per line, as plain text for people.
    Text,
    /// The page, for a person with a browser.
    Page,
}

impl Wanted {
    /// What `Accept` asks for; lines if it isn't there.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(ACCEPT).iter();
        let mut kinds = accepted
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|kind| kind.split(';').next())
            .map(str::trim);
        let form = kinds.find_map(|kind| match kind {
            "text/event-stream" => Some(Self::Events),
            "text/html" => Some(Self::Page),
            "text/plain" => Some(Self::Text),
            "application/x-ndjson" | "application/json" => Some(Self::Lines),
            _ => None,
        });
        form.unwrap_or(Self::Lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_form_that_is_known_counts() {
        for (accept, form) in [
            ("*/*", Wanted::Lines),
            ("", Wanted::Lines),
            ("text/event-stream", Wanted::Events),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                Wanted::Page,
            ),
            ("image/png, text/event-stream;q=0.5", Wanted::Events),
            ("application/x-ndjson", Wanted::Lines),
            ("text/plain", Wanted::Text),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(Wanted::of(&headers), form, "{accept}");
        }
        assert_eq!(Wanted::of(&HeaderMap::new()), Wanted::Lines);
    }
}
