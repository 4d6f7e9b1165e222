//! NeverTrample: a group with members or with foreign commits on the target is left alone, unless
//! `groups.onForeignCommit` allows otherwise.

use super::{Invariant, Violation};
use crate::scenario::OnForeign;
use crate::truth::{Ours, Truth, is_foreign, stamp_of};

/// Checks one commit.
#[must_use]
pub fn check(truth: &Truth, ours: &Ours) -> Option<Violation> {
    if truth.is_guarded_race(ours) {
        return None;
    }
    let violation = |detail| Some(Violation::of(Invariant::NeverTrample, ours, detail));
    if ours.active {
        return violation("written while the group had members".to_owned());
    }
    if let Some(before) = &ours.before
        && !truth.is_transactions_race(ours)
        && tramples(truth, ours)
    {
        let detail = format!("{} overwrote {before:?}, which is not ours", ours.after.offset);
        return violation(detail);
    }
    match foreign_sibling(truth, ours) {
        Some((sibling, commit)) => violation(format!(
            "committed {}, although {sibling} of the same group had the foreign {commit}",
            ours.after.offset
        )),
        None => None,
    }
}

/// Whether the overwritten commit was not ours and should have been left alone.
fn tramples(truth: &Truth, ours: &Ours) -> bool {
    let Some(before) = &ours.before else {
        return false;
    };
    if !is_foreign(before) {
        // No policy allows overwriting a stamp of a later version or of another pipeline.
        return stamp_of(before).is_none_or(|(stamp, _)| stamp.pipeline != ours.stamp.pipeline);
    }
    match truth.rules.on_foreign {
        OnForeign::Hold => true,
        OnForeign::ForwardOnly => ours.after.offset <= before.offset,
        OnForeign::Overwrite => false,
    }
}

/// Another partition of the same topic with a foreign commit that the deciding read must have seen.
fn foreign_sibling(truth: &Truth, ours: &Ours) -> Option<(String, i64)> {
    if truth.rules.on_foreign != OnForeign::Hold || ours.refresh {
        return None;
    }
    let stored = truth.stored.iter().find(|((group, at), stored)| {
        let look = truth.look(ours, at);
        let changed = truth.changed.get(&(group.clone(), at.clone()));
        let seen = changed.is_some_and(|at| look.is_some_and(|look| *at < look));
        *group == ours.group
            && at.topic == ours.at.topic
            && *at != ours.at
            && seen
            && is_foreign(stored)
    });
    stored.map(|((_, at), stored)| (format!("{}-{}", at.topic, at.partition), stored.offset))
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{Says, settled};
    use crate::scenario::OnForeign;
    use crate::wire::Committed;

    #[test]
    fn a_foreign_commit_stays_unless_the_policy_allows_overwriting_it() {
        for (policy, expected) in
            [(OnForeign::Hold, 1), (OnForeign::ForwardOnly, 0), (OnForeign::Overwrite, 0)]
        {
            let (mut made, producer, fence) = settled(false);
            made.truth.rules.on_foreign = policy;
            made.stranger_commits(0, 2, "");
            made.looks("sprag-0");
            made.commits("sprag-0", &producer, Says { fence, as_of: 1, source: 5 }, 5);
            assert_eq!(made.broken().len(), expected, "{policy:?}: {:?}", made.broken());
        }
    }

    #[test]
    fn no_policy_gives_up_a_stamp_of_a_later_version() {
        let (mut made, producer, fence) = settled(false);
        made.truth.rules.on_foreign = OnForeign::Overwrite;
        made.stranger_commits(0, 5, "k2k_v9:who knows");
        made.looks("sprag-0");
        made.commits("sprag-0", &producer, Says { fence, as_of: 1, source: 5 }, 5);
        assert!(made.broken()[0].contains("NeverTrample"), "{:?}", made.broken());
    }

    #[test]
    fn a_foreign_sibling_that_was_seen_holds_the_whole_group() {
        for (seen, expected) in [(true, 1), (false, 0)] {
            let (mut made, producer, fence) = settled(false);
            if seen {
                made.stranger_commits(1, 2, "");
            }
            made.looks("sprag-0");
            if !seen {
                made.stranger_commits(1, 2, "");
            }
            made.group_is_at(0, 7);
            made.commits("sprag-0", &producer, Says { fence, as_of: 1, source: 7 }, 7);
            assert_eq!(made.broken().len(), expected, "{:?}", made.broken());
        }
    }

    #[test]
    fn nothing_is_written_while_the_group_has_members() {
        let (mut made, producer, fence) = settled(false);
        made.looks("sprag-0");
        made.joins("consumer");
        made.commits("sprag-0", &producer, Says { fence, as_of: 1, source: 5 }, 5);
        let broken = made.broken();
        assert!(broken[0].contains("written while the group had members"), "{broken:?}");
    }

    #[test]
    fn a_member_that_comes_after_the_write_sees_it_committed() {
        let (mut made, producer, fence) = settled(false);
        made.looks("sprag-0");
        made.writes("sprag-0", &producer, Says { fence, as_of: 1, source: 5 }, 5);
        made.joins("consumer");
        made.ends("sprag-0", &producer);
        assert_eq!(made.broken(), Vec::<String>::new());
    }

    #[test]
    fn a_foreign_transaction_that_pends_after_the_look_is_the_race_that_is_admitted() {
        for (before_the_look, expected) in [(false, 0), (true, 1)] {
            let (mut made, producer, fence) = settled(false);
            let stranger = made.transactional("clients", "processor");
            let theirs = Committed { offset: 3, metadata: String::new() };
            if before_the_look {
                made.pends("clients", &stranger, theirs.clone());
            }
            made.looks("sprag-0");
            if !before_the_look {
                made.pends("clients", &stranger, theirs);
            }
            made.writes("sprag-0", &producer, Says { fence, as_of: 1, source: 5 }, 5);
            made.ends("clients", &stranger);
            made.ends("sprag-0", &producer);
            assert_eq!(made.broken().len(), expected, "{:?}", made.broken());
        }
    }

    #[test]
    fn a_refresh_that_a_foreign_transaction_overtook_is_still_one() {
        for (refresh, expected) in [(true, 0), (false, 1)] {
            let (mut made, producer, fence) = settled(false);
            let says = Says { fence, as_of: 1, source: 5 };
            made.looks("sprag-0");
            made.commits("sprag-0", &producer, says, 5);
            made.stranger_commits(1, 2, "");
            made.looks("sprag-0");
            made.group_is_at(0, 7);
            let stranger = made.transactional("clients", "processor");
            made.pends("clients", &stranger, Committed { offset: 3, metadata: String::new() });
            let again = if refresh { (says, 5) } else { (Says { source: 7, ..says }, 7) };
            made.writes("sprag-0", &producer, again.0, again.1);
            made.ends("clients", &stranger);
            made.ends("sprag-0", &producer);
            assert_eq!(made.broken().len(), expected, "{:?}", made.broken());
        }
    }
}
