//! The workloads by name, and how one of them is run against one server.

mod closed;
mod idle;
mod open;
mod stalled;
mod storm;

use crate::crowd::{Crowd, Layout};
use crate::measure::Sample;
use crate::payload::Template;
use crate::protocols::Codec;
use anyhow::{Context, Result, ensure};
use std::net::SocketAddr;
use std::time::Duration;

pub(crate) use closed::measure as measure_closed;

/// The size of a message in most workloads: a sentence of chat in a frame.
pub(crate) const MESSAGE: usize = 220;
/// What topics are called, before their number.
const TOPIC: &str = "t";
/// The text of the large messages.
const LARGE_TEXT: usize = 8192;

/// A workload of the catalogue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    /// Its name on the command line and in the report.
    pub(crate) name: &'static str,
    /// What it does, in a line.
    pub(crate) about: &'static str,
    shape: Shape,
}

/// What a workload does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// Every publisher sends `window` messages in one write when its former
    /// ones have arrived everywhere.
    Closed { layout: Layout, window: u64 },
    /// One publisher sends at fixed times, whatever has arrived.
    Open { layout: Layout, per_second: u64 },
    /// So many connections open and join one topic at once.
    Storm { connections: usize },
    /// The layout joins and is silent.
    Idle { layout: Layout },
    /// As `Closed` at two servers, at one of which the last receiver doesn't read.
    Stalled { layout: Layout, window: u64 },
}

/// How long and how much a run measures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Wall time of what is measured, as far as the workload chooses it.
    pub(crate) time: Duration,
    /// Messages of what is measured, at most.
    pub(crate) messages: u64,
}

/// The server that a workload is run against.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    /// How it is spoken to.
    pub(crate) codec: &'static dyn Codec,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Its process, if its clocks can be read.
    pub(crate) pid: Option<u32>,
}

const fn layout(topics: usize, publishers: usize, receivers: usize) -> Layout {
    Layout {
        topics,
        publishers,
        receivers,
        size: MESSAGE,
    }
}

/// All workloads, in the order of the report.
pub(crate) const CATALOGUE: &[Workload] = &[
    Workload {
        name: "fanout-100-burst",
        about: "1 publisher to 100 receivers, 32 messages in one write, then the next 32",
        shape: Shape::Closed {
            layout: layout(1, 1, 100),
            window: 32,
        },
    },
    Workload {
        name: "fanout-100-single",
        about: "1 publisher to 100 receivers, one message at a time",
        shape: Shape::Closed {
            layout: layout(1, 1, 100),
            window: 1,
        },
    },
    Workload {
        name: "fanout-1000",
        about: "1 publisher to 1,000 receivers, one message at a time",
        shape: Shape::Closed {
            layout: layout(1, 1, 1000),
            window: 1,
        },
    },
    Workload {
        name: "topics-500x4",
        about: "500 topics, each with 1 publisher and 4 receivers and one message at a time",
        shape: Shape::Closed {
            layout: layout(500, 1, 4),
            window: 1,
        },
    },
    Workload {
        name: "one-to-one-burst",
        about: "1 publisher to 1 receiver, 32 messages in one write, then the next 32",
        shape: Shape::Closed {
            layout: layout(1, 1, 1),
            window: 32,
        },
    },
    Workload {
        name: "one-to-one-single",
        about: "1 publisher to 1 receiver, one message at a time",
        shape: Shape::Closed {
            layout: layout(1, 1, 1),
            window: 1,
        },
    },
    Workload {
        name: "large-8k",
        about: "texts of 8 KiB from 1 publisher to 100 receivers, 4 in one write",
        // The frame's exact size is set when the workload is run.
        shape: Shape::Closed {
            layout: Layout {
                topics: 1,
                publishers: 1,
                receivers: 100,
                size: LARGE_TEXT,
            },
            window: 4,
        },
    },
    Workload {
        name: "open-loop",
        about: "1,000 messages a second to 100 receivers, latency from the intended send time",
        shape: Shape::Open {
            layout: layout(1, 1, 100),
            per_second: 1000,
        },
    },
    Workload {
        name: "publishers-16",
        about: "16 publishers to one topic with 100 receivers, each one message at a time",
        shape: Shape::Closed {
            layout: layout(1, 16, 100),
            window: 1,
        },
    },
    Workload {
        name: "join-storm",
        about: "5,000 connections opened and registered as fast as possible",
        shape: Shape::Storm { connections: 5000 },
    },
    Workload {
        name: "idle-10000",
        about: "memory of 10,000 connections that have joined one of 100 topics",
        shape: Shape::Idle {
            layout: layout(100, 1, 100),
        },
    },
    Workload {
        name: "stalled-reader",
        about: "100 receivers of 1 KiB messages, 8 in one write; one of them has stopped reading",
        shape: Shape::Stalled {
            layout: Layout {
                topics: 1,
                publishers: 1,
                receivers: 100,
                size: 1024,
            },
            window: 8,
        },
    },
];

impl Workload {
    /// The workload of this name.
    pub(crate) fn named(name: &str) -> Result<Self> {
        CATALOGUE
            .iter()
            .find(|workload| workload.name == name)
            .copied()
            .with_context(|| format!("there is no workload {name:?}: --list shows those there are"))
    }

    /// The same in miniature: a test that it works, not a measurement.
    pub(crate) fn quick(mut self) -> Self {
        let shrink = |layout: &mut Layout| {
            layout.topics = layout.topics.min(5);
            layout.publishers = layout.publishers.min(3);
            layout.receivers = layout.receivers.min(6);
        };
        match &mut self.shape {
            Shape::Closed { layout, .. }
            | Shape::Open { layout, .. }
            | Shape::Idle { layout }
            | Shape::Stalled { layout, .. } => shrink(layout),
            Shape::Storm { connections } => *connections = 50,
        }
        self
    }

    /// Connections that hear one another, where the server knows no topics;
    /// 0 if all do.
    pub(crate) fn group(&self) -> usize {
        match self.shape {
            Shape::Closed { layout, .. } | Shape::Idle { layout } if layout.topics > 1 => {
                layout.group()
            }
            _ => 0,
        }
    }

    /// How many servers of a kind it needs at once.
    pub(crate) fn servers(&self) -> usize {
        match self.shape {
            Shape::Stalled { .. } => 2,
            _ => 1,
        }
    }

    /// Runs it against as many servers as it needs.
    pub(crate) fn run(&self, targets: &[Target], bounds: Bounds) -> Result<Sample> {
        ensure!(
            targets.len() == self.servers(),
            "{} needs {} servers at once: use compare, which starts them",
            self.name,
            self.servers()
        );
        let target = targets[0];
        match self.shape {
            Shape::Closed { layout, window } => {
                let mut crowd = target.gather(whole_texts(layout))?;
                measure_closed(&mut crowd, target.pid, window, bounds)
            }
            Shape::Open { layout, per_second } => open::run(target, layout, per_second, bounds),
            Shape::Storm { connections } => storm::run(target, connections),
            Shape::Idle { layout } => idle::run(target, layout),
            Shape::Stalled { layout, window } => {
                stalled::run(target, targets[1], layout, window, bounds)
            }
        }
    }
}

impl Target {
    /// Connects and registers a crowd.
    pub(crate) fn gather(&self, layout: Layout) -> Result<Crowd> {
        Crowd::gather(self.codec, self.address, layout, TOPIC)
    }
}

/// For large messages the text has the round size, not the frame.
fn whole_texts(mut layout: Layout) -> Layout {
    if layout.size == LARGE_TEXT {
        layout.size = Template::size_for_text(&format!("{TOPIC}-0"), LARGE_TEXT);
    }
    layout
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_unknown_ones_explained() {
        assert_eq!(Workload::named("large-8k").unwrap().name, "large-8k");
        let error = Workload::named("fast").unwrap_err().to_string();
        assert!(error.contains("--list"), "{error}");
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<_> =
            CATALOGUE.iter().map(|workload| workload.name).collect();
        assert_eq!(names.len(), CATALOGUE.len());
    }
}
