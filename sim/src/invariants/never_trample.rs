//! NeverTrample: a group that has members on the target, or that somebody else committed for, is left
//! alone, as far as `groups.onForeignCommit` does not give it up.

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
            "committed {}, while {sibling} of the same group had the foreign {commit}",
            ours.after.offset
        )),
        None => None,
    }
}

/// Whether what was overwritten was somebody else's, to be left alone.
fn tramples(truth: &Truth, ours: &Ours) -> bool {
    let Some(before) = &ours.before else {
        return false;
    };
    if !is_foreign(before) {
        // A later version's stamp, or another pipeline's: no policy gives these up.
        return stamp_of(before).is_none_or(|(stamp, _)| stamp.pipeline != ours.stamp.pipeline);
    }
    match truth.rules.on_foreign {
        OnForeign::Hold => true,
        OnForeign::ForwardOnly => ours.after.offset <= before.offset,
        OnForeign::Overwrite => false,
    }
}

/// Another partition of the same topic with a foreign commit that the deciding look must have seen.
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
