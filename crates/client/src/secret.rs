//! Random values from the operating system.
//!
//! A client key and the ids of messages must be unpredictable: a peer that could
//! guess them could take over a name, or make the server drop a message as a duplicate.

use wire::ClientKey;

/// The operating system gives no random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random numbers: {0}")]
pub struct NoRandomness(#[from] getrandom::Error);

/// A random number for a purpose where a predictable one does no harm, such as
/// jitter.
pub(crate) fn number() -> u64 {
    getrandom::u64().unwrap_or(u64::MAX / 2)
}

/// A random number from 0 to 1, for the same purposes.
pub(crate) fn fraction() -> f64 {
    f64::from(number() as u32) / f64::from(u32::MAX)
}

/// `N` random bytes in hexadecimal digits.
fn hexadecimal<const N: usize>() -> Result<String, NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The prefix of all message ids of a run: 8 digits.
pub(crate) fn run_id() -> Result<String, NoRandomness> {
    hexadecimal::<4>()
}

/// The secret by which a server recognises a client: 128 bits.
pub(crate) fn client_key() -> Result<ClientKey, NoRandomness> {
    const BYTES: usize = 128 / 8;
    const { assert!(2 * BYTES <= ClientKey::MAX_BYTES) };
    let digits = hexadecimal::<BYTES>()?;
    Ok(ClientKey::new(&digits).unwrap_or_else(|| unreachable!("its length is right")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_hexadecimal_and_each_is_different() {
        let key = || client_key().expect("randomness").as_str().to_owned();
        let (one, other) = (key(), key());
        assert_ne!(one, other);
        assert_eq!(one.len(), 32);
        assert!(one.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(one[..16], one[16..]);
        assert_eq!(
            run_id().expect("randomness").len(),
            crate::queue::RUN_DIGITS
        );
    }

    #[test]
    fn a_secret_has_no_source_but_the_operating_system() {
        // The standard library's hashers are keyed once per thread and then count up:
        // one of their keys gives away the next.
        let mut folders = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).expect("text");
                assert!(!text.contains(concat!("Random", "State")), "{path:?}");
            }
        }
    }
}
