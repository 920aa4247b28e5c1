//! Reads everything again that can change while a server runs: its options, the accounts and the
//! certificate. A mistake anywhere changes nothing anywhere.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::{fmt, io};

use tokio::sync::{mpsc, oneshot};

use crate::access::{Audit, AuthFileError};
use crate::config::{Change, Config, Gathered, InForce, Options, OptionsError};
use crate::policy_watch;
use crate::state::ServerState;
use crate::tls::TlsError;
use crate::tls::acceptor::Acceptor;

/// The program around a server: it knows where the options come from, and has a part in a reload.
pub trait Program: Send + Sync {
    /// Reads the options again, from everywhere.
    ///
    /// # Errors
    /// All mistakes in them.
    fn read_options(&self) -> Result<Gathered, OptionsError>;

    /// The configuration that these options mean on this machine.
    fn config(&self, options: &Options) -> Config;

    /// A reload begins.
    fn reloading(&self);

    /// A reload has ended; `options` are those that were read, if nothing was wrong.
    fn reloaded(&self, options: Option<&Options>);
}

/// What a server follows when it reads everything again.
pub(crate) struct Followed {
    program: Arc<dyn Program>,
    in_force: InForce,
}

impl Followed {
    pub(crate) fn new(program: Arc<dyn Program>, gathered: &Gathered) -> Self {
        let in_force = InForce::new(gathered);
        Self { program, in_force }
    }
}

/// What a reload has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// The options that have another value.
    pub changes: Vec<Change>,
    /// There are other accounts or rules.
    pub has_other_policy: bool,
    /// There is another certificate.
    pub has_other_certificate: bool,
}

/// Why nothing was reloaded.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// Something can't be used as it is.
    #[error("nothing has changed, because of this:\n{}", listed(.0))]
    Mistakes(Vec<ReloadMistake>),
    /// The server is ending.
    #[error("the server is ending")]
    Ending,
}

/// What can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ReloadMistake {
    /// The options.
    #[error("{0}")]
    Options(#[from] OptionsError),
    /// The policy's file.
    #[error("--auth: {0}")]
    Auth(#[from] AuthFileError),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The audit log.
    #[error("--audit-log: {}: {cause}", .path.display())]
    AuditLog {
        /// Its file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

/// What was read again, and isn't in force yet.
struct Looked {
    /// The options, and what they mean, where there is a program that reads them.
    options: Option<(Gathered, Config)>,
    /// The file of the audit log, which somebody may have renamed.
    audit: Option<File>,
    /// What accepts TLS, if its options have changed; `None` in it for nothing.
    tls: Option<Option<Arc<Acceptor>>>,
}

fn listed(mistakes: &[ReloadMistake]) -> String {
    let lines: Vec<_> = mistakes.iter().map(ReloadMistake::to_string).collect();
    lines.join("\n")
}

impl Reloaded {
    /// A line for each thing that has changed.
    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.changes.iter().map(Change::to_string).collect();
        if self.has_other_policy {
            lines.push("the accounts and rules have changed".to_owned());
        }
        if self.has_other_certificate {
            lines.push("new connections get another certificate".to_owned());
        }
        lines
    }

    fn log(&self) {
        for change in &self.changes {
            match change.needs_restart {
                true => tracing::warn!("not reloaded: {change}"),
                false => tracing::info!("reloaded: {change}"),
            }
        }
        if self.lines().is_empty() {
            tracing::info!("reloaded: nothing has changed");
        }
    }
}

impl fmt::Display for Reloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lines() {
            lines if lines.is_empty() => f.write_str("nothing has changed"),
            lines => f.write_str(&lines.join("\n")),
        }
    }
}

/// Somebody wants a reload, and may wait for its result.
type Request = Option<oneshot::Sender<Result<Reloaded, ReloadError>>>;

/// Where a server gets its requests.
pub(crate) type Requests = mpsc::Receiver<Request>;

/// Has a server read everything again while it runs.
#[derive(Clone, Debug)]
pub struct Reloader(mpsc::Sender<Request>);

impl Reloader {
    pub(crate) fn new() -> (Self, Requests) {
        // One that waits reads whatever has changed until then, so another one needn't.
        let (requests, received) = mpsc::channel(1);
        (Self(requests), received)
    }

    /// Reads everything again, soon. The log says what came of it.
    pub fn reload(&self) {
        let _ = self.0.try_send(None);
    }

    /// Reads everything again, and resolves when what is new is in force.
    ///
    /// # Errors
    /// What is wrong with it; then nothing has changed.
    pub async fn reload_now(&self) -> Result<Reloaded, ReloadError> {
        let (done, result) = oneshot::channel();
        let asked = self.0.send(Some(done)).await;
        asked.map_err(|_| ReloadError::Ending)?;
        result.await.unwrap_or(Err(ReloadError::Ending))
    }
}

/// Carries out requests; never ends.
pub(crate) async fn run(
    state: &Arc<ServerState>,
    mut requests: Requests,
    mut followed: Option<Followed>,
) {
    while let Some(request) = requests.recv().await {
        let result = reload(state, followed.as_mut()).await;
        match &result {
            Ok(reloaded) => reloaded.log(),
            Err(error) => log_mistakes(error),
        }
        if let Some(done) = request {
            // Whoever asked may have gone.
            let _ = done.send(result);
        }
    }
    std::future::pending::<()>().await;
}

fn log_mistakes(error: &ReloadError) {
    let ReloadError::Mistakes(mistakes) = error else {
        return;
    };
    for mistake in mistakes {
        match mistake {
            // What is wrong with it was logged when it was found, and isn't with each check.
            ReloadMistake::Tls(_) => {
                tracing::warn!("nothing was reloaded: the certificate before stays in force");
            }
            other => tracing::error!("nothing was reloaded: {other}"),
        }
    }
}

async fn reload(
    state: &Arc<ServerState>,
    followed: Option<&mut Followed>,
) -> Result<Reloaded, ReloadError> {
    let program = followed.as_ref().map(|followed| followed.program.clone());
    if let Some(program) = &program {
        program.reloading();
    }
    let result = reload_all(state, followed).await;
    if let Some(program) = &program {
        let options = result.as_ref().ok().and_then(|(_, new)| new.as_ref());
        program.reloaded(options.map(|new| &new.options));
    }
    result.map(|(reloaded, _)| reloaded)
}

async fn reload_all(
    state: &Arc<ServerState>,
    followed: Option<&mut Followed>,
) -> Result<(Reloaded, Option<Gathered>), ReloadError> {
    let program = followed.as_ref().map(|followed| followed.program.clone());
    let looking = {
        let state = state.clone();
        tokio::task::spawn_blocking(move || look(&state, program.as_deref()))
    };
    // It fails only when the runtime ends.
    let looked = looking.await.map_err(|_| ReloadError::Ending)??;
    state.access().audit().follow(looked.audit);
    let version = state.access().version();
    policy_watch::check_now(state).await;
    let mut reloaded = Reloaded {
        has_other_policy: state.access().version() != version,
        ..Reloaded::default()
    };
    match (looked.tls, state.tls()) {
        (Some(tls), _) => replace_tls(state, tls),
        (None, Some(tls)) => reloaded.has_other_certificate = tls.reload_now().await,
        (None, None) => {}
    }
    let Some((new, config)) = looked.options else {
        return Ok((reloaded, None));
    };
    if let Some(followed) = followed {
        reloaded.changes = followed.in_force.changes_to(&new);
        followed.in_force.follow(&new);
    }
    state.follow(config).await;
    Ok((reloaded, Some(new)))
}

/// New connections speak TLS in another way.
fn replace_tls(state: &ServerState, tls: Option<Arc<Acceptor>>) {
    let known = |tls: Option<Arc<Acceptor>>| tls.and_then(|tls| tls.own_fingerprint());
    let (before, now) = (known(state.tls()), known(tls.clone()));
    state.set_tls(tls);
    if let Some(fingerprint) = now.filter(|now| before.as_ref() != Some(now)) {
        tracing::info!("fingerprint {fingerprint}");
    }
}

/// Reads everything, and puts nothing in force. All mistakes are found.
fn look(state: &ServerState, program: Option<&dyn Program>) -> Result<Looked, ReloadError> {
    let mut mistakes: Vec<ReloadMistake> = Vec::new();
    let options: Option<Result<_, OptionsError>> = program.map(|program| {
        let new = program.read_options()?;
        let config = state.config().reloaded(&program.config(&new.options));
        Ok((new, config))
    });
    let options = noted(options.transpose(), &mut mistakes).flatten();
    noted(state.access().look(), &mut mistakes);
    let in_force = state.config();
    let config = options.as_ref().map_or(&*in_force, |(_, config)| config);
    let tls = noted(look_at_tls(state, config), &mut mistakes).flatten();
    if !mistakes.is_empty() {
        return Err(ReloadError::Mistakes(mistakes));
    }
    // Last, because it makes the file if there is none.
    let audit = config.audit_log.as_deref().map(Audit::open).transpose();
    let audit = audit.map_err(|cause| {
        let path = config.audit_log.clone().unwrap_or_default();
        ReloadError::Mistakes(vec![ReloadMistake::AuditLog { path, cause }])
    })?;
    Ok(Looked {
        options,
        audit,
        tls,
    })
}

/// The result, if there is no mistake.
fn noted<T, E: Into<ReloadMistake>>(
    looked: Result<T, E>,
    mistakes: &mut Vec<ReloadMistake>,
) -> Option<T> {
    looked.map_err(|error| mistakes.push(error.into())).ok()
}

/// What accepts TLS by this configuration, if that is another one.
fn look_at_tls(
    state: &ServerState,
    config: &Config,
) -> Result<Option<Option<Arc<Acceptor>>>, TlsError> {
    if config.tls != state.config().tls {
        return Acceptor::open(config).map(Some);
    }
    match state.tls() {
        Some(tls) => tls.look_again().map(|()| None),
        None => Ok(None),
    }
}
