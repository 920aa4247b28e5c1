//! Repairs the database's journal where the database itself refuses to.
//!
//! After a loss of power a part of the last group may be missing: its end is there, but
//! not its middle. The database treats that as an error and does not open. This module
//! cuts such a journal after its last whole group and reports how much it cut.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

/// The kinds of journal entries, and what ends a group, as fjall 3 writes them.
const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const MAGIC: &[u8] = b"FJL\x03";

/// Bytes of a group, beside its items: its start and its end.
pub(crate) const GROUP_OVERHEAD: usize = 13 + 13;

/// Bytes of an item, beside its key and value.
pub(crate) const ITEM_OVERHEAD: usize = 1 + 10 + 2 + 4 + 4;

/// What was cut from a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The journal.
    pub(crate) file: PathBuf,
    /// Sound bytes, which are still there.
    pub(crate) kept: u64,
    /// Bytes that were cut, without the zeros after them.
    pub(crate) dropped: u64,
}

/// Cuts every journal in the database's directory after its last whole group.
pub(crate) fn repair(database: &Path) -> io::Result<Vec<Cut>> {
    let mut cuts = Vec::new();
    for file in std::fs::read_dir(database)? {
        let file = file?.path();
        if file.extension() == Some(OsStr::new("jnl")) {
            cuts.extend(repair_file(file)?);
        }
    }
    Ok(cuts)
}

fn repair_file(file: PathBuf) -> io::Result<Option<Cut>> {
    let bytes = std::fs::read(&file)?;
    let kept = whole_groups(&bytes);
    let rest = &bytes[kept..];
    let dropped = rest
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |at| at + 1);
    if dropped == 0 {
        return Ok(None);
    }
    let journal = OpenOptions::new().write(true).open(&file)?;
    journal.set_len(kept as u64)?;
    journal.sync_all()?;
    Ok(Some(Cut {
        file,
        kept: kept as u64,
        dropped: dropped as u64,
    }))
}

/// How many bytes from the beginning are whole groups.
fn whole_groups(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(len) = group_len(&bytes[at..]) {
        at += len;
    }
    at
}

/// The length of the group that begins here, if it is whole and its checksum fits.
pub(crate) fn group_len(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    if take::<1>(&mut rest)? != [START] {
        return None;
    }
    let items = u32::from_le_bytes(take(&mut rest)?);
    let _seqno: [u8; 8] = take(&mut rest)?;
    let begin = bytes.len() - rest.len();
    for _ in 0..items {
        skip_item(&mut rest)?;
    }
    let end = bytes.len() - rest.len();
    if take::<1>(&mut rest)? != [END] {
        return None;
    }
    let checksum = u64::from_le_bytes(take(&mut rest)?);
    let sound = xxh3_64(&bytes[begin..end]) == checksum && take::<4>(&mut rest)? == *MAGIC;
    sound.then(|| bytes.len() - rest.len())
}

fn skip_item(rest: &mut &[u8]) -> Option<()> {
    match take::<1>(rest)? {
        [ITEM] => {
            // Value type, compression, keyspace.
            let _: [u8; 10] = take(rest)?;
            let key_len = u16::from_le_bytes(take(rest)?);
            let _value_len: [u8; 4] = take(rest)?;
            let stored_len = u32::from_le_bytes(take(rest)?);
            *rest = rest.get(usize::from(key_len) + stored_len as usize..)?;
        }
        [CLEAR] => {
            let _keyspace: [u8; 8] = take(rest)?;
        }
        _ => return None,
    }
    Some(())
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*taken)
}
