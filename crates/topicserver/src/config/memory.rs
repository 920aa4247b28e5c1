//! How much memory the machine has.

use super::Config;

/// A part of the machine's memory; the minimum if its size is unknown.
pub(super) fn default_max_queued() -> usize {
    let memory = std::fs::read_to_string("/proc/meminfo").ok();
    let memory = memory.as_deref().and_then(total);
    let part = memory.map_or(0, |bytes| bytes / Config::MAX_QUEUED_PART);
    part.max(Config::LEAST_MAX_QUEUED)
}

/// The bytes of memory, from Linux's `/proc/meminfo`.
fn total(meminfo: &str) -> Option<usize> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_kibibytes() {
        let meminfo = "MemTotal:       24683008 kB\nMemFree:         1 kB\n";
        assert_eq!(total(meminfo), Some(24_683_008 * 1024));
        assert_eq!(total("nothing"), None);
        assert!(default_max_queued() >= Config::LEAST_MAX_QUEUED);
    }
}
