//! Servers that give each name once, over a simulated bus.

use std::net::SocketAddr;

use tokio::runtime::Builder;
use tokio::task::JoinHandle;
use wire::{ClientKey, ErrorCode};

use super::*;
use crate::cluster::nodes::{NodeId, OwnNode};
use crate::cluster::simulation::{Faults, Misfortune, World};
use crate::identity::names::{HeldName, lost_to};
use crate::identity::{Hashes, Identity};
use crate::outbox::SharedOutbox;
use crate::outbox::tests::endless_outbox;

struct Server {
    names: Arc<Names>,
    directory: Arc<Directory>,
    tasks: Vec<JoinHandle<()>>,
}

/// A connection with a name.
struct Connection {
    outbox: SharedOutbox,
    held: HeldName,
}

impl Connection {
    fn is_replaced(&self) -> bool {
        self.outbox.closing().is_some()
    }

    /// Whether it was closed with this error.
    fn was_told(&self, code: ErrorCode) -> bool {
        self.outbox.closing() == Some(Some(code))
    }
}

impl Server {
    fn start(world: &World, place: usize, run: u64) -> Self {
        let own = OwnNode {
            id: NodeId(100 * run + place as u64),
            name: format!("n{place}"),
            started: run,
            advertise: None,
        };
        let bus = world.join(place).1;
        let nodes = Nodes::new(own, bus.clone());
        let directory = Arc::new(Directory::new(Duration::from_secs(30)));
        let names = Names::new(nodes.clone(), bus, directory.clone());
        let tasks = vec![
            tokio::spawn(nodes.clone().run()),
            tokio::spawn(names.clone().run()),
        ];
        Self {
            names,
            directory,
            tasks,
        }
    }

    /// A connection with this name, whose client has this key.
    async fn take(&self, user: &str, key: Option<&str>) -> Result<Connection, Refused> {
        let user = UserName::new(user).unwrap();
        let key = key.and_then(ClientKey::new);
        let hashes = Hashes::new([7; 16]).unwrap();
        let peer = SocketAddr::from(([10, 0, 0, 1], 7));
        let identity = Identity::new(&hashes, peer, Some(user.clone()), key.as_ref(), None);
        let client = key.as_ref().map(|key| hashes.client_of(key));
        let claim = self.names.claim(&user, client).await?;
        let outbox = endless_outbox();
        let identity = Arc::new(identity);
        let taken = self
            .directory
            .take(&identity, key.is_some(), &outbox, claim);
        let Ok(Some(held)) = taken else {
            self.names.give_back(&user, claim);
            return Err(Refused::InUse);
        };
        if let Some(is_same_client) = self.names.lost(&user, claim) {
            let (code, text) = lost_to(is_same_client);
            outbox.close(code, text);
        }
        Ok(Connection { outbox, held })
    }

    async fn finds(&self, user: &str) -> bool {
        self.names
            .find(&UserName::new(user).unwrap())
            .await
            .is_some()
    }

    async fn has(&self, user: &str) -> bool {
        self.names.has(&UserName::new(user).unwrap()).await
    }
}

fn test(test: impl Future<Output = ()>) {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(test);
}

async fn pass(milliseconds: u64) {
    sleep(Duration::from_millis(milliseconds)).await;
}

/// Three servers that have known each other for long.
async fn servers(world: &World) -> [Server; 3] {
    let servers = [0, 1, 2].map(|place| Server::start(world, place, 0));
    pass(5000).await;
    servers
}

fn world() -> World {
    World::new(3, Faults::default())
}

/// Names that are decided on by different servers.
const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];

#[test]
fn a_name_is_given_once_whichever_servers_are_asked() {
    test(async {
        let all = servers(&world()).await;
        let mut owners: Vec<_> = USERS
            .map(|user| all[0].names.decider.owner(&UserName::new(user).unwrap()))
            .to_vec();
        owners.dedup();
        assert!(owners.len() > 1, "one server decides on all of them");
        for user in USERS {
            let held = all[0].take(user, None).await.ok().unwrap();
            for (place, key) in [(0, None), (1, None), (2, Some("k"))] {
                let refused = all[place].take(user, key).await.err();
                assert_eq!(refused, Some(Refused::InUse), "{user} at {place}");
                assert!(all[place].finds(user).await && all[place].has(user).await);
            }
            pass(3000).await;
            assert_eq!(all[1].take(user, None).await.err(), Some(Refused::InUse));
            drop(held);
            pass(10).await;
            assert!(!all[2].has(user).await);
            let again = all[1].take(user, None).await.ok().unwrap();
            assert!(!again.is_replaced());
            assert!(all[0].finds(user).await);
        }
    });
}

/// Also when it was given a moment ago, and when the word of its release is still on its way.
#[test]
fn a_name_that_was_released_is_free_at_every_server() {
    test(async {
        let world = world();
        let servers = servers(&world).await;
        for number in 0..60 {
            let user = format!("user{number}");
            let first = servers[number % 3].take(&user, None).await;
            drop(first.expect("it is free"));
            let again = servers[(number / 3) % 3].take(&user, None).await;
            assert!(again.is_ok(), "{user}: {:?}", again.err());
        }
    });
}

/// Questions of one server may overtake each other: both who ask are still there then.
#[test]
fn of_two_at_one_server_whose_claims_come_in_the_wrong_order_one_gets_the_name() {
    test(async {
        let all = servers(&world()).await;
        let claim = |serial| Claim {
            user: UserName::new("alice").unwrap(),
            node: all[1].names.decider.nodes.own(),
            serial,
            client: Some(serial),
            held: Duration::ZERO,
            kept: None,
        };
        let decider = &all[0].names.decider;
        assert_eq!(decider.decide(claim(2)).await, Answer::Done);
        assert_eq!(decider.decide(claim(1)).await, Answer::InUse);
    });
}

#[test]
fn of_many_who_want_a_name_at_once_one_gets_it() {
    test(async {
        let all = Arc::new(servers(&world()).await);
        for user in USERS {
            let tries = (0..12).map(|number| {
                let all = all.clone();
                tokio::spawn(async move { all[number % 3].take(user, None).await })
            });
            let tries: Vec<_> = tries.collect();
            let mut got = Vec::new();
            for one in tries {
                got.extend(one.await.unwrap());
            }
            assert_eq!(got.len(), 1, "{user}");
        }
    });
}

#[test]
fn a_client_that_comes_back_at_another_server_replaces_its_old_connection() {
    test(async {
        let all = servers(&world()).await;
        for user in USERS {
            let mut before = all[0].take(user, Some("k")).await.ok().unwrap();
            for place in [1, 2, 0, 2, 2] {
                let now = all[place].take(user, Some("k")).await.ok().unwrap();
                pass(10).await;
                assert!(before.was_told(ErrorCode::Replaced), "{user} at {place}");
                drop(std::mem::replace(&mut before, now));
                pass(10).await;
                assert!(!before.is_replaced());
                assert_eq!(
                    all[1].take(user, Some("x")).await.err(),
                    Some(Refused::InUse)
                );
            }
        }
    });
}

#[test]
fn a_name_is_kept_for_its_client_at_all_servers() {
    test(async {
        let all = servers(&world()).await;
        for user in USERS {
            drop(all[0].take(user, Some("k")).await.ok().unwrap());
            pass(5000).await;
            assert!(all[1].has(user).await && !all[1].finds(user).await);
            let refused = all[1].take(user, Some("x")).await.err();
            let is_kept = |left: Duration| (20..26).contains(&left.as_secs());
            assert!(matches!(refused, Some(Refused::Kept(left)) if is_kept(left)));
            let mut back = all[2].take(user, Some("k")).await.ok().unwrap();
            assert!(all[1].finds(user).await);
            // It leaves on purpose.
            back.held.set_released(true);
            drop(back);
            pass(10).await;
            let other = all[1].take(user, Some("x")).await;
            assert!(other.is_ok(), "{user}");
        }
    });
}

#[test]
fn a_dead_servers_names_are_kept_for_their_clients_and_otherwise_free() {
    test(async {
        let world = world();
        let all = servers(&world).await;
        for user in USERS {
            let _with_key = all[1].take(user, Some("k")).await.ok().unwrap();
            let _without = all[1].take(&format!("{user}-2"), None).await.ok().unwrap();
            std::mem::forget((_with_key, _without));
        }
        world.suffer(&Misfortune::Kill(1));
        all[1].tasks.iter().for_each(JoinHandle::abort);
        pass(8000).await;
        for user in USERS {
            let owner = all[0].names.decider.owner(&UserName::new(user).unwrap());
            assert_ne!(owner, Owner::Other(NodeId(1)));
            assert!(all[0].take(&format!("{user}-2"), None).await.is_ok());
            assert!(all[2].take(user, Some("k")).await.is_ok());
        }
    });
}

#[test]
fn when_others_decide_they_know_who_has_the_names() {
    test(async {
        let world = world();
        let mut all = servers(&world).await;
        let mut held = Vec::new();
        for number in 0..50 {
            held.push(all[0].take(&format!("u{number}"), None).await.ok().unwrap());
        }
        for (run, place) in (1..).zip([1, 2, 1]) {
            world.suffer(&Misfortune::Kill(place));
            all[place].tasks.iter().for_each(JoinHandle::abort);
            for wait in [500, 1500, 1500, 3500] {
                pass(wait).await;
                let other = 3 - place;
                for number in 0..50 {
                    let user = format!("u{number}");
                    let refused = all[other].take(&user, None).await.err();
                    assert_eq!(refused, Some(Refused::InUse), "{user} {wait}");
                }
            }
            world.suffer(&Misfortune::Return(place));
            all[place] = Server::start(&world, place, run);
            pass(100).await;
            for number in 0..50 {
                let user = format!("u{number}");
                let refused = all[place].take(&user, None).await.err();
                assert_eq!(
                    refused,
                    Some(Refused::InUse),
                    "{user} {place} after its return"
                );
            }
            pass(5000).await;
        }
        assert!(held.iter().all(|one| !one.is_replaced()));
    });
}

#[test]
fn while_servers_are_apart_a_name_can_be_given_twice_and_then_the_older_keeps_it() {
    test(async {
        let world = world();
        let all = servers(&world).await;
        world.suffer(&Misfortune::Isolate(vec![2]));
        for user in USERS {
            let older = all[0].take(user, Some("x")).await.ok().unwrap();
            pass(5000).await;
            let newer = all[2].take(user, Some("k")).await.ok().unwrap();
            world.suffer(&Misfortune::Heal);
            pass(4000).await;
            // It may come back, with another name.
            assert!(!older.is_replaced(), "{user}");
            assert!(newer.was_told(ErrorCode::NameTaken), "{user}");
            drop(newer);
            pass(100).await;
            assert_eq!(
                all[2].take(user, Some("k")).await.err(),
                Some(Refused::InUse)
            );
            world.suffer(&Misfortune::Isolate(vec![2]));
            pass(5000).await;
        }
    });
}

#[test]
fn whatever_goes_wrong_meanwhile_each_name_has_one_holder_in_the_end() {
    for seed in 0..200 {
        test(async {
            let world = World::new(seed, Faults::by_seed(seed));
            let all = servers(&world).await;
            let mut held: Vec<(String, Connection)> = Vec::new();
            let mut number = seed;
            for _ in 0..80 {
                number = number
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let drawn = (number >> 33) as usize;
                let user = format!("u{}", drawn / 3 % 5);
                let key = ["k", "l"][drawn / 15 % 2];
                if let Ok(got) = all[drawn % 3].take(&user, Some(key)).await {
                    held.push((user, got));
                }
                if drawn.is_multiple_of(7) && !held.is_empty() {
                    held.remove(drawn % held.len());
                }
                match drawn % 31 {
                    0 => world.suffer(&Misfortune::Isolate(vec![drawn / 31 % 3])),
                    1..4 => world.suffer(&Misfortune::Heal),
                    _ => {}
                }
                held.retain(|(_, connection)| !connection.is_replaced());
                pass((drawn / 100 % 500) as u64).await;
            }
            world.suffer(&Misfortune::Heal);
            world.set_faults(|faults| *faults = Faults::default());
            pass(15_000).await;
            held.retain(|(_, connection)| !connection.is_replaced());
            let mut users: Vec<_> = held.iter().map(|(user, _)| user.clone()).collect();
            users.sort();
            let count = users.len();
            users.dedup();
            assert_eq!(users.len(), count, "seed {seed}: a name has two holders");
            for user in users {
                for server in &all {
                    assert!(server.finds(&user).await, "seed {seed}: {user} isn't found");
                    let refused = server.take(&user, None).await.err();
                    assert_eq!(refused, Some(Refused::InUse), "seed {seed}: {user}");
                }
            }
        });
    }
}
