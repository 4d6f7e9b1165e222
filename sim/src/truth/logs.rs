//! The extent of the logs over time, which bounds what their readers could know.

use std::collections::BTreeMap;

use sprag_core::time::Instant;

use crate::wire::Partition;

/// A number, with the times at which it changed.
type Changes = Vec<(Instant, i64)>;

/// The log starts of target partitions, the log ends of source partitions, and when mappings were
/// published.
#[derive(Default)]
pub struct Logs {
    starts: BTreeMap<Partition, Changes>,
    ends: BTreeMap<Partition, Changes>,
    published: BTreeMap<(Partition, i64), Instant>,
}

impl Logs {
    /// A topic was created. Drops what was known of an earlier topic with the same name.
    pub(super) fn made(&mut self, any: &Partition) {
        self.starts.retain(|at, _| at.topic != any.topic);
        self.ends.retain(|at, _| at.topic != any.topic);
        self.published.retain(|(at, _), _| at.topic != any.topic);
    }

    /// The log start of a target partition is now `start`.
    pub(super) fn trimmed(&mut self, now: Instant, at: &Partition, start: i64) {
        self.starts.entry(at.clone()).or_default().push((now, start));
    }

    /// The log end of a source partition is now at least `end`.
    pub(super) fn grew(&mut self, now: Instant, at: &Partition, end: i64) {
        self.ends.entry(at.clone()).or_default().push((now, end));
    }

    /// A mapping record was appended.
    pub(super) fn published(&mut self, now: Instant, at: &Partition, offset: i64) {
        self.published.insert((at.clone(), offset), now);
    }

    /// The log start of a target partition before `then`.
    #[must_use]
    pub fn start(&self, at: &Partition, then: Instant) -> i64 {
        last(self.starts.get(at), then)
    }

    /// A lower bound for the log end of a source partition when the mapping record at `offset` was
    /// appended.
    #[must_use]
    pub fn end_when_published(&self, source: &Partition, mapping: &Partition, offset: i64) -> i64 {
        let published = self.published.get(&(mapping.clone(), offset));
        published.map_or(0, |published| last(self.ends.get(source), *published))
    }
}

fn last(changes: Option<&Changes>, then: Instant) -> i64 {
    let before = |(at, _): &&(Instant, i64)| *at < then;
    changes.and_then(|changes| changes.iter().rev().find(before)).map_or(0, |(_, number)| *number)
}
