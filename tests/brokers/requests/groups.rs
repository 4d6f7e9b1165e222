//! Requests about groups.

use std::time::Instant;

use super::*;
use crate::support::DEADLINE;
use crate::support::groups::Group;
use crate::support::members::{Member, Protocol};
use crate::support::raw::join_as_connect_worker;
use crate::support::wait::eventually;
use rdkafka::error::RDKafkaErrorCode as Code;
use sprag::kafka::ffi::NativeError;
use sprag::kafka::ffi::admin::{AnyGroup, GroupKind, GroupListing, GroupState};
use sprag::kafka::ffi::transaction_offsets::send_offsets;

/// A topic with three partitions and no records.
pub(super) const T: &str = "orders";

fn read(
    admin: &Admin<DefaultConsumerContext>,
    group: &str,
    named: &[i32],
    stable: bool,
) -> Vec<PartitionOffset> {
    let list: Vec<_> = named.iter().map(|at| (T, *at, 0, "")).collect();
    let list = offset_list(&list);
    let named = (!named.is_empty()).then_some(&list);
    let question = || block_on(admin.group_offsets(group, None, named, stable, DEADLINE));
    eventually(DEADLINE, "the group's offsets", question)
}

fn listed(admin: &Admin<DefaultConsumerContext>, group: &str) -> Option<GroupListing> {
    let listings = block_on(admin.list_groups(DEADLINE)).unwrap();
    assert_eq!(listings.errors, Vec::new());
    listings.groups.into_iter().find(|found| found.group == group)
}

fn send(producer: &BaseProducer, group: &str, offset: i64) -> Result<(), NativeError> {
    let list = offset_list(&[(T, 0, offset, "ours")]);
    send_offsets(producer.client(), group, "sprag", &list, DEADLINE)
}

pub(super) fn plain_commits_have_an_outcome_per_partition_and_are_read_back(broker: &Broker) {
    let admin = admin(broker);
    let wanted = offset_list(&[(T, 0, 42, "a|b"), (T, 1, 0, ""), ("nothing", 0, 1, "")]);
    // The coordinator may not know the new topic's partitions yet.
    let committed = eventually(DEADLINE, "a coordinator that knows the topic", || {
        let committed = block_on(admin.alter_group_offsets("g", None, &wanted, DEADLINE))?;
        for partition in [0, 1] {
            of(&committed, T, partition).outcome.clone()?;
        }
        Ok::<_, NativeError>(committed)
    });
    let refused = of(&committed, "nothing", 0).outcome.clone();
    assert_eq!(refused.unwrap_err().code, Code::UnknownTopicOrPartition);

    for stable in [true, false] {
        let found = read(&admin, "g", &[0, 1, 2], stable);
        assert_eq!(of(&found, T, 0).outcome, Ok(stored(42, "a|b")));
        assert_eq!(of(&found, T, 1).outcome, Ok(stored(0, "")));
        assert_eq!(of(&found, T, 2).outcome, Ok(None));
        assert_eq!(read(&admin, "g", &[], stable).len(), 2);
        assert_eq!(of(&read(&admin, "other", &[0], stable), T, 0).outcome, Ok(None));
    }
    let long = "x".repeat(4097);
    let long = offset_list(&[(T, 0, 43, long.as_str())]);
    let refused = block_on(admin.alter_group_offsets("g", None, &long, DEADLINE)).unwrap();
    let refused = of(&refused, T, 0).outcome.clone();
    assert_eq!(refused.unwrap_err().code, Code::OffsetMetadataTooLarge);
}

pub(super) fn groups_are_listed_and_described_with_their_state_and_live_ones_refuse_us(
    broker: &Broker,
) {
    let (admin, producer) = (admin(broker), transactional(broker, "t"));
    assert_eq!(listed(&admin, "offsets-only"), None);
    Group::of(broker, "offsets-only").commit(T, 0, 1, "");
    let simple = listed(&admin, "offsets-only").unwrap();
    assert_eq!((simple.state, simple.simple), (GroupState::Empty, true));
    assert_eq!(simple.has_members, Some(false));

    for protocol in Protocol::all_of(broker.version()) {
        let name = format!("live-{protocol:?}");
        Group::of(broker, &name).commit(T, 0, 90, "theirs");
        let member = Member::join(broker, &name, &[T], *protocol);
        let live = eventually(DEADLINE, "a stable group", || {
            listed(&admin, &name).filter(|found| found.state == GroupState::Stable)
        });
        assert_eq!((live.has_members, live.simple), (Some(true), false));
        let kind = match protocol {
            Protocol::Classic => GroupKind::Classic,
            Protocol::Consumer => GroupKind::Consumer,
        };
        assert_eq!(live.kind, kind);
        let described = block_on(admin.describe_group(&name, None, DEADLINE)).unwrap();
        assert_eq!((described.state, described.members), (GroupState::Stable, 1));

        let wanted = offset_list(&[(T, 0, 5, "ours")]);
        let refused = block_on(admin.alter_group_offsets(&name, None, &wanted, DEADLINE));
        let code = match refused {
            Ok(parts) => of(&parts, T, 0).outcome.clone().unwrap_err().code,
            Err(error) => error.code,
        };
        assert_eq!(code, Code::UnknownMemberId);

        producer.begin_transaction().unwrap();
        let error = send(&producer, &name, 5).unwrap_err();
        assert_eq!(error.code, Code::UnknownMemberId, "{error}");
        assert!(error.abortable && !error.fatal, "{error:?}");
        producer.abort_transaction(DEADLINE).unwrap();
        let left = read(&admin, &name, &[0], false);
        assert_eq!(of(&left, T, 0).outcome, Ok(stored(90, "theirs")));

        member.leave();
        producer.begin_transaction().unwrap();
        eventually(DEADLINE, "the group to be empty", || send(&producer, &name, 6));
        producer.commit_transaction(DEADLINE).unwrap();
    }
}

pub(super) fn a_pending_commit_is_unknown_and_a_fenced_producer_is_refused(broker: &Broker) {
    let (admin, producer) = (admin(broker), transactional(broker, "t"));
    Group::of(broker, "pending").commit(T, 1, 3, "");
    producer.begin_transaction().unwrap();
    send(&producer, "pending", 7).unwrap();

    let pending = read(&admin, "pending", &[0, 1], true);
    let unstable = of(&pending, T, 0).outcome.clone().unwrap_err();
    assert_eq!(unstable.code, Code::UnstableOffsetCommit, "{unstable}");
    assert_eq!(of(&pending, T, 1).outcome, Ok(stored(3, "")));
    let all = read(&admin, "pending", &[], true);
    assert!(
        all.iter().all(|part| part.partition != 0),
        "the pending partition must be left out: {all:?}"
    );
    assert_eq!(of(&read(&admin, "pending", &[0], false), T, 0).outcome, Ok(None));

    let successor = transactional(broker, "t");
    let error = producer.commit_transaction(DEADLINE).unwrap_err();
    assert_eq!(error.rdkafka_error_code(), Some(Code::Fenced), "{error}");
    let settled = eventually(DEADLINE, "the transaction to be aborted", || {
        of(&read(&admin, "pending", &[0], true), T, 0).outcome.clone()
    });
    assert_eq!(settled, None);

    successor.begin_transaction().unwrap();
    send(&successor, "pending", 8).unwrap();
    successor.commit_transaction(DEADLINE).unwrap();
    let settled = eventually(DEADLINE, "the transaction to be settled", || {
        of(&read(&admin, "pending", &[0], true), T, 0).outcome.clone()
    });
    assert_eq!(settled, stored(8, "ours"));
}

pub(super) fn groups_of_every_protocol_type_are_in_the_list_of_all(broker: &Broker) {
    const MANY: usize = 300;
    let admin = admin(broker);
    eventually(DEADLINE, "a coordinator that takes the worker", || {
        join_as_connect_worker(broker, "workers");
        listed_of_all(&admin, "workers").is_some()
    });
    let worker = listed_of_all(&admin, "workers").unwrap();
    assert_eq!((worker.protocol_type.as_str(), worker.error), ("connect", 0));
    assert_eq!(listed(&admin, "workers"), None, "librdkafka's other list has it");

    for protocol in Protocol::all_of(broker.version()) {
        let name = format!("any-{protocol:?}");
        let member = Member::join(broker, &name, &[T], *protocol);
        let found = listed_of_all(&admin, &name).unwrap();
        let (kind, state) = match protocol {
            Protocol::Classic => ("consumer", "Stable"),
            Protocol::Consumer => ("", "Dead"),
        };
        assert_eq!((found.protocol_type.as_str(), found.state.as_str()), (kind, state));
        member.leave();
    }

    let wanted = offset_list(&[(T, 0, 1, "")]);
    for nth in 0..MANY {
        let name = format!("many-{nth}");
        block_on(admin.alter_group_offsets(&name, None, &wanted, DEADLINE)).unwrap();
    }
    let start = Instant::now();
    let all = block_on(admin.list_all_groups(DEADLINE)).unwrap();
    let took = start.elapsed();
    assert_eq!(all.iter().filter(|found| found.group.starts_with("many-")).count(), MANY);
    eprintln!("{} groups of all types listed in {took:?}", all.len());
}

fn listed_of_all(admin: &Admin<DefaultConsumerContext>, group: &str) -> Option<AnyGroup> {
    let all = block_on(admin.list_all_groups(DEADLINE)).unwrap();
    all.into_iter().find(|found| found.group == group)
}
