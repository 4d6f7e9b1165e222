//! The staircase (`docs/protocol.md`, "Translation").

use std::cmp::Reverse;
use std::collections::BTreeMap;

use sprag_core::ids::{SourceOffset, TargetOffset};
use sprag_core::mapping::Run;
use sprag_core::runs::Translation;

/// A known copy: the record at the source offset is also at the target offset.
pub type KnownCopy = (SourceOffset, TargetOffset);

/// The copies of a run, one at a time.
pub fn copies(run: Run) -> impl Iterator<Item = KnownCopy> {
    let Run { source, target, len } = run;
    (0..len.cast_signed()).map(move |nth| copy(source.get() + nth, target.get() + nth))
}

/// The kept copies, by source offset. *A known copy (s, t) is kept iff no other known copy (s', t') has
/// s' ≥ s and t' ≤ t.* So, from the highest source offset down, each copy is kept that is below all copies
/// before it.
pub fn kept(known: impl IntoIterator<Item = KnownCopy>) -> BTreeMap<SourceOffset, TargetOffset> {
    let mut known: Vec<KnownCopy> = known.into_iter().collect();
    known.sort_unstable_by_key(|(source, target)| (Reverse(*source), *target));
    let mut kept = BTreeMap::new();
    let mut lowest = None;
    for (source, target) in known {
        if lowest.is_none_or(|lowest| target < lowest) {
            lowest = Some(target);
            kept.insert(source, target);
        }
    }
    kept
}

/// The translation of a position: the kept copy of the record there; else the offset after the closest kept
/// copy below.
#[must_use]
pub fn translation(
    kept: &BTreeMap<SourceOffset, TargetOffset>,
    position: SourceOffset,
) -> Translation {
    if let Some(target) = kept.get(&position) {
        return Translation::Exact { target: *target };
    }
    if let Some((_, below)) = kept.range(..position).next_back() {
        let next = kept.range(position..).next().map(|(_, target)| *target);
        return Translation::LowerBound { target: TargetOffset(below.get() + 1), next };
    }
    let Some((source, target)) = kept.first_key_value() else {
        return Translation::Empty;
    };
    let endless = Run { source: *source, target: *target, len: i64::MAX.unsigned_abs() };
    let first = copies(endless).take_while(|(source, target)| kept.get(source) == Some(target));
    Translation::BelowFirst { first: Run { len: first.count() as u64, ..endless } }
}

/// The target offset of a translation, if there is one.
#[must_use]
pub fn target(translation: Translation) -> Option<TargetOffset> {
    match translation {
        Translation::Exact { target } | Translation::LowerBound { target, .. } => Some(target),
        Translation::BelowFirst { .. } | Translation::Empty => None,
    }
}

fn copy(source: i64, target: i64) -> KnownCopy {
    (SourceOffset(source), TargetOffset(target))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of each set of copies in a small area, those are kept that the sentence names.
    #[test]
    fn a_copy_is_kept_if_no_other_one_dominates_it() {
        let area = (0..3).flat_map(|source| (0..4).map(move |target| copy(source, target)));
        let area: Vec<KnownCopy> = area.collect();
        for set in 0..1_usize << area.len() {
            let known: Vec<KnownCopy> =
                (0..area.len()).filter(|nth| set >> nth & 1 == 1).map(|nth| area[nth]).collect();
            let dominated = |copy: &KnownCopy| {
                known.iter().any(|other| other != copy && other.0 >= copy.0 && other.1 <= copy.1)
            };
            let expected: Vec<KnownCopy> =
                known.iter().filter(|copy| !dominated(copy)).copied().collect();
            let kept: Vec<KnownCopy> = kept(known.iter().copied()).into_iter().collect();
            assert_eq!(kept, expected, "{known:?}");
        }
    }

    #[test]
    fn a_position_is_exact_bounded_or_below_the_first_run() {
        let run = |source, target, len| Run {
            source: SourceOffset(source),
            target: TargetOffset(target),
            len,
        };
        let kept = kept([run(10, 100, 2), run(20, 130, 1)].into_iter().flat_map(copies));
        let at = |position| translation(&kept, SourceOffset(position));
        let target = TargetOffset;
        assert_eq!(at(9), Translation::BelowFirst { first: run(10, 100, 2) });
        assert_eq!(at(11), Translation::Exact { target: target(101) });
        assert_eq!(
            at(12),
            Translation::LowerBound { target: target(102), next: Some(target(130)) }
        );
        assert_eq!(at(21), Translation::LowerBound { target: target(131), next: None });
        assert_eq!(translation(&BTreeMap::new(), SourceOffset(0)), Translation::Empty);
    }
}
