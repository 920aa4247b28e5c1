//! The settings in force, and which source each comes from.
//!
//! An option overrides the environment, that overrides the file, and that overrides the
//! default.

use std::fmt;

use wire::UserName;

use super::arguments::Typed;
use super::config::{Notifying, When};
use super::file::{File, Quoted, Server};
use crate::environment::Environment;

/// See the module.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) color: Setting<When>,
    pub(super) bell: Setting<bool>,
    pub(super) notify: Setting<Notifying>,
    pub(super) sides: Setting<bool>,
    pub(super) hide_topic: Setting<bool>,
    pub(super) mouse: Setting<bool>,
    name: Option<Setting<UserName>>,
    pub(super) file: File,
}

/// A value, and where it comes from.
#[derive(Debug)]
pub(super) struct Setting<T> {
    pub(super) value: T,
    source: Source,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Option,
    Environment,
    File,
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Option => "option",
            Self::Environment => "environment",
            Self::File => "file",
            Self::Default => "default",
        })
    }
}

impl<T> Setting<T> {
    fn new(value: T, source: Source) -> Self {
        Self { value, source }
    }
}

impl Settings {
    /// `is_given` tells whether an option was typed.
    pub(super) fn resolve(
        typed: &Typed,
        is_given: &dyn Fn(&str) -> bool,
        environment: &Environment,
        file: File,
    ) -> Self {
        let color = match file.color {
            _ if is_given("color") => Setting::new(typed.color, Source::Option),
            _ if environment.no_color => Setting::new(When::Never, Source::Environment),
            Some(color) => Setting::new(color, Source::File),
            None => Setting::new(When::Auto, Source::Default),
        };
        let notify = match file.notify {
            _ if is_given("notify") => Setting::new(typed.notify, Source::Option),
            Some(notify) => Setting::new(notify, Source::File),
            None => Setting::new(Notifying::Auto, Source::Default),
        };
        let login = || UserName::new(environment.login.as_deref()?).ok();
        let name = match (&typed.name, &file.name) {
            (Some(name), _) => Some(Setting::new(name.clone(), Source::Option)),
            (None, Some(name)) => Some(Setting::new(name.clone(), Source::File)),
            (None, None) => login().map(|login| Setting::new(login, Source::Default)),
        };
        Self {
            color,
            bell: switch(typed.no_bell.then_some(false), file.bell, true),
            notify,
            sides: switch(typed.no_sides.then_some(false), file.sides, true),
            hide_topic: switch(typed.hide_topic.then_some(true), file.hide_topic, false),
            mouse: switch(typed.mouse.then_some(true), file.mouse, false),
            name,
            file,
        }
    }
}

/// The setting of a switch.
fn switch(typed: Option<bool>, file: Option<bool>, default: bool) -> Setting<bool> {
    match (typed, file) {
        (Some(value), _) => Setting::new(value, Source::Option),
        (None, Some(value)) => Setting::new(value, Source::File),
        (None, None) => Setting::new(default, Source::Default),
    }
}

impl fmt::Display for Settings {
    /// A configuration file that has the same effect.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file.path {
            // A path may contain a line break, which would end the comment.
            Some(path) => writeln!(f, "# file: {}", path.display().to_string().escape_debug())?,
            None => writeln!(f, "# file: none")?,
        }
        match &self.name {
            // An option names this run in a pipe too; the file names terminals only.
            Some(Setting { value, source }) => {
                let where_to = match source {
                    Source::Option => "",
                    _ => ", on a terminal only",
                };
                writeln!(f, "name = {} # {source}{where_to}", Quoted(value.as_str()))?;
            }
            None => writeln!(f, "# name: none")?,
        }
        let Self { color, bell, .. } = self;
        writeln!(
            f,
            "color = {} # {}",
            Quoted(color.value.as_str()),
            color.source
        )?;
        let notify = &self.notify;
        let how = Quoted(notify.value.as_str());
        writeln!(f, "notify = {how} # {}", notify.source)?;
        for (key, Setting { value, source }) in [
            ("bell", bell),
            ("sides", &self.sides),
            ("hide_topic", &self.hide_topic),
            ("mouse", &self.mouse),
        ] {
            writeln!(f, "{key} = {value} # {source}")?;
        }
        if !self.file.servers.is_empty() {
            writeln!(f, "\n[servers]")?;
        }
        for (name, server) in &self.file.servers {
            let source = Source::File;
            writeln!(f, "{} = {} # {source}", Quoted(name), Written(server))?;
        }
        Ok(())
    }
}

/// A server as the file has it: its address alone, or a table if it has more settings.
struct Written<'a>(&'a Server);

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Server {
            servers,
            token_file,
            tls_ca,
        } = self.0;
        let address = servers.to_string();
        let files = [("token-file", token_file), ("tls-ca", tls_ca)];
        if files.iter().all(|(_, file)| file.is_none()) {
            return write!(f, "{}", Quoted(&address));
        }
        write!(f, "{{ address = {}", Quoted(&address))?;
        for (key, file) in files {
            if let Some(file) = file {
                write!(f, ", {key} = {}", Quoted(&file.display().to_string()))?;
            }
        }
        f.write_str(" }")
    }
}
