//! What this program does when its server reads everything again.

use std::ffi::OsString;

use topicserver::{Config, Gathered, Options, OptionsError, Program};

use crate::{logging, systemd};

/// The program around the server.
pub(crate) struct Around {
    arguments: Vec<OsString>,
    log: logging::Level,
    config: fn(&Options) -> Config,
}

impl Around {
    /// Started with these arguments, with this log; `config` knows the machine.
    pub(crate) fn new(
        arguments: Vec<OsString>,
        log: logging::Level,
        config: fn(&Options) -> Config,
    ) -> Self {
        Self {
            arguments,
            log,
            config,
        }
    }
}

impl Program for Around {
    fn read_options(&self) -> Result<Gathered, OptionsError> {
        Options::gather(self.arguments.iter().cloned(), std::env::vars_os())
    }

    fn config(&self, options: &Options) -> Config {
        (self.config)(options)
    }

    fn reloading(&self) {
        systemd::say_reloading();
    }

    fn reloaded(&self, options: Option<&Options>) {
        if let Some(options) = options {
            self.log.set(options.log);
        }
        systemd::say_ready();
    }
}
