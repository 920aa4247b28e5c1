//! The tools for a history: what is exported, imported, checked, compacted and forgotten.

mod damaged;
mod walking;

use wire::{EnvelopeWriter, UserName};

use super::*;
use crate::store::OpenError;
use crate::store::tools::{End, Ids, ImportError, LineError, Look, ToolError, Walk};
use crate::store::tools::{compact, forget, import, look};

/// A line as it is stored.
fn line(seq: u64, time: u64, user: Option<&str>, frame: &str) -> String {
    let user = user.map(|user| UserName::new(user).unwrap());
    let writer = EnvelopeWriter::new(time, user.as_ref(), None);
    let mut line = Vec::new();
    writer.write(Some(seq), frame.as_bytes(), &mut line);
    String::from_utf8(line).unwrap() + "\n"
}

fn frame(text: &str) -> String {
    format!("{{\"message\":{{\"topic\":\"T\",\"text\":{text:?}}}}}")
}

/// An entry of so many messages, as a server makes it.
fn said(first: u64, count: u32, time: u64, publisher: u64) -> Entry {
    let user = (publisher != 0).then_some("alice");
    let lines: String = (first..first + u64::from(count))
        .map(|seq| line(seq, time, user, &frame(&format!("text {seq}"))))
        .collect();
    Entry {
        first,
        count,
        time,
        publisher,
        lines: lines.into(),
    }
}

/// A time that is plausible.
const TIME: u64 = 1_763_796_000_000;

async fn append(store: &Store, topic: &Loaded, entries: Vec<Entry>, ids: Vec<RememberedId>) {
    let batch = RecordBatch { entries, ids };
    store.append(topic.id, batch).await.unwrap();
}

/// A history with something of everything.
async fn sample() -> Directory {
    let directory = Directory::new();
    let store = open(&directory);
    let lab = store.load(&name("lab")).await.unwrap();
    let ids = vec![id(1, 0), id(3, 0), id(4, 0)];
    let entries = vec![said(1, 3, TIME, 7 << 16), said(4, 2, TIME, 0)];
    append(&store, &lab, entries, ids).await;
    append(
        &store,
        &lab,
        vec![said(6, 1, TIME + 5000, 9)],
        vec![id(6, 0)],
    )
    .await;
    // The clock was set back.
    append(&store, &lab, vec![said(7, 2, TIME - 90_000, 9)], Vec::new()).await;
    let odd = store.load(&name("a \"b\" \u{202e}ü")).await.unwrap();
    let frame =
        "{ \"x\" : [1e9,\"\\u0000\u{7f}\u{9b}\"] ,\"message\":{\"topic\":\"T\",\"text\":\"é\"}}";
    let mut entry = said(1, 1, TIME + 3, 0);
    // The stamp is another time than the index.
    entry.lines = line(1, TIME + 99_000, Some("bob \u{2066}"), frame).into();
    append(&store, &odd, vec![entry], Vec::new()).await;
    let old = store.load(&name("old")).await.unwrap();
    let mut entry = said(1, 1, TIME, 0);
    entry.lines = "{\"extended\":{\"seq\":1,\"older\":true},\"message\":{}}\n".into();
    append(&store, &old, vec![entry], Vec::new()).await;
    store.load(&name("nothing yet")).await.unwrap();
    let gone = store.load(&name("gone")).await.unwrap();
    append(&store, &gone, vec![said(1, 2, TIME, 0)], Vec::new()).await;
    assert_eq!(store.forget(name("gone")).await, Ok(Some(2)));
    store.close().await;
    directory
}

/// Everything that a walk writes.
fn all_of(mut walk: Walk) -> String {
    let mut all = Vec::new();
    loop {
        let step = walk.step().unwrap();
        all.extend(step.bytes);
        if step.is_last {
            return String::from_utf8(all).unwrap();
        }
    }
}

fn shown(directory: &Directory, wanted: Look) -> String {
    all_of(look(directory.path(), wanted).unwrap())
}

fn export(directory: &Directory, ids: Ids) -> String {
    shown(directory, Look::Export { topic: None, ids })
}

/// The end, and the lines about what is damaged.
fn verify(directory: &Directory) -> (End, Vec<String>) {
    let text = shown(directory, Look::Verify);
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    let end = End::read(lines.pop().unwrap().as_bytes()).unwrap();
    assert_eq!(end.problems, lines.len() as u64);
    (end, lines)
}

fn imported(text: &str) -> Directory {
    let directory = Directory::new();
    let end = import(directory.path(), text.as_bytes()).unwrap();
    assert_eq!(
        Some(end),
        End::read(text.lines().last().unwrap().as_bytes())
    );
    directory
}

/// Without the time of the export, which is in the first line.
fn without_time(text: &str) -> String {
    let (first, rest) = text.split_once('\n').unwrap();
    let (before, after) = first.split_once("\"time\":").unwrap();
    let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{before}{after}\n{rest}")
}

#[tokio::test]
async fn an_export_of_an_import_of_an_export_is_the_export() {
    let original = sample().await;
    for ids in [Ids::With, Ids::Without] {
        let text = export(&original, ids);
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text}");
        let copy = imported(&text);
        assert_eq!(without_time(&export(&copy, ids)), without_time(&text));
        assert_eq!(verify(&copy).1, [""; 0]);
        if ids == Ids::With {
            // Without the ids, it is smaller.
            assert_eq!(shown(&copy, Look::Topics), shown(&original, Look::Topics));
        }
    }
}

#[tokio::test]
async fn an_export_reads_as_it_is_described() {
    let text = export(&sample().await, Ids::Without);
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["natter-history"], 1);
    let server = concat!("topicserver ", env!("CARGO_PKG_VERSION"));
    assert_eq!(lines[0]["server"], server);
    assert!(lines[0]["time"].as_u64() > Some(TIME));
    let lab: Vec<_> = lines.iter().filter(|line| line["topic"] == "lab").collect();
    assert_eq!(lab.len(), 8);
    assert_eq!(lab[0]["seq"], 1);
    assert_eq!(lab[0]["time"], TIME);
    assert_eq!(lab[0]["user"], "alice");
    assert_eq!(lab[0]["frame"], frame("text 1"));
    assert_eq!(lab[3]["user"], serde_json::Value::Null);
    for secret in ["secret", "publisher", "\"id\""] {
        assert!(!text.contains(secret), "{secret}");
    }
    let head = lines.iter().find(|line| line["head"]["topic"] == "gone");
    let head = &head.unwrap()["head"];
    assert_eq!((&head["first"], &head["seq"]), (&3.into(), &2.into()));
    assert_eq!(lines.last().unwrap()["end"]["messages"], 10);
    assert_eq!(lines.last().unwrap()["end"]["topics"], 5);
}

#[tokio::test]
async fn a_server_goes_on_with_an_import_where_the_other_was() {
    let original = sample().await;
    let copy = imported(&export(&original, Ids::With));
    let (before, after) = (open(&original), open(&copy));
    assert_eq!(after.secret(), before.secret());
    for topic in ["lab", "a \"b\" \u{202e}ü", "old", "nothing yet", "gone"] {
        let one = before.load(&name(topic)).await.unwrap();
        let other = after.load(&name(topic)).await.unwrap();
        assert_eq!((other.epoch, other.next), (one.epoch, one.next), "{topic}");
        assert_eq!(other.time, one.time, "{topic}");
        let read = async |store: &Store, id| {
            let entries = store.read(id, 1, usize::MAX).await.unwrap();
            let lines: Vec<_> = entries.into_iter().map(|one| one.lines).collect();
            lines.concat()
        };
        let (old, new) = (read(&before, one.id).await, read(&after, other.id).await);
        assert_eq!(new, old, "{topic}");
        let first = other.first.load(std::sync::atomic::Ordering::Relaxed);
        let expected = one.first.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(first, expected, "{topic}");
    }
    let lab = after.load(&name("lab")).await.unwrap();
    for time in [TIME - 90_000, TIME, TIME + 1, TIME + 9000] {
        let expected = before.load(&name("lab")).await.unwrap();
        let expected = before.first_since(expected.id, time).await;
        assert_eq!(after.first_since(lab.id, time).await, expected, "{time}");
    }
    append(&after, &lab, vec![said(9, 1, now(), 0)], Vec::new()).await;
    after.close().await;
    before.close().await;
    assert_eq!(verify(&copy).1, [""; 0]);
}

#[tokio::test]
async fn ids_are_recognised_after_an_import_with_them() {
    let original = Directory::new();
    let store = open(&original);
    let topic = store.load(&name("T")).await.unwrap();
    let ids = vec![id(1, now()), id(2, now())];
    append(&store, &topic, vec![said(1, 2, now(), 7)], ids).await;
    store.close().await;
    for (ids, count) in [(Ids::With, 2), (Ids::Without, 0)] {
        let copy = imported(&export(&original, ids));
        let store = open(&copy);
        let known = store.ids(&name("T")).await;
        let known: Vec<_> = known.iter().map(|id| (id.origin, id.id, id.seq)).collect();
        let expected = [(1, 1001, 1), (1, 1002, 2)];
        assert_eq!(known, expected[..count]);
        store.close().await;
    }
}

#[tokio::test]
async fn one_topic_and_some_messages_are_shown() {
    let directory = sample().await;
    let topic = Some(name("lab"));
    let ids = Ids::Without;
    let text = shown(&directory, Look::Export { topic, ids });
    assert_eq!(text.lines().count(), 1 + 8 + 1 + 1);
    imported(&text);
    let seqs = |from, count| {
        let topic = name("lab");
        let text = shown(&directory, Look::Messages { topic, from, count });
        let seq =
            |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].as_u64();
        text.lines().filter_map(seq).collect::<Vec<_>>()
    };
    assert_eq!(seqs(None, 3), [6, 7, 8]);
    assert_eq!(seqs(None, 100), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(seqs(Some(2), 3), [2, 3, 4]);
    assert_eq!(seqs(Some(9), 3), [0; 0]);
    let missing = Look::Messages {
        topic: name("nobody's"),
        from: None,
        count: 1,
    };
    let error = look(directory.path(), missing).err().unwrap();
    assert!(matches!(error, ToolError::NoTopic(_)), "{error}");
}

#[tokio::test]
async fn a_directory_that_is_used_or_holds_nothing_is_refused() {
    let directory = Directory::new();
    let error = look(directory.path(), Look::Topics).err().unwrap();
    assert!(error.to_string().contains("--data"), "{error}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    let error = forget(&directory.path().join("typo"), &name("lab")).unwrap_err();
    assert!(error.to_string().contains("no history"), "{error}");
    let store = open(&directory);
    for error in [
        look(directory.path(), Look::Topics).err().unwrap(),
        compact(directory.path()).unwrap_err(),
        forget(directory.path(), &name("lab")).unwrap_err(),
    ] {
        assert!(
            matches!(error, ToolError::Open(OpenError::InUse(_))),
            "{error}"
        );
    }
    store.close().await;
    let error = import(directory.path(), &b""[..]).unwrap_err();
    assert!(matches!(error, ImportError::NotEmpty(_)), "{error}");
}

/// As root, who may do everything there.
#[tokio::test]
async fn a_directory_of_another_user_is_left_alone() {
    let (directory, empty) = (sample().await, Directory::new());
    let nobody = 65_534;
    for path in [directory.path(), empty.path()] {
        if std::os::unix::fs::chown(path, Some(nobody), None).is_err() {
            println!("skipped: it takes the right to give files away");
            return;
        }
    }
    let errors = [
        look(directory.path(), Look::Topics)
            .err()
            .unwrap()
            .to_string(),
        compact(directory.path()).unwrap_err().to_string(),
        forget(directory.path(), &name("lab"))
            .unwrap_err()
            .to_string(),
        import(empty.path(), &b""[..]).unwrap_err().to_string(),
    ];
    for error in errors {
        assert!(error.contains("run this as its owner"), "{error}");
    }
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_look_does_not_convert_an_older_format() {
    let directory = sample().await;
    let format = directory.path().join("format");
    std::fs::write(&format, "natter history 3\n").unwrap();
    assert_eq!(verify(&directory).0.problems, 0);
    assert_eq!(
        std::fs::read_to_string(&format).unwrap(),
        "natter history 3\n"
    );
    compact(directory.path()).unwrap();
    assert_eq!(
        std::fs::read_to_string(&format).unwrap(),
        "natter history 4\n"
    );
}

#[tokio::test]
async fn what_is_compacted_is_the_same_and_holds_nothing_that_was_deleted() {
    let directory = sample().await;
    let store = open(&directory);
    let topic = store.load(&name("private")).await.unwrap();
    for seq in 1..=40 {
        let mut entry = said(seq, 1, TIME, 0);
        let text = format!("TELL NOBODY {}", "x".repeat(60_000));
        entry.lines = line(seq, TIME, None, &frame(&text)).into();
        append(&store, &topic, vec![entry], Vec::new()).await;
    }
    assert_eq!(store.forget(name("private")).await, Ok(Some(40)));
    store.close().await;
    let before = export(&directory, Ids::With);
    let left = |directory: &Directory| {
        let mut grep = std::process::Command::new("grep");
        let found = grep.args(["-rqa", "TELL NOBODY"]).arg(directory.path());
        found.status().unwrap().success()
    };
    assert!(left(&directory), "or this test finds nothing");
    let space = compact(directory.path()).unwrap();
    assert!(space.after < space.before / 2, "{space:?}");
    assert!(!left(&directory));
    assert_eq!(
        without_time(&export(&directory, Ids::With)),
        without_time(&before)
    );
    assert_eq!(verify(&directory).1, [""; 0]);
    assert!(!directory.path().join("database.new").exists());
    // The numbers go on.
    let store = open(&directory);
    assert_eq!(store.load(&name("private")).await.unwrap().next, 41);
    store.close().await;
}

#[tokio::test]
async fn what_is_forgotten_without_a_server_is_gone_when_there_is_one() {
    let directory = sample().await;
    assert_eq!(forget(directory.path(), &name("lab")).unwrap(), 8);
    assert_eq!(forget(directory.path(), &name("lab")).unwrap(), 0);
    let error = forget(directory.path(), &name("nobody's")).unwrap_err();
    assert!(matches!(error, ToolError::NoTopic(_)), "{error}");
    assert_eq!(verify(&directory).1, [""; 0]);
    let store = open(&directory);
    let lab = store.load(&name("lab")).await.unwrap();
    assert_eq!(lab.next, 9);
    assert_eq!(store.read(lab.id, 1, usize::MAX).await.unwrap(), []);
    assert_eq!(store.first_since(lab.id, 0).await, Ok(9));
    append(&store, &lab, vec![said(9, 1, TIME, 0)], Vec::new()).await;
    assert_eq!(seqs(&store.read(lab.id, 1, usize::MAX).await.unwrap()), [9]);
    store.close().await;
}
