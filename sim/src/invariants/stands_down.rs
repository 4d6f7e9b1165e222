//! StandsDown: a fenced instance stops. Its requests may be refused until it learns that it was fenced;
//! once all faults have ended, it has learnt.

use std::time::Duration;

use sprag_core::time::Instant;

use super::{Invariant, Violation};
use crate::truth::Truth;

/// How long refused requests may continue in the calm phase.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Checks the requests that were refused after `calm`.
#[must_use]
pub fn check(truth: &Truth, calm: Instant) -> Option<Violation> {
    let refused = truth.refused.iter();
    let (producer, (first, last)) =
        refused.into_iter().find(|(_, (first, last))| *last > *first.max(&calm) + PATIENCE)?;
    let detail = format!(
        "the fenced producer {} of epoch {} still sends {} ms after it was refused",
        producer.transactional_id,
        producer.epoch,
        last.since(*first).as_millis()
    );
    Some(Violation { invariant: Invariant::StandsDown, time: *last, place: None, detail })
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{Says, settled};
    use super::*;

    #[test]
    fn a_producer_still_refused_in_the_calm_did_not_stop() {
        let (mut made, older, fence) = settled(false);
        made.takes_over("sprag-1");
        made.writes("sprag-0", &older, Says { fence, as_of: 1, source: 5 }, 5);
        let refused = made.now();
        assert_eq!(check(&made.truth, refused), None, "it may not have heard of it yet");
        let earlier = Instant::from_millis(0);
        assert!(refused < earlier + PATIENCE && check(&made.truth, earlier).is_none());
        for _ in 0..600 {
            made.writes("sprag-0", &older, Says { fence, as_of: 1, source: 5 }, 5);
        }
        let violation = check(&made.truth, earlier).map(|it| it.to_string()).unwrap_or_default();
        assert!(violation.contains("sprag.made-up.0 of epoch 0 still sends"), "{violation}");
    }
}
