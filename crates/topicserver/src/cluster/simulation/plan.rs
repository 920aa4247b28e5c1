//! What happens to the servers of a cluster, as a seed has it.

use std::time::Duration;

use super::chance::Chance;

/// Something bad that happens, or its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misfortune {
    /// These servers, and fewer than half of the log's, can't reach the others.
    Isolate(Vec<usize>),
    /// The same for one server, and one of the log's that led the others goes on answering it.
    Maroon(usize),
    /// A server has no connection.
    Disconnect(usize),
    /// A server has a connection again.
    Connect(usize),
    /// Nothing of the log answers, as while it elects.
    StopLog,
    /// All connections and the log are there again. The dead stay dead.
    Heal,
    /// A server dies. Its tasks have to be ended too.
    Kill(usize),
    /// A dead server is started anew.
    Return(usize),
    /// The log's clock jumps by so many milliseconds.
    MoveClock(i64),
}

/// Misfortunes and when they happen, counted from the beginning. At the end everything is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan(pub Vec<(Duration, Misfortune)>);

impl Plan {
    /// A plan for so many servers. At least one of them lives at any time.
    #[must_use]
    pub fn by_seed(seed: u64, nodes: usize, span: Duration) -> Self {
        let mut chance = Chance::new(seed, 3);
        let mut plan = Vec::new();
        let mut dead = Vec::new();
        let mut now = Duration::ZERO;
        let pause = Duration::from_millis(200)..=Duration::from_secs(6);
        loop {
            now += chance.within(&pause);
            if now >= span {
                break;
            }
            let node = chance.below(nodes as u64) as usize;
            let next = match chance.below(16) {
                0..4 => Misfortune::Heal,
                4..6 => Misfortune::Isolate(vec![node]),
                6 if nodes > 2 => Misfortune::Isolate(vec![node, (node + 1) % nodes]),
                6..8 => Misfortune::Disconnect(node),
                8..10 => Misfortune::Connect(node),
                10 => Misfortune::StopLog,
                11 => Misfortune::MoveClock(chance.below(20_000) as i64 - 10_000),
                _ if dead.contains(&node) => Misfortune::Return(node),
                _ if dead.len() + 1 < nodes => Misfortune::Kill(node),
                _ => continue,
            };
            match next {
                Misfortune::Kill(node) => dead.push(node),
                Misfortune::Return(node) => dead.retain(|known| *known != node),
                _ => {}
            }
            plan.push((now, next));
        }
        plan.push((span, Misfortune::Heal));
        plan.extend(
            dead.into_iter()
                .map(|node| (span, Misfortune::Return(node))),
        );
        Self(plan)
    }
}
