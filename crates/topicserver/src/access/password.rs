//! Password hashes: how they are made, written and checked, with bounded memory and time.

use std::fmt;
use std::str::FromStr;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq as _;

/// Memory of one check, in KiB: what OWASP recommends with two passes. 30 ms a check.
const MEMORY: u32 = 19_456;
/// See [`MEMORY`].
const PASSES: u32 = 2;
/// More than one would only help if a check had several cores for itself.
const LANES: u32 = 1;

/// The most passes that a hash from another program may ask for: a login should not take a
/// second, and [`MEMORY`] bounds the memory of all checks together.
const MAX_PASSES: u32 = 10;
/// See [`MAX_PASSES`].
const MAX_LANES: u32 = 4;

const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// The fewest and most bytes of a salt or a hash that comes from elsewhere.
const BYTES: std::ops::RangeInclusive<usize> = 8..=64;

/// The hash of a password: `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PasswordHash {
    memory: u32,
    passes: u32,
    lanes: u32,
    pub(super) salt: Box<[u8]>,
    pub(super) hash: Box<[u8]>,
}

/// Why a text can't be used as the hash of a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordHashError {
    /// It is no hash, maybe the password itself.
    #[error(
        "a password is kept as \"$argon2id$v=19$m=19456,t=2,p=1$…\"; `topicserver user password` \
         writes it"
    )]
    Form,
    /// A check would take too much memory.
    #[error("a password's hash may ask for m={MEMORY} at most, not {0}; set the password anew")]
    Memory(u32),
    /// A check would take too long.
    #[error("a password's hash may ask for t={MAX_PASSES} and p={MAX_LANES} at most")]
    Work,
}

/// The blocks that one check fills. They are reused for the next one, because the allocator would
/// keep freed ones for each thread.
#[derive(Default)]
pub(super) struct Memory(Vec<Block>);

impl PasswordHash {
    /// Hashes a password with a new salt. Takes 30 ms and 19 MiB.
    pub(crate) fn of(password: &str) -> Result<Self, getrandom::Error> {
        let mut new = Self::decoy()?;
        new.hash = new.compute(password, &mut Memory::default());
        Ok(new)
    }

    /// A hash that no password fits, and that takes as long to check as any other.
    pub(super) fn decoy() -> Result<Self, getrandom::Error> {
        let (mut salt, mut hash) = ([0; SALT_BYTES], [0; HASH_BYTES]);
        getrandom::fill(&mut salt)?;
        getrandom::fill(&mut hash)?;
        Ok(Self {
            memory: MEMORY,
            passes: PASSES,
            lanes: LANES,
            salt: salt.into(),
            hash: hash.into(),
        })
    }

    /// Whether this is the hash of the password.
    pub(super) fn fits(&self, password: &str, memory: &mut Memory) -> bool {
        let computed = self.compute(password, memory);
        !computed.is_empty() && computed.ct_eq(&self.hash).into()
    }

    /// Computes the hash; empty if the parameters make no sense, which parsing has ruled out.
    fn compute(&self, password: &str, memory: &mut Memory) -> Box<[u8]> {
        let mut computed = vec![0; self.hash.len()];
        let params = Params::new(self.memory, self.passes, self.lanes, Some(computed.len()));
        let done = params.and_then(|params| {
            let Memory(blocks) = memory;
            if blocks.len() < params.block_count() {
                blocks.resize(params.block_count(), Block::default());
            }
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            let password = password.as_bytes();
            argon2.hash_password_into_with_memory(password, &self.salt, &mut computed, blocks)
        });
        match done {
            Ok(()) => computed.into(),
            Err(_) => Box::default(),
        }
    }
}

impl FromStr for PasswordHash {
    type Err = PasswordHashError;

    fn from_str(text: &str) -> Result<Self, PasswordHashError> {
        let read = Self::parse(text).ok_or(PasswordHashError::Form)?;
        if read.memory > MEMORY {
            return Err(PasswordHashError::Memory(read.memory));
        }
        if read.passes > MAX_PASSES || read.lanes > MAX_LANES {
            return Err(PasswordHashError::Work);
        }
        match Params::new(read.memory, read.passes, read.lanes, Some(read.hash.len())) {
            Ok(_) => Ok(read),
            Err(_) => Err(PasswordHashError::Form),
        }
    }
}

impl PasswordHash {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("$argon2id$v=19$")?.split('$');
        let mut numbers = parts.next()?.split(',');
        let mut number = |name| numbers.next()?.strip_prefix(name)?.parse().ok();
        let (memory, passes, lanes) = (number("m=")?, number("t=")?, number("p=")?);
        let mut bytes = || {
            let bytes = STANDARD_NO_PAD.decode(parts.next()?).ok()?;
            BYTES.contains(&bytes.len()).then(|| bytes.into())
        };
        let read = Self {
            memory,
            passes,
            lanes,
            salt: bytes()?,
            hash: bytes()?,
        };
        let is_over = parts.next().is_none() && numbers.next().is_none();
        is_over.then_some(read)
    }
}

/// The form in a file.
impl fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (memory, passes, lanes) = (self.memory, self.passes, self.lanes);
        let (salt, hash) = (
            STANDARD_NO_PAD.encode(&self.salt),
            STANDARD_NO_PAD.encode(&self.hash),
        );
        write!(
            f,
            "$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${hash}"
        )
    }
}

/// With a hash, passwords can be tried offline, so it isn't shown.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(password)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of "password", from the tests of the reference implementation.
    const CHEAP: &str = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$\
                         nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

    #[test]
    fn a_password_fits_what_is_kept_of_it_and_no_other_does() {
        let kept = PasswordHash::of("correct horse").unwrap();
        let text = kept.to_string();
        assert!(
            text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{text}"
        );
        let read: PasswordHash = text.parse().unwrap();
        assert_eq!(read, kept);
        let memory = &mut Memory::default();
        assert!(read.fits("correct horse", memory));
        assert!(!read.fits("correct horse ", memory));
        assert!(!read.fits("", memory));
        assert_ne!(PasswordHash::of("correct horse").unwrap(), kept);
        assert!(!format!("{kept:?}").contains("argon2"));
    }

    #[test]
    fn a_decoy_fits_nothing() {
        let decoy = PasswordHash::decoy().unwrap();
        assert!(!decoy.fits("", &mut Memory::default()));
        assert_eq!(
            decoy.to_string().len(),
            PasswordHash::of("x").unwrap().to_string().len()
        );
    }

    #[test]
    fn the_hash_is_that_of_the_reference_implementation() {
        let kept: PasswordHash = CHEAP.parse().unwrap();
        let memory = &mut Memory::default();
        // A larger memory than it takes does no harm.
        memory.0.resize(1000, Block::default());
        assert!(kept.fits("password", memory));
        assert!(!kept.fits("Password", memory));
    }

    #[test]
    fn what_is_no_hash_is_refused_with_the_reason() {
        let error = |text: &str| text.parse::<PasswordHash>().unwrap_err();
        for text in [
            "",
            "hunter2",
            "$2y$10$abcdefghijklmnopqrstuv",
            "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$c29tZXNhbHRzb21lc2FsdA",
            "$argon2id$m=256,t=2,p=1$c29tZXNhbHQ$c29tZXNhbHRzb21lc2FsdA",
            "$argon2id$v=19$m=256,t=2$c29tZXNhbHQ$c29tZXNhbHRzb21lc2FsdA",
            "$argon2id$v=19$m=256,t=2,p=1,x=1$c29tZXNhbHQ$c29tZXNhbHRzb21lc2FsdA",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$c29tZXNhbHRzb21lc2FsdA$",
            "$argon2id$v=19$m=256,t=2,p=1$eA$c29tZXNhbHRzb21lc2FsdA",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$not base 64!",
            "$argon2id$v=19$m=1,t=2,p=1$c29tZXNhbHQ$c29tZXNhbHRzb21lc2FsdA",
            "$argon2id$v=19$m=256,t=0,p=1$c29tZXNhbHQ$c29tZXNhbHRzb21lc2FsdA",
        ] {
            assert_eq!(error(text), PasswordHashError::Form, "{text}");
        }
        let rest = "c29tZXNhbHQ$c29tZXNhbHRzb21lc2FsdA";
        let memory = error(&format!("$argon2id$v=19$m=65536,t=3,p=1${rest}"));
        assert_eq!(memory, PasswordHashError::Memory(65536));
        for work in ["t=11,p=1", "t=2,p=5"] {
            let work = error(&format!("$argon2id$v=19$m=256,{work}${rest}"));
            assert_eq!(work, PasswordHashError::Work);
        }
    }
}
