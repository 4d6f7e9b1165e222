//! StandsDown: whoever was fenced stops. Its requests may be refused for a while, as long as it did not
//! hear of it; once all faults have ended, it has.

use std::time::Duration;

use sprag::core::time::Instant;

use super::{Invariant, Violation};
use crate::truth::Truth;

/// How long after the last fault nobody may be refused any more.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Checks what was refused in the calm since `calm`.
#[must_use]
pub fn check(truth: &Truth, calm: Instant) -> Option<Violation> {
    let (producer, at) = truth.refused.iter().find(|(_, at)| **at > calm + PATIENCE)?;
    let detail = format!(
        "the fenced producer {} of epoch {} still sends {} ms after the last fault",
        producer.transactional_id,
        producer.epoch,
        at.since(calm).as_millis()
    );
    Some(Violation { invariant: Invariant::StandsDown, time: *at, place: None, detail })
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{Says, settled};
    use super::*;

    #[test]
    fn who_is_refused_in_the_calm_did_not_stop() {
        let (mut made, older, fence) = settled(false);
        made.takes_over("sprag-1");
        made.writes("sprag-0", &older, Says { fence, as_of: 1, source: 5 }, 5);
        let refused = made.now();
        assert_eq!(check(&made.truth, refused), None, "it may not have heard of it yet");
        let earlier = Instant::from_millis(0);
        assert!(refused < earlier + PATIENCE && check(&made.truth, earlier).is_none());
        for _ in 0..500 {
            made.writes("sprag-0", &older, Says { fence, as_of: 1, source: 5 }, 5);
        }
        let violation = check(&made.truth, earlier).map(|it| it.to_string()).unwrap_or_default();
        assert!(violation.contains("sprag.made-up.0 of epoch 0 still sends"), "{violation}");
    }
}
