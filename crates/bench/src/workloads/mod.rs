//! The workloads by name, and how one of them is run against one server.

mod acks;
mod catalogue;
mod closed;
#[cfg(test)]
mod fake;
mod idle;
mod length;
mod open;
mod publishers;
mod replay;
mod stalled;
mod storm;

use crate::contender::{Contender, Setup, System, Variant};
use crate::crowd::{Crowd, Layout};
use crate::measure::{Metric, Sample};
use crate::payload::Template;
use crate::protocols::Codec;
use crate::protocols::journal::Journal;
use anyhow::{Context, Result, ensure};
use std::net::SocketAddr;
use std::time::Duration;

pub(crate) use catalogue::CATALOGUE;
pub(crate) use closed::drive as drive_closed;
pub(crate) use closed::measure as measure_closed;
pub(crate) use length::{Asked, Bounds};
pub(crate) use publishers::{Load, Publishers};

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
    /// The ways of using a system that are compared. A system without one of them takes no
    /// part in it.
    variants: &'static [Variant],
    /// Whether no peer takes part, because none can keep so much.
    is_ours_alone: bool,
    shape: Shape,
    /// How long it measures unless something else is asked.
    length: length::Length,
    /// What no server may exceed from one acknowledgement to the next, if anything.
    longest_pause: Option<Duration>,
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
    /// The layout joins, and then nobody reads what a publisher sends.
    Abandoned { layout: Layout },
    /// Publishers keep messages unacknowledged.
    Acks(Load),
    /// A reader comes late and reads back as many messages as a topic has.
    Replay { messages: u64 },
}

/// The server that a workload is run against.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    /// How it is spoken to.
    pub(crate) codec: &'static dyn Codec,
    /// How it is spoken to about what it keeps, if it keeps anything.
    journal: Option<&'static dyn Journal>,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Its process, if its clocks can be read.
    pub(crate) pid: Option<u32>,
}

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
            | Shape::Abandoned { layout }
            | Shape::Stalled { layout, .. } => shrink(layout),
            Shape::Storm { connections } => *connections = 50,
            Shape::Acks(load) => *load = load.quick(),
            // More than natter keeps in memory, or Redis gives in a page.
            Shape::Replay { messages } => *messages = 2500,
        }
        // A machine that is busy with tests may pause any process.
        self.longest_pause = None;
        self
    }

    /// What it needs of the servers.
    pub(crate) fn setup(&self) -> Setup {
        let group = match self.shape {
            Shape::Closed { layout, .. } | Shape::Idle { layout } if layout.topics > 1 => {
                layout.group()
            }
            _ => 0,
        };
        Setup {
            group,
            keeps_much: matches!(self.shape, Shape::Replay { .. }) || self.is_ours_alone,
        }
    }

    /// Those that take part in it, in each variant that it compares.
    pub(crate) fn entrants(&self, contenders: &[Contender]) -> Vec<Contender> {
        let can = |contender: &&Contender| {
            (!self.needs_journal() || contender.keeps())
                && (!self.is_ours_alone || contender.system == System::Natter)
                && contender.used_as(self.main_variant()).is_some()
        };
        let able: Vec<&Contender> = contenders.iter().filter(can).collect();
        self.variants
            .iter()
            .flat_map(|&variant| able.iter().filter_map(move |one| one.used_as(variant)))
            .collect()
    }

    /// Whether it is about what a server keeps.
    fn needs_journal(&self) -> bool {
        matches!(self.shape, Shape::Acks(_) | Shape::Replay { .. })
    }

    /// How `run` uses the server that it is given.
    pub(crate) fn main_variant(&self) -> Variant {
        self.variants.last().copied().unwrap_or(Variant::Usual)
    }

    /// How many servers of a kind it needs at once.
    pub(crate) fn servers(&self) -> usize {
        match self.shape {
            Shape::Stalled { .. } => 2,
            _ => 1,
        }
    }

    /// Refuses the figures of a run in which acknowledgements stood still for longer
    /// than this workload allows.
    pub(crate) fn judge(&self, sample: &Sample) -> Result<()> {
        let (Some(most), Some(&pause)) = (self.longest_pause, sample.get(&Metric::LongestPause))
        else {
            return Ok(());
        };
        let most = most.as_secs_f64() * 1e3;
        ensure!(
            pause <= most,
            "nothing was acknowledged for {pause:.0} ms: {} allows {most:.0} ms",
            self.name
        );
        Ok(())
    }

    /// Runs it against as many servers as it needs.
    pub(crate) fn run(&self, targets: &[Target], asked: Asked) -> Result<Sample> {
        ensure!(
            targets.len() == self.servers(),
            "{} needs {} servers at once: use compare, which starts them",
            self.name,
            self.servers()
        );
        let (target, bounds) = (targets[0], self.length.bounds(asked));
        match self.shape {
            Shape::Closed { layout, window } => {
                let mut crowd = target.gather(whole_texts(layout))?;
                measure_closed(&mut crowd, target.pid, window, bounds)
            }
            Shape::Open { layout, per_second } => open::run(target, layout, per_second, bounds),
            Shape::Storm { connections } => storm::run(target, connections),
            Shape::Idle { layout } => idle::run(target, layout),
            Shape::Abandoned { layout } => idle::run_abandoned(target, layout, asked),
            Shape::Stalled { layout, window } => {
                stalled::run(target, targets[1], layout, window, bounds)
            }
            Shape::Acks(load) => acks::run(target, load, bounds),
            Shape::Replay { messages } => replay::run(target, messages, bounds),
        }
    }
}

impl Target {
    /// A server of this system, used in this way.
    pub(crate) fn new(
        system: System,
        variant: Variant,
        address: SocketAddr,
        pid: Option<u32>,
    ) -> Self {
        Self {
            codec: system.codec(variant),
            journal: system.journal(),
            address,
            pid,
        }
    }

    /// How it is spoken to about what it keeps.
    fn journal(&self) -> Result<&'static dyn Journal> {
        self.journal
            .context("this system keeps nothing: natter and redis do")
    }

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
    fn entrants_are_those_who_can_in_every_variant() {
        let contenders = [System::Natter, System::Relay, System::Redis]
            .map(|system| Contender::new(system, "x".into()));
        let names = |workload: &str| -> Vec<String> {
            let entrants = Workload::named(workload).unwrap().entrants(&contenders);
            entrants.into_iter().map(|one| one.name).collect()
        };
        assert_eq!(names("large-8k"), ["natter", "relay", "redis"]);
        assert_eq!(
            names("publish-ack-1"),
            ["natter", "redis", "natter on disk", "redis on disk"]
        );
        assert_eq!(names("publish-ack-64"), ["natter", "redis"]);
        assert_eq!(names("replay-memory"), ["natter", "redis"]);
        assert_eq!(names("replay-disk"), ["natter on disk", "redis on disk"]);
        assert_eq!(
            names("fanout-100-burst-extended"),
            ["natter", "natter extended"]
        );
    }

    #[test]
    fn what_is_sustained_is_on_disk_and_what_no_peer_can_keep_is_ours() {
        let contenders =
            [System::Natter, System::Redis].map(|system| Contender::new(system, "x".into()));
        let names = |workload: &str| -> Vec<String> {
            let entrants = Workload::named(workload).unwrap().entrants(&contenders);
            entrants.into_iter().map(|one| one.name).collect()
        };
        for workload in ["publish-ack-64-sustained", "publish-ack-64x16-sustained"] {
            assert_eq!(names(workload), ["natter on disk", "redis on disk"]);
        }
        assert_eq!(names("store-20gb"), ["natter on disk"]);
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<_> =
            CATALOGUE.iter().map(|workload| workload.name).collect();
        assert_eq!(names.len(), CATALOGUE.len());
    }
}
