//! What kind of answer a client wants.

use axum::http::header::{ACCEPT, HeaderMap};

/// A form of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A frame a line.
    Lines,
    /// Server-Sent Events.
    Events,
    /// The page, for a person with a browser.
    Page,
}

impl Form {
    /// What `Accept` asks for; lines for who doesn't say.
    pub(crate) fn wanted(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(ACCEPT).iter();
        let mut kinds = accepted
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|kind| kind.split(';').next())
            .map(str::trim);
        let form = kinds.find_map(|kind| match kind {
            "text/event-stream" => Some(Self::Events),
            "text/html" => Some(Self::Page),
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
            ("*/*", Form::Lines),
            ("", Form::Lines),
            ("text/event-stream", Form::Events),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                Form::Page,
            ),
            ("image/png, text/event-stream;q=0.5", Form::Events),
            ("application/x-ndjson", Form::Lines),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(Form::wanted(&headers), form, "{accept}");
        }
        assert_eq!(Form::wanted(&HeaderMap::new()), Form::Lines);
    }
}
