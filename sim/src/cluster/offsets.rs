//! The committed offsets of one group, and the pending ones.

use std::collections::{BTreeMap, BTreeSet};

use sprag_core::time::Instant;

use crate::wire::{Committed, Error, Partition};

/// What the broker takes of metadata, in UTF-16 units.
const METADATA_MAX: usize = 4096;

/// A group's offsets.
#[derive(Clone, Debug, Default)]
pub struct Offsets {
    committed: BTreeMap<Partition, Stored>,
    /// By producer id.
    pending: BTreeMap<i64, BTreeMap<Partition, Stored>>,
    /// Pending ones that were deleted with their topic: their transaction ends as if they stood.
    deleted: BTreeMap<i64, Vec<(Partition, Committed)>>,
}

#[derive(Clone, Debug)]
struct Stored {
    commit: Committed,
    /// Where its record is in the offsets topic: of two, the later one counts.
    position: u64,
    at: Instant,
}

/// A committed offset that changed: what was, and what is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The partition.
    pub at: Partition,
    /// What was committed before.
    pub before: Option<Committed>,
    /// What is committed now.
    pub after: Option<Committed>,
}

/// Whether the broker takes it.
///
/// # Errors
///
/// Where the metadata is too long.
pub fn check(commit: &Committed) -> Result<(), Error> {
    match commit.metadata.encode_utf16().count() > METADATA_MAX {
        true => Err(Error::OffsetMetadataTooLarge),
        false => Ok(()),
    }
}

impl Offsets {
    /// A plain commit, at `position` of the offsets topic.
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

    /// A commit in the transaction of a producer.
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

    /// The transaction of a producer ended. A commit that came after the pending one stands: such are
    /// told beside the changes, and those that were deleted meanwhile.
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

    /// What is committed, of the partitions named, or of all.
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
        // A fetch of all leaves out a partition whose first commit is pending.
        match named {
            Some(named) => named.iter().map(|at| (at.clone(), one(at))).collect(),
            None => self.committed.keys().map(|at| (at.clone(), one(at))).collect(),
        }
    }

    /// Removes offsets, pending ones too.
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

    /// Whether there is nothing at all. An open transaction counts, also where what it wrote was
    /// deleted since.
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
