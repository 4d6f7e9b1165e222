//! Converges: once all faults have ended, every group that need not be left alone reaches the offset that
//! its mappings give.

use sprag_core::time::Instant;

use super::settled::Settled;
use super::{Invariant, Violation};

/// Checks one partition of one group at `now`.
#[must_use]
pub fn check(now: Instant, settled: &Settled) -> Option<Violation> {
    let Settled { group, at, source, stored, expected, at_most, .. } = settled;
    let committed = stored.as_ref().map(|stored| stored.offset);
    let right = committed.is_some_and(|offset| (*expected..=*at_most).contains(&offset));
    (!right).then(|| Violation {
        invariant: Invariant::Converges,
        time: now,
        place: Some((group.clone(), at.clone())),
        detail: format!(
            "the mappings put source offset {source} at {expected}, but {committed:?} is committed"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{Says, settled as made_settled};
    use super::super::settled::settled;
    use super::*;

    #[test]
    fn a_group_must_reach_the_offset_of_its_mappings_and_a_held_one_need_not() {
        let (mut made, producer, fence) = made_settled(false);
        let all = |made: &super::super::made_up::MadeUp| {
            settled(&made.scenario, &made.truth, made.clusters())
        };
        assert!(all(&made).iter().all(|it| check(made.now(), it).is_none()));
        made.group_is_at(0, 8);
        let late = all(&made);
        assert_eq!((late.len(), late[0].expected), (1, 8));
        let violation = check(made.now(), &late[0]).map(|it| it.detail).unwrap_or_default();
        assert_eq!(violation, "the mappings put source offset 8 at 8, but Some(5) is committed");
        made.commits("sprag-0", &producer, Says { fence, as_of: 1, source: 8 }, 8);
        assert!(check(made.now(), &all(&made)[0]).is_none());
        made.group_is_at(0, 9);
        made.stranger_commits(1, 1, "");
        assert_eq!(all(&made), [], "the group has a foreign commit");
    }

    #[test]
    fn an_offset_ahead_of_the_remaining_mappings_may_skip_none_of_their_copies() {
        let (made, ..) = made_settled(false);
        let mut one = settled(&made.scenario, &made.truth, made.clusters()).remove(0);
        one.at_most = one.expected + 3;
        for (ahead, right) in [(-1, false), (0, true), (3, true), (4, false)] {
            let offset = one.expected + ahead;
            let metadata = String::new();
            one.stored = Some(crate::wire::Committed { offset, metadata });
            assert_eq!(check(made.now(), &one).is_none(), right, "{ahead}");
        }
    }

    #[test]
    fn a_position_below_the_first_mapping_and_one_without_any_need_nothing() {
        let mut made = super::super::made_up::MadeUp::new(false);
        made.copied(5, 5, true);
        made.group_is_at(0, 3);
        made.group_is_at(1, 3);
        assert_eq!(settled(&made.scenario, &made.truth, made.clusters()), []);
    }
}
