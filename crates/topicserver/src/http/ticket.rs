//! A ticket in the query of a request. It is taken out before anybody else sees the request,
//! so that it comes into no log and no answer.

use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{Method, Uri};
use wire::Secret;

use crate::http::problem::Problem;

/// How a part of a query begins that is a ticket.
const KEY: &str = "ticket=";

/// Whether a request has one.
pub(super) fn is_in(uri: &Uri) -> bool {
    parts(uri).any(|part| part.starts_with(KEY))
}

fn parts(uri: &Uri) -> impl Iterator<Item = &str> {
    uri.query().unwrap_or_default().split('&')
}

/// Takes the ticket out of a request that opens a stream or a WebSocket.
pub(super) fn take<B>(request: &mut Request<B>) -> Result<Option<Secret>, Problem> {
    if !is_in(request.uri()) {
        return Ok(None);
    }
    let (ticket, uri) = split(request.uri())?;
    let path = uri.path();
    let is_topic = !matches!(path, "/" | "/-") && !path.starts_with("/-/");
    let is_opening = is_topic || matches!(path, "/-/ws" | "/-/stream");
    if request.method() != Method::GET || !is_opening {
        return Err(Problem::bad_request(
            "a ticket opens a stream or a WebSocket, with GET and nothing else",
        ));
    }
    *request.uri_mut() = uri;
    Ok(Some(ticket))
}

/// The one ticket, and the address without it.
fn split(uri: &Uri) -> Result<(Secret, Uri), Problem> {
    let (tickets, others): (Vec<_>, Vec<_>) = parts(uri).partition(|part| part.starts_with(KEY));
    let &[ticket] = tickets.as_slice() else {
        return Err(Problem::bad_request("ticket comes twice"));
    };
    let wrong = || Problem::bad_request("ticket is what POST /-/ticket has given");
    let ticket = Secret::new(&ticket[KEY.len()..]).ok_or_else(wrong)?;
    let path = match others.is_empty() {
        true => uri.path().to_owned(),
        false => format!("{}?{}", uri.path(), others.join("&")),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path).map_err(|_| wrong())?);
    Ok((ticket, Uri::from_parts(parts).map_err(|_| wrong())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(method: Method, uri: &str) -> Result<(Option<String>, String), String> {
        let mut request = Request::builder().method(method).uri(uri).body(()).unwrap();
        let ticket = take(&mut request).map_err(|problem| problem.text)?;
        let ticket = ticket.map(|ticket| ticket.expose().to_owned());
        Ok((ticket, request.uri().to_string()))
    }

    #[test]
    fn a_ticket_is_taken_out_of_the_address() {
        for (uri, left) in [
            ("/lab?ticket=ntk_x", "/lab"),
            ("/lab?last=2&ticket=ntk_x", "/lab?last=2"),
            ("/lab?ticket=ntk_x&last=2", "/lab?last=2"),
            (
                "/-/stream?topic=a&ticket=ntk_x&topic=b",
                "/-/stream?topic=a&topic=b",
            ),
            ("/-/ws?ticket=ntk_x", "/-/ws"),
            ("http://box/-/ws?ticket=ntk_x", "http://box/-/ws"),
        ] {
            let (ticket, uri) = taken(Method::GET, uri).unwrap();
            assert_eq!((ticket.as_deref(), &*uri), (Some("ntk_x"), left));
        }
        let without = "/lab?last=2&tickets=1";
        assert_eq!(taken(Method::GET, without), Ok((None, without.to_owned())));
    }

    #[test]
    fn it_opens_nothing_else() {
        for (method, uri) in [
            (Method::POST, "/lab?ticket=ntk_x"),
            (Method::HEAD, "/lab?ticket=ntk_x"),
            (Method::GET, "/?ticket=ntk_x"),
            (Method::GET, "/-/topics?ticket=ntk_x"),
            (Method::GET, "/-/topics/lab/who?ticket=ntk_x"),
            (Method::GET, "/lab?ticket=ntk_x&ticket=ntk_y"),
            (Method::GET, "/lab?ticket="),
        ] {
            let text = taken(method, uri).unwrap_err();
            assert!(
                text.contains("ticket") && !text.contains("ntk_"),
                "{uri}: {text}"
            );
        }
    }
}
