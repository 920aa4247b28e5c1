//! Who a request comes from: `Authorization`, with a token (`Bearer`) or with a name and a
//! password, which can be a token (`Basic`); a ticket in the query; or the cookie of the
//! server's own page.

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, HeaderMap, HeaderValue, UPGRADE, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderName, Method, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wire::{Credential, ErrorCode, Secret};

use crate::access::{LoginError, Principal};
use crate::gate::Gate;
use crate::http::context::RequestContext;
use crate::http::guard::Site;
use crate::http::problem::Problem;

/// A header that only browsers send.
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Nothing was proven.
static EVERYONE: Principal = Principal::Everyone;

/// Who has sent a request; or why the login that his browser keeps is over. What belongs to the
/// page is answered all the same: on it he logs in again.
#[derive(Clone, Debug)]
pub(crate) struct Caller(pub(crate) Result<Principal, LoginError>);

impl Caller {
    /// For whom a connection counts.
    pub(crate) fn principal(&self) -> &Principal {
        self.0.as_ref().unwrap_or(&EVERYONE)
    }

    /// The browser keeps a login that is over.
    pub(crate) fn is_over(&self) -> bool {
        self.0.is_err()
    }
}

/// Who has sent a request, as those of its handlers get it that ask. Nobody goes on as nobody
/// whose login is over: that would be noticed too late.
#[derive(Clone, Debug)]
pub(crate) struct RequestPrincipal(pub(crate) Principal);

impl<S: Send + Sync> FromRequestParts<S> for RequestPrincipal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match parts.extensions.get::<Caller>() {
            Some(Caller(Ok(principal))) => Ok(Self(principal.clone())),
            Some(Caller(Err(error))) => Err(error.clone().into()),
            None => Ok(Self(Principal::Everyone)),
        }
    }
}

impl RequestPrincipal {
    /// The gate for what the request may do.
    pub(crate) fn gate<'a>(&'a self, context: &'a RequestContext) -> Gate<'a> {
        Gate::new(context.state(), &self.0, context.peer)
    }
}

/// Authenticates a request.
pub(crate) async fn caller(
    context: &RequestContext,
    method: &Method,
    headers: &HeaderMap,
    ticket: Option<Secret>,
) -> Result<Caller, Problem> {
    let (access, peer) = (context.state().access(), context.peer.ip());
    let now = context.state().clock().read().stamp;
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let proven = match (ticket, values.next()) {
        (Some(ticket), _) => access.take_ticket(ticket.expose(), peer, now),
        (None, Some(value)) => {
            if values.next().is_some() {
                return Err(Problem::bad_request("authorization comes twice"));
            }
            let login = access.log_in(&credential(value)?, peer, now);
            login.finish(access).await
        }
        (None, None) => return by_cookie(context, method, headers, now),
    };
    match proven {
        Ok(principal) => Ok(Caller(Ok(principal))),
        Err(error) => {
            audit(context, &error, now);
            Err(error.into())
        }
    }
}

/// Whoever has the login that the browser keeps, if the server's own page asks. Pages of other
/// sites log in otherwise: a browser sends a cookie for them without asking anybody.
fn by_cookie(
    context: &RequestContext,
    method: &Method,
    headers: &HeaderMap,
    now: u64,
) -> Result<Caller, Problem> {
    let access = context.state().access();
    let here = || Caller(Ok(access.principal_at(context.peer.ip())));
    let mut kept = context.cookie.values(headers).peekable();
    if context.site == Site::Other || !access.has_accounts() || kept.peek().is_none() {
        return Ok(here());
    }
    let is_reading =
        matches!(*method, Method::GET | Method::HEAD) && !headers.contains_key(UPGRADE);
    if context.site != Site::Own && !is_reading {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            ErrorCode::ForbiddenOrigin,
            "the cookie is the page's, which says its Origin; a program brings a token",
        ));
    }
    let mut over = LoginError::Over;
    for text in kept {
        match access.open_login(text, now) {
            Ok(principal) => return Ok(Caller(Ok(principal))),
            Err(error) => over = error,
        }
    }
    audit(context, &over, now);
    Ok(Caller(Err(over)))
}

fn audit(context: &RequestContext, error: &LoginError, now: u64) {
    let audit = context.state().access().audit();
    audit.failure(context.peer, error.code(), &error.to_string(), now);
}

/// The credential in the header. An error doesn't quote it.
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
        // A program that has only a token may leave the name out.
        "" => Credential::Token(password),
        user => Credential::Password {
            user: user.to_owned(),
            password,
        },
    })
}

/// Whether the client is a browser. A browser would open its own login dialog.
pub(crate) fn is_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(SEC_FETCH_MODE)
}

/// Adds to an answer that requires a login how to log in.
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
