//! FencedMeansFenced: a decision is carried out only under the ownership in which it was made. A group has
//! one owner, because there is one shard count.

use super::{Invariant, Violation};
use crate::truth::{Ours, Truth, stamp_of};

/// Checks one commit. A refresh keeps the stamp of its original decision.
#[must_use]
pub fn check(truth: &Truth, ours: &Ours) -> Option<Violation> {
    if ours.refresh || truth.is_guarded_race(ours) {
        return None;
    }
    if let Some((before, _)) = ours.before.as_ref().and_then(stamp_of)
        && before.pipeline == ours.stamp.pipeline
        && before.shards != ours.stamp.shards
    {
        let (now, was) = (ours.stamp.shards, before.shards);
        let detail = format!("an owner with {now} shards overwrote a commit of one with {was}");
        return Some(Violation::of(Invariant::FencedMeansFenced, ours, detail));
    }
    if truth.rules.guarded {
        return None;
    }
    let newest = truth.fences.get(&ours.stamp.shard).copied();
    if newest == Some(ours.stamp.fence) {
        return None;
    }
    let detail = format!(
        "decided under fence {}, but carried out when the newest fence was {newest:?}",
        ours.stamp.fence
    );
    Some(Violation::of(Invariant::FencedMeansFenced, ours, detail))
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{Says, settled};

    #[test]
    fn a_decision_of_an_earlier_owner_is_never_carried_out() {
        let (mut made, _, fence) = settled(false);
        let (newer, later) = made.takes_over("sprag-1");
        made.looks("sprag-1");
        made.group_is_at(0, 7);
        made.commits("sprag-1", &newer, Says { fence: later, as_of: 1, source: 7 }, 7);
        assert_eq!(made.broken(), Vec::<String>::new());
        made.commits("sprag-1", &newer, Says { fence, as_of: 1, source: 7 }, 7);
        assert!(made.broken().iter().any(|it| it.starts_with("FencedMeansFenced")));
    }

    #[test]
    fn a_fenced_owners_commit_never_gets_there() {
        let (mut made, older, fence) = settled(false);
        made.takes_over("sprag-1");
        made.commits("sprag-0", &older, Says { fence, as_of: 1, source: 5 }, 4);
        assert_eq!(made.broken(), Vec::<String>::new(), "the broker refused it");
        assert_eq!(made.truth.refused.len(), 1);
    }

    #[test]
    fn a_refresh_keeps_the_stamp_of_its_decision() {
        let (mut made, _, fence) = settled(false);
        let (newer, _) = made.takes_over("sprag-1");
        made.looks("sprag-1");
        made.commits("sprag-1", &newer, Says { fence, as_of: 1, source: 5 }, 5);
        assert_eq!(made.broken(), Vec::<String>::new());
    }
}
