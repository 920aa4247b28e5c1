//! What is typed, pasted, edited, and how it ends.

use super::*;

#[test]
fn lines_are_edited_recalled_and_completed() {
    let mut test = Test::new(70, 12, &["lab", "lunch"]);
    test.people.add_names(&["bobby"]);
    for (keys, sent) in [
        ("teh\u{14} end\r", "lab:the end"),
        ("\u{1b}[A\u{7f}\u{7f}\u{7f}start\r", "lab:the start"),
        ("\u{12}end\r", "lab:the end"),
        ("one two\u{17}\u{17}\u{19}!\r", "lab:one two!"),
        ("a\u{1b}\rb\r", "lab:a\nb"),
        ("bo\thi\r", "lab:bobby: hi"),
        ("\tx\r", "lab:\tx"),
        ("gone\u{15}\u{1f}\r", "lab:gone"),
    ] {
        test.types(keys);
        assert_eq!(test.sent(), [sent], "{keys:?}");
    }
}

#[test]
fn commands_are_performed_or_refused_and_stay_to_be_changed() {
    let mut test = Test::new(70, 12, &["lab"]);
    for (keys, sent) in [
        ("/who\r", "Who(TopicName(\"lab\"))"),
        // Escape in haste is read as Alt.
        ("\u{1b}/who\r", "Who(TopicName(\"lab\"))"),
        ("\u{1b}Hello\r", "lab:Hello"),
        ("/join ops\r", "Join(TopicName(\"ops\"))"),
        ("/me waves\r", "ops:* alice waves"),
        ("//who\r", "ops:/who"),
        ("/leave\r", "Leave(TopicName(\"ops\"))"),
        ("/nick al\r", "Rename(UserName(\"al\"))"),
    ] {
        test.types(keys);
        assert_eq!(test.sent(), [sent], "{keys:?}");
    }
    test.types("/wrong\r");
    let picture = test.picture();
    assert!(picture[11].ends_with("> /wrong"), "{picture:#?}");
    assert!(
        picture
            .iter()
            .any(|row| row.contains("is no command, and nothing was"))
    );
    test.types("\u{15}");
    test.types(&("x".repeat(2000) + "\r"));
    assert_eq!(test.sent(), [""; 0]);
    assert_eq!(test.ui.editor.text().len(), 2000);
}

#[test]
fn leaving_asks_if_something_is_not_sent_and_cannot_be() {
    let mut test = Test::new(80, 12, &["lab"]);
    test.ui
        .take_item(Item::Connection(Connection::Down { seconds: 3 }));
    test.types("important\r");
    test.sent();
    test.types("/quit\r");
    assert!(
        test.picture()[10].starts_with("1 line is not sent: \"important\""),
        "{:#?}",
        test.picture()
    );
    test.types("n");
    assert!(!test.ui.has_ended());
    test.types("\u{4}");
    test.types("y");
    let first = "important".into();
    assert_eq!(
        test.ui.take_effects(),
        [Effect::Abandon { count: 1, first }]
    );
    // Connected, it ends when everything has arrived.
    test.types("n");
    test.ui.take_item(Item::Connection(Connection::Up));
    test.types("\u{4}");
    assert!(test.ui.has_ended());
    test.types("\u{3}");
    assert_eq!(test.ui.take_effects(), [Effect::Interrupt]);
}

#[test]
fn ctrl_c_clears_and_then_leaves() {
    let mut test = Test::new(80, 12, &["lab"]);
    test.types("x\u{3}");
    assert_eq!(test.picture()[11], ">");
    test.types("y\u{3}");
    assert!(test.ui.take_effects().is_empty());
    test.types("\u{3}");
    assert_eq!(test.ui.take_effects(), [Effect::Interrupt]);
}

#[test]
fn a_call_is_a_view_and_what_was_not_said_comes_back() {
    let mut test = Test::new(60, 12, &["lab"]);
    test.types("/call bob\r");
    test.types("hello?\r");
    assert_eq!(test.sent().len(), 2);
    assert!(test.picture()[0].starts_with(" @bob"));
    test.types("half");
    test.ui
        .take_item(Item::Call(crate::output::item::Call::Ended));
    assert_eq!(test.ui.editor.text(), "hello?\nhalf");
    test.types("\u{1b}1");
    assert!(test.picture()[0].starts_with(" lab"));
}

#[test]
fn every_size_is_drawn() {
    for columns in [0, 1, 2, 5, 9, 10, 23, 24, 40, 59, 60, 99, 100, 120, 200] {
        for rows in [0, 1, 2, 3, 4, 5, 6, 10, 24, 60] {
            let mut test = Test::new(columns, rows, &["lab", "lunch"]);
            test.arrives("lab", "bob", "騒ぎ 👩‍👧 שלום http://a.example/long/path");
            test.ui.take_item(Item::Members {
                topic: "lab".into(),
                count: 3,
                users: vec!["alice".into(), "bob".into()],
            });
            test.types("typed 騒ぎ");
            test.types("\u{1b}[5~\u{1b}[H\u{1b}[6~\u{1b}[A");
            let canvas = test.ui.draw();
            assert_eq!((canvas.area().width, canvas.area().height), (columns, rows));
        }
    }
}

#[test]
fn a_window_that_changes_its_size_loses_and_doubles_nothing() {
    let mut test = Test::new(40, 30, &["lab"]);
    for number in 0..8 {
        test.arrives("lab", "bob", &format!("message number {number} of a few"));
    }
    test.types("a text that needs more than one row of a narrow window");
    for columns in [60, 80, 100, 40] {
        test.ui.resize((columns, 30));
        let picture = test.picture().join(" ");
        for number in 0..8 {
            let text = format!("number {number} ");
            assert_eq!(picture.matches(&text).count(), 1, "{columns}: {picture}");
        }
        assert_eq!(test.ui.editor.text().len(), 54);
    }
}
