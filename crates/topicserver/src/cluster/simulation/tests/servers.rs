//! Servers that are cut off, die and return, and what they say to each other.

use tokio::sync::mpsc;

use super::super::Misfortune;
use super::*;
use crate::cluster::bus::{BusError, Link, Said};
use crate::cluster::log::{Appended, Followed, LogError};

async fn texts(receiver: &mut mpsc::Receiver<Said>) -> Vec<String> {
    tokio::time::sleep(seconds(1)).await;
    let mut all = Vec::new();
    while let Ok(said) = receiver.try_recv() {
        all.push(String::from_utf8(said.payload.to_vec()).unwrap());
    }
    all
}

/// Answers one request with its text twice over.
fn answer_one(mut receiver: mpsc::Receiver<Said>) {
    tokio::spawn(async move {
        let said = receiver.recv().await.unwrap();
        let answer = [&said.payload[..], &said.payload[..]].concat();
        said.reply.unwrap()(answer.into());
        // It stays subscribed.
        std::future::pending::<()>().await;
    });
}

#[test]
fn a_message_reaches_all_that_have_subscribed_in_its_order() {
    runtime().block_on(async {
        let world = world();
        world.set_faults(|faults| faults.delay = Duration::ZERO..=seconds(1));
        let mut first = bus(&world, 0).subscribe("x").await.unwrap();
        let mut second = bus(&world, 1).subscribe("x").await.unwrap();
        let mut other = bus(&world, 1).subscribe("y").await.unwrap();
        let texts_sent: Vec<_> = (0..20).map(|number| number.to_string()).collect();
        for text in &texts_sent {
            bus(&world, 0).publish("x", bytes(text));
        }
        assert_eq!(texts(&mut first).await, texts_sent);
        assert_eq!(texts(&mut second).await, texts_sent);
        assert_eq!(texts(&mut other).await, [""; 0]);
    });
}

#[test]
fn messages_are_lost_doubled_and_late() {
    runtime().block_on(async {
        let world = world();
        let mut all = bus(&world, 1).subscribe("x").await.unwrap();
        let bus = bus(&world, 0);
        world.set_faults(|faults| faults.bus_lost = 1.0);
        bus.publish("x", bytes("lost"));
        world.set_faults(|faults| (faults.bus_lost, faults.bus_doubled) = (0.0, 1.0));
        bus.publish("x", bytes("twice"));
        world.set_faults(|faults| (faults.bus_doubled, faults.slow) = (0.0, 1.0));
        world.set_faults(|faults| faults.late = seconds(5)..=seconds(5));
        bus.publish("x", bytes("late"));
        world.set_faults(|faults| faults.slow = 0.0);
        bus.publish("x", bytes("in time"));
        assert_eq!(texts(&mut all).await, ["twice", "twice", "in time"]);
        tokio::time::sleep(seconds(5)).await;
        assert_eq!(texts(&mut all).await, ["late"]);
    });
}

#[test]
fn a_request_is_answered_or_fails_in_its_time() {
    runtime().block_on(async {
        let world = world();
        let asker = bus(&world, 0);
        let ask = || asker.request("x", bytes("ab"), seconds(1));
        assert_eq!(ask().await, Err(BusError::Nobody));
        answer_one(bus(&world, 1).subscribe("x").await.unwrap());
        assert_eq!(ask().await, Ok(bytes("abab")));
        // Nobody answers the second one.
        assert_eq!(ask().await, Err(BusError::Late));
        world.set_faults(|faults| faults.bus_nobody = 1.0);
        assert_eq!(ask().await, Err(BusError::Nobody));
        world.suffer(&Misfortune::Disconnect(0));
        assert_eq!(ask().await, Err(BusError::Down));
    });
}

#[test]
fn an_answer_can_be_lost_although_the_request_was_carried_out() {
    runtime().block_on(async {
        let world = world();
        let mut asked = bus(&world, 1).subscribe("x").await.unwrap();
        world.set_faults(|faults| faults.bus_lost_answer = 1.0);
        let asker = bus(&world, 0);
        let answering = async {
            let said = asked.recv().await.unwrap();
            said.reply.unwrap()(bytes("done"));
        };
        let (answer, ()) = tokio::join!(asker.request("x", bytes("do"), seconds(1)), answering);
        assert_eq!(answer, Err(BusError::Late));
    });
}

#[test]
fn a_cut_off_server_reaches_neither_the_log_nor_the_others() {
    runtime().block_on(async {
        let world = world();
        let (log, island) = world.join(1);
        let (t, appended) = (topic("t"), |id| bytes(id));
        let mut feed = log.follow(&t).await.unwrap();
        assert!(matches!(
            log.append(&t, 0, "a", appended("a")).await,
            Appended::At(_)
        ));
        assert!(matches!(feed.recv().await, Some(Followed::Record(_))));
        let mut heard = bus(&world, 0).subscribe("x").await.unwrap();
        world.suffer(&Misfortune::Isolate(vec![1, 2]));
        let head = log.head(&t).await;
        assert!(matches!(head, Err(LogError::Away(_))));
        assert!(matches!(log.next(&t, 0).await, Err(LogError::Away(_))));
        assert!(matches!(
            log.append(&t, 1, "b", appended("b")).await,
            Appended::Unknown(_)
        ));
        island.publish("x", bytes("unheard"));
        assert_eq!(texts(&mut heard).await, [""; 0]);
        assert_eq!(*island.link().borrow(), Link::Up);
        // The two reach one another.
        answer_one(bus(&world, 2).subscribe("y").await.unwrap());
        let answer = island.request("y", bytes("a"), seconds(1)).await;
        assert_eq!(answer, Ok(bytes("aa")));

        // Others go on, and the island may tell what it knew.
        let at = world.records("t")[0].0;
        let main = super::log(&world, 0);
        assert!(matches!(
            main.append(&t, at, "c", appended("c")).await,
            Appended::At(_)
        ));
        world.set_faults(|faults| faults.stale_read = 1.0);
        assert_eq!(log.read(&t, 0, 1000).await.unwrap().len(), 1);
        world.set_faults(|faults| faults.stale_read = 0.0);
        world.suffer(&Misfortune::Heal);
        assert_eq!(log.read(&t, 0, 1000).await.unwrap().len(), 2);
        assert!(feed.try_recv().is_err(), "it was missed in silence");
    });
}

#[test]
fn a_server_without_a_connection_sends_what_it_held_back_when_it_has_one() {
    runtime().block_on(async {
        let world = world();
        let (log, bus) = world.join(0);
        let t = topic("t");
        let mut feed = log.follow(&t).await.unwrap();
        world.suffer(&Misfortune::Disconnect(0));
        assert_eq!(*bus.link().borrow(), Link::Down);
        assert!(matches!(log.head(&t).await, Err(LogError::Away(_))));
        let appended = log.append(&t, 0, "a", bytes("a")).await;
        assert!(matches!(appended, Appended::Unknown(_)));
        assert_eq!(world.records("t"), []);
        world.suffer(&Misfortune::Connect(0));
        assert_eq!(*bus.link().borrow(), Link::Up);
        assert_eq!(world.records("t").len(), 1);
        assert_eq!(feed.recv().await, Some(Followed::Interrupted));
    });
}

#[test]
fn a_dead_servers_handles_fail_and_those_of_its_next_life_work() {
    runtime().block_on(async {
        let world = world();
        let (log, bus) = world.join(0);
        let t = topic("t");
        let mut feed = log.follow(&t).await.unwrap();
        let mut heard = bus.subscribe("x").await.unwrap();
        world.suffer(&Misfortune::Kill(0));
        for _ in 0..2 {
            let appended = log.append(&t, 0, "a", bytes("a")).await;
            assert!(matches!(appended, Appended::Unknown(LogError::Away(_))));
            assert!(log.head(&t).await.is_err());
            let answer = bus.request("x", bytes("a"), seconds(1)).await;
            assert_eq!(answer, Err(BusError::Down));
            assert_eq!(*bus.link().borrow(), Link::Down);
            assert_eq!(feed.recv().await, None);
            assert!(heard.recv().await.is_none());
            world.suffer(&Misfortune::Return(0));
        }
        let appended = super::log(&world, 0).append(&t, 0, "b", bytes("b")).await;
        assert!(matches!(appended, Appended::At(_)));
    });
}

#[test]
fn while_the_log_elects_nothing_of_it_answers() {
    runtime().block_on(async {
        let world = world();
        let log = log(&world, 0);
        let t = topic("t");
        world.suffer(&Misfortune::StopLog);
        assert!(log.head(&t).await.is_err());
        let appended = log.append(&t, 0, "a", bytes("a")).await;
        assert!(matches!(appended, Appended::Unknown(_)));
        world.suffer(&Misfortune::Heal);
        assert_eq!(log.head(&t).await, Ok(None));
    });
}
