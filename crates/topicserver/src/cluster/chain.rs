//! Which records of a log count: each names the one before it. On a sound log all of them do. On
//! one that takes rival records, all servers refuse the same ones.

use super::record::Record;

/// How far a topic's records were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    /// The position of the last record that counts; 0 if there is none.
    pub(crate) at: u64,
    pub(crate) epoch: u64,
    /// The number of the next message.
    pub(crate) next: u64,
}

/// What a record is to a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Verdict {
    /// It is the next one.
    Counts,
    /// It is the first one of a new row of numbers, because nothing was left of the old one.
    Begins,
    /// It was read before.
    Known,
    /// Others come before it.
    Gap,
    /// It follows a record that doesn't count, or doesn't go on with the numbers.
    Refused,
}

impl Chain {
    /// Before anything was read.
    pub(crate) const EMPTY: Self = Self {
        at: 0,
        epoch: 0,
        next: 1,
    };

    /// The chain that ends with this record.
    pub(crate) fn ending_with(at: u64, record: &Record) -> Self {
        Self {
            at,
            epoch: record.epoch,
            next: record.end(),
        }
    }

    /// Judges the record at a position.
    pub(crate) fn judge(&self, at: u64, record: &Record) -> Verdict {
        if at <= self.at {
            return Verdict::Known;
        }
        if record.prev == self.at && self.is_next(record) {
            return match record.epoch == self.epoch {
                true => Verdict::Counts,
                false => Verdict::Begins,
            };
        }
        // The log had nothing of the topic any more when this was appended.
        if record.prev == 0 && record.first == 1 && record.epoch != self.epoch {
            return Verdict::Begins;
        }
        match record.prev > self.at {
            true => Verdict::Gap,
            false => Verdict::Refused,
        }
    }

    fn is_next(&self, record: &Record) -> bool {
        match record.epoch == self.epoch {
            true => record.first == self.next,
            // Something before it was lost, or there was nothing.
            false => record.first == 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::record;
    use super::*;

    #[test]
    fn a_record_counts_if_it_names_the_last_one_that_did() {
        let mut chain = Chain::EMPTY;
        let first = record(0, 1, "{}\n{}\n");
        assert_eq!(chain.judge(10, &first), Verdict::Begins);
        chain = Chain::ending_with(10, &first);
        let cases = [
            (10, record(0, 1, "{}\n"), Verdict::Known),
            (12, record(10, 3, "{}\n"), Verdict::Counts),
            (12, record(10, 4, "{}\n"), Verdict::Refused),
            (12, record(11, 3, "{}\n"), Verdict::Gap),
            (12, record(9, 3, "{}\n"), Verdict::Refused),
            (12, record(0, 1, "{}\n"), Verdict::Refused),
        ];
        for (at, record, verdict) in cases {
            assert_eq!(chain.judge(at, &record), verdict, "{at} {record:?}");
        }
        let anew = Record {
            epoch: 6,
            ..record(0, 1, "{}\n")
        };
        assert_eq!(chain.judge(12, &anew), Verdict::Begins);
    }

    /// What nats-server 2.9 did in most races: two records behind the same one.
    #[test]
    fn all_readers_of_a_forked_log_take_the_same_branch() {
        let log = [
            (1, record(0, 1, "a\n")),
            (2, record(1, 2, "b\n")),
            (3, record(1, 2, "rival\n")),
            (4, record(3, 3, "of the rival\n")),
            (5, record(2, 3, "c\n")),
            (6, record(4, 4, "of the rival\n")),
        ];
        let mut chain = Chain::EMPTY;
        let mut taken = Vec::new();
        for (at, record) in &log {
            if matches!(chain.judge(*at, record), Verdict::Counts | Verdict::Begins) {
                taken.push(*at);
                chain = Chain::ending_with(*at, record);
            }
        }
        assert_eq!(taken, [1, 2, 5]);
    }
}
