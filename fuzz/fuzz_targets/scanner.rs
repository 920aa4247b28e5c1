//! Any bytes, cut anywhere, under large and small limits: does the scanner keep
//! its word?
//!
//! The check is shared with `crates/wire/tests/mutations.rs`.

#![no_main]

#[path = "../../crates/wire/tests/checks/mod.rs"]
#[allow(dead_code, reason = "each target runs one of the checks")]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::scanner(data));
