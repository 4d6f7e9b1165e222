//! The other predicates on stored commits, and offsets exactly on a boundary.

use super::*;

#[test]
fn only_our_own_unmodified_commit_is_refreshed() {
    for case in spread().step_by(17) {
        let ours = case.stored == Kind::Ours && case.fence != Side::Below && !case.active;
        assert_eq!(may_refresh(&stored(&case), &ownership(&case), case.active), ours, "{case:#?}");
    }
}

#[test]
fn foreign_is_what_has_no_stamp_or_one_of_another_offset() {
    for case in spread().step_by(17) {
        let foreign = [Kind::Foreign, Kind::Malformed, Kind::Copied].contains(&case.stored);
        assert_eq!(is_foreign(&stored(&case)), foreign, "{case:#?}");
    }
}

#[test]
fn a_later_fence_is_one_of_the_same_fence_log_and_pipeline_above_ours() {
    for case in spread().step_by(17) {
        let later = case.stored == Kind::Ours && case.fence == Side::Below;
        assert_eq!(is_of_later_fence(&stored(&case), &ownership(&case)), later, "{case:#?}");
    }
}

#[test]
fn a_stored_offset_at_the_end_of_the_log_is_not_beyond_it() {
    let case = Case {
        stored: Kind::Ours,
        target: Side::Below,
        source: Side::Equal,
        fence: Side::Equal,
        knowledge: Behind::No,
        same_mapping_topic: true,
        same_incarnation: true,
        lowered: false,
        first_copy: FirstCopy::AtStored,
        stored_beyond_end: false,
        beyond_end: false,
        active: false,
        sibling: false,
        confirmed: true,
        loading: false,
        guard: true,
        translated: true,
        foreign: OnForeignCommit::Hold,
        rewind: OnSourceRewind::Follow,
        correction: OnCorrection::Follow,
    };
    let sharper = Verdict::Keep(KeepReason::StoredIsSharper);
    assert_eq!(judged_at(&case, TargetOffset(STORED)), sharper);
    assert_eq!(judged_at(&case, TargetOffset(STORED - 1)), correction(&case));
}
