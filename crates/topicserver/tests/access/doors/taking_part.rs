//! Taking part in a topic with frames, as far as somebody may.

use serde_json::json;

use super::{Principal, Takes};
use crate::accounts::bearer;
use crate::common::TestServer;
use crate::frames::{Frames, Transport};
use crate::requests::Http;

/// Registers, reads and writes, with the token in the registration.
#[expect(clippy::too_many_lines, reason = "it is one story, told in its order")]
pub(super) fn take_part(
    server: &TestServer,
    transport: Transport,
    principal: Principal,
    what: &str,
) {
    let mut frames = Frames::to(server, transport);
    let auth = principal.token();
    let mut options = json!({"last": 1});
    if let Some(token) = &auth {
        options["auth"] = json!(token);
    }
    frames.send(json!({"topics": ["lab"], "extended": options}));
    if auth.is_some() {
        assert!(
            frames.frame()["extended"]["authenticated"].is_object(),
            "{what}"
        );
    }
    let answer = frames.frame()["extended"].clone();
    if !principal.may(Takes::Live) && !principal.may(Takes::Write) {
        assert_eq!(
            answer["error"]["code"],
            principal.refusal(),
            "{what}: {answer}"
        );
        return;
    }
    assert!(
        answer["registered"]["topics"]["lab"].is_object(),
        "{what}: {answer}"
    );
    let learns = answer["registered"]["topics"]["lab"]["seq"] != 0;
    assert_eq!(learns, principal.may(Takes::Live), "{what}: {answer}");
    if principal.may(Takes::History) {
        let text = frames.frame()["message"]["text"].clone();
        assert_eq!(
            text, "hello",
            "{what}: what was said last, and never what was refused"
        );
    }
    let sent = if principal.may(Takes::Write) {
        "hello"
    } else {
        "this is refused"
    };
    let message = json!({"topic": "lab", "text": sent});
    frames.send(json!({"extended": {"id": format!("{what}")}, "message": message}));
    let answer = frames.frame()["extended"].clone();
    match principal.may(Takes::Write) {
        true => assert!(answer["ack"].is_object(), "{what}: {answer}"),
        false => assert_eq!(
            answer["error"]["code"],
            principal.refusal(),
            "{what}: {answer}"
        ),
    }
    // Nothing comes back that it may not read.
    let member = bearer(&Principal::Member.token().unwrap());
    let mut http = Http::to(server);
    http.ask("POST", "/lab?user=al", &[&member], b"hello");
    assert_eq!(http.answer().status, 200);
    frames.send(json!({"extended": {"ping": 1}}));
    let next = frames.frame();
    if principal.may(Takes::Live) {
        assert_eq!(next["message"]["text"], "hello", "{what}: {next}");
        assert_eq!(next["extended"]["account"], "alice", "{what}: {next}");
        assert_eq!(next["extended"]["user"], "al", "{what}: {next}");
    } else {
        assert_eq!(next["extended"]["pong"], 1, "{what}: {next}");
    }
}
