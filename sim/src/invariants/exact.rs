//! Exact: with dense mappings a consumer that resumes reads nothing twice that was copied once.

use std::collections::BTreeMap;

use sprag::core::time::Instant;

use super::settled::Settled;
use super::{Invariant, Violation};
use crate::cluster::Cluster;
use crate::hosts::replicator::origin;
use crate::wire::Isolation;

/// Checks one partition of one group against the target's log, at `now`.
#[must_use]
pub fn check(now: Instant, settled: &Settled, target: &Cluster) -> Option<Violation> {
    let Settled { group, at, source, ids, stored, .. } = settled;
    let stands = stored.as_ref()?.offset;
    let log = target.topics().log(at)?;
    let (records, ..) = log.read(log.start(), Isolation::ReadCommitted, usize::MAX).ok()?;
    let mut copies: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for record in records {
        if let Some((id, from)) = record.value.as_deref().and_then(origin)
            && id == ids.0
        {
            copies.entry(from).or_default().push(record.offset);
        }
    }
    let again = copies.range(..source).find(|(_, at)| matches!(at[..], [only] if only >= stands));
    again.map(|(from, _)| Violation {
        invariant: Invariant::Exact,
        time: now,
        place: Some((group.clone(), at.clone())),
        detail: format!(
            "the group is at source offset {source}, and would read {from} again from {stands}"
        ),
    })
}
