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
