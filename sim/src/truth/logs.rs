//! How far the logs went, and when: what their readers could know.

use std::collections::BTreeMap;

use sprag_core::time::Instant;

use crate::wire::Partition;

/// A number that changed now and then.
type Changes = Vec<(Instant, i64)>;

/// The starts of the target's partitions, the ends of the source's, and when mappings were told.
#[derive(Default)]
pub struct Logs {
    starts: BTreeMap<Partition, Changes>,
    ends: BTreeMap<Partition, Changes>,
    told: BTreeMap<(Partition, i64), Instant>,
}

impl Logs {
    /// A topic was made: what was known of an earlier one of its name is gone.
    pub(super) fn made(&mut self, any: &Partition) {
        self.starts.retain(|at, _| at.topic != any.topic);
        self.ends.retain(|at, _| at.topic != any.topic);
        self.told.retain(|(at, _), _| at.topic != any.topic);
    }

    /// A target partition begins here now.
    pub(super) fn trimmed(&mut self, now: Instant, at: &Partition, start: i64) {
        self.starts.entry(at.clone()).or_default().push((now, start));
    }

    /// A source partition ends at or behind this now.
    pub(super) fn grew(&mut self, now: Instant, at: &Partition, end: i64) {
        self.ends.entry(at.clone()).or_default().push((now, end));
    }

    /// A mapping record was appended.
    pub(super) fn told(&mut self, now: Instant, at: &Partition, offset: i64) {
        self.told.insert((at.clone(), offset), now);
    }

    /// Where a target partition began before `then`.
    #[must_use]
    pub fn start(&self, at: &Partition, then: Instant) -> i64 {
        last(self.starts.get(at), then)
    }

    /// Where a source partition ended, at the least, when the mapping record at `offset` was appended.
    #[must_use]
    pub fn end_when_told(&self, source: &Partition, mapping: &Partition, offset: i64) -> i64 {
        let told = self.told.get(&(mapping.clone(), offset));
        told.map_or(0, |told| last(self.ends.get(source), *told))
    }
}

fn last(changes: Option<&Changes>, then: Instant) -> i64 {
    let before = |(at, _): &&(Instant, i64)| *at < then;
    changes.and_then(|changes| changes.iter().rev().find(before)).map_or(0, |(_, number)| *number)
}
