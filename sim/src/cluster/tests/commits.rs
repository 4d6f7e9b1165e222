//! Answers to commits that an earlier version of the model got wrong.

use super::*;

#[test]
fn a_generation_of_an_unknown_group_is_refused_and_creates_none() {
    for (version, plain, in_transaction) in [
        (Version::V3_9, Error::IllegalGeneration, Error::UnknownMemberId),
        (Version::V4_3, Error::GroupIdNotFound, Error::IllegalGeneration),
    ] {
        let mut it = Try::of(version);
        assert_eq!(it.plain("theirs", 1, 5), Err(plain), "{version:?}");
        assert_eq!(it.listed(), None);
        let producer = it.producer();
        assert_eq!(it.half_of(&producer, "theirs", 1, 5), Err(in_transaction), "{version:?}");
        // The classic coordinator creates the group before it checks the commit.
        let made = version == Version::V3_9;
        assert_eq!(it.listed(), made.then_some(GroupState::Empty));
    }
}

#[test]
fn a_partition_that_does_not_exist_is_refused_before_the_group_is_asked() {
    let mut it = Try::new();
    it.join("theirs", Protocol::Classic);
    it.ask(Request::DeleteTopic { topic: at().topic });
    assert_eq!(it.plain("nobody", 7, 5), Err(Error::UnknownTopicOrPartition));
    let producer = it.producer();
    assert_eq!(it.half(&producer, "nobody", 5), Err(Error::UnknownTopicOrPartition));
}

#[test]
fn a_refused_half_leaves_a_transaction_to_be_aborted() {
    let mut it = Try::new();
    it.join("theirs", Protocol::Classic);
    let producer = it.producer();
    assert_eq!(it.half(&producer, "sprag", 5), Err(Error::UnknownMemberId));
    assert_eq!(it.end(&producer, false), Response::Done);
    it.leave("theirs");
    assert_eq!(it.half(&producer, "sprag", 6), Ok(()), "the producer is still usable");
    assert_eq!(it.end(&producer, true), Response::Done);
    assert_eq!(it.fetch(true), Ok(Some(6)));
}

#[test]
fn a_group_without_written_offsets_is_known_and_not_listed() {
    for version in [Version::V3_9, Version::V4_3] {
        let mut it = Try::of(version);
        let metadata = "x".repeat(4097);
        let offsets = BTreeMap::from([(at(), Committed { offset: 1, metadata })]);
        let (member, generation) = (String::new(), NO_GENERATION);
        it.ask(Request::OffsetCommit { group: group(), member, generation, offsets });
        let listed = version == Version::V3_9;
        assert_eq!(it.listed(), listed.then_some(GroupState::Empty), "{version:?}");
        assert_eq!(it.plain("theirs", 1, 5), Err(Error::UnknownMemberId));
        assert_eq!(it.plain("", NO_GENERATION, 5), Ok(()));
        assert_eq!(it.listed(), Some(GroupState::Empty));
    }
}

#[test]
fn an_earlier_epoch_commits_what_the_member_has_had_since_or_nothing() {
    let mut it = Try::new();
    let (first, all) = it.join("a", Protocol::Consumer);
    it.join("b", Protocol::Consumer);
    let (_, kept) = it.beat("a", first, &all).unwrap();
    let (second, _) = it.beat("a", first, &kept).unwrap();
    assert_eq!(kept, BTreeSet::from([at()]));
    assert_eq!(it.plain("a", first, 5), Ok(()), "KIP-1251");
    for other in [first - 1, second + 1, NO_GENERATION] {
        assert_eq!(it.plain("a", other, 6), Err(Error::StaleMemberEpoch));
        let producer = it.producer();
        assert_eq!(it.half_of(&producer, "a", other, 6), Err(Error::IllegalGeneration));
    }
    let commit = |at: &Partition| (at.clone(), Committed { offset: 7, metadata: String::new() });
    let (group, member, generation) = (group(), "a".to_owned(), first);
    let offsets = all.iter().map(commit).collect();
    let answer = it.ask(Request::OffsetCommit { group, member, generation, offsets });
    let refused = all.into_iter().map(|at| (at, Err(Error::StaleMemberEpoch))).collect();
    assert_eq!(answer, Response::Committed(refused), "one that is not its fails the others");
    assert_eq!(it.fetch(true), Ok(Some(5)));
}

#[test]
fn metadata_is_looked_at_before_an_earlier_epoch_and_after_a_later_one() {
    for (step, expected) in [(-1, Error::OffsetMetadataTooLarge), (1, Error::StaleMemberEpoch)] {
        let mut it = Try::new();
        let (epoch, _) = it.join("a", Protocol::Consumer);
        let (group, member, generation) = (group(), "a".to_owned(), epoch + step);
        let metadata = "x".repeat(4097);
        let offsets = BTreeMap::from([(at(), Committed { offset: 1, metadata })]);
        let answer = it.ask(Request::OffsetCommit { group, member, generation, offsets });
        assert_eq!(answer, Response::Committed(BTreeMap::from([(at(), Err(expected))])));
    }
}
