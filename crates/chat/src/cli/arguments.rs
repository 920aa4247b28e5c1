//! The options and their help, as they are typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use wire::{Limits, UserName};

use super::config::{Notifying, When};

const USAGE: &str = "chat [OPTIONS] -direct PORT
       chat [OPTIONS] -direct 0 ADDRESS:PORT
       chat [OPTIONS] -direct 0 NAME@ADDRESS:PORT
       chat [OPTIONS] -topic ADDRESS:PORT TOPIC...
       chat -find
       chat -forget ADDRESS:PORT";

const DETAILS: &str = "\
Each line you type is one message. Messages that arrive are printed as TOPIC:TEXT.
Notices go to standard error. The chat ends at the end of the input (Ctrl-D, or the
end of a pipe). A terminal is taken for the whole screen (--plain doesn't): type /help
there. In a pipe with several topics, lines go to the first one.
A long option may be written with one dash or with two.

The address of a topic server may be written tls://ADDRESS:PORT, so that TLS is
spoken, or tls://ADDRESS:PORT#sha256:FINGERPRINT, with the fingerprint of its key;
tcp://ADDRESS:PORT is plain text. ADDRESS:PORT alone is plain text with a server that
was never spoken to over TLS and doesn't require it. unix:PATH is the UNIX socket of a
server on this machine. Direct calls are plain text.

A server that is one of several may have several addresses, separated by commas. chat
begins with one of them at random, and goes on at the next when it loses a server.

Examples:
  chat -direct 10000                         wait for a call
  chat -direct 0 127.0.0.1:10000             call that address
  chat -direct 0 alice@127.0.0.1:20000       call alice, whom that server knows
  chat -topic 127.0.0.1:20000 lame-conversation
  chat -topic 127.0.0.1:20000 lab lunch      two topics at once
  tail -f log | chat -topic [::1]:20000 log  send lines as they come
  chat -topic 127.0.0.1:20000 lab -name alice -last 20
  chat -topic lab.example:20000 -- -dash     a topic that begins with a dash
  chat -topic tls://lab.example:20000 lab    over TLS
  chat -topic a.example:20000,b.example:20000 lab     two servers of one service
  chat -find                                 list the servers on this network

Exit codes: 0 done, 1 failed (standard error says why), 2 wrong usage, 3 nothing
came within --timeout, 130 interrupted; on a terminal also 143 terminated, 129 hung
up.";

/// What was typed.
#[derive(Debug, Parser)]
#[command(
    name = "chat",
    version,
    about = "Talk directly with one person, or by topic with any number",
    long_about = None,
    override_usage = USAGE,
    after_help = DETAILS
)]
pub(super) struct Typed {
    /// Talk directly: wait for a caller on PORT, or with 0 call ADDRESS:PORT
    #[arg(long)]
    pub(super) direct: bool,
    /// Talk by topic: ADDRESS:PORT is where topicserver runs; tls:// before it speaks TLS
    ///
    /// Several addresses of one service are separated by commas, each with its own tls:// and
    /// fingerprint.
    #[arg(long)]
    pub(super) topic: bool,
    /// Go on receiving when the input has ended
    ///
    /// By default the chat ends with the input, so that `echo hello | chat ...` ends.
    #[arg(long)]
    pub(super) stay: bool,
    /// By topic: end with exit code 1 when the connection is lost
    ///
    /// By default chat reconnects until it succeeds.
    #[arg(long)]
    pub(super) no_reconnect: bool,
    /// Wait for a server or peer that isn't there yet
    ///
    /// By default chat ends with exit code 1 if the first connection can't be made, because
    /// an address is wrong more often than a server is late.
    #[arg(long, conflicts_with = "no_reconnect")]
    pub(super) wait: bool,
    /// By topic: the name by which others know you
    ///
    /// 1 to 64 characters. Only one person at a time can have a name. The default is
    /// your login name on a terminal and no name in a pipe: a name is optional.
    #[arg(long, value_name = "NAME", conflicts_with = "classic")]
    pub(super) name: Option<UserName>,
    /// By topic: begin with the last COUNT messages
    ///
    /// The server sends those that it still has. The default is none, so that the output
    /// of a script doesn't depend on earlier messages.
    #[arg(long, value_name = "COUNT", conflicts_with_all = ["classic", "since"])]
    pub(super) last: Option<u64>,
    /// By topic: begin with the messages of the last TIME, as 90s, 10m, 2h or 1d
    ///
    /// The server sends those that it still has. The default is none, as with --last.
    #[arg(long, value_name = "TIME", value_parser = super::values::time, conflicts_with = "classic")]
    pub(super) since: Option<Duration>,
    /// Print each message as a JSON object: topic, text, user, time, seq
    ///
    /// One object a line, for programs. Unknown members are left out; time is in
    /// milliseconds since 1970. The default is TOPIC:TEXT, for people.
    #[arg(long)]
    pub(super) json: bool,
    /// End when COUNT messages have arrived
    ///
    /// What was read from the input until then is still delivered. The exit code is 0.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,
    /// End with exit code 3 when no message has arrived for that long
    #[arg(long, value_name = "SECONDS", value_parser = super::values::positive_seconds)]
    pub(super) timeout: Option<Duration>,
    /// Print nothing on standard error but errors
    #[arg(long)]
    pub(super) quiet: bool,
    /// Send all of the input as one message
    ///
    /// A line break at its end is left out. By default each line is a message.
    #[arg(long)]
    pub(super) whole: bool,
    /// By topic: speak only the protocol of the original specification
    ///
    /// Then nothing is acknowledged, and messages that are sent while the connection is
    /// lost are missed. By default chat speaks the extended protocol, and the original
    /// one with a server that doesn't know it.
    #[arg(long)]
    pub(super) classic: bool,
    /// By topic: the longest wait for an acknowledgement when the input has ended
    ///
    /// Each acknowledgement starts the time again. When it is over, chat fails and names
    /// the lines that may not have arrived. 30 seconds are enough to restart a server.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = super::values::positive_seconds)]
    pub(super) ack_timeout: Duration,
    /// The longest that connecting may take
    ///
    /// This includes looking up the name and trying each of its addresses. 10 seconds are
    /// enough on any network. Of several addresses the next one is tried too after 2 seconds.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = super::values::positive_seconds)]
    pub(super) connect_timeout: Duration,
    /// How long the other side has to close when everything is sent
    ///
    /// Messages that arrive until then are printed. A program with nothing more to say
    /// closes at once, so 3 seconds are enough. In direct mode each message that arrives
    /// starts the time again.
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = super::values::seconds)]
    pub(super) drain_timeout: Duration,
    /// By topic, over TLS: trust the authorities in FILE instead of the system's
    ///
    /// FILE has their certificates in PEM. A certificate of theirs must be for the server's
    /// name or address, and its time must not be over.
    #[arg(long, value_name = "FILE")]
    pub(super) tls_ca: Option<PathBuf>,
    /// By topic, over TLS: trust the key of a server that is new, and keep it
    ///
    /// By default chat asks on a terminal, and fails in a pipe. Keys are kept in
    /// natter/known_servers in the configuration directory. A key that has changed is never
    /// accepted.
    #[arg(long)]
    pub(super) accept_new: bool,
    /// By topic: prove who you are by the token in FILE
    ///
    /// It is sent over plain TCP only to this machine; a bare ADDRESS:PORT of another machine
    /// is spoken to over TLS then.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["classic", "user"])]
    pub(super) token_file: Option<PathBuf>,
    /// By topic: prove that you are the account NAME; chat asks for the password
    ///
    /// It asks on the terminal, which doesn't show what you type. In a pipe use --token-file.
    /// What others see is your --name, which is another one if you choose so.
    #[arg(long, value_name = "NAME", conflicts_with = "classic")]
    pub(super) user: Option<String>,
    /// By topic: send a token or a password over plain TCP to other machines, too
    ///
    /// Others on the way can read it, and use it for as long as it is valid.
    #[arg(long)]
    pub(super) insecure_auth: bool,
    /// List the topic servers on this network that announce themselves, and exit
    ///
    /// Those are the ones that were started with --announce. Nobody checks what they say. The
    /// exit code is 1 if there is none.
    #[arg(long, conflicts_with_all = ["direct", "topic", "forget", "rest"])]
    pub(super) find: bool,
    /// How long --find waits for answers
    ///
    /// Answers come within half a second; 1.5 seconds also reach servers that a busy network
    /// has to be asked for twice.
    #[arg(long, value_name = "SECONDS", default_value = "1.5", value_parser = super::values::positive_seconds)]
    pub(super) find_time: Duration,
    /// Forget the key of the topic server at ADDRESS:PORT, and exit
    ///
    /// For a server that has a new key. Find out why it has before you trust it again.
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with_all = ["direct", "topic", "rest"])]
    pub(super) forget: Option<String>,
    /// The longest frame, sent or received
    ///
    /// 64 KiB is what servers allow by default, and more than a person types.
    #[arg(long, value_name = "BYTES", default_value_t = Limits::DEFAULT_MAX_FRAME, value_parser = super::values::frame_size)]
    pub(super) max_frame: usize,
    /// By topic, on a terminal: take direct calls on PORT
    ///
    /// The server announces the port, so that others can call you by name. You decide
    /// about each call with /accept or /decline.
    #[arg(long, value_name = "PORT", conflicts_with = "classic",
        value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) listen: Option<u16>,
    /// On a terminal: behave as in a pipe, one line in, one message out
    ///
    /// This is the mode for screen readers. By default chat takes the whole screen, and
    /// messages have names, times and colours. Without a TERM that can move a cursor, chat
    /// is plain by itself.
    #[arg(long)]
    pub(super) plain: bool,
    /// When to use colours
    ///
    /// A pipe has no colours. auto respects NO_COLOR.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(super) color: When,
    /// On a terminal: don't ring when your name is mentioned
    #[arg(long)]
    pub(super) no_bell: bool,
    /// On a terminal: how to tell the desktop of a mention or a call
    ///
    /// osc9 and osc777 are the two sequences that terminals know; others ignore them. auto
    /// chooses by the terminal.
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub(super) notify: Notifying,
    /// On a terminal: no members and topics at the sides
    ///
    /// By default members are listed from 100 columns on, and topics from 120 on.
    #[arg(long)]
    pub(super) no_sides: bool,
    /// On a terminal: don't name the topic before each message where it is in view
    #[arg(long)]
    pub(super) hide_topic: bool,
    /// On a terminal: take the mouse's wheel to scroll; then Shift selects text
    ///
    /// By default the terminal selects text, and sends the wheel as arrow keys.
    #[arg(long)]
    pub(super) mouse: bool,
    /// On a terminal: don't keep the lines you type for the next run
    ///
    /// By default they are kept in natter/history in the state directory, which only you
    /// can read.
    #[arg(long)]
    pub(super) no_history_file: bool,
    /// Read this configuration file instead of natter/chat.toml in the usual place
    #[arg(long, value_name = "FILE", conflicts_with = "no_config")]
    pub(super) config: Option<PathBuf>,
    /// Read no configuration file
    #[arg(long)]
    pub(super) no_config: bool,
    /// Print the configuration in force as a configuration file, and exit
    ///
    /// A comment after each value says where it comes from.
    #[arg(long)]
    pub(super) print_config: bool,
    /// PORT, or 0 and ADDRESS:PORT, or ADDRESS:PORT and TOPICs.
    #[arg(hide = true)]
    pub(super) rest: Vec<String>,
}
