//! Any bytes as frames: are they read as the judge reads them, and can what was
//! read be written and read again?
//!
//! The check is shared with `crates/wire/tests/mutations.rs`.

#![no_main]

#[path = "../../crates/wire/tests/checks/mod.rs"]
#[allow(dead_code, reason = "each target runs one of the checks")]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::frame(data));
