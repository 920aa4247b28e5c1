//! Open descriptors: a server may run out of them, and must give them back.

use std::time::Duration;

use crate::common::{Bystanders, Process, eventually};

#[test]
fn running_out_of_descriptors_is_said_and_neither_stops_nor_spins_it() {
    let server = Process::start_after("ulimit -n 40", &[]);
    let mut bystanders = Bystanders::at(server.v4());
    // The system completes these, whether the server accepts them or not.
    let mut crowd: Vec<_> = (0..60).map(|_| server.connect()).collect();
    let line = server.wait_for("can't accept connections");
    assert!(line.contains("WARN") && line.contains("ulimit"), "{line}");
    bystanders.talk();

    // How much it does in a second in which it can do nothing.
    let before = server.ticks();
    std::thread::sleep(Duration::from_secs(1));
    let ticks = server.ticks() - before;
    assert!(ticks < 25, "{ticks} ticks of processor time in a second");
    let warnings = server.log().len();
    assert!(warnings < 100, "{warnings} lines");
    bystanders.talk();

    // When some go, those who waited get their turn.
    let mut last = crowd.pop().unwrap();
    drop(crowd);
    server.wait_for("accepting connections again");
    last.join(&["t"]);
    let mut next = server.join(&["t"]);
    next.say("t", "hello");
    last.expect("t", "hello");
    bystanders.talk();
}

#[test]
fn it_ends_in_order_though_it_has_run_out_of_descriptors() {
    let mut server = Process::start_after("ulimit -n 40", &[]);
    let crowd: Vec<_> = (0..60).map(|_| server.connect()).collect();
    server.wait_for("can't accept connections");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    drop(crowd);
}

#[test]
fn descriptors_are_given_back() {
    let server = Process::start(&[]);
    let mut bystanders = Bystanders::at(server.v4());
    let before = server.descriptors();
    for round in 0..10 {
        let mut crowd: Vec<_> = (0..100).map(|_| server.connect()).collect();
        for (number, client) in crowd.iter_mut().enumerate() {
            match number % 4 {
                0 => client.register(&["t"]),
                1 => client.send(b"nonsense"),
                2 => client.send(b"{\"topics\":"),
                _ => {}
            }
        }
        for (number, client) in crowd.into_iter().enumerate() {
            match (number + round) % 3 {
                0 => client.reset(),
                _ => drop(client),
            }
        }
        bystanders.talk();
    }
    eventually("1,000 descriptors to be closed", || {
        (server.descriptors() == before).then_some(())
    });
}

#[test]
fn the_soft_limit_is_raised_to_the_hard_one() {
    let server = Process::start_after("ulimit -S -n 64 && ulimit -H -n 512", &[]);
    let (soft, hard) = server.descriptor_limits();
    assert_eq!((soft.as_str(), hard.as_str()), ("512", "512"));
    let mut crowd: Vec<_> = (0..200).map(|_| server.connect()).collect();
    for client in &mut crowd {
        client.sync();
    }
}
