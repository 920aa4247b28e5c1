//! What options take: reading one value, or saying what it should have been.

use std::time::Duration;

use wire::Limits;

/// Room for the longest topic and addresses and some text. Less would refuse
/// every line.
const SMALLEST_FRAME: usize = 1024;
/// A day: longer waits are typing errors.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map(Duration::try_from_secs_f64);
    match seconds {
        Ok(Ok(duration)) if duration <= LONGEST_WAIT => Ok(duration),
        _ => Err(format!(
            "a number of seconds from 0 to {}",
            LONGEST_WAIT.as_secs()
        )),
    }
}

pub(super) fn positive_seconds(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        Duration::ZERO => Err("a number of seconds above 0".into()),
        duration => Ok(duration),
    }
}

pub(super) fn time(text: &str) -> Result<Duration, String> {
    let wrong = || "a number and s, m, h or d, such as 90s, 10m, 2h or 1d".to_owned();
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let number = &text[..text.len() - unit.len_utf8()];
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let length = number.checked_mul(seconds).filter(|_| is_number);
    length.map(Duration::from_secs).ok_or_else(wrong)
}

pub(super) fn frame_size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(size) if (SMALLEST_FRAME..=Limits::LARGEST_FRAME).contains(&size) => Ok(size),
        _ => Err(format!(
            "a number of bytes from {SMALLEST_FRAME} to {}",
            Limits::LARGEST_FRAME
        )),
    }
}
