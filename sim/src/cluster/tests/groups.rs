//! When groups are listed and removed, where an earlier version of the model was wrong.

use super::*;

fn delete_offsets(it: &mut Try, at: Partition) -> Response {
    it.ask(Request::OffsetDelete { group: group(), at: BTreeSet::from([at]) })
}

#[test]
fn a_group_outlives_an_aborted_transaction() {
    let mut it = Try::new();
    let producer = it.producer();
    it.half(&producer, "sprag", 5).unwrap();
    it.end(&producer, false);
    assert_eq!(it.listed(), Some(GroupState::Empty));
    assert_eq!(it.ask(Request::DeleteGroup { group: group() }), Response::Done);
    let again = it.ask(Request::DeleteGroup { group: group() });
    assert_eq!(again, Response::Failed(Error::GroupIdNotFound));
}

#[test]
fn a_group_goes_with_its_last_offset_in_the_classic_coordinator_alone() {
    for version in [Version::V3_9, Version::V4_3] {
        let mut it = Try::of(version);
        it.plain("", NO_GENERATION, 1).unwrap();
        delete_offsets(&mut it, at());
        let stays = version == Version::V4_3;
        assert_eq!(it.listed(), stays.then_some(GroupState::Empty), "{version:?}");
    }
}

#[test]
fn an_open_transaction_keeps_a_group_whose_offsets_were_deleted() {
    let mut it = Try::of(Version::V3_9);
    let producer = it.producer();
    it.half(&producer, "sprag", 5).unwrap();
    delete_offsets(&mut it, at());
    assert_eq!(it.listed(), Some(GroupState::Empty));
    assert_eq!(it.fetch(true), Ok(None), "what was pending is gone");
    it.end(&producer, true);
    assert_eq!(it.fetch(true), Ok(None));
}

#[test]
fn an_offset_of_no_partition_cannot_be_deleted() {
    let mut it = Try::new();
    it.plain("", NO_GENERATION, 1).unwrap();
    let nowhere = Partition { topic: at().topic, partition: 7 };
    let outcome = BTreeMap::from([(nowhere.clone(), Err(Error::UnknownTopicOrPartition))]);
    assert_eq!(delete_offsets(&mut it, nowhere), Response::Committed(outcome));
}
