//! Translates a source position to a target position that skips nothing (`docs/protocol.md`,
//! "Translation").

use super::event::LogRange;
use super::ids::{SourceOffset, TargetOffset};
use super::index::Copies;
use super::planted::{Bug, has};
use super::policy::OnBelowFirstMapping;
use super::runs::Translation;
use super::verdict::HoldReason;

/// A target position at or below the copies of all records that are still to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Translated {
    /// The position, within the target's log.
    pub(crate) target: TargetOffset,
    /// At most this many records are read again; `None` if unknown.
    pub(crate) re_read: Option<u64>,
    /// The target offset of the first known copy of a record at or after the position; `None` if no copy is
    /// known.
    pub(crate) first_copy: Option<TargetOffset>,
}

/// Translates `position`. The result is clamped up to the target's log start: below it, a consumer
/// falls back to its reset policy and may skip everything.
///
/// # Errors
///
/// The reason why there is no translation.
pub(crate) fn translate(
    position: SourceOffset,
    copies: &Copies,
    below_first: OnBelowFirstMapping,
    log: LogRange,
) -> Result<Translated, HoldReason> {
    // During a replay, the first copy of a record may lie below all known copies.
    if let Some(replay) = copies.replay
        && !has(Bug::ReplayIgnored)
        && replay.until().is_none_or(|until| position < until)
    {
        return Err(HoldReason::Replay { until: replay.until() });
    }
    let start = if has(Bug::BelowLogStart) { TargetOffset(0) } else { log.start };
    let planted = copies.arrivals.translate(position);
    match planted.unwrap_or_else(|| copies.translate(position)) {
        Translation::Exact { target } => {
            let first_copy = Some(target);
            Ok(Translated { target: target.max(start), re_read: Some(0), first_copy })
        }
        Translation::LowerBound { target, next } => {
            let target = target.max(start);
            let until = next.unwrap_or(log.end).get();
            let re_read = u64::try_from(until.saturating_sub(target.get())).unwrap_or(0);
            Ok(Translated { target, re_read: Some(re_read), first_copy: next })
        }
        Translation::BelowFirst { first } => match below_first {
            OnBelowFirstMapping::Hold => Err(HoldReason::BelowFirst { first: first.source }),
            OnBelowFirstMapping::LogStart => {
                let first_copy = Some(first.target);
                Ok(Translated { target: log.start, re_read: None, first_copy })
            }
        },
        Translation::Empty => Err(HoldReason::NoMapping),
    }
}

#[cfg(test)]
mod tests;
