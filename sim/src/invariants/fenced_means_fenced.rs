//! FencedMeansFenced: a decision is carried out under the ownership that it was made under, or never;
//! and a group has one owner, because there is one number of shards.

use super::{Invariant, Violation};
use crate::truth::{Ours, Truth, stamp_of};

/// Checks one commit. A refresh keeps the stamp of its decision.
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
        let detail = format!("an owner under {now} shards overwrote one under {was}");
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
        "decided under fence {}, carried out when the newest was {newest:?}",
        ours.stamp.fence
    );
    Some(Violation::of(Invariant::FencedMeansFenced, ours, detail))
}
