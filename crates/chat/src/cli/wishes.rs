//! What is in force where several places may say something, and from where.
//!
//! An option goes before the environment, that before the file, that before the
//! default.

use std::fmt;

use super::{Typed, When};
use crate::Surroundings;
use crate::config::File;

/// See the module.
#[derive(Debug)]
pub(super) struct Wishes {
    pub(super) color: Wish<When>,
    pub(super) bell: Wish<bool>,
    /// What to be called on a terminal, and where that is said.
    name: Wish<String>,
    pub(super) file: File,
}

/// A value, and where it comes from.
#[derive(Debug)]
pub(super) struct Wish<T> {
    pub(super) value: T,
    from: &'static str,
}

const OPTION: &str = "option";
const ENVIRONMENT: &str = "environment";
const FILE: &str = "file";
const DEFAULT: &str = "default";

impl Wishes {
    /// `is_given` tells whether an option was typed.
    pub(super) fn new(
        typed: &Typed,
        is_given: &dyn Fn(&str) -> bool,
        around: &Surroundings,
        file: File,
    ) -> Self {
        let color = match file.color {
            _ if is_given("color") => wish(typed.color, OPTION),
            _ if around.no_color => wish(When::Never, ENVIRONMENT),
            Some(color) => wish(color, FILE),
            None => wish(When::Auto, DEFAULT),
        };
        let bell = match file.bell {
            _ if typed.no_bell => wish(false, OPTION),
            Some(bell) => wish(bell, FILE),
            None => wish(true, DEFAULT),
        };
        let name = match (&typed.name, &file.name, &around.login) {
            (Some(name), _, _) => wish(name.to_string(), OPTION),
            (_, Some(name), _) => wish(name.to_string(), FILE),
            (_, _, Some(login)) => wish(login.clone(), DEFAULT),
            (None, None, None) => wish(String::new(), DEFAULT),
        };
        Self {
            color,
            bell,
            name,
            file,
        }
    }
}

fn wish<T>(value: T, from: &'static str) -> Wish<T> {
    Wish { value, from }
}

impl fmt::Display for Wishes {
    /// As the file has it, so that it can become one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file.path {
            Some(path) => writeln!(f, "# file: {}", path.display())?,
            None => writeln!(f, "# file: none")?,
        }
        let Self {
            color, bell, name, ..
        } = self;
        writeln!(f, "name = {:?} # {}", name.value, name.from)?;
        writeln!(f, "color = {:?} # {}", color.value.as_str(), color.from)?;
        writeln!(f, "bell = {} # {}", bell.value, bell.from)?;
        if !self.file.servers.is_empty() {
            writeln!(f, "\n[servers]")?;
        }
        for (name, address) in &self.file.servers {
            writeln!(f, "{name} = \"{address}\" # {FILE}")?;
        }
        Ok(())
    }
}
