//! The kinds of values that options have.

use clap::builder::RangedU64ValueParser;

/// A number that is at least `min`.
pub(super) fn count(min: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(min..)
}

/// A number from `min` to `max`.
pub(super) fn up_to(min: u64, max: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(min..=max)
}

/// Whole seconds, at most a day: more would never expire in practice.
pub(super) fn seconds(min: u64) -> RangedU64ValueParser<u64> {
    RangedU64ValueParser::new().range(min..=24 * 60 * 60)
}
