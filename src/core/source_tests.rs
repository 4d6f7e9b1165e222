#![allow(clippy::unwrap_used)]

use super::*;

const AFTER: Duration = Duration::from_secs(10);

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn partition() -> SourcePartition {
    SourcePartition::new("orders", 0)
}

fn offsets(offset: i64) -> BTreeMap<SourcePartition, SourceCommit> {
    let commit = SourceCommit { offset: SourceOffset(offset), metadata: String::new() };
    BTreeMap::from([(partition(), commit)])
}

struct Group(SourceMemory);

impl Group {
    fn read(&mut self, millis: u64, offset: i64, rediscovered: bool) -> bool {
        self.0.read(at(millis), offsets(offset), rediscovered, AFTER);
        self.0.confirm(at(millis), &partition(), None)
    }
}

#[test]
fn a_first_read_and_every_advance_is_believed() {
    let mut group = Group(SourceMemory::default());
    assert!(group.read(0, 100, false));
    assert!(group.read(1, 100, false));
    assert!(group.read(2, 150, false));
    assert_eq!(group.0.confirm_due(AFTER), None);
}

#[test]
fn a_decrease_needs_a_second_read_later_with_a_coordinator_looked_up_anew() {
    let mut group = Group(SourceMemory::default());
    assert!(group.read(0, 100, false));
    assert!(!group.read(1_000, 50, false));
    assert_eq!(group.0.confirm_due(AFTER), Some(at(11_000)));
    assert_eq!(group.0.coordinator_since(at(10_999), AFTER), None);
    assert!(!group.read(9_000, 50, true), "too early");
    assert!(!group.read(12_000, 50, false), "the old coordinator");
    assert_eq!(group.0.coordinator_since(at(12_000), AFTER), Some(at(1_000)));
    assert!(group.read(12_001, 60, true));
    assert_eq!(group.0.confirm_due(AFTER), None);
}

#[test]
fn a_further_decrease_starts_over() {
    let mut group = Group(SourceMemory::default());
    group.read(0, 100, false);
    assert!(!group.read(1_000, 50, false));
    assert!(!group.read(11_500, 40, true));
    assert_eq!(group.0.confirm_due(AFTER), Some(at(21_500)));
    assert!(group.read(21_500, 40, true));
}

#[test]
fn a_disturbance_makes_even_an_advance_doubtful() {
    let mut group = Group(SourceMemory::default());
    group.read(0, 100, false);
    group.0.disturb();
    assert!(!group.read(1_000, 120, false));
    assert!(group.read(11_000, 120, true));
    group.0.disturb();
    group.0.disturb();
    assert!(!group.read(12_000, 120, true));
}

#[test]
fn an_offset_below_the_stored_stamp_is_a_decrease_once() {
    let mut group = Group(SourceMemory::default());
    group.read(0, 100, false);
    let stamped = Some(SourceOffset(300));
    assert!(!group.0.confirm(at(0), &partition(), stamped));
    assert_eq!(group.0.confirm_due(AFTER), Some(at(10_000)));
    assert!(group.read(10_000, 100, true));
    // Under `onSourceRewind: hold` the stamp stays ahead; the read stays confirmed all the same.
    assert!(group.0.confirm(at(10_001), &partition(), stamped));
    assert!(group.0.confirm(at(10_002), &partition(), Some(SourceOffset(90))));
}

#[test]
fn an_offset_that_vanished_is_none_and_one_that_comes_back_lower_is_a_decrease() {
    let mut group = Group(SourceMemory::default());
    group.read(0, 100, false);
    group.0.read(at(1), BTreeMap::new(), false, AFTER);
    assert_eq!(group.0.commits().count(), 0);
    assert!(!group.0.confirm(at(1), &partition(), None));
    assert_eq!(group.0.confirm_due(AFTER), None);
    assert!(!group.read(2, 10, false));
}

#[test]
fn disturbances_that_do_not_end_do_not_put_the_confirmation_off_for_ever() {
    let mut group = Group(SourceMemory::default());
    group.0.disturb();
    assert!(!group.read(0, 100, false));
    group.0.disturb();
    assert!(!group.read(5_000, 100, false));
    group.0.disturb();
    assert!(group.read(10_000, 100, true));
    group.0.disturb();
    assert!(!group.read(15_000, 100, false), "a new doubt");
}

#[test]
fn a_read_below_any_since_the_doubt_began_is_a_decrease() {
    let mut group = Group(SourceMemory::default());
    group.0.disturb();
    assert!(!group.read(0, 100, false));
    assert!(!group.read(5_000, 120, false));
    assert!(!group.read(10_000, 110, true));
    assert!(group.read(20_000, 110, true));
}
