//! What became of the lines that were typed, when a connection ends: in words.

use std::fmt;

use crate::delivery::Delivery;
use crate::input::Input;

/// What is left to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// So many lines have not been handed to the connection whole. What has may
    /// not have arrived: nobody says.
    Unsent(usize),
    /// So many lines are not acknowledged.
    Unconfirmed {
        /// The number of lines.
        count: usize,
        /// The oldest of them, shortened.
        first: String,
    },
}

impl Left {
    /// What is left where nothing is acknowledged.
    pub(crate) fn unsent(input: &Input) -> Self {
        Self::Unsent(input.unsent())
    }

    /// What is left where everything is acknowledged.
    pub(crate) fn unconfirmed(delivery: &Delivery, input: &Input) -> Self {
        let first = delivery
            .first()
            .or(input.first().map(|line| line.text.as_str()));
        Self::Unconfirmed {
            count: delivery.len() + input.unsent(),
            first: shortened(first.unwrap_or_default()),
        }
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsent(0) => f.write_str("the last lines may not have arrived"),
            Self::Unsent(1) => f.write_str("1 line could not be sent"),
            Self::Unsent(count) => write!(f, "{count} lines could not be sent"),
            Self::Unconfirmed { count: 0, .. } => f.write_str("all that was typed has arrived"),
            Self::Unconfirmed { count: 1, first } => {
                write!(f, "1 line may not have arrived: {first}")
            }
            Self::Unconfirmed { count, first } => {
                write!(f, "{count} lines may not have arrived, the first: {first}")
            }
        }
    }
}

/// Enough of a line to know it again.
const SHOWN: usize = 60;

/// A line as it is named in a notice: in quotation marks, its beginning if it is
/// long.
pub(crate) fn shortened(line: &str) -> String {
    match line.char_indices().nth(SHOWN) {
        None => format!("\"{line}\""),
        Some((end, _)) => format!("\"{}…\"", &line[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_named_by_its_beginning() {
        assert_eq!(
            shortened("é".repeat(60).as_str()),
            format!("\"{}\"", "é".repeat(60))
        );
        assert_eq!(
            shortened("é".repeat(61).as_str()),
            format!("\"{}…\"", "é".repeat(60))
        );
        assert_eq!(shortened(""), "\"\"");
    }
}
