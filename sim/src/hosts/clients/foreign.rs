//! The clients other than Sprag that commit on the target: consumers that failed over, applications with
//! their own transactions, and clients whose commits only resemble Sprag's.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sprag::ports::Clock;
use sprag_core::ids::{
    Fence, FenceTopicTag, GroupId, PipelineId, ShardCount, TargetOffset, TopicId,
};
use sprag_core::stamp::{Metadata, Stamp};

use super::Hands;
use crate::clock::SimClock;
use crate::ports::Doing;
use crate::scenario::Disguise;
use crate::truth::PREFIX;
use crate::wire::{
    Committed, Isolation, MemberId, NO_GENERATION, Partition, Protocol, Request, Response,
};

/// How often visits are checked for.
const LOOK: Duration = Duration::from_millis(50);
/// How long a visitor stays, in milliseconds.
const VISIT: u64 = 300;

impl Hands<'_> {
    /// Lets a consumer join each group whose commit is frozen half-way. Never returns.
    pub(super) async fn visit(&self) {
        let clock = SimClock::default();
        for nth in 0.. {
            clock.sleep_until(clock.now() + LOOK).await;
            let group = self.shared.visits.borrow_mut().pop();
            let classic = self.shared.classic || nth % 2 == 0;
            let protocol = if classic { Protocol::Classic } else { Protocol::Consumer };
            if let (Some(group), Some(at)) = (group, self.to(0, 0)) {
                let member = format!("visitor-{nth}");
                let _ = self.consume(member, group, &at, protocol, VISIT).await;
            }
        }
    }

    /// Joins, commits the log end offset for as long as it owns the partition, and leaves.
    pub(super) async fn consume(
        &self,
        member: MemberId,
        group: GroupId,
        at: &Partition,
        protocol: Protocol,
        stays: u64,
    ) -> Option<()> {
        let clock = SimClock::default();
        let until = clock.now() + Duration::from_millis(stays);
        let join = Request::Join {
            group: group.clone(),
            member: member.clone(),
            protocol,
            topic: at.topic.clone(),
            session_millis: self.shared.timing.session,
        };
        let answer = self.target.ask(join, Doing::Fencing, "a consumer").await.ok()?;
        let Response::Member { mut generation, assigned } = answer else {
            return None;
        };
        let mut owned = assigned;
        while clock.now() < until {
            let pause = Duration::from_millis((self.shared.timing.session / 3).max(1));
            clock.sleep_until(until.min(clock.now() + pause)).await;
            let beat = Request::Heartbeat {
                group: group.clone(),
                member: member.clone(),
                generation,
                acknowledged: owned.clone(),
            };
            if let Some(Response::Member { generation: now, assigned }) =
                self.target.plainly(beat).await
            {
                (generation, owned) = (now, assigned);
            }
            if owned.contains(at) {
                let end = self.end(&self.target, at).await?;
                self.commit(&self.target, group.clone(), &member, generation, at, end, "").await;
            }
        }
        let leave = Request::Leave { group, member };
        self.target.ask(leave, Doing::Fencing, "a consumer").await.ok().map(|_| ())
    }

    /// Commits in its own transaction without membership, as stream processors do.
    pub(super) async fn commit_in_transaction(
        &self,
        nth: usize,
        group: GroupId,
        at: Partition,
        stays: u64,
    ) -> Option<()> {
        let what = "an application on the target";
        let end = self.end(&self.target, &at).await?;
        let request = Request::InitProducer {
            transactional_id: format!("processor-{nth}"),
            timeout_millis: self.shared.timing.transaction,
        };
        let answer = self.target.ask_on(request, Doing::Fencing, what).await.ok()?;
        let Response::Initialised(producer) = answer else {
            return None;
        };
        let commit = Committed { offset: end / 2, metadata: String::new() };
        let request = Request::TxnOffsetCommit {
            producer: producer.clone(),
            group,
            member: String::new(),
            generation: NO_GENERATION,
            offsets: BTreeMap::from([(at, commit)]),
        };
        self.target.ask(request, Doing::Committing, what).await.ok()?;
        let clock = SimClock::default();
        clock.sleep_until(clock.now() + Duration::from_millis(stays)).await;
        let end = Request::EndTxn { producer, commit: true };
        self.target.ask_on(end, Doing::Ending, what).await.ok().map(|_| ())
    }

    /// Commits the stored offset again, with metadata that resembles Sprag's.
    pub(super) async fn commit_disguised(
        &self,
        group: GroupId,
        at: Partition,
        disguise: Disguise,
    ) -> Option<()> {
        let request = Request::OffsetFetch {
            group: group.clone(),
            at: Some(BTreeSet::from([at.clone()])),
            stable: false,
        };
        let answer = self.target.ask(request, Doing::Reading, "an operator").await.ok()?;
        let Response::Fetches(mut fetched) = answer else {
            return None;
        };
        let stored = fetched.remove(&at)?.ok()??;
        let metadata = disguised(&stored.metadata, disguise)?;
        let offset = stored.offset;
        self.commit(&self.target, group, "", NO_GENERATION, &at, offset, &metadata).await
    }

    /// The last stable offset of a partition.
    pub(super) async fn end(&self, link: &crate::ports::Link, at: &Partition) -> Option<i64> {
        let request = Request::ListOffsets {
            at: BTreeSet::from([at.clone()]),
            isolation: Isolation::ReadCommitted,
        };
        let answer = link.ask(request, Doing::Reading, "a client").await.ok()?;
        let Response::Offsets(mut ends) = answer else {
            return None;
        };
        ends.remove(at)?.ok().map(|(_, end)| end)
    }
}

fn disguised(metadata: &str, disguise: Disguise) -> Option<String> {
    let Metadata::Stamped { stamp, source_metadata } = Metadata::parse(metadata, [PREFIX]) else {
        return None;
    };
    let other = match disguise {
        Disguise::NewerVersion => return Some(format!("{PREFIX}v9:of a time to come")),
        Disguise::Malformed => return Some(format!("{PREFIX}v1:nonsense")),
        Disguise::OtherPipeline => {
            let (source, target) = ("elsewhere".into(), "elsewhere too".into());
            Stamp { pipeline: PipelineId::of("other", &source, &target), ..stamp }
        }
        Disguise::OtherShards => {
            Stamp { shards: ShardCount(stamp.shards.get().saturating_add(1)), ..stamp }
        }
        Disguise::OtherFenceTopic => {
            Stamp { fence_topic: FenceTopicTag::of(TopicId([0xaa; 16])), ..stamp }
        }
        Disguise::LaterFence => Stamp { fence: Fence(stamp.fence.get() + 1_000_000), ..stamp },
    };
    debug_assert_eq!(other.target, TargetOffset(stamp.target.get()));
    Some(other.compose(PREFIX, &[], &source_metadata).text)
}
