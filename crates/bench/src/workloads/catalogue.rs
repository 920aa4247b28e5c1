//! The catalogue: every workload with its name and its numbers.

use super::length::{SHORT, SUSTAINED, count, volume};
use super::publishers::Load;
use super::{LARGE_TEXT, MESSAGE, Shape, Workload};
use crate::contender::Variant;
use crate::crowd::Layout;
use std::time::Duration;

/// A text of `store-20gb`.
const STORED_TEXT: usize = 60_000;
/// A publisher that waits for an acknowledgement for longer counts the server as dead.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

const fn layout(topics: usize, publishers: usize, receivers: usize) -> Layout {
    Layout {
        topics,
        publishers,
        receivers,
        size: MESSAGE,
    }
}

/// Receivers that stop reading.
const ABANDONED: Layout = Layout {
    topics: 1,
    publishers: 1,
    receivers: 100,
    size: 1024,
};

/// A short workload in these variants.
const fn short(
    name: &'static str,
    about: &'static str,
    variants: &'static [Variant],
    shape: Shape,
) -> Workload {
    Workload {
        name,
        about,
        variants,
        is_ours_alone: false,
        shape,
        length: SHORT,
        longest_pause: None,
    }
}

/// A workload of every system as it comes.
const fn usual(name: &'static str, about: &'static str, shape: Shape) -> Workload {
    short(name, about, &[Variant::Usual], shape)
}

/// Publishing with an acknowledgement of what is flushed, for so long that the
/// store pays for what it puts off.
const fn sustained(name: &'static str, about: &'static str, load: Load) -> Workload {
    Workload {
        length: SUSTAINED,
        longest_pause: Some(LONGEST_PAUSE),
        ..short(name, about, &[Variant::Disk], Shape::Acks(load))
    }
}

/// All workloads, in the order of the report.
pub(crate) const CATALOGUE: &[Workload] = &[
    usual(
        "fanout-100-burst",
        "1 publisher to 100 receivers, 32 messages in one write, then the next 32",
        Shape::Closed {
            layout: layout(1, 1, 100),
            window: 32,
        },
    ),
    short(
        "fanout-100-burst-extended",
        "fanout-100-burst, with receivers of classic and of extended frames",
        &[Variant::Usual, Variant::Extended],
        Shape::Closed {
            layout: layout(1, 1, 100),
            window: 32,
        },
    ),
    usual(
        "fanout-100-single",
        "1 publisher to 100 receivers, one message at a time",
        Shape::Closed {
            layout: layout(1, 1, 100),
            window: 1,
        },
    ),
    usual(
        "fanout-1000",
        "1 publisher to 1,000 receivers, one message at a time",
        Shape::Closed {
            layout: layout(1, 1, 1000),
            window: 1,
        },
    ),
    usual(
        "topics-500x4",
        "500 topics, each with 1 publisher and 4 receivers and one message at a time",
        Shape::Closed {
            layout: layout(500, 1, 4),
            window: 1,
        },
    ),
    usual(
        "one-to-one-burst",
        "1 publisher to 1 receiver, 32 messages in one write, then the next 32",
        Shape::Closed {
            layout: layout(1, 1, 1),
            window: 32,
        },
    ),
    usual(
        "one-to-one-single",
        "1 publisher to 1 receiver, one message at a time",
        Shape::Closed {
            layout: layout(1, 1, 1),
            window: 1,
        },
    ),
    usual(
        "large-8k",
        "texts of 8 KiB from 1 publisher to 100 receivers, 4 in one write",
        // The frame's exact size is set when the workload is run.
        Shape::Closed {
            layout: Layout {
                topics: 1,
                publishers: 1,
                receivers: 100,
                size: LARGE_TEXT,
            },
            window: 4,
        },
    ),
    usual(
        "open-loop",
        "1,000 messages a second to 100 receivers, latency from the intended send time",
        Shape::Open {
            layout: layout(1, 1, 100),
            per_second: 1000,
        },
    ),
    usual(
        "publishers-16",
        "16 publishers to one topic with 100 receivers, each one message at a time",
        Shape::Closed {
            layout: layout(1, 16, 100),
            window: 1,
        },
    ),
    usual(
        "join-storm",
        "5,000 connections opened and registered as fast as possible",
        Shape::Storm { connections: 5000 },
    ),
    usual(
        "idle-10000",
        "memory of 10,000 connections that have joined one of 100 topics",
        Shape::Idle {
            layout: layout(100, 1, 100),
        },
    ),
    usual(
        "stalled-reader",
        "100 receivers of 1 KiB messages, 8 in one write; one of them has stopped reading",
        Shape::Stalled {
            layout: Layout {
                topics: 1,
                publishers: 1,
                receivers: 100,
                size: 1024,
            },
            window: 8,
        },
    ),
    short(
        "sse-1000",
        "fanout-1000 to receivers of extended frames over TCP, and of Server-Sent Events",
        &[Variant::Extended, Variant::Events],
        Shape::Closed {
            layout: layout(1, 1, 1000),
            window: 1,
        },
    ),
    short(
        "lines-1000",
        "fanout-1000 to receivers of extended frames over TCP, and of lines over HTTP",
        &[Variant::Extended, Variant::Lines],
        Shape::Closed {
            layout: layout(1, 1, 1000),
            window: 1,
        },
    ),
    short(
        "websocket-1000",
        "fanout-1000 to receivers of extended frames over TCP, and over WebSocket",
        &[Variant::Extended, Variant::WebSocket],
        Shape::Closed {
            layout: layout(1, 1, 1000),
            window: 1,
        },
    ),
    short(
        "websocket-100-burst",
        "fanout-100-burst to receivers of extended frames over TCP, and over WebSocket",
        &[Variant::Extended, Variant::WebSocket],
        Shape::Closed {
            layout: layout(1, 1, 100),
            window: 32,
        },
    ),
    short(
        "tls-100-burst",
        "fanout-100-burst without and with TLS",
        &[Variant::Usual, Variant::Tls],
        Shape::Closed {
            layout: layout(1, 1, 100),
            window: 32,
        },
    ),
    short(
        "tls-100-single",
        "fanout-100-single without and with TLS",
        &[Variant::Usual, Variant::Tls],
        Shape::Closed {
            layout: layout(1, 1, 100),
            window: 1,
        },
    ),
    short(
        "tls-1000",
        "fanout-1000 without and with TLS",
        &[Variant::Usual, Variant::Tls],
        Shape::Closed {
            layout: layout(1, 1, 1000),
            window: 1,
        },
    ),
    short(
        "idle-tls",
        "memory of 10,000 connections that have joined one of 100 topics, with TLS",
        &[Variant::Usual, Variant::Tls],
        Shape::Idle {
            layout: layout(100, 1, 100),
        },
    ),
    short(
        "idle-sse",
        "memory of 10,000 connections that have joined one of 100 topics, for Server-Sent Events",
        &[Variant::Extended, Variant::Events],
        Shape::Idle {
            layout: layout(100, 1, 100),
        },
    ),
    short(
        "idle-websocket",
        "memory of 10,000 connections that have joined one of 100 topics, over WebSocket",
        &[Variant::Extended, Variant::WebSocket],
        Shape::Idle {
            layout: layout(100, 1, 100),
        },
    ),
    short(
        "stalled-sse",
        "memory of 100 receivers of Server-Sent Events that have stopped reading",
        &[Variant::Extended, Variant::Events],
        Shape::Abandoned { layout: ABANDONED },
    ),
    short(
        "stalled-websocket",
        "memory of 100 receivers over WebSocket that have stopped reading",
        &[Variant::Extended, Variant::WebSocket],
        Shape::Abandoned { layout: ABANDONED },
    ),
    short(
        "publish-ack-1",
        "1 publisher with 1 message unacknowledged",
        &[Variant::Usual, Variant::Disk],
        Shape::Acks(Load::new(1, 1)),
    ),
    usual(
        "publish-ack-64",
        "64 publishers, each with a topic of its own and 1 message unacknowledged, in memory",
        Shape::Acks(Load::new(64, 1)),
    ),
    usual(
        "publish-ack-64x16",
        "64 publishers, each with a topic of its own and 16 messages unacknowledged, in memory",
        Shape::Acks(Load::new(64, 16)),
    ),
    sustained(
        "publish-ack-64-sustained",
        "publish-ack-64 on disk, by default 60 s after 30 s: a short run ends before a merge",
        Load::new(64, 1),
    ),
    sustained(
        "publish-ack-64x16-sustained",
        "publish-ack-64x16 on disk, by default 60 s after 30 s: a short run ends before a merge",
        Load::new(64, 16),
    ),
    Workload {
        is_ours_alone: true,
        length: volume(20_000_000_000, STORED_TEXT as u64),
        longest_pause: Some(LONGEST_PAUSE),
        ..short(
            "store-20gb",
            "by default 20 GB in texts of 60,000 bytes, from 1 publisher with 20 topics and 64 \
             messages unacknowledged",
            &[Variant::Disk],
            Shape::Acks(Load {
                topics: 20,
                text: Some(STORED_TEXT),
                ..Load::new(1, 64)
            }),
        )
    },
    Workload {
        length: count(1_000_000),
        ..usual(
            "history-topics",
            "memory of 50,000 joined topics with 20 messages each, kept in memory",
            Shape::Acks(Load {
                topics: 1000,
                ..Load::new(50, 64)
            }),
        )
    },
    usual(
        "replay-memory",
        "1 reader reads back the 200,000 messages of a topic, kept in memory",
        Shape::Replay { messages: 200_000 },
    ),
    short(
        "replay-disk",
        "1 reader reads back the 1,000,000 messages of a topic, kept on disk",
        &[Variant::Disk],
        Shape::Replay {
            messages: 1_000_000,
        },
    ),
];
