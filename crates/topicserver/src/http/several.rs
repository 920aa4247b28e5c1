//! Several topics in a query: `/-/stream?topic=lab&topic=ci`.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use wire::{ErrorCode, TopicName};

use crate::http::context::RequestContext;
use crate::http::problem::Problem;
use crate::http::query::{StreamQuery, parse_query};

/// The topics of a stream, in the order in which its query names them, and the other parameters
/// of the query.
#[derive(Debug)]
pub(crate) struct SeveralTopics {
    pub(crate) topics: Vec<TopicName>,
    pub(crate) query: StreamQuery,
}

impl<S: Send + Sync> FromRequestParts<S> for SeveralTopics {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let context = parts.extensions.get::<Arc<RequestContext>>();
        let config = context.map(|context| context.config());
        Self::of(
            &parts.uri,
            config.map_or(0, |config| config.max_stream_topics.min(config.max_topics)),
        )
    }
}

impl SeveralTopics {
    /// Parses a query with at most `max` topics. The topics are repeated parameters, because a
    /// topic's name may have commas and slashes.
    pub(crate) fn of(uri: &Uri, max: usize) -> Result<Self, Problem> {
        let query = uri.query().unwrap_or_default();
        let is_topic = |part: &&str| *part == "topic" || part.starts_with("topic=");
        let (named, others): (Vec<&str>, Vec<&str>) =
            query.split('&').partition(|part| is_topic(part));
        if named.is_empty() {
            let text = "name the topics in the query, as in /-/stream?topic=lab&topic=ci";
            return Err(Problem::bad_request(text));
        }
        if named.len() > max {
            return Err(Problem::new(
                StatusCode::BAD_REQUEST,
                ErrorCode::TooManyTopics,
                format!(
                    "a stream has at most {max} topics, not {}; open several streams, or \
                     register over a WebSocket",
                    named.len()
                ),
            ));
        }
        let names: Vec<(String, String)> = parse_query(&named.join("&"))?;
        let mut known = HashSet::new();
        let mut topics = Vec::with_capacity(names.len());
        for (index, (_, name)) in names.into_iter().enumerate() {
            let topic = TopicName::new(&name).map_err(|error| {
                let Problem {
                    status, code, text, ..
                } = error.into();
                Problem::new(status, code, format!("topic number {}: {text}", index + 1))
            })?;
            if !known.insert(name) {
                return Err(Problem::bad_request(format!(
                    "the query names the topic {:?} twice",
                    topic.as_str()
                )));
            }
            topics.push(topic);
        }
        let query = parse_query(&others.join("&"))?;
        Ok(Self { topics, query })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> Result<Vec<String>, String> {
        let uri = format!("/-/stream?{query}").parse().unwrap();
        let several = SeveralTopics::of(&uri, 3).map_err(|problem| problem.text)?;
        Ok(several.topics.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_name_may_have_commas_and_slashes() {
        let named = of("topic=lab&last=2&topic=a,b/c&topic=%C3%A9+%26").unwrap();
        assert_eq!(named, ["lab", "a,b/c", "\u{e9} &"]);
        assert_eq!(of("topic=lab").unwrap(), ["lab"]);
    }

    #[test]
    fn what_cant_be_is_refused_with_its_place() {
        for (query, reason) in [
            ("", "name the topics"),
            ("last=2", "name the topics"),
            ("topic=a&topic=", "topic number 2"),
            ("topic=a%09b", "topic number 1"),
            ("topic", "topic number 1"),
            ("topic=a&topic=b&topic=a", "\"a\" twice"),
            ("topic=a&topic=b&topic=c&topic=d", "at most 3 topics, not 4"),
            ("topic=a&topics=b", "unknown field `topics`"),
            ("topic=a&lst=1", "unknown field `lst`"),
        ] {
            let text = of(query).unwrap_err();
            assert!(text.contains(reason), "{query}: {text}");
        }
    }
}
