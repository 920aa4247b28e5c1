//! Logging in from a browser: a cookie for the server's own page, and tickets for pages of
//! other sites.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::Query;
use axum::http::header::{CONTENT_TYPE, HeaderMap};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use serde::Deserialize;
use wire::{Authenticated, Credential, ErrorCode, Secret};

use crate::access::Principal;
use crate::http::auth::{Caller, RequestPrincipal};
use crate::http::body::WholeBody;
use crate::http::context::RequestContext;
use crate::http::guard::Site;
use crate::http::problem::{Problem, json};

/// What a login brings. Not to be shown.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Brought {
    token: Option<String>,
    user: Option<String>,
    password: Option<String>,
}

/// Who somebody is.
#[derive(serde::Serialize)]
struct Who<'a> {
    /// Nothing for who hasn't logged in.
    authenticated: Option<Authenticated<'a>>,
    /// Whether one can log in here.
    accounts: bool,
}

/// `GET /-/login`: who the browser is logged in as.
pub(crate) async fn who(
    Extension(context): Extension<Arc<RequestContext>>,
    RequestPrincipal(principal): RequestPrincipal,
) -> Response {
    answer(&context, &principal)
}

fn answer(context: &RequestContext, principal: &Principal) -> Response {
    let authenticated = principal.has_logged_in().then(|| Authenticated {
        user: principal.account().map(|name| name.as_str().into()),
        expires: principal.expires(),
    });
    let accounts = context.state().access().has_accounts();
    let who = Who {
        authenticated,
        accounts,
    };
    json(StatusCode::OK, &who)
}

/// `POST /-/login`: has the browser keep a login.
pub(crate) async fn log_in(
    Extension(context): Extension<Arc<RequestContext>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    refuse_other_sites(&context)?;
    let body = WholeBody::read(&context, &headers, body).await?;
    let credential = credential(&headers, &body.bytes)?;
    drop(body);
    let access = context.state().access();
    let now = context.state().clock().read().stamp;
    let login = access.log_in(&credential, context.peer.ip(), now);
    let kept = match login.finish(access).await {
        Ok(principal) => access
            .seal_login(&principal, now)
            .map(|kept| (principal, kept)),
        Err(error) => Err(error),
    };
    let (principal, kept) = kept.map_err(|error| {
        let (code, text) = (error.code(), error.to_string());
        access.audit().failure(context.peer, code, &text, now);
        Problem::from(error)
    })?;
    access.audit().login(context.peer, &principal, now);
    let principal = access.open_login(&kept.text, now)?;
    let mut response = answer(&context, &principal);
    let time = Duration::from_millis(kept.until.saturating_sub(now));
    context.cookie.set(&mut response, &kept.text, time);
    Ok(response)
}

/// `POST /-/logout`: ends the login that the browser keeps, and what was opened by it.
pub(crate) async fn log_out(
    Extension(context): Extension<Arc<RequestContext>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    refuse_other_sites(&context)?;
    let access = context.state().access();
    // One that is over already is forgotten all the same.
    if let Ok(principal) = &caller.0 {
        let now = context.state().clock().read().stamp;
        if access.end_login(principal, now) {
            access.audit().logout(context.peer, principal, now);
        }
    }
    let here = access.principal_at(context.peer.ip());
    let mut response = answer(&context, &here);
    context.cookie.clear(&mut response);
    Ok(response)
}

/// `POST /-/ticket`: what stands for a login in the address of one stream or WebSocket.
pub(crate) async fn ticket(
    Extension(context): Extension<Arc<RequestContext>>,
    RequestPrincipal(principal): RequestPrincipal,
) -> Result<Response, Problem> {
    #[derive(serde::Serialize)]
    struct Given {
        ticket: String,
        /// Seconds.
        expires_in: u64,
    }
    let access = context.state().access();
    if !principal.has_logged_in() {
        let text = "a ticket stands for a login: bring a token or a password";
        let code = ErrorCode::Unauthenticated;
        return Err(Problem::new(StatusCode::UNAUTHORIZED, code, text));
    }
    let (ticket, lifetime) = access.give_ticket(&principal)?;
    let now = context.state().clock().read().stamp;
    access.audit().ticket(context.peer, &principal, now);
    let expires_in = lifetime.as_secs();
    Ok(json(StatusCode::OK, &Given { ticket, expires_in }))
}

/// Otherwise a page of another site could log somebody in as its own user, and see what he
/// says then.
fn refuse_other_sites(context: &RequestContext) -> Result<(), Problem> {
    match context.site {
        Site::Own | Site::Unsaid => Ok(()),
        Site::Other => Err(Problem::new(
            StatusCode::FORBIDDEN,
            ErrorCode::ForbiddenOrigin,
            "only the server's own page logs in so; a page of another site fetches a ticket",
        )),
    }
}

/// What the body brings, as JSON or as a form. What is wrong in it isn't quoted.
fn credential(headers: &HeaderMap, bytes: &[u8]) -> Result<Credential, Problem> {
    let wrong = || {
        Problem::bad_request(
            "the body is {\"token\":\"…\"} or {\"user\":\"…\",\"password\":\"…\"}, or a form with \
             the same fields",
        )
    };
    let kind = headers.get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let brought: Brought = if kind.eq_ignore_ascii_case("application/json") {
        serde_json::from_slice(bytes).map_err(|_| wrong())?
    } else {
        let form = std::str::from_utf8(bytes).map_err(|_| wrong())?;
        let uri = Uri::try_from(format!("/?{}", form.trim_end())).map_err(|_| wrong())?;
        let Query(brought) = Query::try_from_uri(&uri).map_err(|_| wrong())?;
        brought
    };
    let secret = |text: String| Secret::new(text).ok_or_else(wrong);
    match brought {
        Brought {
            token: Some(token),
            user: None,
            password: None,
        } => Ok(Credential::Token(secret(token)?)),
        Brought {
            token: None,
            user,
            password: Some(password),
        } => {
            let password = secret(password)?;
            Ok(match user.filter(|user| !user.is_empty()) {
                Some(user) => Credential::Password { user, password },
                // Who has nothing but a token may leave the name out.
                None => Credential::Token(password),
            })
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: &str, body: &str) -> Result<Credential, String> {
        let mut headers = HeaderMap::new();
        if !kind.is_empty() {
            headers.insert(CONTENT_TYPE, kind.parse().unwrap());
        }
        credential(&headers, body.as_bytes()).map_err(|problem| problem.text)
    }

    #[test]
    fn a_login_is_json_or_a_form() {
        let form = "application/x-www-form-urlencoded";
        let json = "application/json; charset=utf-8";
        let secret = |text: &str| Secret::new(text).unwrap();
        let token = Ok(Credential::Token(secret("ntr_a_b+/ é")));
        for (kind, body) in [
            (json, r#"{"token":"ntr_a_b+/ é"}"#),
            (json, r#"{"password":"ntr_a_b+/ é"}"#),
            (json, r#"{"user":"","password":"ntr_a_b+/ é"}"#),
            (form, "token=ntr_a_b%2B%2F+%C3%A9"),
            ("", "user=&password=ntr_a_b%2b/%20%c3%a9\n"),
        ] {
            assert_eq!(read(kind, body), token, "{body}");
        }
        let password = Ok(Credential::Password {
            user: "alice".to_owned(),
            password: secret("a&b=c"),
        });
        for (kind, body) in [
            (json, r#"{"user":"alice","password":"a&b=c"}"#),
            (form, "user=alice&password=a%26b%3Dc"),
        ] {
            assert_eq!(read(kind, body), password, "{body}");
        }
    }

    #[test]
    fn what_it_is_not_is_refused_and_never_quoted() {
        let long = format!("token={}", "hush".repeat(1100));
        for (kind, body) in [
            ("application/json", r#"{"token":["hush"]}"#),
            ("application/json", r#"{"token":"hush","user":"a"}"#),
            ("application/json", r#""hush""#),
            ("application/json", "token=hush"),
            ("", r#"{"token":"hush"}"#),
            ("", "token=hush&token=hush"),
            ("", "hush"),
            ("", "user=hush"),
            ("", "token="),
            ("", "token=hush hush"),
            ("", "tokens=hush"),
            ("", ""),
            ("", &long),
        ] {
            let text = read(kind, body).unwrap_err();
            assert!(
                text.starts_with("the body is") && !text.contains("hush"),
                "{text}"
            );
        }
    }
}
