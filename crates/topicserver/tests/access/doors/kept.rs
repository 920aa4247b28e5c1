//! The doors for a browser that keeps a login, and for a page with a ticket.

use serde_json::json;

use super::try_routes;
use super::{
    By, PRINCIPALS, Principal, ROUTES, Takes, accounts, accounts_before, file, line, serve,
};
use crate::accounts::bearer;
use crate::browsers::{WEBSOCKET, cookie, log_in, own_origin, ticket};
use crate::common::eventually;
use crate::requests::Http;

#[test]
fn http_lets_through_whose_browser_keeps_a_login() {
    let accounts = accounts_before();
    let server = serve(&accounts);
    let keep = |principal: Principal| {
        let token = principal.token()?;
        Some(cookie(&log_in(&server, &json!({ "token": token }))))
    };
    let cookies = PRINCIPALS.map(keep);
    accounts.write(&file(&line("expired", "expires = 2020-01-01T00:00:00Z")));
    let revoked = bearer(&Principal::Revoked.token().unwrap());
    eventually("the change", || {
        let answer = Http::to(&server).get("/-/topics", &[&revoked]);
        (answer.status == 401).then_some(())
    });
    for (principal, cookie) in PRINCIPALS.into_iter().zip(cookies) {
        // As a browser sends it for the page.
        let headers: Vec<_> = cookie.into_iter().chain([own_origin(&server)]).collect();
        let headers: Vec<_> = headers.iter().map(String::as_str).collect();
        let mut http = Http::to(&server);
        http.ask(
            "GET",
            "/-/ws",
            &[&WEBSOCKET[..], &headers[..]].concat(),
            b"",
        );
        let is_open = http.head().status == 101;
        assert_eq!(
            is_open,
            principal.may_by(By::Cookie, Takes::NothingOver),
            "{principal:?}"
        );
        let headers: Vec<_> = headers.into_iter().map(str::to_owned).collect();
        try_routes(&server, principal, By::Cookie, &headers);
    }
}

/// A ticket is whoever got it, for what can be opened with one, and nothing for the rest.
#[test]
fn http_lets_through_who_has_a_ticket() {
    let accounts = accounts();
    let server = serve(&accounts);
    let known = PRINCIPALS
        .into_iter()
        .filter(|principal| principal.may(Takes::Login));
    for principal in known {
        let header = bearer(&principal.token().unwrap());
        for (route, takes, method, path) in ROUTES {
            let ticket = ticket(&server, &[&header]);
            let mark = if path.contains('?') { '&' } else { '?' };
            let mut http = Http::to(&server);
            http.ask(method, &format!("{path}{mark}ticket={ticket}"), &[], b"x");
            let what = format!("{method} {path} by {principal:?}");
            let status = http.head().status;
            let opens = *method == "GET" && matches!(*route, "/{*topic}" | "/-/stream");
            let expected = match (opens, principal.may(*takes)) {
                // A word under which there is no topic.
                _ if *route == "/favicon.ico" => status,
                (false, _) => 400,
                (true, true) => 200,
                (true, false) => 403,
            };
            assert_eq!(status, expected, "{what}");
        }
        let mut http = Http::to(&server);
        let path = format!("/-/ws?ticket={}", ticket(&server, &[&header]));
        http.ask("GET", &path, &WEBSOCKET, b"");
        assert_eq!(http.head().status, 101, "{principal:?}");
    }
}
