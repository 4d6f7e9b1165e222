//! NeverTrample: what somebody else committed on the target stays (`groups.onForeignCommit: hold`).

use super::{Invariant, Violation};
use crate::truth::{Ours, Truth, stamp_of};

/// Checks one commit.
#[must_use]
pub fn check(truth: &Truth, ours: &Ours) -> Option<Violation> {
    let before = ours.before.as_ref()?;
    if stamp_of(before).is_some() || truth.is_guarded_race(ours) {
        return None;
    }
    let detail = format!("{} overwrote the foreign {before:?}", ours.after.offset);
    Some(Violation::of(Invariant::NeverTrample, ours, detail))
}
