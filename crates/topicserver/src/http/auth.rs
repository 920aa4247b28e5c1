//! Who a request comes from: `Authorization`, with a token (`Bearer`) or with a name and a
//! password, which can be a token (`Basic`).

use axum::http::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use axum::http::{HeaderName, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wire::{Credential, Secret};

use crate::access::Visitor;
use crate::gate::Gate;
use crate::http::context::RequestContext;
use crate::http::problem::Problem;

/// What browsers send, and nobody else.
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Who has sent a request, as its handlers get it.
#[derive(Clone, Debug)]
pub(crate) struct RequestVisitor(pub(crate) Visitor);

impl RequestVisitor {
    /// What whoever has sent the request may do.
    pub(crate) fn gate<'a>(&'a self, context: &'a RequestContext) -> Gate<'a> {
        Gate::new(context.state(), &self.0, context.peer)
    }
}

/// Finds out who has sent a request.
pub(crate) async fn visitor(
    context: &RequestContext,
    headers: &HeaderMap,
) -> Result<RequestVisitor, Problem> {
    let access = context.state().access();
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(RequestVisitor(access.visitor_at(context.peer.ip())));
    };
    if values.next().is_some() {
        return Err(Problem::bad_request("authorization comes twice"));
    }
    let credential = credential(value)?;
    let now = context.state().clock().read().stamp;
    let login = access.log_in(&credential, context.peer.ip(), now);
    match login.finish(access).await {
        Ok(visitor) => Ok(RequestVisitor(visitor)),
        Err(error) => {
            let (code, text) = (error.code(), error.to_string());
            access.audit().failure(context.peer, code, &text, now);
            Err(error.into())
        }
    }
}

/// What the header says. What is wrong in it isn't quoted.
fn credential(value: &HeaderValue) -> Result<Credential, Problem> {
    let wrong = || Problem::bad_request("Authorization is \"Bearer TOKEN\", or \"Basic\"");
    let text = value.to_str().map_err(|_| wrong())?;
    let (scheme, rest) = text.split_once(' ').ok_or_else(wrong)?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Secret::new(rest).map(Credential::Token).ok_or_else(wrong);
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(wrong());
    }
    let bytes = STANDARD.decode(rest).map_err(|_| wrong())?;
    let text = String::from_utf8(bytes).map_err(|_| wrong())?;
    let (user, password) = text.split_once(':').ok_or_else(wrong)?;
    let password = Secret::new(password).ok_or_else(wrong)?;
    Ok(match user {
        // A program that has nothing but a token may leave the name out.
        "" => Credential::Token(password),
        user => Credential::Password {
            user: user.to_owned(),
            password,
        },
    })
}

/// Whether it is a browser that asks, which would open a dialog of its own.
pub(crate) fn is_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(SEC_FETCH_MODE)
}

/// Says in an answer that one must log in, how one can.
pub(crate) fn challenge(response: &mut Response, is_browser: bool) {
    if response.status() != StatusCode::UNAUTHORIZED {
        return;
    }
    let headers = response.headers_mut();
    let mut offer = |scheme| headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
    offer("Bearer");
    if !is_browser {
        offer("Basic realm=\"natter\", charset=\"UTF-8\"");
    }
}
