//! Servers that tell each other who is in a topic, over a simulated bus.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::runtime::Builder;
use tokio::task::JoinHandle;

use super::message::tests::person;
use super::*;
use crate::cluster::nodes::OwnNode;
use crate::cluster::simulation::{Faults, Misfortune, World};

/// A room that counts how often it was told.
#[derive(Default)]
struct TestRoom {
    told: AtomicUsize,
    people: Mutex<Vec<Someone>>,
}

impl Room for TestRoom {
    fn elsewhere_has_changed(&self) {
        self.told.fetch_add(1, Relaxed);
    }

    fn list(&self, asker: Asker) {
        let people = self.people.lock().clone();
        assert_eq!(asker.page(), &Page::default());
        let count = people.len() as u64;
        asker.answer(Listed {
            people,
            more: false,
            count,
        });
    }
}

impl TopicList for TestRoom {
    fn after(&self, name: Option<&str>, limit: usize) -> Vec<Summary> {
        assert_eq!((name, limit), (Some("a"), 5));
        let topic = TopicName::new("b").unwrap();
        vec![Summary {
            topic,
            members: self.people.lock().len() as u64,
            seq: 3,
        }]
    }
}

/// One server with members in a topic.
struct Server {
    presence: Arc<Presence>,
    room: Arc<TestRoom>,
    present: Option<Present>,
    people: BTreeSet<String>,
    tasks: Vec<JoinHandle<()>>,
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
        let presence = Presence::new(nodes.clone(), bus);
        let room = Arc::new(TestRoom::default());
        let tasks = vec![
            tokio::spawn(nodes.run()),
            tokio::spawn(presence.clone().run(room.clone())),
        ];
        Self {
            presence,
            room,
            present: None,
            people: BTreeSet::new(),
            tasks,
        }
    }

    fn came(&mut self, user: &str) {
        let topic = TopicName::new("T").unwrap();
        let enter = || self.presence.enter(&topic, self.room.clone());
        let present = self.present.get_or_insert_with(enter);
        self.people.insert(user.to_owned());
        present.set_count(self.people.len(), self.people.len());
        present.came(person(user));
        self.room.people.lock().push(person(user));
    }

    fn went(&mut self, user: &str) {
        self.people.remove(user);
        self.room.people.lock().retain(|known| known.user != user);
        if self.people.is_empty() {
            self.present = None;
        }
        if let Some(present) = &self.present {
            present.set_count(self.people.len(), self.people.len());
            present.went(user);
        }
    }

    /// Everybody elsewhere, and who of them was there before.
    fn elsewhere(&self) -> (u64, Vec<String>, usize) {
        let Some(present) = &self.present else {
            return (0, Vec::new(), 0);
        };
        let elsewhere = present.elsewhere();
        let people = elsewhere.people.iter();
        let mut names: Vec<_> = people
            .clone()
            .map(|one| one.person.user.to_string())
            .collect();
        names.sort();
        let before = people.filter(|one| one.was_there).count();
        (elsewhere.count, names, before)
    }

    fn sees(&self, names: &[&str], before: usize) {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(self.elsewhere(), (names.len() as u64, names, before));
    }

    fn kill(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.present = None;
        self.people.clear();
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

async fn servers(world: &World) -> [Server; 3] {
    let servers = [0, 1, 2].map(|place| Server::start(world, place, 0));
    pass(100).await;
    servers
}

fn world() -> World {
    World::new(3, Faults::default())
}

#[test]
fn each_server_knows_who_is_on_the_others_and_who_was_there_before() {
    test(async {
        let mut all = servers(&world()).await;
        all[0].came("alice");
        pass(100).await;
        all[1].came("bob");
        pass(100).await;
        all[0].sees(&["bob"], 0);
        all[1].sees(&["alice"], 1);
        assert_eq!(all[0].room.told.load(Relaxed), 1);
        all[2].came("carol");
        all[0].came("dave");
        pass(100).await;
        all[0].sees(&["bob", "carol"], 0);
        // Dave came after carol did.
        all[2].sees(&["alice", "bob", "dave"], 2);
        all[0].went("alice");
        all[1].went("bob");
        pass(100).await;
        all[2].sees(&["dave"], 0);
        all[1].sees(&[], 0);
        all[1].came("bob");
        pass(100).await;
        all[0].sees(&["bob", "carol"], 0);
        all[1].sees(&["carol", "dave"], 2);
    });
}

#[test]
fn a_room_is_told_again_only_when_it_has_looked() {
    test(async {
        let mut all = servers(&world()).await;
        all[0].came("alice");
        for name in ["a", "b", "c"] {
            all[1].came(name);
            pass(100).await;
        }
        assert_eq!(all[0].room.told.load(Relaxed), 1);
        all[0].sees(&["a", "b", "c"], 0);
        all[1].went("b");
        pass(100).await;
        assert_eq!(all[0].room.told.load(Relaxed), 2);
    });
}

#[test]
fn what_a_dead_server_has_said_is_forgotten_after_three_seconds() {
    test(async {
        let world = world();
        let mut all = servers(&world).await;
        all[0].came("alice");
        all[1].came("bob");
        pass(1000).await;
        world.suffer(&Misfortune::Kill(1));
        all[1].kill();
        pass(1500).await;
        all[0].sees(&["bob"], 0);
        pass(2500).await;
        all[0].sees(&[], 0);
        world.suffer(&Misfortune::Return(1));
        all[1] = Server::start(&world, 1, 1);
        all[1].came("bob");
        pass(200).await;
        all[0].sees(&["bob"], 0);
        all[1].sees(&["alice"], 1);
    });
}

#[test]
fn after_a_partition_all_know_each_other_again_as_newly_come() {
    test(async {
        let world = world();
        let mut all = servers(&world).await;
        all[0].came("alice");
        all[1].came("bob");
        pass(1000).await;
        world.suffer(&Misfortune::Isolate(vec![1]));
        pass(5000).await;
        all[0].sees(&[], 0);
        all[1].sees(&[], 0);
        all[1].came("ben");
        world.suffer(&Misfortune::Heal);
        pass(1500).await;
        all[0].sees(&["ben", "bob"], 0);
        all[1].sees(&["alice"], 0);
    });
}

#[test]
fn lost_messages_are_noticed_within_seconds() {
    test(async {
        let world = world();
        let mut all = servers(&world).await;
        all[0].came("alice");
        all[1].came("bob");
        pass(1000).await;
        let is_lossy = |is_lossy| {
            let probability = if is_lossy { 1.0 } else { 0.0 };
            world.set_faults(|faults| faults.bus_lost = probability);
        };
        for step in 0..3 {
            is_lossy(true);
            match step {
                0 => all[1].came("ben"),
                1 => all[1].went("bob"),
                _ => all[1].went("ben"),
            }
            pass(200).await;
            is_lossy(false);
            pass(1500).await;
            match step {
                0 => all[0].sees(&["ben", "bob"], 0),
                1 => all[0].sees(&["ben"], 0),
                _ => all[0].sees(&[], 0),
            }
        }
    });
}

#[test]
fn all_agree_in_the_end_whatever_goes_wrong_meanwhile() {
    for seed in 0..40 {
        test(async {
            let world = World::new(seed, Faults::by_seed(seed));
            let mut all = servers(&world).await;
            let mut number = seed;
            for _ in 0..200 {
                number = number
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let drawn = (number >> 33) as usize;
                let (place, user) = (drawn % 3, format!("u{}", drawn / 3 % 7));
                match all[place].people.contains(&user) {
                    true => all[place].went(&user),
                    false => all[place].came(&user),
                }
                if drawn.is_multiple_of(17) {
                    world.suffer(&Misfortune::Isolate(vec![place]));
                } else if drawn.is_multiple_of(13) {
                    world.suffer(&Misfortune::Heal);
                }
                pass((drawn / 21 % 400) as u64).await;
            }
            world.suffer(&Misfortune::Heal);
            world.set_faults(|faults| *faults = Faults::default());
            pass(45_000).await;
            for place in 0..3 {
                all[place].came("last");
                pass(100).await;
                let others = (0..3).filter(|other| *other != place);
                let mut names: Vec<_> = others
                    .flat_map(|other| all[other].people.iter().cloned())
                    .collect();
                names.sort();
                let (count, seen, _) = all[place].elsewhere();
                assert_eq!((count, seen), (names.len() as u64, names), "seed {seed}");
            }
        });
    }
}

#[test]
fn servers_are_asked_for_pages_of_members_and_topics() {
    test(async {
        let mut all = servers(&world()).await;
        let topic = TopicName::new("T").unwrap();
        all[1].came("bob");
        all[1].came("ben");
        let asking = all[0].presence.clone();
        let listed = asking
            .list(&asking.others(), &topic, &Page::default())
            .await;
        let counts: Vec<_> = listed.iter().map(|listed| listed.count).collect();
        assert_eq!(counts, [2, 0]);
        assert_eq!(listed[0].people, [person("bob"), person("ben")]);
        let topics = asking.topics(Some("a"), 5).await;
        let members: Vec<_> = topics.iter().map(|topics| topics[0].members).collect();
        assert_eq!(members, [2, 0]);
    });
}

#[test]
fn a_server_whose_names_are_not_all_known_is_to_be_asked() {
    test(async {
        let mut all = servers(&world()).await;
        all[0].came("alice");
        all[1].came("bob");
        assert_eq!(
            all[1].present.as_ref().unwrap().elsewhere().to_ask,
            [NodeId(0), NodeId(2)]
        );
        pass(100).await;
        assert_eq!(all[1].present.as_ref().unwrap().elsewhere().to_ask, []);
        // One more, who wasn't announced.
        all[0].present.as_ref().unwrap().set_count(2, 2);
        pass(100).await;
        assert_eq!(
            all[1].present.as_ref().unwrap().elsewhere().to_ask,
            [NodeId(0)]
        );
    });
}
