//! Walks through a history whose server goes on.

use super::*;

/// Messages of 30,000 bytes, each a record, so that a walk takes several steps.
async fn large(store: &Store, topic: &Loaded, numbers: std::ops::RangeInclusive<u64>) {
    for seq in numbers {
        let mut entry = said(seq, 1, TIME, 0);
        entry.lines = line(seq, TIME, None, &frame(&"x".repeat(30_000))).into();
        append(store, topic, vec![entry], Vec::new()).await;
    }
}

const ALL: Look = Look::Export {
    topic: None,
    ids: Ids::With,
};

/// Goes on to the end.
async fn rest(store: &Store, mut walk: Walk) -> (String, usize) {
    let (mut text, mut largest) = (String::new(), 0);
    loop {
        let (same, step) = store.step(walk).await.unwrap();
        largest = largest.max(step.bytes.len());
        text += &String::from_utf8(step.bytes).unwrap();
        if step.is_last {
            return (text, largest);
        }
        walk = same;
    }
}

#[tokio::test]
async fn a_step_is_bounded_and_between_two_everything_goes_on() {
    let directory = Directory::new();
    let store = open(&directory);
    let topic = store.load(&name("T")).await.unwrap();
    large(&store, &topic, 1..=40).await;
    let walk = store.look(ALL).await.unwrap();
    let (walk, begin) = store.step(walk).await.unwrap();
    assert!(!begin.is_last);
    // What comes later may be left out, but nothing before it.
    large(&store, &topic, 41..=45).await;
    let other = store.load(&name("U")).await.unwrap();
    append(&store, &other, vec![said(1, 1, TIME, 0)], Vec::new()).await;
    let (end, largest) = rest(&store, walk).await;
    assert!(largest < 512 * 1024, "{largest}");
    let text = String::from_utf8(begin.bytes).unwrap() + &end;
    let copy = imported(&text);
    let restored = open(&copy);
    let topic = restored.load(&name("T")).await.unwrap();
    assert!(topic.next >= 41, "{}", topic.next);
    restored.close().await;
    store.close().await;
}

#[tokio::test]
async fn what_is_deleted_while_it_is_exported_is_no_gap_in_the_import() {
    let directory = Directory::new();
    let store = open(&directory);
    let topic = store.load(&name("T")).await.unwrap();
    large(&store, &topic, 1..=40).await;
    let (walk, begin) = store.step(store.look(ALL).await.unwrap()).await.unwrap();
    assert_eq!(store.forget(name("T")).await, Ok(Some(40)));
    let (end, _) = rest(&store, walk).await;
    let text = String::from_utf8(begin.bytes).unwrap() + &end;
    assert!(text.contains("\"first\":41,\"seq\":40"), "{end}");
    let copy = imported(&text);
    let restored = open(&copy);
    let topic = restored.load(&name("T")).await.unwrap();
    assert_eq!(topic.next, 41);
    assert_eq!(restored.read(topic.id, 1, usize::MAX).await.unwrap(), []);
    restored.close().await;
    store.close().await;
}

#[tokio::test]
async fn a_running_servers_history_is_sound() {
    let directory = sample().await;
    let store = open(&directory);
    let lab = store.load(&name("lab")).await.unwrap();
    append(&store, &lab, vec![said(9, 1, TIME, 0)], Vec::new()).await;
    let walk = store.look(Look::Verify).await.unwrap();
    let (text, _) = rest(&store, walk).await;
    let end = End::read(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
    assert_eq!((end.topics, end.messages, end.problems), (5, 11, 0));
    let missing = store.look(Look::Export {
        topic: Some(name("nobody's")),
        ids: Ids::With,
    });
    let error = missing.await.err().unwrap();
    assert!(matches!(error, ToolError::NoTopic(_)), "{error}");
    assert_eq!(store.forget(name("nobody's")).await, Ok(None));
    store.close().await;
}

#[tokio::test]
async fn a_closed_history_ends_a_walk() {
    let directory = sample().await;
    let store = open(&directory);
    let mut walk = store.look(Look::Verify).await.unwrap();
    store.close().await;
    assert_eq!(walk.step().unwrap_err(), StoreError::Closed);
}
