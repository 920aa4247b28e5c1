//! `/metrics`: everything that is counted, as OpenMetrics text, which Prometheus reads. No
//! label is a topic, a user or an address: there may be any number of those.

mod clustered;

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use wire::ErrorCode;

use crate::metrics::{BOUNDS, ByCode, Count, Sums, Time};
use crate::process::Process;
use crate::state::ServerState;
use crate::version;

/// What the text is.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Counts under one name, told apart by a label if there are several.
struct Family {
    /// Without the `_total` that the format adds.
    name: &'static str,
    help: &'static str,
    label: &'static str,
    counts: &'static [(Count, &'static str)],
}

const fn one(
    name: &'static str,
    help: &'static str,
    count: &'static [(Count, &'static str)],
) -> Family {
    Family {
        name,
        help,
        label: "",
        counts: count,
    }
}

const COUNTERS: &[Family] = &[
    one(
        "natter_connections_accepted",
        "Connections that were accepted",
        &[(Count::Accepted, "")],
    ),
    Family {
        name: "natter_connections_refused",
        help: "Connections for which there was no place",
        label: "reason",
        counts: &[
            (Count::RefusedServerFull, "server-full"),
            (Count::RefusedAddressFull, "address-full"),
        ],
    },
    one(
        "natter_messages_received",
        "Messages that were published",
        &[(Count::ReceivedMessages, "")],
    ),
    one(
        "natter_messages_delivered",
        "Messages that were handed to receivers, counted for each receiver",
        &[(Count::DeliveredMessages, "")],
    ),
    one(
        "natter_received_bytes",
        "Bytes that clients sent, without encryption",
        &[(Count::ReceivedBytes, "")],
    ),
    one(
        "natter_sent_bytes",
        "Bytes that were sent to clients, without encryption",
        &[(Count::SentBytes, "")],
    ),
    one(
        "natter_acknowledgements",
        "Messages that were acknowledged",
        &[(Count::Acknowledgements, "")],
    ),
    one(
        "natter_not_stored",
        "Messages that could not be stored",
        &[(Count::NotStored, "")],
    ),
    one(
        "natter_gaps",
        "Times that a receiver was told that messages can't be had any more",
        &[(Count::Gaps, "")],
    ),
    one(
        "natter_slow_readers_closed",
        "Connections that were closed because too much waited for them",
        &[(Count::SlowReaders, "")],
    ),
    one(
        "natter_store_failures",
        "Times that the database of the history failed and was opened again",
        &[(Count::StoreFailures, "")],
    ),
    Family {
        name: "natter_tls_handshakes",
        help: "TLS handshakes that came to an end",
        label: "result",
        counts: &[
            (Count::HandshakesDone, "done"),
            (Count::HandshakesFailed, "failed"),
        ],
    },
    Family {
        name: "natter_rate_limited",
        help: "Times that a limit of an account or an address was reached",
        label: "limit",
        counts: &[
            (Count::LimitedMessages, "messages"),
            (Count::LimitedBytes, "bytes"),
            (Count::LimitedConnections, "connections"),
            (Count::LimitedNewTopics, "new-topics"),
        ],
    },
];

const CODES: &[(&str, &str, &str, ByCode)] = &[
    (
        "natter_errors",
        "Errors that clients were told",
        "code",
        ByCode::Errors,
    ),
    (
        "natter_auth_failures",
        "Logins that failed",
        "reason",
        ByCode::AuthFailures,
    ),
];

const TIMES: &[(&str, &str, Time)] = &[
    (
        "natter_publish_seconds",
        "Time from a message in its topic's queue to its acknowledgement",
        Time::Publish,
    ),
    (
        "natter_store_flush_seconds",
        "Time of a flush of the history to disk",
        Time::Flush,
    ),
];

/// The protocols of connections, and whether they are within TLS.
const CONNECTIONS: &[(Count, &str, &str)] = &[
    (Count::Tcp, "tcp", "0"),
    (Count::TcpOverTls, "tcp", "1"),
    (Count::Http, "http", "0"),
    (Count::HttpOverTls, "http", "1"),
    (Count::Streams, "stream", "0"),
    (Count::StreamsOverTls, "stream", "1"),
    (Count::WebSockets, "websocket", "0"),
    (Count::WebSocketsOverTls, "websocket", "1"),
];

/// The metrics of a server, as text.
pub(crate) fn exposition(state: &Arc<ServerState>) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Exposition(state.clone())));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

/// Reads the metrics when they are asked for.
struct Exposition(Arc<ServerState>);

impl fmt::Debug for Exposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exposition")
    }
}

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let sums = Sums::read();
        encode_build(&mut encoder)?;
        for family in COUNTERS {
            encode_family(&mut encoder, family, &sums)?;
        }
        for (name, help, label, by) in CODES {
            encode_codes(&mut encoder, (name, help, label), &sums, *by)?;
        }
        for (name, help, time) in TIMES {
            encode_times(&mut encoder, (name, help), &sums, *time)?;
        }
        encode_connections(&mut encoder, &sums)?;
        for (name, help, value) in gauges(&self.0, &sums) {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            metric.encode_gauge(&value)?;
        }
        if let Some(part) = self.0.cluster() {
            clustered::encode(&mut encoder, part, &sums)?;
        }
        encode_process(&mut encoder)
    }
}

fn encode_build(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "The version that runs, and the commit from which it was built";
    let mut metric = encoder.encode_descriptor("natter_build", help, None, MetricType::Info)?;
    metric.encode_info(&[("version", version::VERSION), ("commit", version::COMMIT)])
}

fn encode_family(encoder: &mut DescriptorEncoder<'_>, family: &Family, sums: &Sums) -> fmt::Result {
    let (name, help) = (family.name, family.help);
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (count, value) in family.counts {
        let number = sums.of(*count);
        match family.label {
            "" => metric.encode_counter::<NoLabelSet, _, f64>(&number, None)?,
            label => metric
                .encode_family(&[(label, *value)])?
                .encode_counter::<NoLabelSet, _, f64>(&number, None)?,
        }
    }
    Ok(())
}

/// All codes, also those that haven't occurred: a rule can't watch what isn't there.
fn encode_codes(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help, label): (&str, &str, &str),
    sums: &Sums,
    by: ByCode,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for code in ErrorCode::ALL {
        let number = sums.with_code(by, *code);
        if by == ByCode::Errors || number > 0 {
            metric
                .encode_family(&[(label, code.as_str())])?
                .encode_counter::<NoLabelSet, _, f64>(&number, None)?;
        }
    }
    Ok(())
}

fn encode_times(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    sums: &Sums,
    time: Time,
) -> fmt::Result {
    let times = sums.times(time);
    let bounds = BOUNDS.iter().map(|&micros| micros as f64 / 1e6);
    let bounds = bounds.chain([f64::INFINITY]);
    let buckets: Vec<_> = bounds.zip(times.buckets.iter().copied()).collect();
    let count = times.buckets.iter().sum();
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    metric.encode_histogram::<NoLabelSet>(times.sum.as_secs_f64(), count, &buckets, None)
}

fn encode_connections(encoder: &mut DescriptorEncoder<'_>, sums: &Sums) -> fmt::Result {
    let (name, help) = ("natter_connections", "Connections that there are");
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (count, protocol, tls) in CONNECTIONS {
        metric
            .encode_family(&[("protocol", *protocol), ("tls", *tls)])?
            .encode_gauge(&sums.level(*count))?;
    }
    Ok(())
}

/// What waits at this moment.
fn waiting(state: &ServerState) -> [(&'static str, &'static str, u64); 3] {
    let (queues, registry) = (state.queue_limits(), state.registry());
    [
        (
            "natter_outbox_bytes",
            "Bytes that wait for connections",
            queues.outboxes() as u64,
        ),
        (
            "natter_mailbox_bytes",
            "Bytes that wait for topics",
            queues.mailboxes() as u64,
        ),
        (
            "natter_publishers_waiting",
            "Connections that are read no further until a topic has room",
            (registry.publishers_waiting() + queues.readers_waiting()) as u64,
        ),
    ]
}

/// What is as it is at this moment.
fn gauges(state: &ServerState, sums: &Sums) -> Vec<(&'static str, &'static str, u64)> {
    let registry = state.registry();
    let mut gauges = vec![
        (
            "natter_topics",
            "Topics that are in memory",
            registry.count() as u64,
        ),
        (
            "natter_members",
            "Registrations: each connection once for each of its topics",
            sums.level(Count::Members),
        ),
        (
            "natter_readers_behind",
            "Registrations that get messages from the history, because they are behind",
            sums.level(Count::ReadersBehind),
        ),
        (
            "natter_ids",
            "Ids of messages that are remembered, so that none is delivered twice",
            sums.level(Count::Ids),
        ),
        (
            "natter_history_memory_bytes",
            "Bytes of messages and ids that are kept in memory",
            registry.kept_bytes() as u64,
        ),
        (
            "natter_draining",
            "Whether the server is ending",
            u64::from(!state.readiness().ready),
        ),
    ];
    gauges.extend(waiting(state));
    if let Some(bytes) = state.store().and_then(crate::store::Store::space) {
        gauges.push(("natter_store_bytes", "Bytes of the history on disk", bytes));
    }
    if let Some(end) = state.tls().map(|tls| tls.expiry()) {
        gauges.push((
            "natter_tls_certificate_expiry_seconds",
            "When the certificate ends, in seconds since 1970",
            end,
        ));
    }
    gauges
}

fn encode_process(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let Some(process) = Process::read() else {
        return Ok(());
    };
    let (name, help) = ("process_cpu_seconds", "Processor time, of all threads");
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    metric.encode_counter::<NoLabelSet, _, f64>(&process.cpu_seconds, None)?;
    for (name, help, value) in [
        (
            "process_resident_memory_bytes",
            "Memory that is not swapped out",
            process.resident_bytes,
        ),
        (
            "process_open_fds",
            "Open descriptors",
            process.open_descriptors,
        ),
        (
            "process_start_time_seconds",
            "When it started, in seconds since 1970",
            process.started,
        ),
    ] {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        metric.encode_gauge(&value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_count_has_a_name() {
        let source = include_str!("metrics.rs");
        let (_, source) = source.split_once("pub(crate) enum Count {").unwrap();
        let (source, _) = source.split_once("\n}\n").unwrap();
        let own = [
            include_str!("exposition.rs"),
            include_str!("exposition/clustered.rs"),
        ];
        let own = own.concat();
        let names = source.lines().map(|line| line.trim().trim_end_matches(','));
        let names = names.filter(|name| name.starts_with(|c: char| c.is_ascii_uppercase()));
        let mut known = 0;
        for name in names {
            assert!(own.contains(&format!("Count::{name}")), "{name}");
            known += 1;
        }
        assert!(known > 20);
    }
}
