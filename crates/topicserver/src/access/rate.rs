//! Rates as files write them, and the token bucket that enforces one.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// An amount per time, and how much may come at once: `100/s burst 1000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    count: u64,
    unit: Unit,
    burst: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Second,
    Minute,
    Hour,
    Day,
}

/// What a rate counts, which decides how its numbers may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// Whole things.
    Things,
    /// Bytes: `64 KiB`, `1MB` and so on.
    Bytes,
}

/// Why a text is no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// It doesn't have the form of a rate.
    #[error(
        "{0:?} is no rate; one is written as \"100/s\", \"100/h\" or \"100/s burst 1000\", with s, \
         m, h or d"
    )]
    Form(Box<str>),
    /// The number.
    #[error("{0:?} is no number of at least 1 here, as in 100; bytes may have kB, MB, KiB or MiB")]
    Number(Box<str>),
    /// The unit.
    #[error("a rate is per s, m, h or d, not {0:?}")]
    Unit(Box<str>),
    /// The burst is below the rate.
    #[error("the burst is at least as much as the rate, and {0} is less than {1}")]
    Burst(u64, u64),
}

/// A larger number would overflow in computations, and limits nothing in practice.
const MAX_COUNT: u64 = 1 << 40;

impl Rate {
    /// Reads a rate. Without a burst, as much as the rate may come at once.
    pub(crate) fn parse(text: &str, counted: Counted) -> Result<Self, RateError> {
        let form = || RateError::Form(text.into());
        let (rate, burst) = match text.split_once(" burst ") {
            Some((rate, burst)) => (rate, Some(burst)),
            None => (text, None),
        };
        let (number, unit) = rate.split_once('/').ok_or_else(form)?;
        let count = counted.number(number.trim())?;
        let unit = match unit.trim() {
            "s" => Unit::Second,
            "m" => Unit::Minute,
            "h" => Unit::Hour,
            "d" => Unit::Day,
            other => return Err(RateError::Unit(other.into())),
        };
        let burst = burst.map(|burst| counted.number(burst.trim()));
        let burst = burst.transpose()?.unwrap_or(count);
        match burst < count {
            true => Err(RateError::Burst(burst, count)),
            false => Ok(Self { count, unit, burst }),
        }
    }

    /// The time in which this amount becomes available.
    fn time_for(&self, amount: u64) -> Duration {
        let nanoseconds = u128::from(self.unit.seconds()) * 1_000_000_000;
        let time = nanoseconds * u128::from(amount) / u128::from(self.count);
        Duration::from_nanos(u64::try_from(time).unwrap_or(u64::MAX))
    }
}

impl Unit {
    fn seconds(self) -> u32 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 60 * 60,
            Self::Day => 24 * 60 * 60,
        }
    }
}

impl Counted {
    fn number(self, text: &str) -> Result<u64, RateError> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let factor = match (self, unit.trim_start()) {
            (_, "") => Some(1),
            (Self::Bytes, "kB") => Some(1000),
            (Self::Bytes, "MB") => Some(1000 * 1000),
            (Self::Bytes, "KiB") => Some(1024),
            (Self::Bytes, "MiB") => Some(1024 * 1024),
            _ => None,
        };
        let number = factor.and_then(|factor| number.parse::<u64>().ok()?.checked_mul(factor));
        let number = number.filter(|number| (1..=MAX_COUNT).contains(number));
        number.ok_or_else(|| RateError::Number(text.into()))
    }
}

impl FromStr for Rate {
    type Err = RateError;

    /// Of whole things.
    fn from_str(text: &str) -> Result<Self, RateError> {
        Self::parse(text, Counted::Things)
    }
}

/// The rate alone, without the burst.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Second => 's',
            Unit::Minute => 'm',
            Unit::Hour => 'h',
            Unit::Day => 'd',
        };
        write!(f, "{}/{unit}", self.count)
    }
}

/// A token bucket. Only the time at which it is full again is kept.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bucket(Option<Instant>);

impl Bucket {
    /// How long it takes until this amount is available. An amount larger than the bucket is
    /// available when the bucket is full, or it never would be.
    pub(crate) fn wait(&self, rate: &Rate, amount: u64, now: Instant) -> Duration {
        let rest = rate.burst.saturating_sub(amount);
        self.missing(now).saturating_sub(rate.time_for(rest))
    }

    /// Takes this amount, even if it isn't available.
    pub(crate) fn take(&mut self, rate: &Rate, amount: u64, now: Instant) {
        let from = self.0.map_or(now, |full| full.max(now));
        self.0 = from.checked_add(rate.time_for(amount));
    }

    pub(crate) fn is_full(&self, now: Instant) -> bool {
        self.missing(now).is_zero()
    }

    fn missing(&self, now: Instant) -> Duration {
        self.0
            .map_or(Duration::ZERO, |full| full.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    #[test]
    fn a_rate_is_read_as_it_is_written() {
        let seconds = |text| {
            (
                rate(text).count,
                rate(text).unit.seconds(),
                rate(text).burst,
            )
        };
        assert_eq!(seconds("100/s"), (100, 1, 100));
        assert_eq!(seconds("100/s burst 1000"), (100, 1, 1000));
        assert_eq!(seconds("100 / h"), (100, 3600, 100));
        assert_eq!(seconds("1/d burst 5"), (1, 86400, 5));
        assert_eq!(rate("7/m burst 9").to_string(), "7/m");
        let bytes = |text| Rate::parse(text, Counted::Bytes).map(|rate| (rate.count, rate.burst));
        assert_eq!(bytes("64KiB/s burst 1 MiB"), Ok((65536, 1_048_576)));
        assert_eq!(bytes("1MB/s burst 3000 kB"), Ok((1_000_000, 3_000_000)));
        assert_eq!(bytes("500/s"), Ok((500, 500)));
    }

    #[test]
    fn what_is_wrong_with_a_rate_is_said() {
        let error = |text: &str| text.parse::<Rate>().unwrap_err();
        for text in ["", "100", "fast", "burst 100"] {
            assert_eq!(error(text), RateError::Form(text.into()));
        }
        for text in ["100/", "100/w", "100/sec", "100/s burst", "1/s bursts 7"] {
            assert!(matches!(error(text), RateError::Unit(_)), "{text}");
        }
        for (text, number) in [
            ("/s", ""),
            ("0/s", "0"),
            ("-1/s", "-1"),
            ("1.5/s", "1.5"),
            ("10k/s", "10k"),
            ("1kB/s", "1kB"),
            ("5/s burst x", "x"),
            ("99999999999999999999/s", "99999999999999999999"),
        ] {
            assert_eq!(error(text), RateError::Number(number.into()));
        }
        let low = error("100/s burst 10").to_string();
        assert!(low.contains("10 is less than 100"), "{low}");
    }

    #[test]
    fn a_burst_may_come_at_once_and_then_the_rate() {
        let (rate, start) = (rate("10/s burst 100"), Instant::now());
        let mut bucket = Bucket::default();
        for _ in 0..100 {
            assert_eq!(bucket.wait(&rate, 1, start), Duration::ZERO);
            bucket.take(&rate, 1, start);
        }
        let tenth = Duration::from_millis(100);
        assert_eq!(bucket.wait(&rate, 1, start), tenth);
        assert_eq!(bucket.wait(&rate, 5, start), 5 * tenth);
        let later = start + tenth;
        assert_eq!(bucket.wait(&rate, 1, later), Duration::ZERO);
        assert_eq!(bucket.wait(&rate, 2, later), tenth);
        assert!(!bucket.is_full(start + 99 * tenth));
        assert!(bucket.is_full(start + 100 * tenth));
    }

    #[test]
    fn more_than_a_bucket_waits_for_a_full_one_and_is_owed() {
        let (rate, start) = (rate("10/s"), Instant::now());
        let mut bucket = Bucket::default();
        assert_eq!(bucket.wait(&rate, 1000, start), Duration::ZERO);
        bucket.take(&rate, 1000, start);
        let wait = bucket.wait(&rate, 1, start);
        assert_eq!(wait, Duration::from_millis(99_100));
        assert_eq!(bucket.wait(&rate, 1000, start), Duration::from_secs(100));
    }

    proptest! {
        /// Compared with a bucket of whole tokens: a client that waits as told gets its share,
        /// and never more than burst and rate allow.
        #[test]
        fn nobody_gets_more_than_the_rate(
            count in 1_u64..1000,
            extra in 0_u64..1000,
            amounts in proptest::collection::vec((1_u64..50, 0_u64..2000), 1..100),
        ) {
            let rate = Rate { count, unit: Unit::Second, burst: count + extra };
            let start = Instant::now();
            let (mut bucket, mut now, mut taken) = (Bucket::default(), start, 0);
            for (amount, pause) in amounts {
                now += Duration::from_millis(pause);
                let amount = amount.min(rate.burst);
                now += bucket.wait(&rate, amount, now);
                prop_assert_eq!(bucket.wait(&rate, amount, now), Duration::ZERO);
                bucket.take(&rate, amount, now);
                taken += amount;
                let passed = (now - start).as_secs_f64();
                let most = rate.burst as f64 + count as f64 * passed;
                // Nanoseconds are cut off.
                prop_assert!(taken as f64 <= most + 0.001, "{} {}", taken, most);
            }
        }
    }
}
