use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

impl DedupWindow {
    /// All of them, in the order of their messages.
    pub(crate) fn list(&self) -> Vec<RememberedId> {
        let all = self.publishers.iter().flat_map(|one| one.list());
        let mut all: Vec<_> = all.collect();
        all.sort_by_key(|id| id.seq);
        all
    }

    fn count(&self) -> usize {
        self.list().len()
    }
}

fn id(origin: u64, id: u64, seq: u64, time: u64) -> RememberedId {
    RememberedId {
        origin,
        id,
        seq,
        time,
    }
}

/// The number of the message that has the id already.
fn seq_of(ids: &mut DedupWindow, id: RememberedId) -> Option<u64> {
    ids.find_or_insert(id).map(|known| known.seq)
}

fn ids(per_publisher: usize) -> DedupWindow {
    DedupWindow::new(IdLimits {
        window: 100,
        per_publisher,
    })
}

/// As ids are in truth: hashes.
fn hash(number: u64) -> u64 {
    xxhash_rust::xxh3::xxh3_64(&number.to_le_bytes())
}

#[test]
fn an_id_is_known_for_the_window_and_of_its_publisher_alone() {
    let mut ids = ids(3);
    assert_eq!(seq_of(&mut ids, id(1, 7, 50, 1000)), None);
    assert_eq!(seq_of(&mut ids, id(1, 7, 51, 1100)), Some(50));
    assert_eq!(seq_of(&mut ids, id(2, 7, 51, 1100)), None);
    assert_eq!(seq_of(&mut ids, id(1, 7, 52, 1101)), None);
    assert_eq!(seq_of(&mut ids, id(1, 7, 53, 1101)), Some(52));
}

#[test]
fn what_is_too_old_is_forgotten_from_time_to_time() {
    let mut ids = ids(3);
    ids.find_or_insert(id(1, 7, 50, 1000));
    ids.expire(1100);
    assert!(ids.bytes() > 0);
    ids.expire(1110);
    assert!(ids.bytes() > 0, "it isn't looked at each time");
    ids.expire(1111);
    assert_eq!((ids.bytes(), ids.is_empty()), (0, true));
}

#[test]
fn a_publisher_that_sends_many_forgets_its_own_oldest() {
    for most in [3, 40] {
        let mut ids = ids(most as usize);
        ids.find_or_insert(id(2, 1, 1, 0));
        for n in 1..=most + 2 {
            ids.find_or_insert(id(1, n, n, 0));
        }
        let known = |ids: &mut DedupWindow, n| ids.find_or_insert(id(1, n, 99, 0)).is_some();
        assert!((3..=most + 2).all(|n| known(&mut ids, n)));
        assert_eq!(ids.count() as u64, most + 1);
        assert!(!known(&mut ids, 2));
        assert!(ids.find_or_insert(id(2, 1, 9, 0)).is_some());
    }
}

#[test]
fn what_is_taken_back_is_not_known_and_may_come_again() {
    for before in [0, 40] {
        let mut ids = ids(100);
        for n in 0..before {
            ids.find_or_insert(id(1, 1000 + n, n, 0));
        }
        ids.find_or_insert(id(1, 7, 50, 0));
        ids.take_back(&id(1, 7, 50, 0));
        assert_eq!(seq_of(&mut ids, id(1, 7, 51, 0)), None);
        ids.take_back(&id(1, 7, 50, 0));
        assert_eq!(seq_of(&mut ids, id(1, 7, 52, 0)), Some(51));
        ids.forget();
        assert_eq!(ids.bytes(), 0);
    }
}

#[test]
fn older_ids_are_added_before_the_others_as_long_as_there_is_room() {
    let mut ids = ids(30);
    for n in (0..40).rev() {
        let is_remembered = ids.insert_older(id(1, n, 1000 + n, n)) == Insertion::Remembered;
        assert_eq!(is_remembered, n >= 10);
        // The same id was used again later, by another publisher.
        let is_remembered = ids.insert_older(id(2, n % 25, 2000 + n, n)) == Insertion::Remembered;
        assert_eq!(is_remembered, n >= 10);
    }
    assert_eq!(seq_of(&mut ids, id(1, 39, 9999, 40)), Some(1039));
    assert_eq!(seq_of(&mut ids, id(1, 10, 9999, 40)), Some(1010));
    assert_eq!(seq_of(&mut ids, id(2, 12, 9999, 40)), Some(2037));
    assert_eq!(seq_of(&mut ids, id(1, 9, 9999, 40)), None);
    assert_eq!(seq_of(&mut ids, id(1, 10, 9999, 40)), None, "it had to go");
}

#[test]
fn what_is_asked_for_is_given_back_and_the_newest_stay() {
    for (publishers, count) in [(1, 100_000), (100, 1_000), (5_000, 1)] {
        let mut ids = ids(100_000);
        for n in 0..count {
            for origin in 0..publishers {
                ids.find_or_insert(id(hash(origin), hash(n), n, 0));
            }
        }
        let (bytes, total) = (ids.bytes(), ids.count());
        ids.give_back(bytes / 10);
        assert!(ids.bytes() <= bytes - bytes / 10, "{publishers}");
        if count > 1 {
            assert!(ids.count() > total / 2, "{publishers}: {}", ids.count());
            assert!(
                ids.find_or_insert(id(hash(0), hash(count - 1), 1, 0))
                    .is_some()
            );
            assert!(ids.find_or_insert(id(hash(0), hash(0), 1, 0)).is_none());
        }
        ids.give_back(bytes);
        assert_eq!(ids.bytes(), 0);
    }
}

#[test]
fn an_id_takes_few_bytes_and_memory_is_given_back_with_the_ids() {
    let mut ids = ids(100_000);
    assert_eq!(ids.bytes(), 0);
    ids.find_or_insert(id(1, 1, 1, 0));
    assert!(ids.bytes() <= 256, "{}", ids.bytes());
    for n in 0..300_000 {
        ids.find_or_insert(id(1, hash(n), n, 0));
    }
    assert!(ids.bytes() <= 40 * 100_000, "{}", ids.bytes());
    let full = ids.bytes();
    for n in 0..10_000 {
        ids.find_or_insert(id(1, hash(n), 300_000 + n, 90));
    }
    ids.expire(150);
    assert_eq!(ids.count(), 10_000);
    assert!(ids.bytes() < full / 4, "{} of {full}", ids.bytes());
}

#[test]
fn messages_that_are_far_apart_are_found_as_long_as_they_can_be_counted() {
    let mut ids = ids(100);
    let far = 1 << 32;
    for n in 0..5 {
        let seq = n * far / 3;
        assert_eq!(seq_of(&mut ids, id(1, n, seq, 0)), None);
        assert_eq!(seq_of(&mut ids, id(1, n, seq + 1, 0)), Some(seq));
    }
    assert_eq!(seq_of(&mut ids, id(1, 3, 9, 0)), Some(far));
}

#[derive(Clone, Debug)]
enum Act {
    Publish { origin: u64, id: u64, wait: u64 },
    TakeBackLast,
    Expire,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        20 => (0..2_u64, 0..60_u64, 0..4_u64)
            .prop_map(|(origin, id, wait)| Act::Publish { origin, id, wait }),
        1 => Just(Act::TakeBackLast),
        1 => Just(Act::Expire),
    ]
}

proptest! {
    /// With room for all, an id is known if and only if it was used in the window.
    #[test]
    fn what_is_known_is_what_was_used_in_the_window(acts in prop::collection::vec(act(), 0..400)) {
        let mut ids = ids(1000);
        let mut used: HashMap<(u64, u64), (u64, u64)> = HashMap::new();
        let (mut seq, mut time, mut last) = (1, 1000, None);
        for act in acts {
            match act {
                Act::Publish { origin, id: number, wait } => {
                    time += wait;
                    let new = id(origin, hash(number), seq, time);
                    let known = used.get(&(origin, number)).filter(|(_, at)| at + 100 >= time);
                    prop_assert_eq!(seq_of(&mut ids, new), known.map(|(seq, _)| *seq));
                    last = None;
                    if known.is_none() {
                        used.insert((origin, number), (seq, time));
                        last = Some((new, (origin, number)));
                        seq += 1;
                    }
                }
                Act::TakeBackLast => {
                    if let Some((id, key)) = last.take() {
                        ids.take_back(&id);
                        used.remove(&key);
                    }
                }
                Act::Expire => ids.expire(time),
            }
        }
    }
}

/// How long an id takes, and what it takes; printed.
#[test]
#[ignore = "a measurement"]
fn time_and_memory_of_an_id() {
    let run = |publishers: u64, count: u64| {
        let mut ids = DedupWindow::new(IdLimits {
            window: 600_000,
            per_publisher: 100_000,
        });
        let numbers: Vec<u64> = (0..count).map(hash).collect();
        let start = std::time::Instant::now();
        for (n, number) in numbers.iter().enumerate() {
            for origin in 0..publishers {
                ids.find_or_insert(id(hash(origin), *number, n as u64, 1));
            }
        }
        let each = start.elapsed().as_nanos() as f64 / (count * publishers) as f64;
        println!(
            "{publishers} × {count}: {each:.1} ns, {} bytes",
            ids.bytes()
        );
    };
    for _ in 0..3 {
        run(1, 50_000);
        run(1, 1_000_000);
        run(64, 50_000);
        run(1_000, 1_000);
        run(100_000, 1);
    }
}
