//! Checks the target cluster.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::brokers;
use super::report::{Report, acl};
use super::source::reach;
use crate::config::Config;
use crate::kafka::client::{AdminClient, REQUEST_TIMEOUT};
use crate::kafka::clock::ProcessClock;
use crate::kafka::connect::{fence_topic, plain};
use crate::kafka::fence_reader::KafkaFenceReader;
use crate::kafka::groups::KafkaTargetGroups;
use crate::kafka::settings::{Doubt, Weight, fence_topic_doubts};
use crate::kafka::transactions::KafkaTransactions;
use crate::ports::{FenceReader, ReadFrom, TargetGroups, Transactions};
use sprag_core::action::{ReadScope, TransactionEnd};
use sprag_core::event::{TargetCommit, TargetListing};
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::fence_log::FenceRecord;
use sprag_core::ids::{
    ClusterId, Fence, GroupId, PipelineId, Shard, TargetOffset, TargetPartition, TopicName,
};
use sprag_core::policy::CommitMode;

/// The key of the record that a check writes to the fence topic. The daemon ignores it.
const RECORD: &str = "check";
/// The group whose offsets are written and aborted if no group is selected.
const PROBE: &str = "sprag-check";

/// Checks the target. `groups` are those that would be synced.
pub(super) async fn check(
    config: &Config,
    (source, target): (&Rc<AdminClient>, &Rc<AdminClient>),
    groups: &[GroupId],
    report: &mut Report,
) {
    if !reach(target, report).await {
        return report.skipped("target: groups and fence topic", "the target cannot be reached");
    }
    let port = KafkaTargetGroups::new(Rc::clone(target), ProcessClock::start());
    match port.list().await {
        Ok(TargetListing { groups, missing: None }) => {
            report.ok("target: list groups", format!("{} groups found", groups.len()));
        }
        Ok(TargetListing { missing: Some(failure), .. }) | Err(failure) => {
            report.missing("target: list groups", &failure, &acl(&["Describe"], "--cluster"));
        }
    }
    read_groups(&port, groups, report).await;
    brokers::check(config, target, report).await;
    let topic = &config.coordination.fence_topic;
    let found = match fence_topic(config, target).await {
        Ok(found) => found,
        Err(failure) => {
            let remedy = acl(&["Create", "Describe", "Read", "Write"], &format!("--topic {topic}"));
            report.missing("target: fence topic", &failure, &remedy);
            return report.skipped("target: commits", "not possible without the fence topic");
        }
    };
    let (partitions, replicas) = (found.partitions, found.replicas);
    let detail = format!("{topic} with {partitions} partitions, {replicas} replicas each");
    report.ok("target: fence topic", detail);
    fence_topic_settings(topic, target, replicas, report).await;
    let probe = groups.first().cloned().unwrap_or_else(|| GroupId::from(PROBE));
    coordination(config, target, report).await;
    match pipeline(config, source, target).await {
        Some(pipeline) => commits(config, pipeline, &probe, report).await,
        None => report.skipped("target: commits", "not possible without both clusters' ids"),
    }
}

/// Checks the cleanup policy and the replication of the fence topic.
async fn fence_topic_settings(
    topic: &str,
    target: &AdminClient,
    replicas: i32,
    report: &mut Report,
) {
    let what = "target: fence topic settings";
    let doubts =
        fence_topic_doubts(target, &TopicName::from(topic), replicas, REQUEST_TIMEOUT).await;
    if doubts.is_empty() {
        report.ok(what, "compacted, with enough replicas for the cluster");
    }
    for Doubt { weight, found, remedy } in doubts {
        match weight {
            Weight::Wrong => {
                report.missing(what, &Failure::new(FailureClass::Stop, found), &remedy);
            }
            Weight::Risky | Weight::Unknown => report.warn(what, found, &remedy),
        }
    }
}

async fn read_groups(port: &KafkaTargetGroups, groups: &[GroupId], report: &mut Report) {
    let what = "target: read committed offsets";
    for group in groups {
        let all = ReadScope::AllAnd(std::collections::BTreeSet::new());
        if let Err(failure) = port.offsets(group, None, &all, true).await {
            let remedy = acl(&["Describe", "Read"], &format!("--group {group}"));
            return report.missing(what, &failure, &remedy);
        }
    }
    report.ok(what, format!("of {} groups", groups.len()));
}

/// Describes the coordination group. This needs fewer rights than joining it: a member also needs Read.
async fn coordination(config: &Config, target: &AdminClient, report: &mut Report) {
    let group = format!("sprag.{}", config.name);
    let what = "target: coordination group";
    let described = match target.present() {
        Ok(admin) => admin.describe_group(&group, None, REQUEST_TIMEOUT).await,
        Err(failure) => return report.missing(what, &failure, ""),
    };
    match described {
        Ok(described) => report.ok(what, format!("{group} with {} members", described.members)),
        Err(error) => {
            let doing = crate::kafka::errors::Doing::Fencing;
            let failure = target.failed(&error, doing, &format!("describing {group}"));
            let remedy = acl(&["Read", "Describe"], &format!("--group {group}"));
            report.missing(what, &failure, &remedy);
        }
    }
}

async fn pipeline(
    config: &Config,
    source: &AdminClient,
    target: &AdminClient,
) -> Option<PipelineId> {
    let source = source.present().ok()?.cluster_id(REQUEST_TIMEOUT).await?;
    let target = target.present().ok()?.cluster_id(REQUEST_TIMEOUT).await?;
    let ids = [source, target].map(|id| ClusterId::from(id.as_str()));
    Some(PipelineId::of(&config.name, &ids[0], &ids[1]))
}

/// Goes through a whole commit, and aborts it at the end.
async fn commits(config: &Config, pipeline: PipelineId, group: &GroupId, report: &mut Report) {
    let topic = &config.coordination.fence_topic;
    let prefix = format!("sprag.{pipeline}");
    let name = TopicName::from(topic.as_str());
    let reader = KafkaFenceReader::new(plain(&config.target.consumer), name.clone());
    let transactions = KafkaTransactions::new(
        plain(&config.target.producer),
        name,
        format!("{prefix}.check"),
        config.policy.commit_mode,
    );
    let shard = Shard(0);
    if let Err(failure) = reader.read(shard, ReadFrom::LogStart).await {
        let remedy = acl(&["Read", "Describe"], &format!("--topic {topic}"));
        return report.missing("target: read the fence topic", &failure, &remedy);
    }
    report.ok("target: read the fence topic", "to its end");
    if config.policy.commit_mode == CommitMode::Fenced {
        let ids = format!("--transactional-id {prefix} --resource-pattern-type prefixed");
        if let Err(failure) = transactions.init(shard).await {
            let remedy = acl(&["Write", "Describe"], &ids);
            return report.missing("target: transactions", &failure, &remedy);
        }
        report.ok("target: transactions", format!("transactional ids {prefix}.*"));
    }
    let record = FenceRecord { key: RECORD.to_owned(), value: "{}".to_owned() };
    let fence = match transactions.take_over(shard, &record).await {
        Ok(fence) => fence,
        Err(failure) => {
            let remedy = remedy(&failure, &["Write", "Describe"], &format!("--topic {topic}"));
            return report.missing("target: write to the fence topic", &failure, &remedy);
        }
    };
    report.ok("target: write to the fence topic", format!("offset {fence}"));
    if config.policy.commit_mode == CommitMode::Fenced {
        write_and_abort(&transactions, (shard, fence), topic, group, report).await;
    }
}

async fn write_and_abort(
    transactions: &KafkaTransactions,
    (shard, fence): (Shard, Fence),
    topic: &str,
    group: &GroupId,
    report: &mut Report,
) {
    let what = "target: commit offsets";
    let commit = TargetCommit { offset: TargetOffset(0), metadata: RECORD.to_owned() };
    let offsets = BTreeMap::from([(TargetPartition::new(topic, 0), commit)]);
    let written = transactions.write_offsets(shard, fence, group, &offsets).await;
    let aborted = match &written {
        // Only a new producer can make sure that the late request is refused: its initialisation aborts
        // the transaction.
        Err(Failure { class: FailureClass::LateRequest, .. }) => transactions.init(shard).await,
        Ok(()) | Err(_) => {
            let ended = transactions.end(shard, fence, TransactionEnd::Abort).await;
            ended.map(|_aftermath| ())
        }
    };
    match (written, aborted) {
        (Ok(()), Ok(())) => report.ok(what, format!("of group {group}, then aborted")),
        (Err(Failure { class: FailureClass::GroupActive, .. }), _) => {
            report.ok(what, format!("group {group} has members and is left alone"));
        }
        (Err(failure), _) | (Ok(()), Err(failure)) => {
            let remedy = remedy(&failure, &["Read"], &format!("--group {group}"));
            report.missing(what, &failure, &remedy);
        }
    }
}

/// What to do about `failure`. For most failures this is the right to grant.
fn remedy(failure: &Failure, operations: &[&str], resource: &str) -> String {
    match failure.class {
        FailureClass::LateRequest
        | FailureClass::Retry
        | FailureClass::Abort
        | FailureClass::OutcomeUnknown
        | FailureClass::Unstable => {
            "a broker did not answer or cannot do this now: run the check again, and make sure that each \
             address that the brokers advertise (advertised.listeners) can be reached from this machine"
                .to_owned()
        }
        FailureClass::MetadataTooLarge | FailureClass::CommitTooLarge => {
            "raise offset.metadata.max.bytes on the target's brokers".to_owned()
        }
        FailureClass::GroupActive
        | FailureClass::HoldGroup
        | FailureClass::Fenced
        | FailureClass::Missing
        | FailureClass::Stop => acl(operations, resource),
    }
}
