//! Reads the values of options.

use std::time::Duration;

use wire::Limits;

/// Room for the longest topic and addresses and some text. Less would refuse every line.
const SMALLEST_FRAME: usize = 1024;
/// A day: longer waits are typing errors.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// What a value should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ValueError {
    /// A length of time that may be zero.
    #[error("a number of seconds from 0 to {}", LONGEST_WAIT.as_secs())]
    Seconds,
    /// A length of time that may not be zero.
    #[error("a number of seconds above 0")]
    PositiveSeconds,
    /// A length of time with a unit.
    #[error("a number and s, m, h or d, such as 90s, 10m, 2h or 1d")]
    Time,
    /// A frame's length.
    #[error("a number of bytes from {SMALLEST_FRAME} to {}", Limits::LARGEST_FRAME)]
    FrameSize,
}

pub(super) fn seconds(text: &str) -> Result<Duration, ValueError> {
    let seconds = text.parse().map(Duration::try_from_secs_f64);
    match seconds {
        Ok(Ok(duration)) if duration <= LONGEST_WAIT => Ok(duration),
        _ => Err(ValueError::Seconds),
    }
}

pub(super) fn positive_seconds(text: &str) -> Result<Duration, ValueError> {
    match seconds(text)? {
        Duration::ZERO => Err(ValueError::PositiveSeconds),
        duration => Ok(duration),
    }
}

pub(super) fn time(text: &str) -> Result<Duration, ValueError> {
    let unit = text.chars().next_back().ok_or(ValueError::Time)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(ValueError::Time),
    };
    let number = &text[..text.len() - unit.len_utf8()];
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = number.parse().map_err(|_| ValueError::Time)?;
    let length = number.checked_mul(seconds).filter(|_| is_number);
    length.map(Duration::from_secs).ok_or(ValueError::Time)
}

pub(super) fn frame_size(text: &str) -> Result<usize, ValueError> {
    match text.parse() {
        Ok(size) if (SMALLEST_FRAME..=Limits::LARGEST_FRAME).contains(&size) => Ok(size),
        _ => Err(ValueError::FrameSize),
    }
}
