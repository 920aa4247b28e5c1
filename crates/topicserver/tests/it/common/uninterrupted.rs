//! Reads that go on when the test was stopped meanwhile, as a paused machine or a debugger
//! does. A read with a timeout then ends with `Interrupted`, without any handler (signal(7)).
//!
//! The library's `read_exact`, `read_to_end`, `read_until` and `write_all` begin again by
//! themselves, and a single read doesn't. So tests read by [`read_some`]; `scripts/check` holds
//! that.

use std::io::{ErrorKind, Read, Result};

/// Does it again for as long as a signal interrupts it.
pub fn uninterrupted<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Reads once; 0 at the end.
pub fn read_some(from: &mut (impl Read + ?Sized), bytes: &mut [u8]) -> Result<usize> {
    uninterrupted(|| from.read(bytes))
}
