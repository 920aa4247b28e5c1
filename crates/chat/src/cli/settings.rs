//! What is in force where several places may say something, and from where.
//!
//! An option overrides the environment, that overrides the file, and that overrides the
//! default.

use std::fmt;

use wire::UserName;

use super::arguments::Typed;
use super::config::When;
use super::file::{File, Quoted};
use crate::environment::Environment;

/// See the module.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) color: Setting<When>,
    pub(super) bell: Setting<bool>,
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
        let bell = match file.bell {
            _ if typed.no_bell => Setting::new(false, Source::Option),
            Some(bell) => Setting::new(bell, Source::File),
            None => Setting::new(true, Source::Default),
        };
        let login = || UserName::new(environment.login.as_deref()?).ok();
        let name = match (&typed.name, &file.name) {
            (Some(name), _) => Some(Setting::new(name.clone(), Source::Option)),
            (None, Some(name)) => Some(Setting::new(name.clone(), Source::File)),
            (None, None) => login().map(|login| Setting::new(login, Source::Default)),
        };
        Self {
            color,
            bell,
            name,
            file,
        }
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
        writeln!(f, "bell = {} # {}", bell.value, bell.source)?;
        if !self.file.servers.is_empty() {
            writeln!(f, "\n[servers]")?;
        }
        for (name, address) in &self.file.servers {
            let address = address.to_string();
            let source = Source::File;
            writeln!(f, "{} = {} # {source}", Quoted(name), Quoted(&address))?;
        }
        Ok(())
    }
}
