//! The cookie in which a browser keeps a login for the server's own page.

use std::time::Duration;

use axum::http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use axum::response::Response;

/// What its name begins with where nobody on the way can read along: browsers take such a
/// cookie over TLS only, and for this host only, so no other can plant one.
const SECURE_PREFIX: &str = "__Host-";

/// The cookie of the server as a browser has reached it.
#[derive(Debug)]
pub(super) struct Cookie {
    name: String,
    is_secure: bool,
}

impl Cookie {
    /// For a request to this host and port. Browsers send cookies to every port of a host, so
    /// the port is in the name: servers on one machine don't overwrite one another's.
    pub(super) fn of(host: Option<&str>, is_secure: bool) -> Self {
        let prefix = if is_secure { SECURE_PREFIX } else { "" };
        let port = host.and_then(|host| host.rsplit_once(':'));
        let port = port.filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
        let name = match port {
            Some((_, port)) => format!("{prefix}natter-{port}"),
            None => format!("{prefix}natter"),
        };
        Self { name, is_secure }
    }

    /// All that a request has under this name. There can be several: other programs on the same
    /// host may have set them for a path.
    pub(super) fn values<'a>(&self, headers: &'a HeaderMap) -> impl Iterator<Item = &'a str> {
        let lines = headers.get_all(COOKIE).iter();
        let pairs = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let name = self.name.clone();
        pairs.filter_map(move |(known, value)| (known == name).then_some(value))
    }

    /// Has a browser keep it.
    pub(super) fn set(&self, response: &mut Response, value: &str, time: Duration) {
        let secure = if self.is_secure { "; Secure" } else { "" };
        let (name, seconds) = (&self.name, time.as_secs());
        let line =
            format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
        if let Ok(mut line) = HeaderValue::try_from(line) {
            line.set_sensitive(true);
            response.headers_mut().append(SET_COOKIE, line);
        }
    }

    /// Has a browser forget it.
    pub(super) fn clear(&self, response: &mut Response) {
        self.set(response, "", Duration::ZERO);
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;

    use super::*;

    #[test]
    fn its_name_says_the_port_and_whether_it_is_secure() {
        for (host, is_secure, name) in [
            (Some("box:20000"), false, "natter-20000"),
            (Some("box:20000"), true, "__Host-natter-20000"),
            (Some("chat.example"), true, "__Host-natter"),
            (Some("[::1]:20000"), false, "natter-20000"),
            (Some("[::1]"), false, "natter"),
            (None, false, "natter"),
        ] {
            assert_eq!(Cookie::of(host, is_secure).name, name, "{host:?}");
        }
    }

    #[test]
    fn it_is_found_among_others() {
        let cookie = Cookie::of(Some("box:1"), false);
        let values = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(COOKIE, line.parse().unwrap());
            }
            let values = cookie.values(&headers);
            values.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(values(&["a=b; natter-1=x.y; natter-2=z"]), ["x.y"]);
        assert_eq!(
            values(&["natter-1=x=y;natter-1=z", "natter-1="]),
            ["x=y", "z", ""]
        );
        assert!(values(&["", ";", "=", "natter-1", "Natter-1=x", "xnatter-1=x"]).is_empty());
    }

    #[test]
    fn scripts_and_other_sites_do_not_get_it() {
        let set = |is_secure| {
            let mut response = ().into_response();
            let cookie = Cookie::of(Some("box:1"), is_secure);
            cookie.set(&mut response, "x.y", Duration::from_secs(60));
            let line = response.headers().get(SET_COOKIE).unwrap();
            line.to_str().unwrap().to_owned()
        };
        let all = "natter-1=x.y; Path=/; Max-Age=60; HttpOnly; SameSite=Strict";
        assert_eq!(set(false), all);
        assert_eq!(set(true), format!("__Host-{all}; Secure"));
    }
}
