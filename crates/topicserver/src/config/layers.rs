//! The layers of options: the configuration file, above it the environment, above that the
//! command line. Each layer's values become arguments, so the command line's description of the
//! options is the only one.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches, Id};
use toml::de::{DeTable, DeValue};

use super::Options;
use super::nats_url::without_password;
use super::source::{ConfigMistake, OptionsError, Problem, Source};
use crate::excerpt::Excerpt;

/// The prefix of every variable.
const PREFIX: &str = "NATTER_";

/// The option, and the variable, that name the configuration file.
const FILE_OPTION: &str = "config";

/// Options that only make sense on the command line.
const ONLY_TYPED: [&str; 3] = ["help", "version", FILE_OPTION];

/// How similar a mistyped name must be to a known one, from 0 to 1: the same as in clap.
const SIMILAR: f64 = 0.7;

/// The options in force, and where each comes from.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// The options.
    pub options: Options,
    /// All of them: name, values as they were written, source.
    pub(super) origins: Vec<Origin>,
    /// A configuration file was read.
    has_file: bool,
}

impl Gathered {
    /// Whether there is a configuration file, which may change.
    pub fn has_file(&self) -> bool {
        self.has_file
    }
}

/// Where an option's values come from.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) name: String,
    pub(super) values: Vec<String>,
    pub(super) kind: Kind,
    pub(super) source: Source,
}

/// The kind of an option's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The option is given or not, without a value.
    Switch,
    /// One value. Some options can be given without it.
    One,
    /// Any number of values.
    List,
}

/// The values that a layer gives an option.
#[derive(Clone, Debug)]
struct LayerValue {
    values: Vec<String>,
    source: Source,
}

/// A layer: options by their names.
type Layer = BTreeMap<String, LayerValue>;

/// All options that can be in a layer, by name.
struct Known {
    command: Command,
}

impl Options {
    /// Reads the command line, the environment and the configuration file that one of them
    /// names. The first of `arguments` is the program's name.
    ///
    /// # Errors
    /// A wrong command line, or all mistakes in the file and in the environment.
    pub fn gather(
        arguments: impl IntoIterator<Item = OsString>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Gathered, OptionsError> {
        let typed: Vec<OsString> = arguments.into_iter().collect();
        let known = Known {
            command: Self::command(),
        };
        // A required option may be in another layer.
        let lenient = Self::command().mut_args(|argument| {
            let argument = argument.required(false);
            argument.required_unless_present(Resettable::<Id>::Reset)
        });
        let matches = lenient.try_get_matches_from(&typed)?;

        let mut mistakes = Vec::new();
        let mut below = known.environment(environment, &mut mistakes);
        let variable = below.remove(FILE_OPTION);
        let file = matches.get_one::<PathBuf>(FILE_OPTION).cloned();
        let named = variable.and_then(|value| value.values.into_iter().next());
        let file = file.or_else(|| named.map(PathBuf::from));
        if let Some(path) = &file {
            for (name, value) in known.file(path, &mut mistakes)? {
                below.entry(name).or_insert(value);
            }
        }
        if !mistakes.is_empty() {
            return Err(OptionsError::Mistakes(mistakes));
        }
        below.retain(|name, _| !is_typed(&matches, &known, name));

        let mut all: Vec<OsString> = typed.iter().take(1).cloned().collect();
        for (name, value) in &below {
            all.extend(known.arguments(name, value));
        }
        all.extend(typed.into_iter().skip(1));
        let matches = Self::command().try_get_matches_from(all)?;
        let options = Self::from_arg_matches(&matches)?;
        let origins = known.origins(&matches, &below);
        Ok(Gathered {
            options,
            origins,
            has_file: file.is_some(),
        })
    }
}

/// Whether the option was given on the command line.
fn is_typed(matches: &ArgMatches, known: &Known, name: &str) -> bool {
    known.find(name).is_some_and(|argument| {
        let id = argument.get_id().as_str();
        matches.value_source(id) == Some(ValueSource::CommandLine)
    })
}

/// The name by which a layer knows an option.
fn name_of(argument: &Arg) -> &str {
    argument
        .get_long()
        .unwrap_or_else(|| argument.get_id().as_str())
}

fn kind(argument: &Arg) -> Kind {
    match argument.get_action() {
        ArgAction::SetTrue | ArgAction::SetFalse | ArgAction::Count => Kind::Switch,
        ArgAction::Append => Kind::List,
        _ if argument.get_value_delimiter().is_some() => Kind::List,
        _ => Kind::One,
    }
}

/// Whether the option can be given without a value.
fn may_be_bare(argument: &Arg) -> bool {
    let least = argument.get_num_args().map(|range| range.min_values());
    kind(argument) == Kind::Switch || least == Some(0)
}

impl Known {
    fn all(&self) -> impl Iterator<Item = &Arg> {
        let arguments = self.command.get_arguments();
        arguments.filter(|argument| !ONLY_TYPED.contains(&name_of(argument)))
    }

    fn find(&self, name: &str) -> Option<&Arg> {
        self.all().find(|argument| name_of(argument) == name)
    }

    /// There is no option of this name. The answer names the most similar one.
    fn unknown(&self, name: &str) -> Problem {
        let names = self.all().map(name_of);
        let scored = names.map(|known| (strsim::jaro_winkler(name, known), known));
        let best = scored.max_by(|one, other| one.0.total_cmp(&other.0));
        Problem::Unknown {
            name: name.to_owned(),
            similar: best
                .filter(|(score, _)| *score >= SIMILAR)
                .map(|(_, known)| known.to_owned()),
        }
    }

    /// The values that environment variables give.
    fn environment(
        &self,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        mistakes: &mut Vec<ConfigMistake>,
    ) -> Layer {
        let mut layer = Layer::new();
        for (variable, value) in environment {
            let Some(variable) = variable.to_str().filter(|name| name.starts_with(PREFIX)) else {
                continue;
            };
            if is_service_link(
                &variable[PREFIX.len()..],
                value.to_str().unwrap_or_default(),
            ) {
                continue;
            }
            let source = Source::Environment(variable.to_owned());
            let name = variable[PREFIX.len()..]
                .to_ascii_lowercase()
                .replace('_', "-");
            let problem = match (value.to_str(), self.find(&name)) {
                (None, _) => Problem::NotUtf8,
                (Some(path), _) if name == FILE_OPTION => {
                    let values = vec![path.to_owned()];
                    layer.insert(name, LayerValue { values, source });
                    continue;
                }
                (Some(_), None) => self.unknown(&name),
                (Some(value), Some(argument)) => match values_of_variable(argument, value) {
                    Ok(Some(values)) => {
                        layer.insert(name, LayerValue { values, source });
                        continue;
                    }
                    Ok(None) => continue,
                    Err(problem) => problem,
                },
            };
            mistakes.push(ConfigMistake { source, problem });
        }
        layer
    }

    /// The values that the file gives.
    fn file(&self, path: &Path, mistakes: &mut Vec<ConfigMistake>) -> Result<Layer, OptionsError> {
        let text = std::fs::read_to_string(path).map_err(|cause| OptionsError::Io {
            path: path.to_owned(),
            cause,
        })?;
        let path = Arc::new(path.to_owned());
        let source_at = |span| Source::File {
            path: Arc::clone(&path),
            excerpt: Excerpt::new(&text, span),
        };
        let mut layer = Layer::new();
        let (table, errors) = DeTable::parse_recoverable(&text);
        let mut unreadable = Vec::new();
        for error in errors {
            let problem = Problem::Syntax(error.message().to_owned());
            let span = error.span().unwrap_or_default();
            unreadable.push(span.clone());
            let source = source_at(span);
            mistakes.push(ConfigMistake { source, problem });
        }
        let is_told = |span: &Range<usize>| {
            let mut told = unreadable.iter();
            told.any(|told| told.start < span.end && span.start < told.end)
        };
        for (key, value) in table.get_ref() {
            let name = key.get_ref().as_ref();
            let found = match self.find(name) {
                None => Err((key.span(), self.unknown(name))),
                Some(argument) => values_in_file(argument, value.get_ref())
                    .map_err(|problem| (value.span(), problem)),
            };
            match found {
                Ok(Some(values)) => {
                    let source = source_at(key.span());
                    layer.insert(name.to_owned(), LayerValue { values, source });
                }
                Ok(None) => {}
                // What can't be read as a value is no value of this option either.
                Err((span, _)) if is_told(&span) => {}
                Err((span, problem)) => {
                    let source = source_at(span);
                    mistakes.push(ConfigMistake { source, problem });
                }
            }
        }
        Ok(layer)
    }

    /// The value as it would be typed on the command line.
    fn arguments(&self, name: &str, value: &LayerValue) -> Vec<OsString> {
        let is_positional = self.find(name).is_some_and(Arg::is_positional);
        let typed = |value: &String| match (is_positional, value.as_str()) {
            (true, value) => value.into(),
            (false, value) => format!("--{name}={value}").into(),
        };
        match value.values.is_empty() {
            true => vec![format!("--{name}").into()],
            false => value.values.iter().map(typed).collect(),
        }
    }

    /// Where each option's values come from.
    fn origins(&self, matches: &ArgMatches, below: &Layer) -> Vec<Origin> {
        let origin = |argument: &Arg| {
            let name = name_of(argument).to_owned();
            let id = argument.get_id().as_str();
            let raw = matches.get_raw(id).into_iter().flatten();
            let source = match (below.get(&name), matches.value_source(id)) {
                (Some(value), _) => value.source.clone(),
                (None, Some(ValueSource::CommandLine)) => Source::CommandLine,
                (None, _) => Source::Default,
            };
            Origin {
                values: raw
                    .map(|value| without_password(&value.to_string_lossy()))
                    .collect(),
                kind: kind(argument),
                name,
                source,
            }
        };
        self.all().map(origin).collect()
    }
}

/// Whether Kubernetes has made this variable for a Service called `natter`, as it does in every
/// container beside it: `NATTER_SERVICE_HOST`, `NATTER_SERVICE_PORT…`, `NATTER_PORT_20000_TCP…`,
/// and `NATTER_PORT` with a URL.
fn is_service_link(name: &str, value: &str) -> bool {
    let is_url = ["tcp://", "udp://"]
        .iter()
        .any(|scheme| value.starts_with(scheme));
    let is_of_port = |rest: &str| rest.starts_with(|digit: char| digit.is_ascii_digit());
    name == "SERVICE_HOST"
        || name == "SERVICE_PORT"
        || name.starts_with("SERVICE_PORT_")
        || name.strip_prefix("PORT_").is_some_and(is_of_port)
        || name == "PORT" && is_url
}

/// The values that a variable gives an option. The values of a list are separated by commas.
/// `None` means the same as no variable.
fn values_of_variable(argument: &Arg, value: &str) -> Result<Option<Vec<String>>, Problem> {
    match kind(argument) {
        Kind::Switch => match value.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" => Ok(Some(Vec::new())),
            "false" | "0" | "no" | "" => Ok(None),
            _ => Err(wrong_type(argument, "true or false")),
        },
        Kind::One => checked(argument, vec![value.to_owned()]).map(Some),
        Kind::List => {
            let values = value
                .split(',')
                .map(str::trim)
                .filter(|value| !value.is_empty());
            listed(argument, values.map(str::to_owned).collect())
        }
    }
}

/// The values that a line of the file gives an option. `None` means the same as no line.
fn values_in_file(argument: &Arg, value: &DeValue<'_>) -> Result<Option<Vec<String>>, Problem> {
    if let DeValue::Boolean(is_on) = value
        && may_be_bare(argument)
    {
        return Ok(is_on.then(Vec::new));
    }
    match (kind(argument), value) {
        (Kind::Switch, _) => Err(wrong_type(argument, "true or false")),
        (Kind::One, _) => match scalar(value) {
            Some(value) => checked(argument, vec![value]).map(Some),
            None => Err(wrong_type(argument, "a text or a number")),
        },
        (Kind::List, DeValue::Array(items)) => {
            let values: Option<Vec<_>> = items.iter().map(|item| scalar(item.get_ref())).collect();
            match values {
                Some(values) => listed(argument, values),
                None => Err(wrong_type(argument, "a list of texts or numbers")),
            }
        }
        (Kind::List, _) => match scalar(value) {
            Some(value) => checked(argument, vec![value]).map(Some),
            None => Err(wrong_type(argument, "a list of texts or numbers")),
        },
    }
}

/// An empty list means the same as no list.
fn listed(argument: &Arg, values: Vec<String>) -> Result<Option<Vec<String>>, Problem> {
    let values = checked(argument, values)?;
    Ok(Some(values).filter(|values| !values.is_empty()))
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.as_ref().to_owned()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .map(|number| number.to_string()),
        _ => None,
    }
}

fn wrong_type(argument: &Arg, wanted: &'static str) -> Problem {
    Problem::Type {
        name: name_of(argument).to_owned(),
        wanted,
    }
}

/// The values, if the option takes each of them.
fn checked(argument: &Arg, values: Vec<String>) -> Result<Vec<String>, Problem> {
    for value in &values {
        check(argument, value).map_err(|reason| Problem::Value {
            name: name_of(argument).to_owned(),
            value: without_password(value),
            reason,
        })?;
    }
    Ok(values)
}

/// Asks the option's own parser: a command with nothing but a value of this kind.
fn check(argument: &Arg, value: &str) -> Result<(), String> {
    let probe = Arg::new("value")
        .value_parser(argument.get_value_parser().clone())
        .allow_hyphen_values(true);
    let command = Command::new("check").no_binary_name(true).arg(probe);
    match command.try_get_matches_from([OsStr::new(value)]) {
        Ok(_) => Ok(()),
        Err(error) => Err(reason(&error)),
    }
}

/// Why the parser refused the value, without clap's text around it.
fn reason(error: &clap::Error) -> String {
    use clap::error::{ContextKind, ContextValue};
    if let Some(cause) = std::error::Error::source(error) {
        return cause.to_string();
    }
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(values)) => format!("it is one of {}", values.join(", ")),
        _ => "it is no value of this option".to_owned(),
    }
}

#[cfg(test)]
mod tests;
