//! The metrics of a server of a cluster.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use super::{Family, encode_family, encode_times, one};
use crate::cluster::part::Part;
use crate::metrics::{Count, Sums, Time};

const COUNTERS: &[Family] = &[
    one(
        "natter_cluster_holes",
        "Times that a topic was read on in the cluster's log, because its live feed had lost \
         records",
        &[(Count::ClusterHoles, "")],
    ),
    one(
        "natter_cluster_forwarded",
        "Messages that were handed over to another server, which owns their topic",
        &[(Count::ClusterForwarded, "")],
    ),
];

pub(super) fn encode(encoder: &mut DescriptorEncoder<'_>, part: &Part, sums: &Sums) -> fmt::Result {
    for family in COUNTERS {
        encode_family(encoder, family, sums)?;
    }
    let name = "natter_cluster_append_seconds";
    let help = "Time until a record of messages is in the cluster's log";
    encode_times(encoder, (name, help), sums, Time::Append)?;
    for (name, help, value) in [
        (
            "natter_cluster_quorum",
            "Whether the cluster's log can be used",
            u64::from(part.quorum().is_there()),
        ),
        (
            "natter_cluster_owned_topics",
            "Topics to which this server, their owner, has appended lately",
            part.owned_topics() as u64,
        ),
    ] {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        metric.encode_gauge(&value)?;
    }
    Ok(())
}
