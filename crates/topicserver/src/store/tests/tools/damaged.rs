//! What is damaged, in a history and in an export, is told, and never taken for whole.

use super::*;
use crate::store::database::{CommitError, DatabaseSettings, Tables};
use crate::store::high_water_marks::HighWaterMarks;
use crate::store::record;

/// Changes a closed database.
fn change(directory: &Directory, change: impl FnOnce(&Tables, &mut fjall::OwnedWriteBatch)) {
    let settings = DatabaseSettings::new(TIMEOUT);
    let tables = Tables::open(&directory.path().join("database"), &settings).unwrap();
    let mut batch = tables.batch();
    change(&tables, &mut batch);
    tables
        .commit(batch)
        .map_err(CommitError::into_error)
        .unwrap();
}

/// The number of the topic `lab` in a sample, which is made first.
const LAB: TopicId = TopicId(1);

#[tokio::test]
async fn everything_that_is_wrong_is_found() {
    let original = sample().await;
    assert_eq!(verify(&original).0.messages, 10);
    let find = |said: &str, damage: fn(&Tables, &mut fjall::OwnedWriteBatch)| {
        let directory = original.copy();
        change(&directory, damage);
        let (_, problems) = verify(&directory);
        let is_said = problems.iter().any(|line| line.contains(said));
        assert!(is_said, "{said}: {problems:#?}");
    };
    find("messages 6 to 6 are missing", |tables, batch| {
        batch.remove(&tables.history, record::key(LAB, 6));
    });
    find("messages 1 to 5 are missing", |tables, batch| {
        batch.remove(&tables.history, record::key(LAB, 1));
    });
    find("messages 7 to 8 are lost", |tables, batch| {
        batch.remove(&tables.history, record::key(LAB, 7));
    });
    find("given twice", |tables, batch| {
        let record = tables.history.get(record::key(LAB, 6)).unwrap().unwrap();
        batch.insert(&tables.history, record::key(LAB, 4), record);
    });
    find("an unknown version", |tables, batch| {
        batch.insert(&tables.history, record::key(LAB, 6), [9; 60]);
    });
    find("the number of another one", |tables, batch| {
        let mut bytes = Vec::new();
        let entry = Entry {
            lines: said(5, 1, TIME, 0).lines,
            ..said(6, 1, TIME, 0)
        };
        record::write_history(&mut bytes, &[entry], &[], 0, 0);
        batch.insert(&tables.history, record::key(LAB, 6), bytes);
    });
    find("other bytes before it", |tables, batch| {
        let mut bytes = Vec::new();
        record::write_history(&mut bytes, &[said(6, 1, TIME, 0)], &[], 0, 0);
        batch.insert(&tables.history, record::key(LAB, 6), bytes);
    });
    find("topic number 77", |tables, batch| {
        batch.insert(&tables.history, record::key(TopicId(77), 1), [9; 60]);
    });
    find("doesn't lead to its number", |tables, batch| {
        batch.insert(&tables.names, "lab", 2_u32.to_be_bytes());
    });
    find("there is no topic 88", |tables, batch| {
        batch.insert(&tables.names, "new", 88_u32.to_be_bytes());
    });
    find("may be given again", |tables, batch| {
        batch.insert(&tables.meta, "next topic", 2_u32.to_be_bytes());
    });
    find("secret of the ids is missing", |tables, batch| {
        batch.remove(&tables.meta, "secret");
    });
}

#[tokio::test]
async fn a_damaged_high_water_mark_is_told() {
    let directory = sample().await;
    let path = directory.path().join("heads");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[16] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let (_, problems) = verify(&directory);
    assert_eq!(problems.len(), 1);
    assert!(problems[0].contains("mark is damaged"), "{problems:?}");
}

#[tokio::test]
async fn what_can_be_read_is_exported_and_the_rest_is_a_gap() {
    let directory = sample().await;
    change(&directory, |tables, batch| {
        batch.insert(&tables.history, record::key(LAB, 6), [9; 60]);
    });
    let text = export(&directory, Ids::With);
    assert_eq!(text.matches("{\"problem\":").count(), 1, "{text}");
    let copy = imported(&text);
    let store = open(&copy);
    let lab = store.load(&name("lab")).await.unwrap();
    let read = store.read(lab.id, 1, usize::MAX).await.unwrap();
    assert_eq!(seqs(&read), [1, 2, 3, 4, 5, 7, 8]);
    assert_eq!(lab.next, 9);
    store.close().await;
}

/// The numbers that were lost were given to messages that clients may have.
#[tokio::test]
async fn a_topic_that_has_lost_its_end_is_exported_in_a_new_epoch() {
    let directory = sample().await;
    let before = export(&directory, Ids::Without);
    let mut marks = HighWaterMarks::open(&directory.path().join("heads")).unwrap();
    marks.set(&mut [(LAB, 11)]).unwrap();
    drop(marks);
    let text = export(&directory, Ids::Without);
    assert!(text.contains("the messages 9 to 11 are lost"), "{text}");
    let epoch = |text: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with("{\"topic\":\"lab\""))
            .unwrap();
        line.split('"').nth(7).unwrap().to_owned()
    };
    assert_ne!(epoch(&text), epoch(&before));
    let copy = imported(&text);
    let store = open(&copy);
    let lab = store.load(&name("lab")).await.unwrap();
    assert_eq!(
        (format!("{:016x}", lab.epoch), lab.next),
        (epoch(&text), 12)
    );
    store.close().await;
}

#[tokio::test]
async fn an_export_that_was_cut_off_is_not_taken_for_whole() {
    let text = export(&sample().await, Ids::With);
    let ends: Vec<_> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
    let cuts = [
        0,
        ends[0],
        ends[0] + 20,
        ends[3],
        ends[ends.len() - 2],
        text.len() - 1,
    ];
    for cut in cuts {
        let directory = Directory::new();
        let error = import(directory.path(), &text.as_bytes()[..cut]).unwrap_err();
        let ImportError::Line { what, .. } = &error else {
            panic!("{error}")
        };
        assert!(matches!(what, LineError::CutOff), "{cut}: {error}");
        let opened = Store::open(directory.path(), KEEP, WINDOW, TIMEOUT, &Clock::for_tests());
        let error = opened.err().unwrap();
        assert!(matches!(error, OpenError::UnfinishedImport(_)), "{error}");
    }
}

/// Imports an export in which a line is replaced, or left out, and checks what is said. Returns
/// that.
fn refuse(lines: &[&str], at: usize, replacement: &str, said: &str) -> String {
    let mut lines = lines.to_vec();
    lines[at] = replacement;
    lines.retain(|line| !line.is_empty());
    let text = lines.join("\n") + "\n";
    let directory = Directory::new();
    let error = import(directory.path(), text.as_bytes()).unwrap_err();
    let error = error.to_string();
    assert!(error.contains(said), "{replacement}: {error}");
    error
}

#[tokio::test]
async fn a_message_that_is_wrong_is_told_with_its_number() {
    let text = export(&sample().await, Ids::With);
    let lines: Vec<_> = text.lines().collect();
    let at = lines.iter().position(|line| line.contains("\"lab\""));
    let at = at.unwrap();
    for (old, new, said) in [
        ("\"seq\":1", "\"seq\":0", "numbers begin with 1"),
        ("\"seq\":1", "\"seq\":5", "isn't higher"),
        ("\"seq\":1", "\"seq\":18446744073709551615", "has a number"),
        ("\"seq\":1", "\"sequence\":1", "unknown field"),
        ("lab", "lib", "another topic"),
        ("{\\\"message", "[\\\"message", "a frame is an object"),
        ("}}\"}", "}\"}", "EOF"),
        ("\"epoch\":\"", "\"epoch\":\"x", "hexadecimal"),
        ("\"user\":\"", "\"user\":\"\\n", "valid names"),
    ] {
        assert!(lines[at].contains(old), "{old}");
        let error = refuse(&lines, at, &lines[at].replace(old, new), said);
        assert!(error.starts_with("line "), "{error}");
    }
    let error = refuse(&lines, at, "{\"topic\":", "EOF");
    assert!(error.starts_with(&format!("line {} ", at + 1)), "{error}");
}

#[tokio::test]
async fn lines_that_are_missing_or_out_of_order_are_told() {
    let text = export(&sample().await, Ids::With);
    let lines: Vec<_> = text.lines().collect();
    let lab = lines.iter().position(|line| line.contains("\"lab\""));
    let (lab, last) = (lab.unwrap(), lines.len() - 1);
    refuse(&lines, 0, "{\"hello\":1}", "no export of a history");
    refuse(&lines, 0, "not JSON", "no export of a history");
    let newer = "{\"natter-history\":2}";
    refuse(&lines, 0, newer, "format 2, and this topicserver reads 1");
    let (line, head) = (lines[lab], lines[lab + 8]);
    let twice = format!("{head}\n{line}\n{head}");
    refuse(&lines, lab + 8, &twice, "each once");
    refuse(&lines, lab, "", "counts 10 messages, but there are 9");
    let more = lines[last].replace("\"topics\":5", "\"topics\":6");
    refuse(&lines, last, &more, "counts 6 topics, but there are 5");
    let after = format!("{}\n{line}", lines[last]);
    refuse(&lines, last, &after, "after the last one");
}
