//! Appending: one record behind another, and each once.

use futures_util::StreamExt;

use super::subject::Place;
use super::*;

async fn append(log: &JetStream, prev: u64, id: &str) -> Appended {
    settle(log, &topic("t"), prev, id, "x").await
}

#[tokio::test]
async fn a_record_is_appended_behind_the_newest_one_only() {
    for count in [1, 3] {
        let Some(nats) = Nats::start(count) else {
            return;
        };
        let log = open(&nats).await;
        let Appended::At(first) = append(&log, 0, "1").await else {
            panic!("the first isn't appended");
        };
        // Other topics don't matter.
        append_all(&log, &topic("u"), &["a", "b"]).await;
        assert_eq!(append(&log, 0, "2").await, Appended::Behind);
        assert_eq!(append(&log, first + 1, "3").await, Appended::Behind);
        let Appended::At(second) = append(&log, first, "4").await else {
            panic!("the second isn't appended");
        };
        assert!(second > first);
        assert_eq!(append(&log, first, "5").await, Appended::Behind);
    }
}

#[tokio::test]
async fn a_record_that_is_appended_again_is_there_once() {
    for count in [1, 3] {
        let Some(nats) = Nats::start(count) else {
            return;
        };
        let log = open(&nats).await;
        let Appended::At(first) = append(&log, 0, "1").await else {
            panic!("the first isn't appended");
        };
        assert_eq!(append(&log, 0, "1").await, Appended::At(first));
        let Appended::At(second) = append(&log, first, "2").await else {
            panic!("the second isn't appended");
        };
        // Even when others are behind it already.
        assert_eq!(append(&log, 0, "1").await, Appended::At(first));
        assert_eq!(append(&log, first, "2").await, Appended::At(second));
        let all = log.read(&topic("t"), 0, 1000).await.unwrap();
        assert_eq!(all.len(), 2);
    }
}

#[tokio::test]
async fn the_same_id_in_another_topic_is_another_record() {
    let Some(nats) = Nats::start(1) else { return };
    let log = open(&nats).await;
    for name in ["a", "b", "c", "d"] {
        let record = Bytes::from(name);
        let appended = log.append(&topic(name), 0, "1:1:n", record).await;
        assert!(matches!(appended, Appended::At(_)), "{name}: {appended:?}");
    }
    for name in ["a", "b", "c", "d"] {
        assert_eq!(log.head(&topic(name)).await.unwrap().unwrap().record, name);
    }
}

#[tokio::test]
async fn of_several_rivals_one_wins() {
    let Some(nats) = Nats::start(3) else { return };
    let mut logs = Vec::new();
    for _ in 0..3 {
        logs.push(open(&nats).await);
    }
    let mut prev = 0;
    for round in 0..100 {
        let ids: Vec<_> = (0..3).map(|rival| format!("1:{round}:{rival}")).collect();
        let all = logs.iter().zip(&ids).map(|(log, id)| append(log, prev, id));
        let outcomes = futures_util::future::join_all(all).await;
        let mut won = Vec::new();
        for outcome in outcomes {
            match outcome {
                Appended::At(at) => won.push(at),
                other => assert_eq!(other, Appended::Behind),
            }
        }
        assert_eq!(won.len(), 1, "round {round}");
        prev = won[0];
    }
}

#[tokio::test]
async fn a_record_that_is_too_long_is_refused() {
    let Some(nats) = Nats::start(1) else { return };
    let log = open(&nats).await;
    let long = Bytes::from(vec![b'x'; 2 * 1024 * 1024]);
    let refused = log.append(&topic("t"), 0, "1", long).await;
    assert!(
        matches!(refused, Appended::Unknown(LogError::Refused(_))),
        "{refused:?}"
    );
    let longest = Bytes::from(vec![b'x'; 500 * 1024]);
    let appended = log
        .append(&topic(&"x".repeat(255)), 0, "1", longest.clone())
        .await;
    assert!(matches!(appended, Appended::At(_)), "{appended:?}");
    let head = log.head(&topic(&"x".repeat(255))).await.unwrap().unwrap();
    assert_eq!(head.record, longest);
}

/// Answers what is appended to this topic, in the place of a stream's leader, as it is told: what
/// it isn't told about it leaves without an answer.
async fn lead(log: &JetStream, place: &Place<'_>, answers: &[Option<&'static str>]) {
    let client = log.connection.client().clone();
    let mut asked = client.subscribe(place.log()).await.unwrap();
    log.connection.confirm().await.unwrap();
    let answers = answers.to_vec();
    tokio::spawn(async move {
        let mut waiting = Vec::new();
        for answer in answers {
            waiting.extend(asked.next().await.unwrap().reply);
            if let Some(answer) = answer {
                // The newest one is answered first.
                let reply = waiting.pop().unwrap();
                client.publish(reply, answer.into()).await.unwrap();
            }
        }
        for reply in waiting {
            client.publish(reply, STORED.into()).await.unwrap();
        }
    });
}

const STORED: &str = r#"{"stream":"OTHER_00","seq":7}"#;

const IN_PROCESS: &str = r#"{"error":{"code":400,"err_code":10164,"description":"in process"}}"#;

/// A leader that hands its stream over answers nothing of what it has in process.
#[tokio::test]
async fn a_record_that_is_not_answered_is_soon_sent_again() {
    let Some(nats) = Nats::start(1) else { return };
    let log = open(&nats).await;
    let (names, t) = (Names::new("other", 1), topic("t"));
    let place = names.place(&t);
    // Lost by the first leader and stored by the next; stored by a slow one.
    for answers in [[None, Some(STORED)], [None, Some(IN_PROCESS)]] {
        lead(&log, &place, &answers).await;
        let began = tokio::time::Instant::now();
        let appended = append::append(&log.connection, &place, 0, "1", "x".into()).await;
        assert_eq!(appended, Appended::At(7), "{answers:?}");
        let took = began.elapsed();
        assert!(took < append::APPEND_TIMEOUT, "{answers:?}: {took:?}");
    }
}
