#![allow(clippy::unwrap_used)]

use super::*;

const AFTER: Duration = Duration::from_secs(10);

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn partition(nth: i32) -> SourcePartition {
    SourcePartition::new("orders", nth)
}

fn commit(offset: i64) -> SourceCommit {
    SourceCommit { offset: SourceOffset(offset), metadata: String::new() }
}

fn connection(number: u64) -> Answerer {
    Answerer { connection: number, ..Answerer::default() }
}

/// A group, with the connection that answers for it.
struct Group {
    memory: SourceMemory,
    answered_by: Option<Answerer>,
}

impl Group {
    fn new() -> Self {
        Self { memory: SourceMemory::default(), answered_by: Some(connection(0)) }
    }

    fn reads(&mut self, millis: u64, offsets: &[i64], looked_up_after: Option<u64>) {
        let partitions = (0..).map(partition);
        let commits = partitions.zip(offsets.iter().map(|offset| commit(*offset))).collect();
        let reading = Reading {
            now: at(millis),
            looked_up_after: looked_up_after.map(at),
            confirms: looked_up_after.is_some(),
            confirm_after: AFTER,
        };
        self.memory.read(SourceOffsets { commits, answered_by: self.answered_by }, reading);
    }

    fn confirmed(&mut self, millis: u64, nth: i32) -> bool {
        self.memory.confirm(at(millis), &partition(nth), None)
    }

    /// An ordinary read of one partition.
    fn read(&mut self, millis: u64, offset: i64) -> bool {
        self.reads(millis, &[offset], None);
        self.confirmed(millis, 0)
    }

    /// A read from a coordinator that was looked up after `since`.
    fn read_again(&mut self, millis: u64, offset: i64, since: u64) -> bool {
        self.reads(millis, &[offset], Some(since));
        self.confirmed(millis, 0)
    }

    fn answered_by(&mut self, number: u64) {
        self.answered_by = Some(connection(number));
    }
}

#[test]
fn the_first_read_and_every_advance_are_confirmed() {
    let mut group = Group::new();
    assert!(group.read(0, 100));
    assert!(group.read(1, 100));
    assert!(group.read(2, 150));
    assert_eq!(group.memory.confirm_due(AFTER), None);
}

#[test]
fn a_decrease_needs_a_second_read_later_with_a_coordinator_looked_up_since() {
    let mut group = Group::new();
    assert!(group.read(0, 100));
    assert!(!group.read(1_000, 50));
    assert_eq!(group.memory.confirm_due(AFTER), Some(at(11_000)));
    assert_eq!(group.memory.coordinator_since(at(10_999), AFTER), None);
    assert!(!group.read_again(9_000, 50, 1_000), "too early");
    assert!(!group.read(12_000, 50), "the old coordinator");
    assert!(!group.read_again(12_000, 50, 999), "looked up before the doubt");
    assert_eq!(group.memory.coordinator_since(at(12_000), AFTER), Some(at(1_000)));
    assert!(group.read_again(12_001, 60, 1_000));
    assert_eq!(group.memory.confirm_due(AFTER), None);
}

#[test]
fn a_further_decrease_starts_over() {
    let mut group = Group::new();
    group.read(0, 100);
    assert!(!group.read(1_000, 50));
    assert!(!group.read_again(11_500, 40, 1_000));
    assert_eq!(group.memory.confirm_due(AFTER), Some(at(21_500)));
    assert!(group.read_again(21_500, 40, 11_500));
}

#[test]
fn an_advance_that_another_connection_reports_is_in_doubt() {
    let mut group = Group::new();
    group.read(0, 100);
    group.answered_by(1);
    assert!(!group.read(1_000, 120));
    assert!(group.read_again(11_000, 120, 1_000));
    assert!(group.read(11_500, 130), "the connection is the same as before");
}

#[test]
fn an_offset_that_another_connection_repeats_stays_confirmed() {
    let mut group = Group::new();
    group.read(0, 100);
    group.answered_by(1);
    assert!(group.read(1_000, 100));
    assert!(group.read(2_000, 110));
}

#[test]
fn an_answer_without_a_connection_puts_changes_in_doubt_and_so_does_the_next_one() {
    let mut group = Group::new();
    group.read(0, 100);
    group.answered_by = None;
    assert!(!group.read(1_000, 110));
    let mut group = Group::new();
    group.read(0, 100);
    group.answered_by = None;
    assert!(group.read(1_000, 100));
    group.answered_by(0);
    assert!(!group.read(2_000, 110), "the answerer in between is unknown");
}

#[test]
fn a_failed_read_puts_the_next_change_in_doubt() {
    let mut group = Group::new();
    group.read(0, 100);
    group.memory.disturb();
    assert!(!group.read(1_000, 120));
    let mut group = Group::new();
    group.memory.disturb();
    assert!(!group.read(0, 100), "even the very first offset");
}

#[test]
fn a_partition_that_goes_back_and_forth_holds_only_itself() {
    let mut group = Group::new();
    group.reads(0, &[200, 316], None);
    let mut offsets = [100, 200].into_iter().cycle();
    for second in 1..=10 {
        group.reads(second * 1_000, &[offsets.next().unwrap(), 50], None);
        assert!(!group.confirmed(second * 1_000, 1), "second {second}");
    }
    let since = group.memory.coordinator_since(at(11_000), AFTER);
    assert_eq!(since, Some(at(1_000)), "partition 1 went back at 1 s, and is due");
    group.reads(11_000, &[offsets.next().unwrap(), 50], Some(1_000));
    assert!(group.confirmed(11_000, 1));
    assert!(!group.confirmed(11_000, 0));
}

#[test]
fn a_confirming_read_leaves_the_partitions_that_are_not_in_doubt_alone() {
    let mut group = Group::new();
    group.reads(0, &[100, 10], None);
    group.reads(1_000, &[50, 20], None);
    group.answered_by(7);
    group.reads(11_000, &[50, 500], Some(1_000));
    assert!(group.confirmed(11_000, 0) && group.confirmed(11_000, 1));
    let known: Vec<_> = group.memory.commits().map(|(_, commit)| commit.offset.get()).collect();
    assert_eq!(known, [50, 20], "500 comes from another client");
    group.answered_by(0);
    group.reads(12_000, &[60, 30], None);
    assert!(group.confirmed(12_000, 0) && group.confirmed(12_000, 1));
}

#[test]
fn an_offset_below_the_stored_stamp_is_a_decrease_once() {
    let mut group = Group::new();
    group.read(0, 100);
    let stamped = Some(SourceOffset(300));
    assert!(!group.memory.confirm(at(0), &partition(0), stamped));
    assert_eq!(group.memory.confirm_due(AFTER), Some(at(10_000)));
    assert!(group.read_again(10_000, 100, 0));
    // Under `onSourceRewind: hold` the stamp stays ahead. The read remains confirmed.
    assert!(group.memory.confirm(at(10_001), &partition(0), stamped));
    assert!(group.memory.confirm(at(10_002), &partition(0), Some(SourceOffset(90))));
}

#[test]
fn an_offset_that_vanished_is_none_and_one_that_comes_back_lower_is_a_decrease() {
    let mut group = Group::new();
    group.read(0, 100);
    group.reads(1, &[], None);
    assert_eq!(group.memory.commits().count(), 0);
    assert!(!group.confirmed(1, 0));
    assert_eq!(group.memory.confirm_due(AFTER), None);
    assert!(!group.read(2, 10));
}

#[test]
fn connections_that_keep_breaking_do_not_delay_the_confirmation() {
    let mut group = Group::new();
    group.read(0, 100);
    for (millis, offset) in [(1_000, 110), (5_000, 120), (9_000, 130)] {
        group.answered_by(millis);
        assert!(!group.read(millis, offset));
    }
    assert!(group.read_again(11_000, 140, 1_000));
}

#[test]
fn a_read_below_any_since_the_doubt_began_is_a_decrease() {
    let mut group = Group::new();
    group.read(0, 90);
    group.answered_by(1);
    assert!(!group.read(1_000, 100));
    assert!(!group.read(5_000, 120));
    assert!(!group.read_again(11_000, 110, 1_000));
    assert!(group.read_again(21_000, 110, 11_000));
}

#[test]
fn a_position_is_in_doubt_if_its_topics_have_changed() {
    let (old, new) = (Incarnation(1), Incarnation(2));
    let mut group = Group::new();
    group.read(0, 100);
    group.memory.judged_for(at(0), &partition(0), old, None);
    assert!(group.confirmed(0, 0), "never judged before");
    group.memory.judged_for(at(1), &partition(0), new, Some(old));
    assert!(!group.confirmed(1, 0));
    assert!(group.read_again(10_001, 100, 1));
    group.memory.judged_for(at(10_001), &partition(0), new, Some(old));
    assert!(group.confirmed(10_001, 0), "read since, for these topics");

    let mut group = Group::new();
    group.read(0, 100);
    group.memory.judged_for(at(0), &partition(0), new, Some(old));
    assert!(!group.confirmed(0, 0), "the stamp was made for other topics");
}

#[test]
fn an_answerer_that_a_confirming_read_contradicted_is_in_doubt_next() {
    let mut group = Group::new();
    assert!(group.read(0, 0));
    group.answered_by(1);
    assert!(!group.read(1_000, 6), "another one answers");
    group.answered_by(2);
    assert!(!group.read_again(11_000, 0, 1_000));
    assert!(group.read_again(21_000, 0, 11_000), "it was stale");
    group.answered_by(1);
    assert!(!group.read(22_000, 6), "the stale one still is");
    group.answered_by(2);
    assert!(group.read_again(32_000, 7, 22_000), "the group moved on");
    group.answered_by(1);
    assert!(!group.read(33_000, 6));
}

#[test]
fn an_ordinary_answerer_that_agrees_with_the_confirming_read_is_trusted_again() {
    let mut group = Group::new();
    assert!(group.read(0, 100));
    assert!(!group.read(1_000, 50));
    group.answered_by(2);
    assert!(group.read_again(11_000, 60, 1_000));
    group.answered_by(0);
    assert!(group.read(12_000, 60));
    assert!(group.read(13_000, 70));
}
