//! What a reload changes in NATS.

use std::time::Duration;

use crate::common::{Directory, Process, eventually};
use crate::nats::Nats;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn another_time_to_keep_messages_is_in_force_in_nats_after_a_reload() {
    let Some(nats) = Nats::start(1) else { return };
    let directory = Directory::new();
    let file = directory.path().join("natter.toml");
    let configure = |age: &str| {
        let (urls, monitors) = (nats.urls(), nats.monitors());
        let text = format!(
            "cluster = [\"{urls}\"]\nnats-monitor = [\"{monitors}\"]\ncluster-shards = 3\n\
             keep-age = \"{age}\"\n"
        );
        std::fs::write(&file, text).unwrap();
    };
    let expect = |age: Duration| {
        eventually("the streams to have that age", || {
            let ages = nats.servers[0].max_ages()?;
            let mut records = ages.iter().filter(|(name, _)| name != "NATTER_META");
            let is_there = ages.len() == 4 && records.all(|(_, found)| *found == age);
            // What the servers share isn't forgotten.
            let rest = ages.iter().find(|(name, _)| name == "NATTER_META")?;
            assert_eq!(rest.1, Duration::ZERO);
            is_there.then_some(())
        });
    };
    configure("30d");
    let server = Process::start(&["--config", file.to_str().unwrap()]);
    expect(30 * DAY);
    configure("2d");
    server.signal("HUP");
    server.wait_for("reloaded: keep-age");
    expect(2 * DAY);
    server.wait_for("the cluster keeps messages for 172800 s");
}
