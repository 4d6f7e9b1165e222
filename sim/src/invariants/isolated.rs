//! Isolated: a group without a faulty broker is not behind for longer than a bound, whatever
//! happens to other brokers.
//!
//! *Its brokers* are its coordinators on both clusters, the leaders of its partitions on both, and the
//! brokers that its shard needs: the transaction coordinator, the leaders of the fence partition and of the
//! mapping topic, and the coordinator of the coordination group. After a fault of one of them the group is
//! not judged for another [`RECOVERS`], or [`SHARD_RECOVERS`] if the shard needs that broker. This time
//! begins when other brokers have taken the faulty broker's place, else when the fault ends.
//!
//! A partition is *behind* while its committed offset is not what its mappings give. The time counts from
//! when it was last right, when Sprag last committed it, or when the group was last reset on the source.
//!
//! It is judged in runs without other faults (`sim/src/scenario/brokers.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sprag_core::ids::{BrokerId, GroupId, Shard, ShardCount};
use sprag_core::time::Instant;

use super::settled::settled;
use super::{Invariant, Violation};
use crate::coverage::{Kind, reached};
use crate::hosts::brokers::{Brokers, Lead, PARTS};
use crate::names::PIPELINE;
use crate::ports::Timing;
use crate::scenario::brokers::{BEGUN, Broken, BrokerFault, is_plain};
use crate::scenario::{Fault, Scenario, Side};
use crate::truth::{Clusters, Truth};
use crate::wire::{Committed, Partition};

/// How long a group may wait for its turn after the fault of one of its brokers has ended, or after an
/// election: the longest back-off for a broker or a connection, and a request that was in flight.
pub const RECOVERS: Duration = Duration::from_millis(5_500);
/// The same if its shard was concerned, which may have to be taken over again.
pub const SHARD_RECOVERS: Duration = Duration::from_millis(12_000);
/// How often groups are checked.
const LOOK: Duration = Duration::from_millis(250);

/// The partitions that are behind, and since when.
#[derive(Default)]
pub struct Isolated {
    behind: BTreeMap<(GroupId, Partition), Behind>,
    looked: Instant,
}

struct Behind {
    since: Instant,
    stored: Option<Committed>,
    source: i64,
}

/// A run at the time of a check.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    /// The run.
    pub scenario: &'a Scenario,
    /// What is true in the run.
    pub truth: &'a Truth,
    /// Both clusters.
    pub clusters: Clusters<'a>,
    /// The source's brokers and the target's.
    pub brokers: (&'a Brokers, &'a Brokers),
    /// Time-outs.
    pub timing: Timing,
    /// The time of the check.
    pub now: Instant,
}

/// Whether a run has several brokers and no other faults.
#[must_use]
pub fn is_judged(scenario: &Scenario) -> bool {
    scenario.shape.brokers != (1, 1)
        && scenario.network.lost == 0
        && !scenario.rules.guard_off
        && scenario.faults.iter().all(|fault| matches!(fault.what, Fault::Broker(_)))
        && scenario.work.iter().all(|work| is_plain(&work.what))
}

/// How long a group may be behind: until its next round, at a quarter of the rate if it was idle; a second
/// round that confirms what was read; the messages of both; the time for parts of an answer, once for a
/// list and once for a description; and one second for whatever must wait its turn.
#[must_use]
pub fn bound(scenario: &Scenario) -> Duration {
    let rules = &scenario.rules;
    let messages = 24 * scenario.network.latency_millis;
    let millis = 5 * rules.poll_millis + rules.confirm_millis + messages + 1_000;
    Duration::from_millis(millis) + 2 * PARTS
}

impl Isolated {
    /// Checks the groups, if it is time to.
    pub fn look(&mut self, look: Look<'_>) -> Option<Violation> {
        if look.now < self.looked + LOOK || look.now.as_millis() < BEGUN {
            return None;
        }
        self.looked = look.now;
        let mut before = std::mem::take(&mut self.behind);
        let mut broken = None;
        for one in settled(look.scenario, look.truth, look.clusters) {
            let in_trouble = look.in_trouble(&one.group);
            if in_trouble.is_some_and(|until| until > look.now) {
                continue;
            }
            if look.is_trouble() {
                reached(Kind::Step, "Group next to a faulty broker");
            }
            let committed = one.stored.as_ref().map(|stored| stored.offset);
            if committed.is_some_and(|it| (one.expected..=one.at_most).contains(&it)) {
                continue;
            }
            let key = (one.group.clone(), one.at.clone());
            let known = before
                .remove(&key)
                .filter(|known| known.stored == one.stored && known.source <= one.source);
            let since = known.map_or(look.now, |known| known.since);
            let most = look.most(&one.group, since);
            if look.now.since(since) > most && broken.is_none() {
                let detail = format!(
                    "behind since {} ms, for longer than {} ms, although none of its brokers is \
                     faulty: expected {}, but {committed:?} is committed",
                    since.as_millis(),
                    most.as_millis(),
                    one.expected
                );
                let (invariant, place) = (Invariant::Isolated, Some(key.clone()));
                broken = Some(Violation { invariant, time: look.now, place, detail });
            }
            self.behind.insert(key, Behind { since, stored: one.stored, source: one.source });
        }
        broken
    }
}

impl Look<'_> {
    fn brokers(&self, side: Side) -> &Brokers {
        match side {
            Side::Source => self.brokers.0,
            Side::Target => self.brokers.1,
        }
    }

    /// Whether some broker is faulty now.
    fn is_trouble(&self) -> bool {
        let now = self.now.as_millis();
        let mut faults = self.scenario.faults.iter();
        faults.any(|fault| (fault.at..fault.at + fault.what.lasts()).contains(&now))
    }

    /// How long the group may be behind. Another group of its shard that has a faulty broker may hold the
    /// shard's producer until its transaction is given up, twice.
    fn most(&self, group: &GroupId, since: Instant) -> Duration {
        let bound = bound(self.scenario);
        let call = Duration::from_millis(2 * self.timing.transaction_call);
        let mut others = self.truth.names.groups.iter();
        let held = others.any(|other| {
            let sibling = other != group && self.shard(other) == self.shard(group);
            sibling && self.in_trouble(other).is_some_and(|until| until + call > since)
        });
        if held { bound + call } else { bound }
    }

    /// Until when the group may have to wait because of a current or former fault of one of its brokers.
    fn in_trouble(&self, group: &GroupId) -> Option<Instant> {
        let (own, shared) = (self.own(group), self.of_shard(group));
        let until = |fault: &BrokerFault, at: u64| {
            let (begins, ends) = (Instant::from_millis(at), Instant::from_millis(at + fault.lasts));
            let led = |leads: &BTreeSet<(Side, Lead)>, then: Instant| {
                leads.iter().filter(|(side, _)| *side == fault.cluster).any(|(side, lead)| {
                    self.brokers(*side).leader_at(lead, then) == BrokerId(fault.broker)
                })
            };
            let concerns = |leads| led(leads, begins) || led(leads, self.now.min(ends));
            let over = match fault.how {
                Broken::Gone { elected_after } => {
                    ends.min(begins + Duration::from_millis(elected_after))
                }
                Broken::Slow { .. } | Broken::Silent | Broken::Unreachable => ends,
            };
            match (concerns(&shared), concerns(&own)) {
                (true, _) => Some(over + SHARD_RECOVERS),
                (false, true) => Some(over + RECOVERS),
                (false, false) => None,
            }
        };
        let begun = self.scenario.faults.iter().filter(|fault| fault.at <= self.now.as_millis());
        let until = begun.filter_map(|fault| {
            let Fault::Broker(broker) = &fault.what else {
                return None;
            };
            until(broker, fault.at)
        });
        until.max()
    }

    /// The brokers that only this group needs.
    fn own(&self, group: &GroupId) -> BTreeSet<(Side, Lead)> {
        let coordinators =
            [Side::Source, Side::Target].map(|side| (side, Lead::Group(group.clone())));
        let partitions =
            self.truth.source.keys().filter(|(of, _)| of == group).flat_map(|(_, at)| {
                let topics = &self.truth.names.topics;
                let copy = topics.iter().find(|(from, _)| *from == at.topic).map(|(_, to)| {
                    let at = Partition { topic: to.clone(), partition: at.partition };
                    (Side::Target, Lead::Partition(at))
                });
                copy.into_iter().chain([(Side::Source, Lead::Partition(at.clone()))])
            });
        coordinators.into_iter().chain(partitions).collect()
    }

    /// The brokers that every group of its shard needs.
    fn of_shard(&self, group: &GroupId) -> BTreeSet<(Side, Lead)> {
        let (names, shard) = (&self.truth.names, self.shard(group));
        let partition = |topic: &sprag_core::ids::TopicName, partition| {
            Lead::Partition(Partition { topic: topic.clone(), partition })
        };
        let mappings = self.clusters.target.topics().partitions(&names.mapping_topic);
        let leads = mappings.into_iter().map(Lead::Partition).chain([
            Lead::Transactions(format!("sprag.{}.{shard}", names.pipeline)),
            partition(&names.fence_topic, shard.get().cast_signed()),
            Lead::Group(GroupId::from(format!("sprag.{PIPELINE}").as_str())),
        ]);
        leads.map(|lead| (Side::Target, lead)).collect()
    }

    fn shard(&self, group: &GroupId) -> Shard {
        Shard::of(group, ShardCount(self.truth.shards.unsigned_abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{MadeUp, Says, settled};
    use super::*;
    use crate::scenario::Timed;

    fn isolated(fault: Option<BrokerFault>) -> Vec<String> {
        let (mut made, producer, fence) = settled(false);
        made.scenario.shape.brokers = (3, 3);
        let faults = fault.map(|fault| Timed { at: BEGUN, what: Fault::Broker(fault) });
        made.scenario.faults = faults.into_iter().collect();
        made.group_is_at(0, 7);
        let (brokers, mut all) = (Brokers::new(3), Vec::new());
        let mut isolated = Isolated::default();
        for millis in (BEGUN..BEGUN + 40_000).step_by(250) {
            if millis == BEGUN + 30_000 {
                made.commits("sprag-0", &producer, Says { fence, as_of: 1, source: 7 }, 7);
            }
            let look = Look {
                scenario: &made.scenario,
                truth: &made.truth,
                clusters: made.clusters(),
                brokers: (&brokers, &brokers),
                timing: crate::world::timing(&made.scenario),
                now: Instant::from_millis(millis),
            };
            all.extend(isolated.look(look).map(|it| it.to_string()));
        }
        all
    }

    fn made_up_group(made: &MadeUp) -> GroupId {
        made.truth.names.groups[0].clone()
    }

    #[test]
    fn a_group_behind_without_a_reason_is_noticed_and_a_faulty_broker_is_a_reason() {
        let without = isolated(None);
        assert!(without.first().is_some_and(|it| it.contains("expected 7")), "{without:?}");
        let last = without.last().map(|it| it.contains("at 37750 ms"));
        assert_eq!(last, Some(true), "the commit ends it: {without:?}");
        let group = made_up_group(&settled(false).0);
        let own = Brokers::new(3).leader(&Lead::Group(group)).0;
        let silent = |broker, lasts| {
            Some(BrokerFault { cluster: Side::Source, broker, how: Broken::Silent, lasts })
        };
        assert_eq!(isolated(silent(own, 30_000)), Vec::<String>::new());
        assert!(!isolated(silent(own, 1_000)).is_empty(), "its fault had long ended");
    }
}
