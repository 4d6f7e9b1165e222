//! Exact: with dense mappings, a consumer that resumes reads no record again, if records were copied once
//! and in order.

use sprag_core::time::Instant;

use super::settled::Settled;
use super::{Invariant, Violation};
use crate::cluster::Cluster;
use crate::hosts::replicator::records::origin;
use crate::wire::Isolation;

/// Checks one partition of one group against the target's log at `now`.
#[must_use]
pub fn check(now: Instant, settled: &Settled, target: &Cluster) -> Option<Violation> {
    let Settled { group, at, source, ids, stored, .. } = settled;
    let committed = stored.as_ref()?.offset;
    let log = target.topics().log(at)?;
    // If the copy was trimmed, the offset is raised to the log start, and what is left may be read again.
    if committed <= log.start() {
        return None;
    }
    let (records, ..) = log.read(log.start(), Isolation::ReadCommitted, usize::MAX).ok()?;
    // Where records were copied twice or by two publishers at once, a replay may be read again.
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
    let again = copies.iter().find(|(from, at)| from < source && *at >= committed);
    again.map(|(from, _)| Violation {
        invariant: Invariant::Exact,
        time: now,
        place: Some((group.clone(), at.clone())),
        detail: format!(
            "the group is at source offset {source} and would read {from} again from {committed}"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{MadeUp, Says, settled as made_settled};
    use super::super::settled::settled;
    use super::*;

    fn read_again(made: &MadeUp) -> Option<String> {
        let all = settled(&made.scenario, &made.truth, made.clusters());
        check(made.now(), &all[0], made.clusters().target).map(|it| it.detail)
    }

    #[test]
    fn a_record_too_early_is_read_twice() {
        let (mut made, producer, fence) = made_settled(false);
        assert_eq!(read_again(&made), None);
        made.group_is_at(0, 7);
        made.commits("sprag-0", &producer, Says { fence, as_of: 1, source: 7 }, 6);
        let detail = "the group is at source offset 7 and would read 6 again from 6";
        assert_eq!(read_again(&made).as_deref(), Some(detail));
    }

    #[test]
    fn in_a_replay_records_may_be_read_again() {
        let mut made = MadeUp::new(false);
        made.copied(0, 10, true);
        made.copied(5, 10, true);
        made.group_is_at(0, 12);
        let (producer, fence) = made.takes_over("sprag-0");
        made.looks("sprag-0");
        made.commits("sprag-0", &producer, Says { fence, as_of: 2, source: 12 }, 10);
        assert_eq!(read_again(&made), None);
    }
}
