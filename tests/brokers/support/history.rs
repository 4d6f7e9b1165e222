//! Everything that was ever committed on a broker, in log order. Tests check the promises against
//! it.

use super::offsets_topic::{CommitKey, OffsetRecord};
use std::collections::BTreeMap;
use std::time::Instant;

/// One change of one committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It was committed.
    Committed(Seen),
    /// It was deleted or expired. The tombstone is at this position.
    Deleted {
        /// The position in its partition of `__consumer_offsets`.
        position: i64,
    },
}

/// A commit as the broker stores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The record's position in its partition of `__consumer_offsets`. It orders the commits of a
    /// group.
    pub(crate) position: i64,
    /// The committed offset.
    pub(crate) offset: i64,
    /// The text committed with it.
    pub(crate) metadata: String,
    /// When the broker accepted it, by its own clock, in milliseconds since the epoch.
    pub(crate) commit_timestamp: i64,
    /// When the watcher read it.
    pub(crate) seen_at: Instant,
}

/// A committed offset that went backwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decrease {
    pub(crate) group: String,
    pub(crate) topic: String,
    pub(crate) partition: i32,
    /// The higher offset before it.
    pub(crate) before: Seen,
    /// The lower offset that replaced it.
    pub(crate) after: Seen,
}

/// All changes by (group, topic, partition).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    changes: BTreeMap<CommitKey, Vec<Change>>,
}

impl History {
    /// Adds the record at `position`. Records about groups change nothing.
    pub(crate) fn apply(&mut self, position: i64, record: OffsetRecord) {
        let (key, change) = match record {
            OffsetRecord::Commit(key, value) => {
                let seen = Seen {
                    position,
                    offset: value.offset,
                    metadata: value.metadata,
                    commit_timestamp: value.commit_timestamp,
                    seen_at: Instant::now(),
                };
                (key, Change::Committed(seen))
            }
            OffsetRecord::Tombstone(key) => (key, Change::Deleted { position }),
            OffsetRecord::Other(_) => return,
        };
        self.changes.entry(key).or_default().push(change);
    }

    /// The changes of one group by (topic, partition).
    pub(crate) fn of_group(&self, group: &str) -> BTreeMap<(String, i32), Vec<Change>> {
        self.changes
            .iter()
            .filter(|(key, _)| key.group == group)
            .map(|(key, changes)| ((key.topic.clone(), key.partition), changes.clone()))
            .collect()
    }

    /// Every commit of one partition, deleted ones included.
    pub(crate) fn commits(&self, group: &str, topic: &str, partition: i32) -> Vec<Seen> {
        self.changes_of(group, topic, partition)
            .iter()
            .filter_map(|change| match change {
                Change::Committed(seen) => Some(seen.clone()),
                Change::Deleted { .. } => None,
            })
            .collect()
    }

    /// The current commit, or `None` if nothing was committed or it has since been deleted.
    pub(crate) fn latest(&self, group: &str, topic: &str, partition: i32) -> Option<Seen> {
        match self.changes_of(group, topic, partition).last()? {
            Change::Committed(seen) => Some(seen.clone()),
            Change::Deleted { .. } => None,
        }
    }

    /// Every decrease, of every group. A commit after a deletion is not a decrease.
    pub(crate) fn decreases(&self) -> Vec<Decrease> {
        let steps = self.changes.iter().flat_map(|(key, changes)| {
            changes.windows(2).map(move |pair| (key, &pair[0], &pair[1]))
        });
        steps
            .filter_map(|(key, before, after)| match (before, after) {
                (Change::Committed(before), Change::Committed(after)) => {
                    (after.offset < before.offset).then(|| Decrease {
                        group: key.group.clone(),
                        topic: key.topic.clone(),
                        partition: key.partition,
                        before: before.clone(),
                        after: after.clone(),
                    })
                }
                (Change::Deleted { .. }, _) | (_, Change::Deleted { .. }) => None,
            })
            .collect()
    }

    fn changes_of(&self, group: &str, topic: &str, partition: i32) -> &[Change] {
        let key = CommitKey { group: group.to_owned(), topic: topic.to_owned(), partition };
        self.changes.get(&key).map_or(&[], Vec::as_slice)
    }
}
