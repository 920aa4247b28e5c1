//! How a server is reached, and by what one proves who one is.

use super::*;

#[test]
fn how_a_server_is_reached_is_read() {
    let server = |line: &str| match mode(line) {
        Mode::Join { servers, .. } | Mode::CallUser { servers, .. } => servers.to_string(),
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
                servers: vec!["a:1".parse().unwrap()]
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

#[test]
fn a_server_may_have_several_addresses_each_with_its_own_scheme() {
    let servers = |line: &str| match mode(line) {
        Mode::Join { servers, .. } | Mode::CallUser { servers, .. } => servers.to_string(),
        other => panic!("{other:?}"),
    };
    let pin = "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let pinned = format!("tls://a:1#{pin},tls://[::1]:2");
    assert_eq!(servers(&format!("chat -topic {pinned} t")), pinned);
    assert_eq!(servers("chat -topic a:1,b:2 t"), "a:1,b:2");
    assert_eq!(
        servers("chat -topic tls://a:1,b:2 t"),
        "tls://a:1,tls://b:2"
    );
    assert_eq!(servers("chat -topic unix:/run/n,a:1 t"), "unix:/run/n,a:1");
    assert_eq!(servers("chat -direct 0 bob@a:1,b:2"), "a:1,b:2");
    assert_eq!(
        servers("chat -topic https://a:1/t,https://b:2/t"),
        "tls://a:1,tls://b:2"
    );
    assert_eq!(mode("chat -topic a:1,b:2 t").to_string(), "a:1,b:2");
    let forgotten = ["a:1", "b:2"].map(|address| address.parse().unwrap());
    assert_eq!(
        mode("chat -forget a:1,tls://b:2"),
        Mode::Forget {
            servers: forgotten.to_vec()
        }
    );
    for (line, said) in [
        ("chat -topic a:1,b t", "address 2 of 2: \"b\" has no port"),
        (
            "chat -topic a:1,::1:2 t",
            "address 2 of 2: an IPv6 address stands in brackets",
        ),
        (
            "chat -topic a:1,tls://b:2#x t",
            "address 2 of 2: \"x\" is no fingerprint",
        ),
        ("chat -topic a:1,,b:2 t", "address 2 of 3 is empty"),
        ("chat -topic a:1,b:2", "type `chat -topic a:1,b:2 TOPIC`"),
        (
            "chat -topic tls://a:1,tcp://b:2 t",
            "tcp://b:2 is plain text and tls://a:1 is TLS",
        ),
    ] {
        let mistake = mistake(line);
        assert!(mistake.contains(said), "{line}: {mistake}");
    }
}

#[test]
fn names_of_the_configuration_stand_for_their_addresses() {
    let text = "[servers]\nlab = \"a:1,b:2\"\nhall = \"c:3\"\n\
                [servers.home]\naddress = \"d:4\"\ntoken-file = \"/t\"\n";
    let servers = |typed: &str| {
        let file = super::super::file::File::parse(std::path::Path::new("chat.toml"), text);
        super::super::servers::read(typed, &file.unwrap())
    };
    assert_eq!(servers("lab").unwrap().servers.to_string(), "a:1,b:2");
    assert_eq!(
        servers("hall,lab,x:9").unwrap().servers.to_string(),
        "c:3,a:1,b:2,x:9"
    );
    assert!(servers("home").unwrap().token_file.is_some());
    // The token of one server is none of the others'.
    let error = servers("home,lab").unwrap_err().to_string();
    assert!(error.contains("\"home\" has a token-file"), "{error}");
}
