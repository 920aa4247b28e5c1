//! What is refused, and how that is said.

use crate::common::{Bystanders, Client, Process, Stream, TestServer, registration};
use crate::requests::Http;
use crate::server;

#[test]
fn json_without_tls_is_told_where_to_go() {
    let server = server::required();
    let mut watcher = server::join(server.addr(), "t");
    let page = include_str!("../../../../docs/protocol.md");
    for sent in [
        &registration(&["t"])[..],
        b"{\"topics\":\"t\",\"extended\":{}}",
        b" \n{\"message\":{\"topic\":\"t\",\"text\":\"x\"}}",
        b"HELO",
    ] {
        let mut client = Client::connect(server.addr());
        client.send(sent);
        let why = client.expect_error("tls-required");
        let addr = server.addr().to_string();
        assert!(why.ends_with(&format!("chat -topic tls://{addr}")), "{why}");
        let on_page = why.replace(&addr, "192.168.1.5:20000");
        assert!(page.contains(&format!("`tls-required: {on_page}`")));
        client.finish_sending();
        client.expect_end();
    }
    // Nothing of it took effect.
    watcher.sync();
}

#[test]
fn a_secret_that_came_without_tls_is_to_be_replaced_and_not_logged() {
    let options = ["--tls-self-signed", "--tls", "required", "--log", "trace"];
    let mut server = Process::start(&options);
    let mut client = Client::connect(server.v4());
    client.send(b"{\"topics\":[\"t\"],\"extended\":{\"auth\":\"ntr_id_hush-that-no-log-has\"}}");
    let why = client.expect_error("tls-required");
    assert!(why.contains("replace"), "{why}");
    let mut http = Http::at(server.v4());
    let headers = ["authorization: Bearer ntr_id_hush-that-no-log-has"];
    let why = http.get("/t", &headers).expect_problem(403, "tls-required");
    assert!(why.contains("replace"), "{why}");
    server.wait_for("token");
    drop((client, http));
    server.terminate();
    // That it isn't, the harness sees to.
    let log = server.log().join("\n");
    assert_eq!(log.matches("others may have read").count(), 2, "{log}");
}

#[test]
fn http_without_tls_is_redirected_if_it_only_reads() {
    let server = server::required();
    let addr = server.addr();
    for method in ["GET", "HEAD"] {
        let mut http = Http::at(addr);
        http.ask(method, "/lab?last=3", &[], b"");
        let answer = http.head();
        assert_eq!(answer.status, 308);
        let to = format!("https://{addr}/lab?last=3");
        assert_eq!(answer.header("location"), Some(to.as_str()));
        assert_eq!(answer.header("connection"), Some("close"));
    }
    for method in ["POST", "PUT", "OPTIONS", "DELETE"] {
        let mut http = Http::at(addr);
        http.ask(method, "/lab", &[], b"x");
        http.answer().expect_problem(403, "tls-required");
    }
    // Nobody is sent elsewhere in our name.
    let mut http = Http::at(addr);
    http.send(b"GET /lab HTTP/1.1\r\nhost: evil.example\r\n\r\n");
    http.answer().expect_problem(421, "forbidden-host");
    // Without a host there is no place to be sent to.
    let mut http = Http::at(addr);
    http.send(b"GET /lab HTTP/1.0\r\n\r\n");
    let status = http.line();
    assert!(status.contains(" 403 "), "{status}");
}

#[test]
fn a_server_without_a_certificate_says_so_as_before() {
    let server = TestServer::start();
    let mut bystanders = Bystanders::on(&server);
    // A client of TLS sees that the answer is none, and can read it.
    let mut client = server::connect(server.addr());
    client.expect_error("tls-not-supported");
    bystanders.talk();
}

#[test]
fn hsts_is_for_certificates_that_others_vouch_for() {
    // It is said with TLS alone, and never with a self-signed certificate.
    let server = server::with(|config| config.tls.hsts = Some(std::time::Duration::from_secs(60)));
    let answer = Http::over_tls(server.addr()).get("/-/health", &[]);
    assert_eq!(answer.header("strict-transport-security"), None);
    let files = crate::reload::Files::issued("hsts");
    let server = server::with(|config| {
        config.tls.hsts = Some(std::time::Duration::from_secs(60));
        config.tls.certificate = Some(files.source());
    });
    for path in ["/-/health", "/lab?poll=1", "/-/nothing"] {
        let answer = Http::over_tls(server.addr()).get(path, &[]);
        let said = answer.header("strict-transport-security");
        assert_eq!(said, Some("max-age=60"), "{path}");
    }
    let answer = Http::at(server.addr()).get("/-/health", &[]);
    assert_eq!(answer.header("strict-transport-security"), None);
}
