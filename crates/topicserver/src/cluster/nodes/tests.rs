//! Servers that get to know each other over a simulated bus.

use std::ops::Range;

use tokio::runtime::Builder;
use tokio::task::JoinHandle;

use super::*;
use crate::cluster::simulation::{Faults, Misfortune, World};

/// Servers by their places, with what runs them.
struct Cluster {
    world: World,
    servers: Vec<(Arc<Nodes>, JoinHandle<()>)>,
}

impl Cluster {
    /// Servers that have just been started.
    fn start(faults: Faults, count: usize) -> Self {
        let mut cluster = Self {
            world: World::new(5, faults),
            servers: Vec::new(),
        };
        for place in 0..count {
            let server = cluster.server(place, 0);
            cluster.servers.push(server);
        }
        cluster
    }

    fn server(&self, place: usize, run: u64) -> (Arc<Nodes>, JoinHandle<()>) {
        let own = OwnNode {
            id: NodeId(100 * run + place as u64),
            name: format!("n{place}"),
            started: run,
            advertise: Some(format!("n{place}:20000")),
        };
        let nodes = Nodes::new(own, self.world.join(place).1);
        (nodes.clone(), tokio::spawn(nodes.run()))
    }

    fn kill(&mut self, place: usize) {
        self.world.suffer(&Misfortune::Kill(place));
        self.servers[place].1.abort();
    }

    /// Starts a server again that was killed.
    fn restart(&mut self, place: usize) {
        self.world.suffer(&Misfortune::Return(place));
        self.servers[place] = self.server(place, 1);
    }

    fn nodes(&self, place: usize) -> &Arc<Nodes> {
        &self.servers[place].0
    }

    /// The numbers of the servers that one of them takes to live.
    fn living(&self, place: usize) -> Vec<u64> {
        let view = self.nodes(place).view().borrow().clone();
        view.nodes().map(|node| node.id.0).collect()
    }

    fn all_see(&self, who: Range<usize>, living: &[u64]) {
        for place in who {
            assert_eq!(self.living(place), living, "as {place} sees it");
        }
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

fn topics() -> impl Iterator<Item = TopicName> {
    (0..100).map(|number| TopicName::new(&number.to_string()).unwrap())
}

#[test]
fn servers_know_each_other_at_once_and_agree_on_the_owners() {
    test(async {
        let cluster = Cluster::start(Faults::default(), 3);
        pass(20).await;
        cluster.all_see(0..3, &[0, 1, 2]);
        for topic in topics() {
            let owners = [0, 1, 2].map(|place| match cluster.nodes(place).owner(&topic) {
                Owner::This => NodeId(place as u64),
                Owner::Other(node) => node,
            });
            assert!(owners.iter().all(|owner| *owner == owners[0]));
        }
        assert_eq!(cluster.nodes(0).servers().len(), 2);
    });
}

#[test]
fn a_server_has_settled_when_it_has_had_time_to_hear_of_the_others() {
    test(async {
        let cluster = Cluster::start(Faults::default(), 3);
        cluster.nodes(1).settle().await;
        cluster.all_see(1..2, &[0, 1, 2]);
    });
}

#[test]
fn a_server_is_dead_after_three_seconds_of_silence() {
    test(async {
        let mut cluster = Cluster::start(Faults::default(), 3);
        pass(5500).await;
        cluster.kill(2);
        pass(2000).await;
        cluster.all_see(0..2, &[0, 1, 2]);
        pass(2000).await;
        cluster.all_see(0..2, &[0, 1]);
        cluster.restart(2);
        pass(20).await;
        cluster.all_see(0..3, &[0, 1, 102]);
    });
}

#[test]
fn a_server_that_is_started_again_replaces_its_earlier_run_at_once() {
    test(async {
        let mut cluster = Cluster::start(Faults::default(), 3);
        pass(5500).await;
        cluster.kill(2);
        cluster.restart(2);
        pass(20).await;
        cluster.all_see(0..3, &[0, 1, 102]);
    });
}

#[test]
fn what_a_dead_server_has_said_before_does_not_bring_it_back() {
    test(async {
        let mut cluster = Cluster::start(Faults::default(), 2);
        pass(5500).await;
        let all = |faults: &mut Faults| {
            faults.slow = 1.0;
            faults.late = Duration::from_secs(8)..=Duration::from_secs(8);
        };
        cluster.world.set_faults(all);
        cluster.nodes(1).say(State::Lives);
        cluster.world.set_faults(|faults| faults.slow = 0.0);
        cluster.nodes(1).say(State::Lives);
        pass(10).await;
        cluster.kill(1);
        for _ in 0..12 {
            pass(1000).await;
        }
        cluster.all_see(0..1, &[0]);
        let mut view = cluster.nodes(0).view();
        view.mark_unchanged();
        pass(10_000).await;
        assert!(!view.has_changed().unwrap());
    });
}

#[test]
fn a_server_that_leaves_owns_nothing_and_is_gone_when_it_ends() {
    test(async {
        let cluster = Cluster::start(Faults::default(), 3);
        pass(1000).await;
        cluster.nodes(1).leave();
        pass(20).await;
        cluster.all_see(0..3, &[0, 1, 2]);
        for topic in topics() {
            assert_ne!(cluster.nodes(0).owner(&topic), Owner::Other(NodeId(1)));
            assert_ne!(cluster.nodes(1).owner(&topic), Owner::This);
        }
        assert_eq!(cluster.nodes(0).servers(), ["n2:20000"]);
        cluster.nodes(1).end();
        cluster.servers[1].1.abort();
        pass(20).await;
        assert_eq!(cluster.living(0), [0, 2]);
        pass(60_000).await;
        assert_eq!(cluster.living(2), [0, 2]);
    });
}

#[test]
fn a_cut_off_server_sees_itself_and_all_agree_again_when_it_is_back() {
    test(async {
        let cluster = Cluster::start(Faults::default(), 3);
        pass(1000).await;
        cluster.world.suffer(&Misfortune::Isolate(vec![2]));
        pass(5000).await;
        cluster.all_see(0..2, &[0, 1]);
        cluster.all_see(2..3, &[2]);
        cluster.world.suffer(&Misfortune::Heal);
        pass(1100).await;
        cluster.all_see(0..3, &[0, 1, 2]);
        cluster.world.suffer(&Misfortune::Disconnect(0));
        pass(5000).await;
        cluster.all_see(0..1, &[0]);
        cluster.world.suffer(&Misfortune::Connect(0));
        pass(1100).await;
        cluster.all_see(0..3, &[0, 1, 2]);
    });
}

#[test]
fn servers_agree_in_the_end_although_heartbeats_are_lost() {
    test(async {
        for seed in 0..20 {
            let cluster = Cluster::start(Faults::by_seed(seed), 3);
            pass(30_000).await;
            cluster
                .world
                .set_faults(|faults| *faults = Faults::default());
            pass(10_000).await;
            cluster.all_see(0..3, &[0, 1, 2]);
        }
    });
}

#[test]
fn a_server_that_has_slept_does_not_take_the_others_for_dead() {
    test(async {
        let cluster = Cluster::start(Faults::default(), 2);
        pass(1500).await;
        let mut view = cluster.nodes(0).view();
        view.mark_unchanged();
        // As if it had been stopped: nothing runs meanwhile.
        tokio::time::advance(Duration::from_secs(60)).await;
        pass(5000).await;
        assert!(!view.has_changed().unwrap());
        cluster.all_see(0..2, &[0, 1]);
    });
}
