//! The program `chat`: arguments, runtime, interrupt, exit code; nothing else.
//!
//! Only this file reads the environment and ends the process.

use std::process::ExitCode;

use anyhow::Context as _;
use chat::Exit;
use chat::cli::Config;

/// A failure that one line on standard error explains.
const FAILED: u8 = 1;
/// What a shell reports of a program that an interrupt ended: 128 + SIGINT.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let config = match chat::cli::parse(std::env::args_os()) {
        Ok(config) => config,
        Err(answer) => {
            // Help goes to standard output, and nobody reading it is no error.
            let _ = answer.print();
            return ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(FAILED));
        }
    };
    match run(config) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("chat: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

/// Runs until the conversation or an interrupt ends it.
fn run(config: Config) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("can't start: no event loop could be had")?;
    let code = runtime.block_on(async {
        tokio::select! {
            // First, so that the signal is caught before anything is said.
            biased;
            signal = tokio::signal::ctrl_c() => {
                signal.map(|()| INTERRUPTED).context("can't catch interrupts")
            }
            exit = chat::run(config) => {
                exit.map(|exit| match exit {
                    Exit::Done => 0,
                    Exit::Failed => FAILED,
                }).context("can't start: no thread could be had")
            }
        }
    });
    // A name that is still being looked up mustn't hold up the exit.
    runtime.shutdown_background();
    code
}
