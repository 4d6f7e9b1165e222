//! The log of one partition: records, transaction markers, which take an offset but are never returned, and
//! what each isolation level sees.

use std::collections::BTreeMap;

use crate::wire::{Error, Isolation, NewRecord, ReadRecord};

/// A log. Its first offset is 0.
#[derive(Clone, Debug, Default)]
pub struct Log {
    start: i64,
    /// By offset; `None` if compaction or deletion removed it.
    entries: Vec<Option<Entry>>,
    /// The first offset of each open transaction, by producer id.
    open: BTreeMap<i64, i64>,
}

#[derive(Clone, Debug)]
struct Entry {
    key: Vec<u8>,
    value: Option<Vec<u8>>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Visible to every reader.
    Committed,
    /// In the open transaction of this producer id.
    Pending(i64),
    /// Its transaction was aborted.
    Aborted,
    /// A transaction marker.
    Marker,
}

impl Log {
    /// The log start offset.
    #[must_use]
    pub fn start(&self) -> i64 {
        self.start
    }

    /// The log end offset. It equals the high watermark because there is one replica.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.entries.len().cast_signed() as i64
    }

    /// The log end offset that readers with this isolation level see.
    #[must_use]
    pub fn end_for(&self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::ReadUncommitted => self.end(),
            Isolation::ReadCommitted => {
                self.open.values().copied().min().unwrap_or_else(|| self.end())
            }
        }
    }

    /// Appends records, in the open transaction of `producer` if there is one. Returns the first offset.
    pub fn append(&mut self, records: Vec<NewRecord>, producer: Option<i64>) -> i64 {
        let first = self.end();
        let state = match producer {
            Some(producer) => {
                self.open.entry(producer).or_insert(first);
                State::Pending(producer)
            }
            None => State::Committed,
        };
        let entry = |NewRecord { key, value }| Some(Entry { key, value, state });
        self.entries.extend(records.into_iter().map(entry));
        first
    }

    /// Ends the transaction of a producer with a marker.
    pub fn end_transaction(&mut self, producer: i64, commit: bool) {
        let Some(first) = self.open.remove(&producer) else {
            return;
        };
        let from = usize::try_from(first).unwrap_or_default();
        for entry in self.entries.iter_mut().skip(from).flatten() {
            if entry.state == State::Pending(producer) {
                entry.state = if commit { State::Committed } else { State::Aborted };
            }
        }
        let marker = Entry { key: Vec::new(), value: None, state: State::Marker };
        self.entries.push(Some(marker));
    }

    /// Reads at most `most` records, starting at `offset`. Returns them and the position after the last
    /// entry that was examined.
    ///
    /// # Errors
    ///
    /// If the log does not contain that offset.
    pub fn read(
        &self,
        offset: i64,
        isolation: Isolation,
        most: usize,
    ) -> Result<(Vec<ReadRecord>, i64), Error> {
        if offset < self.start || offset > self.end() {
            return Err(Error::OffsetOutOfRange);
        }
        let end = self.end_for(isolation);
        let (mut records, mut position) = (Vec::new(), offset);
        while position < end && records.len() < most {
            let index = usize::try_from(position).unwrap_or_default();
            if let Some(Some(entry)) = self.entries.get(index)
                && entry.is_visible(isolation)
            {
                let (key, value) = (entry.key.clone(), entry.value.clone());
                records.push(ReadRecord { offset: position, key, value });
            }
            position += 1;
        }
        Ok((records, position))
    }

    /// Deletes the records below `before`.
    pub fn trim(&mut self, before: i64) {
        self.start = self.start.max(before.min(self.end()));
        for entry in self.entries.iter_mut().take(usize::try_from(self.start).unwrap_or_default()) {
            *entry = None;
        }
    }

    /// Keeps only the newest record of each key, as the log cleaner does below the last stable offset.
    pub fn compact(&mut self) {
        let end = usize::try_from(self.end_for(Isolation::ReadCommitted)).unwrap_or_default();
        let mut newest: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        for (index, entry) in self.entries.iter().enumerate().take(end) {
            if let Some(entry) = entry
                && entry.state == State::Committed
            {
                newest.insert(entry.key.clone(), index);
            }
        }
        for (index, entry) in self.entries.iter_mut().enumerate().take(end) {
            let older = entry.as_ref().is_some_and(|entry| {
                entry.state == State::Aborted
                    || entry.state == State::Committed && newest.get(&entry.key) != Some(&index)
            });
            if older {
                *entry = None;
            }
        }
    }
}

impl Entry {
    fn is_visible(&self, isolation: Isolation) -> bool {
        match self.state {
            State::Committed => true,
            State::Pending(_) | State::Aborted => isolation == Isolation::ReadUncommitted,
            State::Marker => false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]

    use super::*;

    fn record(key: &str) -> NewRecord {
        NewRecord { key: key.into(), value: Some(key.into()) }
    }

    fn seen(log: &Log, isolation: Isolation) -> Vec<i64> {
        let (records, position) = log.read(log.start(), isolation, 100).expect("a log");
        assert_eq!(position, log.end_for(isolation));
        records.into_iter().map(|record| record.offset).collect()
    }

    #[test]
    fn a_marker_takes_an_offset_and_an_open_transaction_ends_what_is_stable() {
        let mut log = Log::default();
        log.append(vec![record("a")], None);
        log.append(vec![record("b")], Some(1));
        log.append(vec![record("c")], None);
        assert_eq!(log.end_for(Isolation::ReadCommitted), 1);
        assert_eq!(seen(&log, Isolation::ReadCommitted), [0]);
        assert_eq!(seen(&log, Isolation::ReadUncommitted), [0, 1, 2]);
        log.end_transaction(1, false);
        assert_eq!(log.end(), 4);
        assert_eq!(seen(&log, Isolation::ReadCommitted), [0, 2]);
    }

    #[test]
    fn compaction_keeps_offsets_and_the_newest_of_each_key() {
        let mut log = Log::default();
        log.append(vec![record("a"), record("b"), record("a")], None);
        log.compact();
        assert_eq!(seen(&log, Isolation::ReadCommitted), [1, 2]);
        assert_eq!(log.end(), 3);
    }

    #[test]
    fn what_was_deleted_is_out_of_range() {
        let mut log = Log::default();
        log.append(vec![record("a"), record("b")], None);
        log.trim(1);
        assert_eq!(log.read(0, Isolation::ReadCommitted, 1), Err(Error::OffsetOutOfRange));
        assert_eq!(seen(&log, Isolation::ReadCommitted), [1]);
    }
}
