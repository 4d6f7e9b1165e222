//! The tables of `docs/protocol.md` that are executed on real brokers, here on the simulated cluster.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::wire::{
    Committed, Error, GroupState, NO_GENERATION, NewRecord, Partition, Producer, Protocol,
};

mod commits;
mod groups;
mod members;

struct Try {
    cluster: Cluster,
    now: Instant,
}

fn at() -> Partition {
    Partition { topic: TopicName::from("orders"), partition: 0 }
}

fn group() -> GroupId {
    GroupId::from("billing")
}

fn commit(offset: i64) -> BTreeMap<Partition, Committed> {
    BTreeMap::from([(at(), Committed { offset, metadata: format!("m{offset}") })])
}

impl Try {
    fn new() -> Self {
        Self::of(Version::default())
    }

    fn of(version: Version) -> Self {
        let mut cluster = Cluster::of_version(&ClusterId::from("target"), version);
        let now = Instant::from_millis(0);
        let topic = at().topic;
        cluster.handle(now, &Rc::from("test"), Request::CreateTopic { topic, partitions: 2 });
        Self { cluster, now }
    }

    fn ask(&mut self, request: Request) -> Response {
        self.cluster.handle(self.now, &Rc::from("test"), request)
    }

    fn producer(&mut self) -> Producer {
        let request = Request::InitProducer {
            transactional_id: "sprag.0".to_owned(),
            timeout_millis: 10_000,
        };
        match self.ask(request) {
            Response::Initialised(producer) => producer,
            other => panic!("{other:?}"),
        }
    }

    fn half(&mut self, producer: &Producer, member: &str, offset: i64) -> Result<(), Error> {
        self.half_of(producer, member, NO_GENERATION, offset)
    }

    fn half_of(
        &mut self,
        producer: &Producer,
        member: &str,
        generation: i32,
        offset: i64,
    ) -> Result<(), Error> {
        let (group, producer) = (group(), producer.clone());
        let (member, offsets) = (member.to_owned(), commit(offset));
        let request = Request::TxnOffsetCommit { producer, group, member, generation, offsets };
        match self.ask(request) {
            Response::Committed(outcome) => outcome[&at()],
            Response::Failed(error) => Err(error),
            other => panic!("{other:?}"),
        }
    }

    fn end(&mut self, producer: &Producer, commit: bool) -> Response {
        self.ask(Request::EndTxn { producer: producer.clone(), commit })
    }

    fn plain(&mut self, member: &str, generation: i32, offset: i64) -> Result<(), Error> {
        let (group, member, offsets) = (group(), member.to_owned(), commit(offset));
        match self.ask(Request::OffsetCommit { group, member, generation, offsets }) {
            Response::Committed(outcome) => outcome[&at()],
            other => panic!("{other:?}"),
        }
    }

    fn fetch(&mut self, stable: bool) -> Result<Option<i64>, Error> {
        let named = Some(BTreeSet::from([at()]));
        match self.ask(Request::OffsetFetch { group: group(), at: named, stable }) {
            Response::Fetches(found) => found[&at()].clone().map(|it| it.map(|it| it.offset)),
            other => panic!("{other:?}"),
        }
    }

    fn join(&mut self, member: &str, protocol: Protocol) -> (i32, BTreeSet<Partition>) {
        let (group, member, topic) = (group(), member.to_owned(), at().topic);
        let session_millis = 1000;
        match self.ask(Request::Join { group, member, protocol, topic, session_millis }) {
            Response::Member { generation, assigned } => (generation, assigned),
            other => panic!("{other:?}"),
        }
    }

    fn leave(&mut self, member: &str) {
        self.ask(Request::Leave { group: group(), member: member.to_owned() });
    }

    fn beat(
        &mut self,
        member: &str,
        generation: i32,
        owned: &BTreeSet<Partition>,
    ) -> Result<(i32, BTreeSet<Partition>), Error> {
        let (group, member, acknowledged) = (group(), member.to_owned(), owned.clone());
        match self.ask(Request::Heartbeat { group, member, generation, acknowledged }) {
            Response::Member { generation, assigned } => Ok((generation, assigned)),
            Response::Failed(error) => Err(error),
            other => panic!("{other:?}"),
        }
    }

    fn listed(&mut self) -> Option<GroupState> {
        match self.ask(Request::ListGroups) {
            Response::Groups(groups) => groups.get(&group()).copied(),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_group_without_members_takes_a_transactional_commit_that_names_a_stranger() {
    for protocol in [None, Some(Protocol::Classic), Some(Protocol::Consumer)] {
        let mut it = Try::new();
        if let Some(protocol) = protocol {
            it.join("theirs", protocol);
            it.leave("theirs");
        }
        let producer = it.producer();
        assert_eq!(it.half(&producer, "sprag", 5), Ok(()));
        assert_eq!(it.fetch(true), Err(Error::UnstableOffsetCommit));
        assert_eq!(it.fetch(false), Ok(None));
        assert_eq!(it.end(&producer, true), Response::Done);
        assert_eq!(it.fetch(true), Ok(Some(5)));
    }
}

#[test]
fn a_group_with_members_refuses_it_but_accepts_one_that_names_no_member() {
    for protocol in [Protocol::Classic, Protocol::Consumer] {
        let mut it = Try::new();
        let (generation, _) = it.join("theirs", protocol);
        assert_eq!(it.plain("theirs", generation, 7), Ok(()));
        assert_eq!(it.plain("", NO_GENERATION, 1), Err(Error::UnknownMemberId));
        let producer = it.producer();
        assert_eq!(it.half(&producer, "sprag", 5), Err(Error::UnknownMemberId));
        assert_eq!(it.half(&producer, "", 5), Ok(()));
        it.end(&producer, true);
        assert_eq!(it.fetch(true), Ok(Some(5)));
    }
}

#[test]
fn a_zombie_is_refused_whatever_it_has_open() {
    let mut it = Try::new();
    let zombie = it.producer();
    it.half(&zombie, "sprag", 5).unwrap();
    let owner = it.producer();
    assert_eq!(it.fetch(true), Ok(None), "its open transaction was aborted");
    assert_eq!(it.end(&zombie, true), Response::Failed(Error::ProducerFenced));
    assert_eq!(it.half(&zombie, "sprag", 6), Err(Error::ProducerFenced));
    assert_eq!(it.half(&owner, "sprag", 7), Ok(()));
    it.end(&owner, true);
    assert_eq!(it.fetch(true), Ok(Some(7)));
}

#[test]
fn the_later_of_a_pending_and_a_plain_commit_wins() {
    let mut it = Try::new();
    let producer = it.producer();
    it.half(&producer, "sprag", 5).unwrap();
    it.plain("", NO_GENERATION, 3).unwrap();
    it.end(&producer, true);
    assert_eq!(it.fetch(true), Ok(Some(3)), "theirs came after our half");
    it.plain("", NO_GENERATION, 4).unwrap();
    it.half(&producer, "sprag", 5).unwrap();
    it.end(&producer, true);
    assert_eq!(it.fetch(true), Ok(Some(5)));
}

#[test]
fn an_aborted_transaction_leaves_no_trace_and_ending_twice_is_one_end() {
    let mut it = Try::new();
    it.plain("", NO_GENERATION, 3).unwrap();
    let producer = it.producer();
    it.half(&producer, "sprag", 5).unwrap();
    assert_eq!(it.end(&producer, false), Response::Done);
    assert_eq!(it.end(&producer, false), Response::Done);
    assert_eq!(it.end(&producer, true), Response::Failed(Error::InvalidTxnState));
    assert_eq!(it.fetch(true), Ok(Some(3)));
}

#[test]
fn a_transaction_that_takes_too_long_is_aborted_and_its_producer_fenced() {
    let mut it = Try::new();
    let producer = it.producer();
    it.half(&producer, "sprag", 5).unwrap();
    it.now = Instant::from_millis(10_001);
    it.cluster.pass_time(it.now);
    assert_eq!(it.fetch(true), Ok(None));
    assert_eq!(it.end(&producer, true), Response::Failed(Error::ProducerFenced));
}

#[test]
fn a_fetch_of_all_leaves_out_what_is_only_pending() {
    let mut it = Try::new();
    let producer = it.producer();
    it.half(&producer, "sprag", 5).unwrap();
    let all = Request::OffsetFetch { group: group(), at: None, stable: true };
    assert_eq!(it.ask(all), Response::Fetches(BTreeMap::new()));
}

#[test]
fn a_partition_goes_to_another_member_only_when_it_was_given_up() {
    let mut it = Try::new();
    let (_, mut first) = it.join("a", Protocol::Classic);
    assert_eq!(first.len(), 2);
    let (generation, second) = it.join("b", Protocol::Classic);
    assert_eq!(second.len(), 0);
    let beat = |it: &mut Try, member: &str, generation, owned: &BTreeSet<Partition>| {
        let (group, member, acknowledged) = (group(), member.to_owned(), owned.clone());
        match it.ask(Request::Heartbeat { group, member, generation, acknowledged }) {
            Response::Member { assigned, .. } => assigned,
            other => panic!("{other:?}"),
        }
    };
    let wanted = beat(&mut it, "a", 1, &first);
    assert_eq!(wanted.len(), 1);
    assert_eq!(beat(&mut it, "b", generation, &second).len(), 0, "it is still a's");
    first = wanted;
    beat(&mut it, "a", generation, &first);
    assert_eq!(beat(&mut it, "b", generation, &second).len(), 1);
}

#[test]
fn a_member_whose_session_ran_out_is_unknown() {
    let mut it = Try::new();
    let (generation, _) = it.join("a", Protocol::Classic);
    it.now = Instant::from_millis(1_001);
    it.cluster.pass_time(it.now);
    assert_eq!(it.plain("a", generation, 1), Err(Error::UnknownMemberId));
    assert_eq!(it.plain("", NO_GENERATION, 1), Ok(()));
}

#[test]
fn offsets_go_with_their_topic_and_expire() {
    let mut it = Try::new();
    it.plain("", NO_GENERATION, 1).unwrap();
    it.ask(Request::DeleteTopic { topic: at().topic });
    assert_eq!(it.fetch(true), Ok(None));
    let topic = at().topic;
    it.ask(Request::CreateTopic { topic, partitions: 2 });
    it.cluster.expire_after(Duration::from_millis(100));
    it.plain("", NO_GENERATION, 1).unwrap();
    it.now = Instant::from_millis(101);
    it.cluster.pass_time(it.now);
    assert_eq!(it.fetch(true), Ok(None));
}

#[test]
fn a_recreated_topic_has_another_id() {
    let mut it = Try::new();
    let id = it.cluster.topics().id(&at().topic);
    let records = vec![NewRecord { key: Vec::new(), value: None }];
    it.ask(Request::Produce { at: at(), records, producer: None });
    let topic = at().topic;
    it.ask(Request::DeleteTopic { topic: topic.clone() });
    it.ask(Request::CreateTopic { topic: topic.clone(), partitions: 1 });
    assert_ne!(it.cluster.topics().id(&topic), id);
    assert_eq!(it.cluster.topics().log(&at()).map(log::Log::end), Some(0));
}
