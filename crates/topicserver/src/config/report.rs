//! The options in force, and where each value comes from, as a configuration file.

use super::layers::{Gathered, Kind, Origin};
use super::source::Source;

impl Gathered {
    /// Every option with its value and, as a comment, its source: a valid configuration file.
    pub fn report(&self) -> String {
        self.origins.iter().map(line).collect()
    }
}

fn line(origin: &Origin) -> String {
    let Origin { name, source, .. } = origin;
    match value(origin) {
        Some(value) => format!("{name} = {value}  # {source}\n"),
        None => format!("# {name} is not set\n"),
    }
}

/// The value as it stands in a configuration file; `None` if there is none.
pub(super) fn value(origin: &Origin) -> Option<String> {
    let Origin {
        values,
        kind,
        source,
        ..
    } = origin;
    match kind {
        Kind::Switch => Some((*source != Source::Default).to_string()),
        Kind::One | Kind::List if values.is_empty() && *source != Source::Default => {
            Some("true".to_owned())
        }
        Kind::One => values.first().map(|value| written(value)),
        Kind::List if values.is_empty() => None,
        Kind::List => {
            let values: Vec<_> = values.iter().map(|value| written(value)).collect();
            Some(format!("[{}]", values.join(", ")))
        }
    }
}

/// A number as it is, anything else as a string: JSON's escapes are TOML's, too.
fn written(value: &str) -> String {
    match value.parse::<i64>() {
        Ok(number) if number.to_string() == value => value.to_owned(),
        _ => serde_json::Value::from(value).to_string(),
    }
}
