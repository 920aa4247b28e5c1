//! `topicserver PORT`: arguments, log, port, signals, exit code; nothing else.

mod logging;
mod rereading;
mod systemd;

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser as _;
use rereading::Around;
use tokio::runtime::Runtime;
use topicserver::{
    Administer, Config, Ended, Engine, Gathered, LogFormat, LogLevel, Maintain, Manage, Options,
    OptionsError, Server, TlsMode,
};

/// Two parts of each connection are aligned to 128 bytes, which wastes memory with the system's
/// allocator: 1,030 bytes per idle connection instead of 810.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The exit code for wrong options, the same as clap's.
const USAGE: u8 = 2;

/// The first word of `topicserver check-config [FILE] [PORT] [OPTIONS]`.
const CHECK: &str = "check-config";

fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    if Manage::is_meant(&arguments) {
        return manage(Manage::parse_from(arguments));
    }
    if Administer::is_meant(&arguments) {
        return administer(Administer::parse_from(arguments));
    }
    if Maintain::is_meant(&arguments) {
        return maintain(Maintain::parse_from(arguments));
    }
    let is_check = arguments.get(1).is_some_and(|word| word == CHECK);
    if is_check {
        arguments = to_check(arguments);
    }
    let gathered = match Options::gather(arguments.iter().cloned(), std::env::vars_os()) {
        Ok(gathered) => gathered,
        Err(OptionsError::CommandLine(error)) => error.exit(),
        Err(error) => {
            eprintln!("topicserver: {error}");
            return ExitCode::from(USAGE);
        }
    };
    if is_check {
        return check_config(&gathered);
    }
    let options = &gathered.options;
    let log = logging::start(options.log, options.log_format, is_journal());
    match serve(&gathered, Around::new(arguments, log, config)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("topicserver: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a command that changes the policy's file.
fn manage(command: Manage) -> ExitCode {
    match command.run() {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("topicserver: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Speaks to a running server.
fn administer(command: Administer) -> ExitCode {
    match command.run(std::io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("topicserver: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Works on a history.
fn maintain(command: Maintain) -> ExitCode {
    // What a crash has left is repaired when a history is opened, and the log says so.
    logging::start(LogLevel::Warn, LogFormat::Text, is_journal());
    match command.run(std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("topicserver: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Turns the command line of a check into that of a server. The configuration file may come
/// first, without its option.
fn to_check(mut arguments: Vec<OsString>) -> Vec<OsString> {
    arguments.remove(1);
    let is_file = |word: &OsString| {
        let word = word.as_encoded_bytes();
        !word.starts_with(b"-") && !word.iter().all(u8::is_ascii_digit)
    };
    if arguments.get(1).is_some_and(is_file) {
        arguments.insert(1, "--config".into());
    }
    arguments
}

/// Prints the options in force, and the errors that would keep a server from starting.
fn check_config(gathered: &Gathered) -> ExitCode {
    print!("{}", gathered.report());
    let errors = topicserver::check(&config(&gathered.options));
    for error in &errors {
        eprintln!("topicserver: {error}");
    }
    match errors.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Whether standard error goes to the journal of systemd.
fn is_journal() -> bool {
    std::env::var_os("JOURNAL_STREAM").is_some()
}

fn serve(gathered: &Gathered, program: Around) -> anyhow::Result<ExitCode> {
    let options = &gathered.options;
    raise_descriptor_limit(options);
    let runtime = runtime(worker_threads(options)).context("can't start worker threads")?;
    let code = runtime.block_on(run(gathered, program));
    // A second signal ends the process at once.
    runtime.shutdown_background();
    code
}

/// The configuration, from the options and from the machine.
fn config(options: &Options) -> Config {
    let mut config = Config::from(options);
    config.host_name = gethostname::gethostname().into_string().ok();
    config.tls.state_directory = state_directory();
    config
}

/// The directory for generated files: the one that systemd or the user names, or the usual one.
fn state_directory() -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let of_user = || {
        let home = || Some(absolute("HOME")?.join(".local").join("state"));
        Some(absolute("XDG_STATE_HOME").or_else(home)?.join("natter"))
    };
    absolute("STATE_DIRECTORY").or_else(of_user)
}

/// The number of worker threads, if it isn't one for each core.
///
/// One core is left to the thread that writes. With two cores and one worker there are fewer
/// switches between threads: a sixth less processor time for a stored message, a tenth less if it
/// is also delivered to 100 receivers (`topicbench`).
fn worker_threads(options: &Options) -> Option<usize> {
    let fewer = || {
        let cores = std::thread::available_parallelism().ok()?;
        Some(cores.get().saturating_sub(1).max(1))
    };
    let is_written = options.keeps_on_disk();
    options.threads.or_else(|| fewer().filter(|_| is_written))
}

fn runtime(threads: Option<usize>) -> std::io::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(threads);
    }
    builder.enable_all().build()
}

/// Opens the server, and says in the log where it is.
async fn bind(config: Config) -> anyhow::Result<Server> {
    let data = config.data.clone();
    let place = place(&config);
    let inherited = systemd::inherited().context("can't use the sockets of systemd")?;
    let server = match &config.cluster {
        Some(cluster) => {
            let engine = Engine::connect(cluster, config.keep_age).await?;
            Server::bind_in_cluster(config, inherited, engine)?
        }
        None => Server::bind_to(config, inherited)?,
    };
    if let Some(data) = data {
        tracing::info!("keeping messages in {}", data.display());
    }
    if let Some(address) = server.tcp_addr() {
        tracing::info!("listening on {address}");
    }
    if let Some(path) = server.socket_path() {
        tracing::info!("listening on unix:{}", path.display());
    }
    if let Some(address) = server.admin_address() {
        tracing::info!("administrators reach the server at {address}");
    }
    server.log_reach();
    say_fingerprint(&server, &place);
    Ok(server)
}

async fn run(gathered: &Gathered, program: Around) -> anyhow::Result<ExitCode> {
    let config = config(&gathered.options);
    let mut signals = Signals::new().context("can't watch for signals")?;
    // Without files to be read again, it ends a server as it ends other programs; but not a
    // service, which is told to reload by it.
    let has_files =
        gathered.has_file() || config.auth.is_some() || config.tls.mode() != TlsMode::Off;
    if has_files || systemd::is_there() {
        signals.catch_hangup().context("can't watch for signals")?;
    }
    let mut server = bind(config).await?;
    server.follow(Arc::new(program), gathered);
    let reloader = server.reloader();
    let (vitals, drain_asked) = (server.take_vitals(), server.drain_asked());
    let (asked, shutdown) = tokio::sync::oneshot::channel::<()>();
    let serving = server.run(async move {
        // The sender lives until the server has ended.
        let _ = shutdown.await;
    });
    tokio::pin!(serving);
    tokio::pin!(drain_asked);
    let watchdog = vitals.map(|vitals| tokio::spawn(systemd::feed_watchdog(vitals)));
    systemd::say_ready();
    loop {
        tokio::select! {
            _ = &mut serving => return Ok(ExitCode::FAILURE),
            () = &mut drain_asked => {
                tracing::info!("an administrator asks for the end");
                break;
            }
            caught = signals.next() => match caught {
                Caught::End(_) => break,
                Caught::Reload => reloader.reload(),
            },
        }
    }
    // Who is ending answers no more, and isn't stuck.
    if let Some(watchdog) = watchdog {
        watchdog.abort();
    }
    systemd::say_stopping();
    drop(asked);
    tokio::select! {
        ended = serving => Ok(report(ended)),
        number = signals.end() => {
            tracing::warn!("ended at once; what was queued is lost");
            Ok(ExitCode::from(128 + number))
        }
    }
}

/// Says in the log how the server has ended.
fn report(ended: Ended) -> ExitCode {
    match ended {
        Ended::Drained => tracing::info!("ended; everything that was queued has gone out"),
        Ended::CutOff(count) => tracing::warn!("ended; {count} connections were cut off"),
    }
    ExitCode::SUCCESS
}

/// The name under which others can reach the server, as far as it is known here.
fn place(config: &Config) -> String {
    match (config.bind, &config.host_name) {
        (Some(IpAddr::V6(address)), _) => format!("[{address}]"),
        (Some(address), _) => address.to_string(),
        (None, Some(name)) if !name.is_empty() => name.clone(),
        (None, _) => "localhost".to_owned(),
    }
}

/// Prints the fingerprint by which clients know a server with a self-signed certificate.
fn say_fingerprint(server: &Server, place: &str) {
    if let (Some(fingerprint), Some(address)) = (server.fingerprint(), server.tcp_addr()) {
        let port = address.port();
        tracing::info!("fingerprint {fingerprint}");
        tracing::info!("connect with: chat -topic 'tls://{place}:{port}#{fingerprint}' TOPIC");
    }
}

/// Raises the soft limit of descriptors, which only exists for programs that can't handle many.
fn raise_descriptor_limit(options: &Options) {
    let connections = options.max_connections();
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) if limit <= connections as u64 && options.asks_for_connections() => {
            tracing::warn!(
                "up to {connections} connections are allowed, but the system gives this process \
                 {limit} descriptors; raise its hard limit (ulimit -Hn) for more"
            );
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "can't raise the limit of open descriptors"),
    }
}

/// What a signal means.
enum Caught {
    /// End the server; the signal has this number.
    End(u8),
    /// Read the files again.
    Reload,
}

/// The signals that a server handles.
struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    /// Only set if there are files to reload. Otherwise the signal ends the server with its
    /// terminal.
    #[cfg(unix)]
    hangup: Option<tokio::signal::unix::Signal>,
}

impl Signals {
    #[cfg(unix)]
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: None,
        })
    }

    /// Resolves with the number of the next signal that ends the server.
    async fn end(&mut self) -> u8 {
        loop {
            if let Caught::End(number) = self.next().await {
                return number;
            }
        }
    }

    /// From now on SIGHUP reloads files instead of ending the server.
    #[cfg(unix)]
    fn catch_hangup(&mut self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        self.hangup = Some(signal(SignalKind::hangup())?);
        Ok(())
    }

    #[cfg(not(unix))]
    fn catch_hangup(&mut self) -> std::io::Result<()> {
        Ok(())
    }

    /// Resolves with the next signal: one that ends the server, or one that reloads files.
    #[cfg(unix)]
    async fn next(&mut self) -> Caught {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Caught::End(2),
            _ = self.terminate.recv() => Caught::End(15),
            _ = hangup => Caught::Reload,
        }
    }

    #[cfg(not(unix))]
    fn new() -> std::io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    async fn next(&mut self) -> Caught {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Caught::End(2)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn a_core_is_left_to_the_thread_that_writes_unless_somebody_says_otherwise() {
        let threads = |line: &str| {
            let options = Options::try_parse_from(line.split(' ')).unwrap();
            worker_threads(&options)
        };
        let cores = std::thread::available_parallelism().unwrap().get();
        assert_eq!(threads("topicserver 2000"), None);
        assert_eq!(threads("topicserver 2000 --threads 7"), Some(7));
        assert_eq!(threads("topicserver 2000 --data D --threads 7"), Some(7));
        let with_data = threads("topicserver 2000 --data D").unwrap();
        assert!(
            with_data == cores - 1 || (with_data, cores) == (1, 1),
            "{with_data}"
        );
    }
}
