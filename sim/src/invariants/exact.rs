//! Exact: with dense mappings a consumer that resumes reads nothing twice, where records were
//! copied once and in order.

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
    // Where records were copied twice, or by two publishers at once, a replay may be read again.
    let mut copies: Vec<(i64, i64)> = Vec::new();
    for record in records {
        if let Some((id, from)) = record.value.as_deref().and_then(origin)
            && id == ids.0
        {
            if copies.last().is_some_and(|(last, _)| *last >= from) {
                return None;
            }
            copies.push((from, record.offset));
        }
    }
    let again = copies.iter().find(|(from, at)| from < source && *at >= stands);
    again.map(|(from, _)| Violation {
        invariant: Invariant::Exact,
        time: now,
        place: Some((group.clone(), at.clone())),
        detail: format!(
            "the group is at source offset {source}, and would read {from} again from {stands}"
        ),
    })
}
