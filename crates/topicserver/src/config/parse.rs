//! The kinds of values that options have: counts, sizes and times. A size or a time may have a
//! unit; a plain number is bytes or seconds.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// More would never expire in practice.
pub(super) const LONGEST: u64 = 24 * 60 * 60;

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) u64);

/// A number of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seconds(pub(super) u64);

/// Why a value is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ValueError {
    #[error("this is a whole number, as in 1000")]
    NotACount,
    #[error("a size is a number of bytes, or has a unit of KiB, MiB, GiB or TiB, as in 64KiB")]
    NotASize,
    #[error("a time is a number of seconds, or has a unit of s, m, h or d, as in 90s or 7d")]
    NotATime,
    #[error("a port is a number from 0 to 65535")]
    NotAPort,
    #[error("this is an IP address of this machine, as in 127.0.0.1 or ::1, and not a name")]
    NotAnAddress,
    #[error("it is at least {0}")]
    TooSmall(String),
    #[error("it is at most {0}")]
    TooLarge(String),
}

const SIZES: [(&str, u64); 5] = [
    ("tib", 1 << 40),
    ("gib", 1 << 30),
    ("mib", 1 << 20),
    ("kib", 1 << 10),
    ("b", 1),
];

const TIMES: [(&str, u64); 4] = [("d", 24 * 60 * 60), ("h", 60 * 60), ("m", 60), ("s", 1)];

/// Reads a value of one kind.
pub(super) trait Parse<T>: Fn(&str) -> Result<T, ValueError> + Clone + Send + Sync {}

impl<T, F: Fn(&str) -> Result<T, ValueError> + Clone + Send + Sync> Parse<T> for F {}

/// The number of a port.
pub(super) fn port(text: &str) -> Result<u16, ValueError> {
    text.parse().map_err(|_| ValueError::NotAPort)
}

/// An IP address.
pub(super) fn address(text: &str) -> Result<IpAddr, ValueError> {
    text.parse().map_err(|_| ValueError::NotAnAddress)
}

/// A number from `least` to `most`.
pub(super) fn up_to(least: u64, most: u64) -> impl Parse<usize> + 'static {
    move |text: &str| {
        let number = text.parse().map_err(|_| ValueError::NotACount)?;
        within(number, least, most, |bound| bound.to_string())?;
        usize::try_from(number).map_err(|_| ValueError::TooLarge(usize::MAX.to_string()))
    }
}

/// A number that is at least `least`.
pub(super) fn count(least: u64) -> impl Parse<usize> + 'static {
    up_to(least, u64::MAX)
}

/// A number of bytes from `least` to `most`.
pub(super) fn size_up_to(least: u64, most: u64) -> impl Parse<Bytes> + 'static {
    move |text: &str| {
        let bytes = with_unit(text, &SIZES).ok_or(ValueError::NotASize)?;
        within(bytes, least, most, |bound| Bytes(bound).to_string())?;
        Ok(Bytes(bytes))
    }
}

/// A number of bytes that is at least `least`.
pub(super) fn size(least: u64) -> impl Parse<Bytes> + 'static {
    // No machine has so much memory, and a sum of several sizes still fits into 64 bits.
    size_up_to(least, 1 << 60)
}

/// A time of at least `least` seconds and at most `most`.
pub(super) fn time_up_to(least: u64, most: u64) -> impl Parse<Seconds> + 'static {
    move |text: &str| {
        let seconds = with_unit(text, &TIMES).ok_or(ValueError::NotATime)?;
        within(seconds, least, most, |bound| Seconds(bound).to_string())?;
        Ok(Seconds(seconds))
    }
}

/// A deadline of at least `least` seconds.
pub(super) fn seconds(least: u64) -> impl Parse<Seconds> + 'static {
    time_up_to(least, LONGEST)
}

fn within(
    value: u64,
    least: u64,
    most: u64,
    shown: impl Fn(u64) -> String,
) -> Result<(), ValueError> {
    match value {
        _ if value < least => Err(ValueError::TooSmall(shown(least))),
        _ if value > most => Err(ValueError::TooLarge(shown(most))),
        _ => Ok(()),
    }
}

/// A whole number with or without a unit, whose letters may be small or capital.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit = text[digits.len()..].trim_start();
    let factor = match unit {
        "" => 1,
        unit => {
            units
                .iter()
                .find(|(name, _)| unit.eq_ignore_ascii_case(name))?
                .1
        }
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// Writes a number with the largest unit of which it is a whole multiple.
fn shown(
    value: u64,
    units: &[(&str, u64)],
    name: impl Fn(&str) -> String,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    match units
        .iter()
        .find(|(_, factor)| value >= *factor && value.is_multiple_of(*factor))
    {
        Some((unit, factor)) => write!(f, "{}{}", value / factor, name(unit)),
        None => write!(f, "{value}"),
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let capital = |unit: &str| match unit {
            "b" => String::new(),
            unit => format!("{}iB", unit[..1].to_ascii_uppercase()),
        };
        shown(self.0, &SIZES, capital, f)
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        shown(self.0, &TIMES, str::to_owned, f)
    }
}

impl Bytes {
    /// The default `bytes` of an option.
    pub(super) const fn of(bytes: usize) -> Self {
        Self(bytes as u64)
    }

    /// The number of bytes, at most what a pointer can address.
    pub(super) fn in_memory(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Seconds {
    /// The default `time` of an option.
    pub(super) const fn of(time: Duration) -> Self {
        Self(time.as_secs())
    }
}

impl From<Seconds> for Duration {
    fn from(seconds: Seconds) -> Self {
        Self::from_secs(seconds.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_bytes_or_has_a_unit() {
        let size = size_up_to(64, 1 << 20);
        for (text, bytes) in [
            ("65536", 65536),
            ("64KiB", 65536),
            ("64 kib", 65536),
            ("1MiB", 1 << 20),
            ("100b", 100),
        ] {
            assert_eq!(size(text), Ok(Bytes(bytes)), "{text}");
        }
        for text in [
            "",
            "x",
            "64KB",
            "1.5MiB",
            "-1",
            "KiB",
            "99999999999TiB",
            "64KiBx",
        ] {
            assert_eq!(size(text), Err(ValueError::NotASize), "{text}");
        }
        assert_eq!(size("63"), Err(ValueError::TooSmall("64".to_owned())));
        assert_eq!(size("2MiB"), Err(ValueError::TooLarge("1MiB".to_owned())));
    }

    #[test]
    fn a_time_is_seconds_or_has_a_unit() {
        let time = seconds(1);
        for (text, seconds) in [
            ("90", 90),
            ("90s", 90),
            ("2m", 120),
            ("3H", 10_800),
            ("1d", LONGEST),
        ] {
            assert_eq!(time(text), Ok(Seconds(seconds)), "{text}");
        }
        for text in ["", "soon", "1.5h", "1w", "1h30m"] {
            assert_eq!(time(text), Err(ValueError::NotATime), "{text}");
        }
        assert_eq!(time("0"), Err(ValueError::TooSmall("1s".to_owned())));
        assert_eq!(time("2d"), Err(ValueError::TooLarge("1d".to_owned())));
    }

    #[test]
    fn a_count_is_a_whole_number() {
        assert_eq!(up_to(1, 512)("512"), Ok(512));
        assert_eq!(
            up_to(1, 512)("513"),
            Err(ValueError::TooLarge("512".to_owned()))
        );
        assert_eq!(count(1)("0"), Err(ValueError::TooSmall("1".to_owned())));
        assert_eq!(count(1)("many"), Err(ValueError::NotACount));
    }

    #[test]
    fn what_is_shown_can_be_read() {
        for bytes in [0, 1, 1000, 1024, 65_536, 1 << 20, 3 << 30, (1 << 20) + 1] {
            let text = Bytes(bytes).to_string();
            assert_eq!(size(0)(&text), Ok(Bytes(bytes)), "{text}");
        }
        for time in [0, 1, 59, 60, 90, 3600, 86_400, 2_592_000] {
            let text = Seconds(time).to_string();
            let read = time_up_to(0, u64::MAX)(&text);
            assert_eq!(read, Ok(Seconds(time)), "{text}");
        }
        assert_eq!(Seconds(2_592_000).to_string(), "30d");
        assert_eq!(Bytes(65_536).to_string(), "64KiB");
    }
}
