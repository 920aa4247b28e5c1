//! Messages between servers.

use super::*;

async fn said(messages: &mut mpsc::Receiver<Said>) -> Said {
    let next = tokio::time::timeout(LIMIT, messages.recv()).await;
    next.expect("nothing comes")
        .expect("the subscription has ended")
}

#[tokio::test]
async fn everybody_who_has_subscribed_hears_a_message() {
    let Some(nats) = Nats::start(1) else { return };
    let (one, other) = (open(&nats).await, open(&nats).await);
    let mut all = [
        one.subscribe("beat").await.unwrap(),
        other.subscribe("beat").await.unwrap(),
    ];
    let mut else_where = other.subscribe("own.a-1").await.unwrap();
    for number in 0..500_u32 {
        one.publish("beat", Bytes::from(number.to_string()));
    }
    for messages in &mut all {
        for number in 0..500 {
            let said = said(messages).await;
            assert_eq!(said.payload, number.to_string());
            assert!(said.reply.is_none());
        }
    }
    assert!(else_where.try_recv().is_err());
}

#[tokio::test]
async fn a_request_has_an_answer_or_a_reason() {
    let Some(mut nats) = Nats::start(1) else {
        return;
    };
    let (one, other) = (open(&nats).await, open(&nats).await);
    let ask = |time| one.request("own.b", Bytes::from_static(b"q"), time);
    assert_eq!(ask(LIMIT).await, Err(BusError::Nobody));
    let mut questions = other.subscribe("own.b").await.unwrap();
    let answering = async {
        let said = said(&mut questions).await;
        assert_eq!(said.payload, "q");
        said.reply.unwrap()(Bytes::from_static(b"a"));
    };
    let (answer, ()) = tokio::join!(ask(LIMIT), answering);
    assert_eq!(answer.unwrap(), "a");
    // Nobody answers.
    assert_eq!(ask(Duration::from_millis(50)).await, Err(BusError::Late));
    assert_eq!(one.connection.waiting(), 0);
    nats.servers[0].kill();
    let mut link = one.link();
    let down = link.wait_for(|link| *link == Link::Down);
    tokio::time::timeout(LIMIT, down).await.unwrap().unwrap();
    assert_eq!(ask(LIMIT).await, Err(BusError::Down));
    assert_eq!(one.subscribe("x").await.err(), Some(BusError::Down));
    // It goes nowhere, and doesn't come later.
    one.publish("own.b", Bytes::from_static(b"lost"));
    nats.servers[0].start();
    for log in [&one, &other] {
        let mut link = log.link();
        let up = link.wait_for(|link| *link == Link::Up);
        tokio::time::timeout(LIMIT, up).await.unwrap().unwrap();
    }
    let asked = said(&mut questions).await;
    assert_eq!(asked.payload, "q");
    one.publish("own.b", Bytes::from_static(b"new"));
    assert_eq!(said(&mut questions).await.payload, "new");
}
