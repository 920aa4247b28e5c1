//! How a server is reached, and by what one proves who one is.

use super::*;

#[test]
fn how_a_server_is_reached_is_read() {
    let server = |line: &str| match mode(line) {
        Mode::Join { server, .. } | Mode::CallUser { server, .. } => server.to_string(),
        other => panic!("{other:?}"),
    };
    let pinned = "tls://a:1#sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    assert_eq!(server(&format!("chat -topic {pinned} t")), pinned);
    assert_eq!(server("chat -topic https://a:1/t"), "tls://a:1");
    assert_eq!(server("chat -topic tcp://a:1 t"), "tcp://a:1");
    assert_eq!(server("chat -direct 0 bob@tls://a:1"), "tls://a:1");
    assert_eq!(
        mode("chat -direct 0 tcp://a:1"),
        Mode::Call {
            peer: "a:1".parse().unwrap()
        }
    );
    for (line, millis) in [("chat -find", 1_500), ("chat --find --find-time 3", 3_000)] {
        let time = Duration::from_millis(millis);
        assert_eq!(mode(line), Mode::Find { time });
    }
    for line in ["chat -forget a:1", "chat --forget tls://a:1"] {
        assert_eq!(
            mode(line),
            Mode::Forget {
                server: "a:1".parse().unwrap()
            }
        );
    }
    let options = read("chat -topic a:1 t -tls-ca ca.pem -accept-new").unwrap();
    assert_eq!(
        options.options.access,
        Access {
            authorities: Some("ca.pem".into()),
            accept_new: true,
            login: Login::None,
            insecure_auth: false,
        }
    );
}

#[test]
fn how_one_proves_who_one_is_is_read() {
    let access = |line: &str| read(line).unwrap().options.access;
    let token = Access {
        login: Login::Token("t".into()),
        insecure_auth: true,
        ..Access::default()
    };
    for line in [
        "chat -topic a:1 t -token-file t -insecure-auth",
        "chat -direct 0 bob@a:1 --token-file t --insecure-auth",
    ] {
        assert_eq!(access(line), token);
    }
    let user = access("chat -topic a:1 t -user alice").login;
    assert_eq!(user, Login::User("alice".into()));
    for (line, answer) in [
        (
            "chat -topic a:1 t -token-file t -user al",
            "cannot be used with",
        ),
        (
            "chat -topic a:1 t -token-file t -classic",
            "cannot be used with",
        ),
        ("chat -topic a:1 t -user al -classic", "cannot be used with"),
        ("chat -direct 1 -user al", "--user is for a topic server"),
        (
            "chat -direct 0 a:1 -token-file t",
            "--token-file is for a topic server",
        ),
        ("chat -topic a:1 t -password x", "unexpected argument"),
    ] {
        let said = mistake(line);
        assert!(said.contains(answer), "{line}: {said}");
    }
}
