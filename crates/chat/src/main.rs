//! The program `chat`: arguments, runtime, signals, exit code; nothing else.
//!
//! Only this file reads the environment and ends the process.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use chat::cli::Config;
use chat::{Environment, Exit};

/// Something failed, and one line on standard error has said what.
const FAILED: u8 = 1;
/// No message came within `--timeout`.
const SILENT: u8 = 3;
/// Interrupted: 128 + SIGINT, as shells report it.
const INTERRUPTED: u8 = 130;
/// Ended by SIGTERM, as shells report it.
#[cfg(unix)]
const TERMINATED: u8 = 143;
/// Ended by SIGHUP, as shells report it.
#[cfg(unix)]
const HUNG_UP: u8 = 129;

fn main() -> ExitCode {
    let environment = read_environment();
    let config = match chat::cli::parse(std::env::args_os(), &environment) {
        Ok(config) => config,
        Err(answer) => {
            // Help goes to standard output, and a reader that has gone away is no error.
            let _ = answer.print();
            return ExitCode::from(answer.exit_code());
        }
    };
    match run(config, environment) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("chat: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

/// Reads the environment.
fn read_environment() -> Environment {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where the environment is read"
    )]
    let text = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
    let path = |name| {
        text(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let state = path("XDG_STATE_HOME").or_else(|| Some(path("HOME")?.join(".local/state")));
    Environment {
        login: text("USER")
            .or_else(|| text("LOGNAME"))
            .or_else(|| text("USERNAME"))
            .or_else(chat::login_name),
        no_color: text("NO_COLOR").is_some(),
        term: text("TERM"),
        is_vte: text("VTE_VERSION").is_some(),
        state,
        config: path("XDG_CONFIG_HOME").or_else(|| Some(path("HOME")?.join(".config"))),
    }
}

/// Runs until the conversation or a signal ends it.
fn run(config: Config, environment: Environment) -> anyhow::Result<u8> {
    // In a pipe these signals end the program as they end any other.
    let is_interactive = chat::is_interactive(&config.options, &environment);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("can't start the event loop")?;
    let code = runtime.block_on(async {
        tokio::select! {
            // The signals come first, so that they are caught before anything is printed.
            biased;
            signal = tokio::signal::ctrl_c() => {
                signal.map(|()| INTERRUPTED).context("can't catch interrupts")
            }
            code = signalled(), if is_interactive => code.context("can't catch signals"),
            exit = chat::run(config, environment) => {
                exit.map(|exit| match exit {
                    Exit::Done => 0,
                    Exit::Failed => FAILED,
                    Exit::Silent => SILENT,
                }).context("can't start a thread")
            }
        }
    });
    // A name that is still being looked up mustn't hold up the exit.
    runtime.shutdown_background();
    code
}

/// Waits for a signal after which the terminal must be restored. Returns the exit code.
#[cfg(unix)]
async fn signalled() -> std::io::Result<u8> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(tokio::select! {
        _ = terminate.recv() => TERMINATED,
        _ = hang_up.recv() => HUNG_UP,
    })
}

/// There are no such signals on this system.
#[cfg(not(unix))]
async fn signalled() -> std::io::Result<u8> {
    std::future::pending().await
}
