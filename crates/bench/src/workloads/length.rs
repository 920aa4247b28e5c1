//! How long and how much a run measures. Each workload has a default length, and the
//! command line can change it.

use std::time::Duration;

/// How long and how much a run measures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Wall time of what goes before and is not measured.
    pub(crate) warm_up: Duration,
    /// Wall time of what is measured, as far as the workload chooses it.
    pub(crate) time: Duration,
    /// Messages of what is measured, at most.
    pub(crate) messages: u64,
}

/// What the command line asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Asked {
    /// Nothing: the workload's own length.
    Nothing,
    /// So much measured time.
    Time(Duration),
    /// So many bytes, of workloads that are measured in them.
    Bytes(u64),
    /// Tiny counts: shows that everything works and measures nothing.
    Quick,
}

/// The length of a workload of which nothing else is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Length {
    warm_up: Duration,
    time: Duration,
    messages: u64,
    /// Bytes of a message, where it is the volume that counts.
    text: Option<u64>,
}

/// The same for `Asked::Quick`.
const QUICK_MESSAGES: u64 = 200;
const QUICK_TIME: Duration = Duration::from_millis(100);

/// Enough for a server's rate in memory. The messages bound the run on a machine
/// with a fast clock.
pub(super) const SHORT: Length = Length {
    warm_up: Duration::from_millis(250),
    time: Duration::from_secs(2),
    messages: 20_000_000,
    text: None,
};

/// Long enough that a store also pays for what it puts off: merging, deleting,
/// writing back. Only time ends it, however fast the server is.
pub(super) const SUSTAINED: Length = Length {
    warm_up: Duration::from_secs(30),
    time: Duration::from_secs(60),
    messages: u64::MAX,
    text: None,
};

/// So many messages from a store's first on, however long they take within reason.
pub(super) const fn count(messages: u64) -> Length {
    Length {
        warm_up: Duration::ZERO,
        time: Duration::from_secs(1800),
        messages,
        text: None,
    }
}

/// So many bytes in messages of `text` bytes.
pub(super) const fn volume(bytes: u64, text: u64) -> Length {
    Length {
        text: Some(text),
        ..count(bytes.div_ceil(text))
    }
}

impl Length {
    /// The bounds of a run of which this is asked. The warm-up keeps its
    /// proportion to the time.
    pub(super) fn bounds(self, asked: Asked) -> Bounds {
        let (time, messages) = match asked {
            Asked::Nothing => (self.time, self.messages),
            Asked::Time(time) => (time, self.messages),
            Asked::Bytes(bytes) => {
                let messages = self.text.map(|text| bytes.div_ceil(text));
                (self.time, messages.unwrap_or(self.messages))
            }
            Asked::Quick => (QUICK_TIME, QUICK_MESSAGES),
        };
        let proportion = self.warm_up.as_secs_f64() / self.time.as_secs_f64();
        Bounds {
            warm_up: time.mul_f64(proportion),
            time,
            messages,
        }
    }
}

impl Bounds {
    /// Those of a short run.
    pub(crate) fn short(asked: Asked) -> Self {
        SHORT.bounds(asked)
    }

    /// The bounds of what isn't measured.
    pub(crate) fn warming_up(self) -> Self {
        Self {
            time: self.warm_up,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_holds_where_nothing_is_asked() {
        let bounds = SUSTAINED.bounds(Asked::Nothing);
        assert_eq!(bounds.warm_up, Duration::from_secs(30));
        assert_eq!(bounds.time, Duration::from_secs(60));
    }

    #[test]
    fn the_fastest_server_does_not_end_a_sustained_run_early() {
        let bounds = SUSTAINED.bounds(Asked::Nothing);
        let ten_million_a_second = 10_000_000 * bounds.time.as_secs();
        assert!(bounds.messages > ten_million_a_second);
    }

    #[test]
    fn asked_for_seconds_the_warm_up_keeps_its_proportion() {
        let asked = Asked::Time(Duration::from_secs(8));
        let seconds = |length: Length| length.bounds(asked).warm_up.as_secs_f64();
        assert_eq!((seconds(SUSTAINED), seconds(SHORT)), (4.0, 1.0));
        assert_eq!(seconds(count(7)), 0.0);
        assert_eq!(count(7).bounds(asked).messages, 7);
    }

    #[test]
    fn asked_for_bytes_a_volume_changes_and_nothing_else_does() {
        let messages = |length: Length, asked| length.bounds(asked).messages;
        assert_eq!(messages(volume(20_000, 600), Asked::Nothing), 34);
        assert_eq!(messages(volume(20_000, 600), Asked::Bytes(1200)), 2);
        assert_eq!(messages(count(7), Asked::Bytes(1200)), 7);
        assert_eq!(messages(SUSTAINED, Asked::Bytes(1200)), u64::MAX);
    }

    #[test]
    fn quick_is_tiny_whatever_the_length() {
        for length in [SHORT, SUSTAINED, count(1 << 40), volume(1 << 50, 9)] {
            let bounds = length.bounds(Asked::Quick);
            assert!(bounds.time + bounds.warm_up < Duration::from_secs(1));
            assert!(bounds.messages <= 200);
        }
    }
}
