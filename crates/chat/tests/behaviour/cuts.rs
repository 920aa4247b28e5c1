//! Connections that are cut at random places while a pipe runs through them.

use std::thread;

use topicserver::Config;

use crate::process::{Process, file_of_lines};
use crate::proxy::{Proxy, Random};
use crate::server::start_server_with;

const LINES: usize = 3_000;
/// Connections of each side that are cut. The pauses between them grow.
const CUTS: usize = 4;

#[test]
fn every_line_of_a_pipe_arrives_once_and_in_order() {
    thread::scope(|scope| {
        for seed in 1..=6 {
            scope.spawn(move || run_a_pipe(seed));
        }
    });
}

fn run_a_pipe(seed: u64) {
    // What happens while a reader is away is more than a server keeps by default.
    let server = start_server_with(&Config {
        history_messages: 100_000,
        history_bytes: 64 << 20,
        ..Config::default()
    });
    let to_reader = Proxy::new(&server, CUTS, Random::new(seed));
    let to_writer = Proxy::new(&server, CUTS, Random::new(seed + 1_000));
    let mut reader = Process::chat(&["-topic", &to_reader.address, "t"]);
    reader.notice("joined t at");
    let file = file_of_lines(LINES, 200);
    let mut writer = Process::reading(file, &["-topic", &to_writer.address, "t"]);
    for number in 0..LINES {
        let line = reader.line();
        let expected = format!("t:{number} é");
        assert!(
            line.starts_with(&expected),
            "seed {seed}, {expected}: {line}"
        );
    }
    assert_eq!(
        writer.exit_code(),
        0,
        "seed {seed}: {:#?}",
        writer.notices()
    );
    assert_eq!(reader.finishes(), 0, "seed {seed}");
    assert_eq!(reader.rest(), [""; 0], "seed {seed}");
    assert_eq!(writer.rest(), [""; 0], "seed {seed}");
    assert_eq!(
        (to_reader.cuts(), to_writer.cuts()),
        (CUTS, CUTS),
        "seed {seed}"
    );
    let notices = [reader.notices(), writer.notices()].concat();
    let is_loss = |line: &&String| line.contains("recovered") || line.contains("can't be had");
    assert_eq!(notices.iter().find(is_loss), None, "seed {seed}");
}
