//! What the operating system knows: a process's processor time and memory,
//! connections that the kernel turned away, and what machine this is. Linux
//! only; elsewhere every answer is `None` and the report leaves it out.

/// Processor time that a process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CpuClock {
    /// All threads' time on a processor, in nanoseconds, as the scheduler counts it.
    total: u64,
    /// The part outside and inside the kernel, in ticks: far coarser, so only
    /// their proportion is used.
    user_ticks: u64,
    system_ticks: u64,
}

/// Processor time spent between two readings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CpuSpent {
    /// User and system together, in seconds.
    pub(crate) total: f64,
    user_ticks: u64,
    system_ticks: u64,
}

/// With fewer ticks (of 10 ms) than this the proportion is noise.
const TELLING_TICKS: u64 = 10;

impl CpuClock {
    /// What was spent since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> CpuSpent {
        CpuSpent {
            total: self.total.saturating_sub(earlier.total) as f64 / 1e9,
            user_ticks: self.user_ticks.saturating_sub(earlier.user_ticks),
            system_ticks: self.system_ticks.saturating_sub(earlier.system_ticks),
        }
    }
}

impl CpuSpent {
    /// Both together.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            total: self.total + other.total,
            user_ticks: self.user_ticks + other.user_ticks,
            system_ticks: self.system_ticks + other.system_ticks,
        }
    }

    /// How much of it was in user mode, from 0 to 1; `None` when it was too
    /// little to tell.
    pub(crate) fn user_share(self) -> Option<f64> {
        let ticks = self.user_ticks + self.system_ticks;
        (ticks >= TELLING_TICKS).then(|| self.user_ticks as f64 / ticks as f64)
    }
}

pub(crate) use system::{bytes_on_disk, cpu_clock, listen_drops, machine, memory, peak_memory};

#[cfg(target_os = "linux")]
mod system {
    use super::CpuClock;
    use std::fs;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    /// A block as the operating system counts them, whatever the file system's are.
    const BLOCK: u64 = 512;

    /// The processor time of process `pid`.
    pub(crate) fn cpu_clock(pid: u32) -> Option<CpuClock> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the program's name and may hold anything.
        let (_, fields) = stat.rsplit_once(") ")?;
        let mut fields = fields.split(' ').skip(11);
        Some(CpuClock {
            total: run_time(pid)?,
            user_ticks: fields.next()?.parse().ok()?,
            system_ticks: fields.next()?.parse().ok()?,
        })
    }

    /// Nanoseconds that the process's living threads have run.
    fn run_time(pid: u32) -> Option<u64> {
        let mut total = 0;
        for task in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
            // A thread may end between being listed and being read.
            let Ok(text) = fs::read_to_string(task.ok()?.path().join("schedstat")) else {
                continue;
            };
            total += text.split(' ').next()?.parse::<u64>().ok()?;
        }
        Some(total)
    }

    /// Bytes of memory that process `pid` has resident.
    pub(crate) fn memory(pid: u32) -> Option<u64> {
        kilobytes(&format!("/proc/{pid}/smaps_rollup"), "Rss:")
    }

    /// The most bytes of memory that process `pid` has had resident at once.
    pub(crate) fn peak_memory(pid: u32) -> Option<u64> {
        kilobytes(&format!("/proc/{pid}/status"), "VmHWM:")
    }

    /// The bytes that the line of this name gives in kilobytes.
    fn kilobytes(file: &str, name: &str) -> Option<u64> {
        let text = fs::read_to_string(file).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kilobytes * 1024)
    }

    /// Bytes that the files of a folder and of those in it take up. A file may go
    /// between being listed and being looked at.
    pub(crate) fn bytes_on_disk(folder: &Path) -> Option<u64> {
        let mut total = 0;
        for entry in fs::read_dir(folder).ok()? {
            let Ok(entry) = entry else { continue };
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            total += if metadata.is_dir() {
                bytes_on_disk(&entry.path()).unwrap_or(0)
            } else {
                metadata.blocks() * BLOCK
            };
        }
        Some(total)
    }

    /// Connections that the kernel has dropped since it started because some
    /// listener's queue was full.
    pub(crate) fn listen_drops() -> Option<u64> {
        let netstat = fs::read_to_string("/proc/net/netstat").ok()?;
        let mut lines = netstat.lines().filter(|line| line.starts_with("TcpExt:"));
        let names = lines.next()?.split(' ');
        let values = lines.next()?.split(' ');
        let (_, value) = names.zip(values).find(|(name, _)| *name == "ListenDrops")?;
        value.parse().ok()
    }

    /// Processors, memory and kernel of this machine, in a line.
    pub(crate) fn machine() -> Option<String> {
        let cpus = fs::read_to_string("/proc/cpuinfo").ok()?;
        let model = cpus
            .lines()
            .find_map(|line| line.strip_prefix("model name"))
            .map_or("unnamed processor", |rest| {
                rest.trim_start_matches([' ', '\t', ':'])
            });
        let count = std::thread::available_parallelism().ok()?;
        let memory = fs::read_to_string("/proc/meminfo").ok()?;
        let kilobytes: f64 = memory.split_whitespace().nth(1)?.parse().ok()?;
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
        Some(format!(
            "{count} × {model}, {:.1} GB, Linux {}",
            kilobytes * 1024.0 / 1e9,
            kernel.trim()
        ))
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use super::CpuClock;

    /// Not known here.
    pub(crate) fn cpu_clock(_pid: u32) -> Option<CpuClock> {
        None
    }

    /// Not known here.
    pub(crate) fn memory(_pid: u32) -> Option<u64> {
        None
    }

    /// Not known here.
    pub(crate) fn peak_memory(_pid: u32) -> Option<u64> {
        None
    }

    /// Not known here.
    pub(crate) fn bytes_on_disk(_folder: &std::path::Path) -> Option<u64> {
        None
    }

    /// Not known here.
    pub(crate) fn listen_drops() -> Option<u64> {
        None
    }

    /// Not known here.
    pub(crate) fn machine() -> Option<String> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_uses_processor_time() {
        let pid = std::process::id();
        assert!(memory(pid).unwrap() > 100_000);
        assert!(peak_memory(pid).unwrap() > 100_000);
        let before = cpu_clock(pid).unwrap();
        let mut sum = 0_u64;
        while cpu_clock(pid).unwrap().since(before).total == 0.0 {
            sum = std::hint::black_box((0..100_000).sum::<u64>() + sum % 7);
        }
        assert!(listen_drops().is_some());
        assert!(machine().unwrap().contains("Linux"));
    }

    #[test]
    fn the_peak_stays_when_memory_has_been_given_back() {
        let pid = std::process::id();
        let much = std::hint::black_box(vec![1_u8; 64 << 20]);
        let before = memory(pid).unwrap();
        assert!(before > 64 << 20);
        drop(much);
        assert!(peak_memory(pid).unwrap() > 64 << 20);
    }

    #[test]
    fn a_folder_is_as_large_as_all_files_in_and_under_it() {
        let folder = std::env::temp_dir().join(format!("topicbench-size-{}", std::process::id()));
        let inner = folder.join("inner");
        std::fs::create_dir_all(&inner).unwrap();
        assert_eq!(bytes_on_disk(&folder), Some(0));
        for file in [folder.join("one"), inner.join("two")] {
            let mut file = std::fs::File::create(file).unwrap();
            std::io::Write::write_all(&mut file, &[1; 100_000]).unwrap();
            // Some file systems only then know how much it takes.
            file.sync_all().unwrap();
        }
        let bytes = bytes_on_disk(&folder).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!((200_000..300_000).contains(&bytes), "{bytes}");
        assert_eq!(bytes_on_disk(&folder), None);
    }

    #[test]
    fn a_process_that_is_not_there_has_no_figures() {
        assert!(cpu_clock(u32::MAX).is_none());
        assert!(memory(u32::MAX).is_none() && peak_memory(u32::MAX).is_none());
    }

    #[test]
    fn too_few_ticks_tell_no_proportion() {
        let clock = |user_ticks, system_ticks| CpuClock {
            total: 0,
            user_ticks,
            system_ticks,
        };
        let spent = |end: CpuClock| end.since(CpuClock::default()).user_share();
        assert_eq!(spent(clock(1, 2)), None);
        assert_eq!(spent(clock(5, 15)), Some(0.25));
    }
}
