//! The versions of NATS servers.

use super::super::error::EngineError;

/// Before that, two servers could append behind the same record.
const OLDEST: Version = Version([2, 11, 0]);
/// Before that, servers could lose messages when their clocks were set, or their disks were full.
const ADVISED: Version = Version([2, 12, 7]);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version([u32; 3]);

impl Version {
    /// The three numbers at the beginning.
    fn read(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let mut numbers = text.split(['.', '-', '+']).map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(Self([next()?, next()?, next()?]))
    }
}

/// Refuses a NATS server that is too old, and warns of one that is rather old.
pub(super) fn check(server: &str, text: &str) -> Result<(), EngineError> {
    match Version::read(text) {
        Some(version) if version >= ADVISED => Ok(()),
        Some(version) if version >= OLDEST => {
            tracing::warn!(
                "the NATS server at {server} has version {text}; from 2.12.7 on, fewer failures \
                 lose messages"
            );
            Ok(())
        }
        _ => Err(EngineError::Version {
            server: server.to_owned(),
            version: text.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_are_refused() {
        for (version, is_accepted) in [
            ("2.9.10", false),
            ("2.10.29", false),
            ("2.11.0", true),
            ("2.11.0-RC.1", true),
            ("2.12.7", true),
            ("v2.15.1", true),
            ("3.0.0", true),
            ("2", false),
            ("", false),
        ] {
            assert_eq!(check("a:1", version).is_ok(), is_accepted, "{version}");
        }
    }
}
