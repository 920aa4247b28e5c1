//! The commands that speak to a running server's admin listener: `topicserver drain`, `reload`
//! and `top`.

use std::ffi::OsString;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand};

use crate::admin_client::{ExchangeError, ask};
use crate::config::AdminAddress;

/// Time between two looks of `top`.
const INTERVAL: Duration = Duration::from_secs(1);

/// Topics that `top` shows: they fit on a screen.
const SHOWN_TOPICS: usize = 15;

/// Administer a topicserver that is started with --admin.
#[derive(Debug, Parser)]
#[command(name = "topicserver", version)]
pub struct Administer {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Target {
    /// Where the server was told to listen for administrators, as in 127.0.0.1:20001 or unix:PATH
    #[arg(value_name = "ADDRESS")]
    admin: AdminAddress,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// End the server: it lets everyone have what is queued for them, and closes their connections
    Drain {
        #[command(flatten)]
        target: Target,
    },
    /// Have the server read its options, its accounts and its certificate again, and print what has
    /// changed
    Reload {
        #[command(flatten)]
        target: Target,
    },
    /// Show what the server does, once a second
    Top {
        #[command(flatten)]
        target: Target,

        /// End after so many looks
        #[arg(long, value_name = "COUNT")]
        count: Option<u64>,
    },
}

/// Why a command had no success.
#[derive(Debug, thiserror::Error)]
pub enum AdministerError {
    /// The server doesn't answer as it should.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// The result can't be printed.
    #[error("can't print the result: {0}")]
    Output(io::Error),
}

impl Administer {
    /// Whether a command line is one of these commands: its first argument says so.
    pub fn is_meant(arguments: &[OsString]) -> bool {
        const COMMANDS: [&str; 3] = ["drain", "reload", "top"];
        let first = arguments.get(1).and_then(|first| first.to_str());
        first.is_some_and(|first| COMMANDS.contains(&first))
    }

    /// Does what is asked, and prints what comes of it.
    pub fn run(self, output: impl Write) -> Result<(), AdministerError> {
        match self.command {
            Command::Drain { target } => post(&target.admin, "/-/drain", output),
            Command::Reload { target } => post(&target.admin, "/-/reload", output),
            Command::Top { target, count } => top(&target.admin, count, output),
        }
    }
}

fn post(address: &AdminAddress, path: &str, mut output: impl Write) -> Result<(), AdministerError> {
    let text = ask(address, "POST", path)?;
    output
        .write_all(text.as_bytes())
        .map_err(AdministerError::Output)
}

/// Prints until there have been `count` looks, or nobody reads any more.
fn top(
    address: &AdminAddress,
    count: Option<u64>,
    mut output: impl Write,
) -> Result<(), AdministerError> {
    let mut before = None;
    let mut looks = 0;
    while count.is_none_or(|count| looks < count) {
        if looks > 0 {
            #[expect(
                clippy::disallowed_methods,
                reason = "the command runs in a thread of its own, without a runtime"
            )]
            std::thread::sleep(INTERVAL);
        }
        looks += 1;
        let now = Instant::now();
        let stats = ask(address, "GET", "/-/stats")?;
        let stats: Stats =
            serde_json::from_str(&stats).map_err(|_| ExchangeError::Nonsense(address.clone()))?;
        let text = stats.show(before.as_ref().map(|(time, stats)| (now - *time, stats)));
        match output
            .write_all(text.as_bytes())
            .and_then(|()| output.flush())
        {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            result => result.map_err(AdministerError::Output)?,
        }
        before = Some((now, stats));
    }
    Ok(())
}

/// What `/-/stats` says, as far as it is shown.
#[derive(Debug, serde::Deserialize)]
struct Stats {
    uptime: u64,
    connections: u64,
    members: u64,
    received_messages: u64,
    delivered_messages: u64,
    sent_bytes: u64,
    outbox_bytes: u64,
    topics: u64,
    busiest: Vec<Busy>,
}

#[derive(Debug, serde::Deserialize)]
struct Busy {
    topic: String,
    members: u64,
    seq: u64,
}

impl Stats {
    /// A line for the server, and one for each of its busiest topics.
    fn show(&self, before: Option<(Duration, &Self)>) -> String {
        let rate = |number: fn(&Self) -> u64| {
            let (time, before) = before?;
            let more = number(self).saturating_sub(number(before));
            Some(more as f64 / time.as_secs_f64().max(0.001))
        };
        let shown = |number: fn(&Self) -> u64| {
            rate(number).map_or_else(|| "-".to_owned(), |rate| format!("{rate:.0}"))
        };
        let mut text = format!(
            "up {} s  connections {}  registrations {}  topics {}  received {}/s  delivered {}/s  \
             sent {} B/s  queued {} B\n",
            self.uptime,
            self.connections,
            self.members,
            self.topics,
            shown(|stats| stats.received_messages),
            shown(|stats| stats.delivered_messages),
            shown(|stats| stats.sent_bytes),
            self.outbox_bytes,
        );
        for Busy {
            topic,
            members,
            seq,
        } in self.busiest.iter().take(SHOWN_TOPICS)
        {
            // A name may hold whatever its maker wrote, and this goes to a terminal.
            let topic = topic.escape_debug();
            text += &format!("  {members:>7} members  {seq:>12} messages  {topic}\n");
        }
        text
    }
}
