//! The judge and its table, for inputs that bytes choose.

use super::Situations;
use super::choices::Choices;
use sprag_core::judge::{is_foreign, is_of_later_fence, judge, may_refresh};
use sprag_spec::inputs::Inputs;
use sprag_spec::judge as specification;

/// Every row of the table, and what may replace or follow it.
#[rustfmt::skip]
pub(super) const SITUATIONS: &[&str] = &[
    "0", "1", "2", "3", "off", "4a", "4b", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14",
    "15", "16", "17", "unconfirmed",
];

pub(super) fn run(bytes: &[u8], situations: &mut Situations) {
    let choices = &mut Choices::new(bytes);
    let inputs = Inputs::picked(&mut |of| choices.below(of));
    let (row, expected) = specification::verdict(inputs.facts());
    situations.reach(row);
    let Inputs { stored, candidate, own, known, findings, policy } = &inputs;
    let judged = judge(stored, candidate.clone(), own, known, *findings, policy);
    assert_eq!(judged, expected, "left: the judge; right: row {row}; for {inputs:?}");
    assert_eq!(is_foreign(stored), specification::is_foreign(stored), "{stored:?}");
    let later = specification::is_of_later_fence(stored, own);
    assert_eq!(is_of_later_fence(stored, own), later, "{stored:?} {own:?}");
    let may = specification::may_refresh(stored, own, findings.active);
    assert_eq!(may_refresh(stored, own, findings.active), may, "{stored:?} {own:?}");
}
