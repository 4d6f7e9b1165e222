//! FencedMeansFenced: a decision is carried out under the ownership that it was made under, or never.

use super::{Invariant, Violation};
use crate::truth::{Ours, Truth};

/// Checks one commit. A refresh keeps the stamp of its decision.
#[must_use]
pub fn check(truth: &Truth, ours: &Ours) -> Option<Violation> {
    let refreshed = ours.before.as_ref() == Some(&ours.after);
    if truth.guarded || refreshed {
        return None;
    }
    let newest = truth.fences.get(&ours.stamp.shard).copied();
    if newest == Some(ours.stamp.fence) {
        return None;
    }
    let detail = format!(
        "decided under fence {}, carried out when the newest was {newest:?}",
        ours.stamp.fence
    );
    Some(Violation::of(Invariant::FencedMeansFenced, ours, detail))
}
