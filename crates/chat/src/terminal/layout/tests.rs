//! What messages of every kind look like.

use wire::TopicName;

use super::super::view::Target;
use super::*;

static UTC: TimeZone = TimeZone::UTC;

fn view() -> View {
    View::new(Target::Topic(TopicName::new("lab").expect("a name")))
}

fn look(width: usize) -> Formatter<'static> {
    Formatter {
        width,
        zone: &UTC,
        has_colors: true,
        hides_topic: false,
        found: None,
    }
}

fn push(view: &mut View, topic: &str, user: Option<&str>, text: &str) {
    view.push(Entry {
        time: 1_795_694_400_000,
        is_past: false,
        body: Body::Message(Message {
            user: user.map(Into::into),
            topic: topic.into(),
            text: text.into(),
            seq: None,
            is_mention: false,
        }),
    });
}

fn texts(rows: &[Row]) -> Vec<String> {
    let text = |row: &Row| {
        row.iter()
            .map(|span| span.text.as_str())
            .collect::<String>()
    };
    rows.iter()
        .map(|row| text(row).trim_end().to_owned())
        .collect()
}

/// The rows of a lone message, without the day.
fn shown(width: usize, user: Option<&str>, text: &str) -> Vec<String> {
    let mut view = view();
    push(&mut view, "lab", user, text);
    texts(&look(width).rows(&view, 0)[1..])
}

#[test]
fn a_message_is_what_the_specification_prints_with_a_time_and_a_name() {
    assert_eq!(
        shown(80, Some("bob"), "This is such a lame message"),
        ["12:00 bob  lab:This is such a lame message"]
    );
    assert_eq!(shown(80, None, "hi"), ["12:00      lab:hi"]);
    assert_eq!(shown(40, Some("bob"), "hi"), ["12:00 bob  lab:hi"]);
    assert_eq!(shown(20, Some("bob"), "hi"), ["bob  lab:hi"]);
}

#[test]
fn its_own_topic_can_be_hidden_and_no_other() {
    let mut view = view();
    push(&mut view, "lab", Some("bob"), "hi");
    push(&mut view, "other", Some("bob"), "hi");
    let look = Formatter {
        hides_topic: true,
        ..look(80)
    };
    assert_eq!(texts(&look.rows(&view, 0)[1..]), ["12:00 bob  hi"]);
    assert_eq!(texts(&look.rows(&view, 1)), ["12:00      other:hi"]);
}

#[test]
fn nothing_in_it_steers_the_terminal_or_looks_like_another_message() {
    assert_eq!(
        shown(
            80,
            Some("b\u{200d}ob"),
            "a\u{1b}[2J\u{7}\u{202e}\r\n12:00 bob  lab:forged"
        ),
        [
            r"12:00 b\u200dob  lab:a\u001b[2J\u0007\u202e\r",
            r"         │ 12:00 bob  lab:forged"
        ]
    );
    assert_eq!(
        shown(80, Some("\u{430}lice"), "hi"),
        ["12:00 \u{430}lice(!)  lab:hi"]
    );
}

#[test]
fn links_lead_to_the_whole_address_also_where_it_is_wrapped() {
    let mut view = view();
    let address = "http://a.example/a/long/path/that/does/not/fit/into/one/row/of/it";
    push(&mut view, "lab", Some("bob"), &format!("see {address}."));
    let rows = look(40).rows(&view, 0);
    let links: Vec<&Span> = rows
        .iter()
        .flatten()
        .filter(|span| span.link.is_some())
        .collect();
    assert!(links.len() >= 2, "{rows:?}");
    assert!(
        links
            .iter()
            .all(|span| span.link.as_deref() == Some(address))
    );
    let text: String = links.iter().map(|span| span.text.as_str()).collect();
    assert_eq!(text, address);
}

#[test]
fn topic_and_text_have_one_style() {
    let mut view = view();
    push(&mut view, "lab", Some("bob"), "hi there");
    let rows = look(80).rows(&view, 0);
    let last = rows.last().and_then(|row| row.last());
    assert_eq!(last, Some(&Span::new("lab:hi there", Style::default())));
}

#[test]
fn what_is_found_is_marked() {
    let mut view = view();
    push(&mut view, "lab", Some("bob"), "Pizza and pizza");
    let look = Formatter {
        found: Some(("pizza", 0)),
        ..look(80)
    };
    let rows = look.rows(&view, 0);
    let marked = rows
        .iter()
        .flatten()
        .filter(|span| span.style.add_modifier.contains(Modifier::REVERSED));
    let marked: Vec<&str> = marked.map(|span| span.text.as_str()).collect();
    assert_eq!(marked, ["Pizza", "pizza"]);
}

#[test]
fn the_first_message_in_a_window_says_whose_it_is_where_that_moves_nothing() {
    let mut view = view();
    for number in 0..4 {
        push(
            &mut view,
            "lab",
            Some("bob"),
            &format!("{number} and so on to the end"),
        );
    }
    let seen = |view: &View, width: usize, height: usize| texts(&look(width).window(view, height));
    assert_eq!(
        seen(&view, 60, 2),
        [
            "12:00 bob  lab:2 and so on to the end",
            "12:00      lab:3 and so on to the end"
        ]
    );
    // Where names have no column, nothing can stand there.
    assert_eq!(seen(&view, 50, 1), ["12:00 lab:3 and so on to the end"]);
    // What begins above the window is not it, but the next one is.
    push(&mut view, "lab", Some("bob"), "one\ntwo");
    push(&mut view, "lab", Some("bob"), "last");
    assert_eq!(
        seen(&view, 60, 2),
        ["         │ two", "12:00 bob  lab:last"]
    );
    view.position = Position::At { id: 1, row: 0 };
    assert_eq!(
        seen(&view, 60, 1),
        ["12:00 bob  lab:1 and so on to the end"]
    );
}
