//! The committed and the pending offsets of one group.

use std::collections::{BTreeMap, BTreeSet};

use sprag_core::time::Instant;

use crate::wire::{Committed, Error, Partition};

/// The broker's limit for metadata, in UTF-16 units.
const METADATA_MAX: usize = 4096;

/// A group's offsets.
#[derive(Clone, Debug, Default)]
pub struct Offsets {
    committed: BTreeMap<Partition, Stored>,
    /// By producer id.
    pending: BTreeMap<i64, BTreeMap<Partition, Stored>>,
    /// Pending offsets that were deleted with their topic. They count as superseded when their transaction
    /// ends.
    deleted: BTreeMap<i64, Vec<(Partition, Committed)>>,
}

#[derive(Clone, Debug)]
struct Stored {
    commit: Committed,
    /// The position of its record in `__consumer_offsets`. Of two records, the later one counts.
    position: u64,
    at: Instant,
}

/// A change of a committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The partition.
    pub at: Partition,
    /// The offset committed before.
    pub before: Option<Committed>,
    /// The offset committed now.
    pub after: Option<Committed>,
}

/// Whether the broker accepts this offset.
///
/// # Errors
///
/// If the metadata is too long.
pub fn check(commit: &Committed) -> Result<(), Error> {
    match commit.metadata.encode_utf16().count() > METADATA_MAX {
        true => Err(Error::OffsetMetadataTooLarge),
        false => Ok(()),
    }
}

impl Offsets {
    /// Stores a plain commit whose record is at `position` in `__consumer_offsets`.
    pub fn commit(
        &mut self,
        at: &Partition,
        commit: Committed,
        position: u64,
        now: Instant,
    ) -> Change {
        let stored = Stored { commit: commit.clone(), position, at: now };
        let before = self.committed.insert(at.clone(), stored).map(|stored| stored.commit);
        Change { at: at.clone(), before, after: Some(commit) }
    }

    /// Stores a commit in the transaction of a producer.
    pub fn pend(
        &mut self,
        producer: i64,
        at: &Partition,
        commit: Committed,
        position: u64,
        now: Instant,
    ) {
        let stored = Stored { commit, position, at: now };
        self.pending.entry(producer).or_default().insert(at.clone(), stored);
    }

    /// Ends the transaction of a producer. A commit made after the pending one wins. Returns the changes,
    /// and the pending offsets that were superseded or deleted meanwhile.
    pub fn end(
        &mut self,
        producer: i64,
        commit: bool,
    ) -> (Vec<Change>, Vec<(Partition, Committed)>) {
        let pending = self.pending.remove(&producer).unwrap_or_default();
        let mut changes = Vec::new();
        let mut superseded = self.deleted.remove(&producer).unwrap_or_default();
        superseded.retain(|_| commit);
        for (at, stored) in pending.into_iter().filter(|_| commit) {
            let later = self.committed.get(&at).is_some_and(|it| it.position > stored.position);
            if later {
                superseded.push((at, stored.commit));
            } else {
                let after = Some(stored.commit.clone());
                let before = self.committed.insert(at.clone(), stored).map(|it| it.commit);
                changes.push(Change { at, before, after });
            }
        }
        (changes, superseded)
    }

    /// The committed offsets of the named partitions, or of all.
    #[must_use]
    pub fn fetch(
        &self,
        named: Option<&BTreeSet<Partition>>,
        stable: bool,
    ) -> BTreeMap<Partition, Result<Option<Committed>, Error>> {
        let one = |at: &Partition| match stable && self.is_pending(at) {
            true => Err(Error::UnstableOffsetCommit),
            false => Ok(self.committed.get(at).map(|stored| stored.commit.clone())),
        };
        // A fetch of all partitions omits one whose first commit is pending.
        match named {
            Some(named) => named.iter().map(|at| (at.clone(), one(at))).collect(),
            None => self.committed.keys().map(|at| (at.clone(), one(at))).collect(),
        }
    }

    /// Removes offsets, including pending ones.
    pub fn remove(&mut self, which: impl Fn(&Partition) -> bool) -> Vec<Change> {
        for (producer, pending) in &mut self.pending {
            let deleted = pending.extract_if(.., |at, _| which(at));
            let deleted: Vec<_> = deleted.map(|(at, stored)| (at, stored.commit)).collect();
            if !deleted.is_empty() {
                self.deleted.entry(*producer).or_default().extend(deleted);
            }
        }
        let gone = self.committed.extract_if(.., |at, _| which(at));
        gone.map(|(at, stored)| Change { at, before: Some(stored.commit), after: None }).collect()
    }

    /// Removes offsets that were committed before `since`.
    pub fn expire(&mut self, since: Instant) -> Vec<Change> {
        let gone = self.committed.extract_if(.., |_, stored| stored.at < since);
        gone.map(|(at, stored)| Change { at, before: Some(stored.commit), after: None }).collect()
    }

    /// Whether there are no offsets and no open transactions. A transaction counts even if all its offsets
    /// were deleted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.committed.is_empty() && self.pending.is_empty()
    }

    /// Whether anything is pending.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        self.pending.values().any(|pending| !pending.is_empty())
    }

    fn is_pending(&self, at: &Partition) -> bool {
        self.pending.values().any(|pending| pending.contains_key(at))
    }
}
