//! The judge and its table, over every 101st of all combinations of the table's inputs.

use std::collections::BTreeSet;

use sprag_core::judge::{is_foreign, is_of_later_fence, judge, may_refresh};
use sprag_spec::inputs::{COUNT, Inputs};
use sprag_spec::judge as specification;

/// It has no factor in common with `COUNT`.
const STEP: usize = 101;

/// Every outcome of every row.
#[rustfmt::skip]
const OUTCOMES: [&str; 29] = [
    "0 NoMapping", "1 NewerVersion", "2 Active", "3 BeyondEnd", "off GuardOff", "off Same",
    "4a Foreign", "4a NotForward", "4a Override", "4b ForeignSibling", "5 First",
    "6 OtherPipeline", "7 FenceChanged", "8 FenceRegressed", "8 Stale", "9 Refence", "10 Behind",
    "11 Recreated", "11 Reincarnate", "12 Correct", "12 Correction", "13 Correct", "13 Correction",
    "14 FollowRewind", "14 Rewind", "15 Same", "16 Advance", "17 StoredIsSharper",
    "unconfirmed Unconfirmed",
];

#[test]
fn the_judge_is_the_table() {
    let mut outcomes = BTreeSet::new();
    for inputs in (0..COUNT).step_by(STEP).map(Inputs::nth) {
        let (row, expected) = specification::verdict(inputs.facts());
        let Inputs { stored, candidate, own, known, findings, policy } = &inputs;
        let verdict = judge(stored, candidate.clone(), own, known, *findings, policy);
        assert_eq!(verdict, expected, "row {row}: {inputs:#?}");
        outcomes.insert((row, verdict.name()));
    }
    let outcomes = outcomes.into_iter().map(|(row, name)| format!("{row} {name}"));
    assert_eq!(outcomes.collect::<BTreeSet<_>>(), OUTCOMES.map(str::to_owned).into());
}

#[test]
fn a_stored_commit_is_foreign_of_a_later_fence_or_refreshed_as_the_protocol_says() {
    for Inputs { stored, own, findings, .. } in (0..COUNT).step_by(STEP * 17).map(Inputs::nth) {
        assert_eq!(is_foreign(&stored), specification::is_foreign(&stored), "{stored:?}");
        let later = specification::is_of_later_fence(&stored, &own);
        assert_eq!(is_of_later_fence(&stored, &own), later, "{stored:?} {own:?}");
        let may = specification::may_refresh(&stored, &own, findings.active);
        assert_eq!(may_refresh(&stored, &own, findings.active), may, "{stored:?} {own:?}");
    }
}
