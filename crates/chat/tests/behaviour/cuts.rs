//! Connections that are cut at random places while pipes run through them.

use std::io::Write as _;
use std::thread;

use topicserver::Config;

use crate::process::{Process, file_of_lines};
use crate::proxy::{Proxy, Random};
use crate::server::start_server_with;

const LINES: usize = 3_000;
/// Connections of each side that are cut. The pauses between them grow.
const CUTS: usize = 4;
/// Runs at the same time, each with other cuts.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=8;

/// A server and the ways to it, on which connections are cut.
struct Network {
    seed: u64,
    proxies: [Proxy; 2],
}

impl Network {
    fn new(seed: u64) -> Self {
        // What happens while a reader is away is more than a server keeps by
        // default.
        let server = start_server_with(&Config {
            history_messages: 100_000,
            history_bytes: 64 << 20,
            ..Config::default()
        });
        let proxy = |number| Proxy::new(&server, CUTS, Random::new(2 * seed + number));
        Self {
            seed,
            proxies: [proxy(0), proxy(1)],
        }
    }

    fn address(&self, side: usize) -> &str {
        &self.proxies[side].address
    }

    /// Every line is shown, once and in order.
    fn check_lines(&self, chat: &mut Process) {
        for number in 0..LINES {
            let line = chat.line();
            let expected = format!("t:{number} é");
            let seed = self.seed;
            assert!(
                line.starts_with(&expected),
                "seed {seed}, {expected}: {line}"
            );
        }
    }

    /// Everybody ends well, has nothing more to show and knows of no loss.
    fn check_end(&self, chats: [&mut Process; 2]) {
        let seed = self.seed;
        for (chat, proxy) in chats.into_iter().zip(&self.proxies) {
            assert_eq!(chat.exit_code(), 0, "seed {seed}: {:#?}", chat.notices());
            assert_eq!(chat.rest(), [""; 0], "seed {seed}");
            assert_eq!(proxy.cuts(), CUTS, "seed {seed}");
            let is_loss =
                |line: &String| line.contains("recovered") || line.contains("can't be had");
            assert_eq!(chat.notices().into_iter().find(is_loss), None);
        }
    }
}

fn with_each_seed(run: impl Fn(&Network) + Sync) {
    thread::scope(|scope| {
        for seed in SEEDS {
            let run = &run;
            scope.spawn(move || run(&Network::new(seed)));
        }
    });
}

#[test]
fn every_line_of_a_pipe_arrives_once_and_in_order() {
    with_each_seed(|network| {
        let mut reader = Process::chat(&["-topic", network.address(0), "t"]);
        reader.notice("joined t at");
        let file = file_of_lines(LINES, 200);
        let mut writer = Process::reading(file, &["-topic", network.address(1), "t"]);
        network.check_lines(&mut reader);
        reader.ends_input();
        network.check_end([&mut reader, &mut writer]);
    });
}

#[test]
fn two_pipes_that_run_against_each_other_lose_and_double_nothing() {
    with_each_seed(|network| {
        let mut chats = [0, 1].map(|side| {
            let mut chat = Process::chat(&["-topic", network.address(side), "t"]);
            chat.notice("joined t at");
            chat
        });
        let filler = "é".repeat(50);
        let inputs = chats.each_mut().map(|chat| {
            let mut input = chat.take_input();
            let filler = filler.clone();
            thread::spawn(move || {
                for number in 0..LINES {
                    writeln!(input, "{number} {filler}").unwrap();
                }
                input
            })
        });
        for chat in &mut chats {
            network.check_lines(chat);
        }
        for input in inputs {
            drop(input.join().unwrap());
        }
        let [one, other] = &mut chats;
        network.check_end([one, other]);
    });
}
