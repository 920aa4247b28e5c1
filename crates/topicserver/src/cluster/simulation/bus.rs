//! The simulated bus, as one server sees it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::cluster::bus::{Bus, BusError, Link, Reply, Said};
use crate::cluster::log::Answer;

use super::network::Life;
use super::state::{Shared, Slot, State};

/// The bus for one life of a server.
pub(super) struct SimulatedBus {
    world: Arc<Shared>,
    life: Life,
}

/// The answer to a request.
type Response = Result<Bytes, BusError>;

/// What is needed to answer a request.
#[derive(Clone)]
struct Asked {
    world: Weak<Shared>,
    by: Life,
    slot: Slot<Response>,
}

impl SimulatedBus {
    pub(super) fn new(world: Arc<Shared>, life: Life) -> Self {
        Self { world, life }
    }
}

impl Bus for SimulatedBus {
    fn publish(&self, subject: &str, payload: Bytes) {
        self.world.with(|state| {
            for (number, _) in state.subscribers.to(subject) {
                send(state, self.life, number, &payload, None);
            }
        });
    }

    fn subscribe<'a>(
        &'a self,
        subject: &'a str,
    ) -> Answer<'a, Result<mpsc::Receiver<Said>, BusError>> {
        Box::pin(async move {
            let (slot, answered) = Slot::new();
            let (life, subject) = (self.life, subject.to_owned());
            self.world.with(|state| {
                if !state.network.is_up(life) {
                    slot.answer(Err(BusError::Down));
                    return;
                }
                let chance = &mut state.network.node(life.node).bus_chance;
                let way = chance.within(&state.faults.delay);
                state.after(way, move |state| {
                    let seed = state.seed;
                    slot.answer(match state.network.is_up(life) {
                        true => Ok(state.subscribers.add(life, &subject, seed)),
                        false => Err(BusError::Down),
                    });
                });
            });
            answered.await.unwrap_or(Err(BusError::Down))
        })
    }

    fn request<'a>(
        &'a self,
        subject: &'a str,
        payload: Bytes,
        timeout: Duration,
    ) -> Answer<'a, Result<Bytes, BusError>> {
        Box::pin(async move {
            let (slot, answered) = Slot::new();
            let asked = Asked {
                world: Arc::downgrade(&self.world),
                by: self.life,
                slot,
            };
            self.world
                .with(|state| begin_request(state, &asked, subject, &payload, timeout));
            answered.await.unwrap_or(Err(BusError::Down))
        })
    }

    fn link(&self) -> watch::Receiver<Link> {
        self.world
            .with(|state| match state.network.lives(self.life) {
                true => state.network.link(self.life.node),
                false => watch::Sender::new(Link::Down).subscribe(),
            })
    }
}

fn begin_request(
    state: &mut State,
    asked: &Asked,
    subject: &str,
    payload: &Bytes,
    timeout: Duration,
) {
    let life = asked.by;
    if !state.network.is_up(life) {
        asked.slot.answer(Err(BusError::Down));
        return;
    }
    let mut receivers = state.subscribers.to(subject);
    receivers.retain(|(_, to)| state.network.reaches(life, *to));
    let chance = &mut state.network.node(life.node).bus_chance;
    let seems_alone = chance.happens(state.faults.bus_nobody);
    let way = chance.within(&state.faults.delay);
    let slot = asked.slot.clone();
    if receivers.is_empty() || seems_alone {
        state.after(way, move |_| {
            slot.answer(Err(BusError::Nobody));
        });
        return;
    }
    state.after(timeout, move |_| {
        slot.answer(Err(BusError::Late));
    });
    for (number, _) in receivers {
        send(state, life, number, payload, Some(asked));
    }
}

/// Sends a message to one subscriber.
fn send(state: &mut State, from: Life, number: u64, payload: &Bytes, asked: Option<&Asked>) {
    if !state.network.is_up(from) {
        return;
    }
    let Some(subscriber) = state.subscribers.get(number) else {
        return;
    };
    let (faults, to) = (&state.faults, subscriber.life);
    let is_lost = subscriber.chance.happens(faults.bus_lost);
    let copies = 1 + usize::from(subscriber.chance.happens(faults.bus_doubled));
    if is_lost {
        return;
    }
    for _ in 0..copies {
        let Some(subscriber) = state.subscribers.get(number) else {
            return;
        };
        let (way, is_slow) = state.faults.way(&mut subscriber.chance);
        let mut at = Instant::now() + way;
        if !is_slow {
            at = subscriber.behind(from.node, at);
        }
        let (payload, asked) = (payload.clone(), asked.cloned());
        state.at(at, move |state| {
            if !state.network.reaches(from, to) {
                return;
            }
            let reply = asked.map(|asked| reply_of(asked, to));
            if let Some(subscriber) = state.subscribers.get(number) {
                subscriber.hand(Said { payload, reply });
            }
        });
    }
}

/// What a server answers a request with.
fn reply_of(asked: Asked, by: Life) -> Reply {
    Box::new(move |answer| {
        let Some(world) = asked.world.upgrade() else {
            return;
        };
        world.with(|state| {
            let chance = &mut state.network.node(by.node).bus_chance;
            let is_lost = chance.happens(state.faults.bus_lost_answer);
            let (way, _) = state.faults.way(chance);
            if is_lost {
                return;
            }
            state.after(way, move |state| {
                if state.network.reaches(by, asked.by) {
                    asked.slot.answer(Ok(answer));
                }
            });
        });
    })
}
