//! Parses a request's path and query.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::Uri;
use axum::http::request::Parts;
use serde::Deserialize;
use wire::{Position, RegistrationOptions, TopicName};

use crate::http::problem::Problem;

/// The topic that a path names.
pub(crate) struct Topic(pub(crate) TopicName);

impl<S: Send + Sync> FromRequestParts<S> for Topic {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path: Result<Path<String>, PathRejection> =
            Path::from_request_parts(parts, state).await;
        let Path(name) = path.map_err(|error| Problem::bad_request(error.body_text()))?;
        Ok(Self(TopicName::new(&name)?))
    }
}

/// A parsed query. An unknown parameter is refused, because it would be a mistake.
pub(crate) struct ValidQuery<T>(pub(crate) T);

impl<T: serde::de::DeserializeOwned, S: Send + Sync> FromRequestParts<S> for ValidQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, state).await;
        let Query(asked) = query.map_err(unreadable)?;
        Ok(Self(asked))
    }
}

/// Parses the known parameters of a query.
pub(crate) fn parse_query<T: serde::de::DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let uri = Uri::try_from(format!("/?{query}"));
    let uri = uri.map_err(|error| Problem::bad_request(error.to_string()))?;
    let Query(asked) = Query::try_from_uri(&uri).map_err(unreadable)?;
    Ok(asked)
}

#[allow(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn unreadable(error: QueryRejection) -> Problem {
    let text = error.body_text();
    let text = text
        .strip_prefix("Failed to deserialize query string: ")
        .unwrap_or(&text);
    Problem::bad_request(format!("the query can't be read: {text}"))
}

/// The longest timeout of a stream, in seconds: a day.
const MAX_TIMEOUT: u64 = 24 * 60 * 60;

/// When an answer is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// When the messages that exist now have been sent.
    Sent,
    /// After this time.
    After(Duration),
    /// Never: it ends when one side closes.
    Closed,
}

/// How a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) until: Until,
    /// After this many messages, if that is earlier.
    pub(crate) count: Option<u64>,
}

/// Where a stream begins, and when it ends.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamQuery {
    /// This many of the newest messages.
    last: Option<u64>,
    /// Messages since this time: in milliseconds, or as a duration before now.
    since: Option<String>,
    /// Messages after this position: epoch and number.
    resume: Option<String>,
    /// The same as `resume`, under the name of the header that browsers send, for clients that
    /// can't set headers.
    #[serde(rename = "lastEventId", alias = "last-event-id")]
    last_event_id: Option<String>,
    /// `1`: end when the messages that exist now have been sent.
    poll: Option<String>,
    /// With `poll`: the `last` messages with lower numbers than this.
    before: Option<u64>,
    /// End after this many seconds.
    timeout: Option<u64>,
    /// End after this many messages.
    count: Option<u64>,
}

impl StreamQuery {
    /// The range that is asked for, if it is one: messages before a number, and how many.
    pub(crate) fn range(&self) -> Result<Option<(u64, Option<u64>)>, Problem> {
        let Some(before) = self.before else {
            return Ok(None);
        };
        let is_poll = is_set("poll", self.poll.as_deref())?;
        let has_more = self.since.is_some()
            || self.resume.is_some()
            || self.last_event_id.is_some()
            || self.timeout.is_some()
            || self.count.is_some();
        if !is_poll || has_more {
            return Err(Problem::bad_request(
                "before goes with poll=1, and with last, but with nothing else",
            ));
        }
        Ok(Some((before, self.last)))
    }

    /// The options of a registration. A browser that reconnects gives its position in
    /// `last_event_id`.
    pub(crate) fn options(
        &self,
        topics: &[TopicName],
        last_event_id: Option<&str>,
        now: u64,
    ) -> Result<RegistrationOptions, Problem> {
        let since = self.since.as_deref().map(|since| moment(since, now));
        let mut options = RegistrationOptions {
            last: self.last,
            since: since.transpose()?,
            ..RegistrationOptions::default()
        };
        let queried = self.last_event_id.as_deref().filter(|id| !id.is_empty());
        if let Some(id) = last_event_id.or(queried).or(self.resume.as_deref()) {
            options.resume = positions(id, topics)?;
        }
        // A poll that names no start gets all messages that are kept.
        let is_open = options.last.is_none() && options.since.is_none();
        if self.until()? == Until::Sent && is_open && options.resume.len() < topics.len() {
            options.since = Some(0);
        }
        Ok(options)
    }

    /// When the answer is complete.
    pub(crate) fn ending(&self) -> Result<Ending, Problem> {
        if self.count == Some(0) {
            return Err(Problem::bad_request("count is 1 message or more, not 0"));
        }
        let (until, count) = (self.until()?, self.count);
        Ok(Ending { until, count })
    }

    fn until(&self) -> Result<Until, Problem> {
        match (is_set("poll", self.poll.as_deref())?, self.timeout) {
            (true, None) => Ok(Until::Sent),
            (true, Some(_)) => Err(Problem::bad_request(
                "an answer ends by poll or by timeout; give one of them",
            )),
            (false, None) => Ok(Until::Closed),
            (false, Some(seconds)) if (1..=MAX_TIMEOUT).contains(&seconds) => {
                Ok(Until::After(Duration::from_secs(seconds)))
            }
            (false, Some(seconds)) => Err(Problem::bad_request(format!(
                "timeout is 1 to {MAX_TIMEOUT} seconds, not {seconds}"
            ))),
        }
    }
}

/// A flag in a query.
pub(crate) fn is_set(name: &str, value: Option<&str>) -> Result<bool, Problem> {
    match value {
        None | Some("0" | "false") => Ok(false),
        Some("" | "1" | "true") => Ok(true),
        Some(other) => Err(Problem::bad_request(format!(
            "{name} is 1 or 0, not {other:?}"
        ))),
    }
}

/// The positions in several topics, in their order, separated by commas. An empty part means no
/// position.
fn positions(id: &str, topics: &[TopicName]) -> Result<BTreeMap<String, Position>, Problem> {
    if let [topic] = topics {
        return Ok(BTreeMap::from([(topic.to_string(), position(id)?)]));
    }
    let parts: Vec<&str> = id.split(',').collect();
    if parts.len() != topics.len() {
        return Err(Problem::bad_request(format!(
            "the stream has {} topics, and the place to go on from {} parts; it has one \
             EPOCH:NUMBER for each topic, in their order, with commas between",
            topics.len(),
            parts.len()
        )));
    }
    let given = topics
        .iter()
        .zip(parts)
        .filter(|(_, part)| !part.is_empty());
    given
        .map(|(topic, part)| Ok((topic.to_string(), position(part)?)))
        .collect()
}

/// `EPOCH:SEQ`, as an event's id has it.
fn position(id: &str) -> Result<Position, Problem> {
    let parts = id.split_once(':').filter(|(epoch, _)| !epoch.is_empty());
    let seq = parts.and_then(|(_, seq)| seq.parse().ok());
    match (parts, seq) {
        (Some((epoch, _)), Some(seq)) => Ok(Position {
            epoch: epoch.to_owned(),
            seq,
        }),
        _ => Err(Problem::bad_request(format!(
            "a place to go on from is EPOCH:NUMBER, as in an event's id, not {id:?}"
        ))),
    }
}

/// A time in milliseconds since the Unix epoch, or as `90s`, `10m`, `2h` or `1d` before now.
fn moment(since: &str, now: u64) -> Result<u64, Problem> {
    let digits = since.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = since.split_at(digits);
    let seconds_each = match unit {
        "" => None,
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(60 * 60),
        "d" => Some(24 * 60 * 60),
        _ => return Err(bad_moment(since)),
    };
    let number: u64 = number.parse().map_err(|_| bad_moment(since))?;
    let Some(seconds_each) = seconds_each else {
        return Ok(number);
    };
    let ago = Duration::from_secs(number.saturating_mul(seconds_each)).as_millis();
    Ok(now.saturating_sub(u64::try_from(ago).unwrap_or(u64::MAX)))
}

fn bad_moment(since: &str) -> Problem {
    Problem::bad_request(format!(
        "since is how long ago, as in 90s, 10m, 2h or 1d, or milliseconds since 1970; \
         {since:?} is neither"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_milliseconds_or_how_long_ago() {
        let now = 1_763_796_000_000;
        assert_eq!(moment("1763796000000", 5).unwrap(), now);
        for (since, ago) in [("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86_400)] {
            assert_eq!(moment(since, now).unwrap(), now - ago * 1000, "{since}");
        }
        assert_eq!(moment("99999999999999999d", now).unwrap(), 0);
        for wrong in [
            "",
            "m",
            "10x",
            "-5m",
            "1.5h",
            "10 m",
            "99999999999999999999",
        ] {
            assert!(moment(wrong, now).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_place_is_an_epoch_and_a_number() {
        let place = position("5f1c:41").unwrap();
        assert_eq!((place.epoch.as_str(), place.seq), ("5f1c", 41));
        for wrong in ["", "41", "5f1c", ":41", "5f1c:", "5f1c:x", "5f1c:-1"] {
            assert!(position(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_poll_without_a_word_wants_everything() {
        let topics = topics(&["lab"]);
        let query = StreamQuery {
            poll: Some("1".into()),
            ..StreamQuery::default()
        };
        assert_eq!(query.ending().unwrap().until, Until::Sent);
        assert_eq!(query.options(&topics, None, 0).unwrap().since, Some(0));
        let options = query.options(&topics, Some("5f1c:1"), 0).unwrap();
        assert_eq!((options.since, options.resume.len()), (None, 1));
    }

    #[test]
    fn a_place_in_several_topics_has_a_part_for_each() {
        let topics = topics(&["b", "a"]);
        let places = positions("5f1c:41,5f1d:0", &topics).unwrap();
        assert_eq!((places["b"].seq, places["a"].seq), (41, 0));
        assert_eq!(places["a"].epoch, "5f1d");
        let places = positions(",5f1d:3", &topics).unwrap();
        assert_eq!(places.keys().collect::<Vec<_>>(), ["a"]);
        for wrong in ["5f1c:41", "5f1c:41,5f1d", "1:1,2:2,3:3", "", "a:1;b:2"] {
            assert!(positions(wrong, &topics).is_err(), "{wrong:?}");
        }
    }

    fn topics(names: &[&str]) -> Vec<TopicName> {
        let names = names.iter().map(|name| TopicName::new(name));
        names.collect::<Result<_, _>>().unwrap()
    }
}
