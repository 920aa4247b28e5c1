//! What happens in each case.

use client::HistoryPage;

use super::*;
use crate::output::item::{Call, CallLine, NoticeText, Severity};

pub(super) const CASES: [Case; 17] = [
    case("join", join),
    case("day change", day_change),
    case("unread", unread),
    case("wide characters", wide_characters),
    case("emoji of several code points", emoji),
    case("right to left", right_to_left),
    case("wrapped lines", wrapped_lines),
    case("resize while typing", resize_while_typing),
    case("paste of three thousand lines", paste),
    case("question about a paste", question_about_a_paste),
    case("scrolled up while messages arrive", scrolled_up),
    case("question about leaving", question_about_leaving),
    case("older messages", older_messages),
    case("two topics", two_topics),
    case("call", call),
    case("lost connection", lost_connection),
    case("search", search),
];

const fn case(name: &'static str, happens: fn(&mut Scene)) -> Case {
    Case { name, happens }
}

fn notice(scene: &mut Scene, text: &str, severity: Severity) {
    let notice = NoticeText::new(text, severity, Some("lab"));
    scene.happens(Item::Notice(notice));
}

fn join(scene: &mut Scene) {
    notice(
        scene,
        "joined lab, lunch at 127.0.0.1:23456",
        Severity::Info,
    );
    notice(scene, "you are alice", Severity::Info);
    scene.happens(Item::Members {
        topic: "lab".into(),
        count: 5,
        users: ["alice", "bob", "carol with a very long name"]
            .map(Into::into)
            .into(),
    });
    scene.happens(Item::Came {
        topic: "lab".into(),
        user: "dave".into(),
    });
    notice(scene, "dave has joined lab", Severity::Info);
    scene.arrives("lab", "dave", "hello");
}

fn day_change(scene: &mut Scene) {
    scene.test.comes("lab", "bob", "a day before", PAST);
    scene.test.comes("lab", "bob", "and one more", PAST);
    scene.test.passes(24 * 60 * MINUTE);
    scene.arrives("lab", "bob", "good morning");
    scene.test.passes(6 * MINUTE);
    scene.arrives("lab", "bob", "six minutes later");
}

fn unread(scene: &mut Scene) {
    scene.arrives("lab", "bob", "you have seen this");
    scene.types("\u{1b}2");
    scene.arrives("lab", "bob", "this came meanwhile");
    scene.arrives("lab", "carol", "@alice, look!");
    scene.types("\u{1b}1");
}

fn wide_characters(scene: &mut Scene) {
    scene.arrives(
        "lab",
        "騒ぎ",
        "全角の文字は二桁を取るので、行の終わりで半分に切れてはならない",
    );
    scene.arrives("lab", "bob", "e\u{301}tude, ｆｕｌｌ ｗｉｄｔｈ, 한국어");
    scene.types("これも打つ");
}

fn emoji(scene: &mut Scene) {
    scene.arrives("lab", "bob", "a👨\u{200d}👩\u{200d}👧b 👍🏽c 🇩🇪d ❤\u{fe0f}e");
    scene.arrives("lab", "bob", "the next row");
    scene.types("👩\u{200d}🚀x");
}

fn right_to_left(scene: &mut Scene) {
    scene.arrives("lab", "bob", "שלום עולם, מה שלומך?");
    scene.arrives("lab", "carol", "السلام عليكم");
    // What would turn around all that follows is shown as what it is.
    scene.arrives("lab", "mallory", "\u{202e}desrever");
    scene.types("שלום");
}

fn wrapped_lines(scene: &mut Scene) {
    let text = "a message that is much longer than what fits into one row of most windows, \
                with https://example.org/an/address/that/is/rather/long?and=it&goes=on and an end";
    scene.arrives("lab", "bob", text);
    scene.arrives("lab", "bob", "fn main() {\n\tlunch();\n}");
    scene.arrives("lab", "carol", &"unbreakable".repeat(8));
    scene.types(&format!("typed, and {text}"));
}

/// Numbers of the messages that are seen.
fn numbers(scene: &Scene) -> Vec<usize> {
    let rows = scene.rows().join(" ");
    let pieces = rows.split("number ").skip(1);
    let digits = pieces.map(|rest| rest.chars().take_while(char::is_ascii_digit).collect());
    digits
        .filter_map(|digits: String| digits.parse().ok())
        .collect()
}

fn resize_while_typing(scene: &mut Scene) {
    for number in 0..30 {
        scene.arrives("lab", "bob", &format!("number {number} of some messages"));
    }
    let (columns, rows) = scene.size;
    for (at, key) in "a text that needs more than one row".chars().enumerate() {
        scene.types(&key.to_string());
        if let Some(width) = [60, 80, 100, 80, 60, 40, 100, 40]
            .get(at / 4)
            .filter(|_| at % 4 == 0)
        {
            scene.resizes((*width, rows));
            let seen = numbers(scene);
            // From some message to the last one, each once.
            assert!(
                seen.windows(2).all(|pair| pair[0] + 1 == pair[1]),
                "{seen:?}"
            );
            assert!(rows < 4 || seen.last() == Some(&29), "{seen:?}");
        }
    }
    scene.resizes((columns, rows));
}

fn paste(scene: &mut Scene) {
    let lines: Vec<String> = (0..3_000)
        .map(|number| format!("{number}:\tpasted"))
        .collect();
    scene.types(&format!("\u{1b}[200~{}\u{1b}[201~", lines.join("\r")));
    scene.types("\r");
    scene.types("y");
    assert_eq!(scene.test.sent().len(), 3_000);
    for text in &lines {
        let line = Line {
            topic: topic("lab"),
            text: text.clone(),
        };
        scene.test.ui.take_item(Item::Delivered { line, seq: None });
    }
    scene.draws();
}

fn question_about_a_paste(scene: &mut Scene) {
    scene.arrives("lab", "bob", "what did you do?");
    scene.types("\u{1b}[200~fn main() {\r\tlunch();\r}\r\u{1b}[201~");
    scene.types("\r");
}

fn question_about_leaving(scene: &mut Scene) {
    scene.happens(Item::Connection(Connection::Down { seconds: 3 }));
    scene.types("an important line\r");
    scene.types("/quit\r");
}

fn scrolled_up(scene: &mut Scene) {
    for number in 0..200 {
        scene
            .test
            .arrives("lab", "bob", &format!("number {number}"));
    }
    scene.draws();
    scene.types("\u{1b}[5~");
    let before = numbers(scene);
    for number in 200..2_200 {
        scene
            .test
            .arrives("lab", "bob", &format!("number {number}"));
        if number % 200 == 0 {
            scene.draws();
        }
    }
    scene.draws();
    assert_eq!(numbers(scene), before);
}

fn older_messages(scene: &mut Scene) {
    scene.test.next = 300;
    for number in 300..320 {
        scene.arrives("lab", "bob", &format!("number {number}"));
    }
    scene.types("\u{1b}[H\u{1b}[5~");
    let asked = scene.test.sent();
    assert_eq!(
        asked,
        ["History { topic: TopicName(\"lab\"), before: Some(300), limit: 200 }"]
    );
    let message = |number: u64| Incoming {
        topic: "lab".into(),
        text: format!("number {number}"),
        envelope: Envelope {
            seq: Some(number),
            time: Some(NOON - 60 * MINUTE),
            user: Some("bob".into()),
            account: None,
        },
        arrival: PAST,
    };
    scene.happens(Item::Older(HistoryPage {
        topic: topic("lab"),
        messages: (100..300).map(message).collect(),
        has_older: true,
    }));
    scene.types("\u{1b}[5~");
}

fn two_topics(scene: &mut Scene) {
    scene.arrives("lab", "bob", "in the lab");
    scene.types("for the lab");
    scene.types("\u{1b}2");
    scene.arrives("lunch", "carol", "at lunch");
    scene.arrives("lab", "bob", "in the lab again");
    scene.arrives("lab", "bob", "alice: where are you?");
    scene.types("for lunch");
}

fn call(scene: &mut Scene) {
    scene.types("/call bob\r");
    let said = |who: Option<&str>, text: &str| {
        Item::CallLine(CallLine {
            who: who.map(Into::into),
            topic: "direct".into(),
            text: text.into(),
        })
    };
    scene.types("hello?\r");
    scene.happens(said(None, "hello?"));
    scene.happens(said(Some("bob"), "hi, alice"));
    scene.types("this is not sent\r");
    scene.types("and this is half");
    scene.happens(Item::Call(Call::Ended));
    let notice = NoticeText::new("bob has hung up", Severity::Info, None);
    scene.happens(Item::Notice(notice));
}

fn lost_connection(scene: &mut Scene) {
    scene.arrives("lab", "bob", "still here");
    notice(
        scene,
        "the connection to 127.0.0.1:23456 is lost: the other side closed it",
        Severity::Warning,
    );
    scene.happens(Item::Connection(Connection::Down { seconds: 3 }));
    scene.types("typed while away\r");
    scene.types("half a line");
}

fn search(scene: &mut Scene) {
    for number in 0..50 {
        scene.arrives("lab", "bob", &format!("number {number}"));
    }
    scene.types("/search NUMBER 1\r");
    scene.types("n");
}
