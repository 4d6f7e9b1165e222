//! Converges: once all faults have ended, every group that is not to be left alone stands where its
//! mappings say.

use sprag::core::time::Instant;

use super::settled::Settled;
use super::{Invariant, Violation};

/// Checks one partition of one group, at `now`.
#[must_use]
pub fn check(now: Instant, settled: &Settled) -> Option<Violation> {
    let Settled { group, at, source, stored, expected, may_be_sharper, .. } = settled;
    let stands = stored.as_ref().map(|stored| stored.offset);
    let right = match stands {
        Some(stands) if *may_be_sharper => stands >= *expected,
        Some(stands) => stands == *expected,
        None => false,
    };
    (!right).then(|| Violation {
        invariant: Invariant::Converges,
        time: now,
        place: Some((group.clone(), at.clone())),
        detail: format!(
            "the mappings put source offset {source} at {expected}, and {stands:?} stands there"
        ),
    })
}
