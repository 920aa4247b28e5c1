//! What the system knows of this process, for the metrics. Only Linux is asked.

use crate::clock;

/// The figures of the process at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process {
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_bytes: u64,
    pub(crate) open_descriptors: u64,
    /// Seconds since 1970.
    pub(crate) started: u64,
}

impl Process {
    /// `None` where the system doesn't say.
    pub(crate) fn read() -> Option<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The name stands in parentheses and may have any character.
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<f64>().ok();
        let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
        let uptime: f64 = uptime.split_whitespace().next()?.parse().ok()?;
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        // utime, stime, starttime and rss: fields 14, 15, 22 and 24, of which two stood before.
        let (user, system) = (number(11)?, number(12)?);
        let age = uptime - number(19)? / ticks;
        let now = clock::date().duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(Self {
            cpu_seconds: (user + system) / ticks,
            resident_bytes: number(21)? as u64 * rustix::param::page_size() as u64,
            open_descriptors: std::fs::read_dir("/proc/self/fd").ok()?.count() as u64,
            started: (now.as_secs_f64() - age).max(0.0) as u64,
        })
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_figures() {
        let process = Process::read().unwrap();
        assert!(process.resident_bytes > 1_000_000 && process.open_descriptors > 2);
        let now = clock::date().duration_since(std::time::UNIX_EPOCH).unwrap();
        let age = now.as_secs().abs_diff(process.started);
        assert!(age < 3_600, "{age}");
    }
}
