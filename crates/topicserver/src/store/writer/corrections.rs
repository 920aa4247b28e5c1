//! Corrections of the times of messages, kept over restarts. A machine may start with a wrong
//! clock, and learn the right time when messages have already come.

use bytes::{Buf, BufMut};

use crate::clock::Correction;
use crate::store::database::{CommitError, Tables};
use crate::store::error::StoreError;
use crate::store::writer::Writer;

/// The key in the table `meta`.
pub(in crate::store) const KEY: &str = "clock corrections";

/// From, to, shift.
const BYTES: usize = 3 * 8;

/// Reads the corrections.
pub(in crate::store) fn read(tables: &Tables) -> Result<Vec<Correction>, StoreError> {
    let Some(noted) = tables.meta.get(KEY)? else {
        return Ok(Vec::new());
    };
    let correction = |mut bytes: &[u8]| Correction {
        from: bytes.get_u64_le(),
        to: bytes.get_u64_le(),
        shift: bytes.get_i64_le(),
    };
    Ok(noted.chunks_exact(BYTES).map(correction).collect())
}

pub(in crate::store) fn write(corrections: &[Correction]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(corrections.len() * BYTES);
    for correction in corrections {
        bytes.put_u64_le(correction.from);
        bytes.put_u64_le(correction.to);
        bytes.put_i64_le(correction.shift);
    }
    bytes
}

impl Writer {
    /// Notes the clock's corrections, before anything is deleted by the corrected time.
    pub(super) fn note_corrections(&mut self) -> Result<(), CommitError> {
        let corrections = self.clock.corrections();
        if corrections == self.corrections {
            return Ok(());
        }
        let tables = self.tables().map_err(CommitError::Failed)?;
        let mut batch = tables.batch();
        batch.insert(&tables.meta, KEY, write(&corrections));
        tables.commit(batch)?;
        self.corrections = corrections;
        Ok(())
    }
}
