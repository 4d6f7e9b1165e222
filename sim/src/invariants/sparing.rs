//! Sparing: an instance asks, writes and reports no more often than its configuration allows. What fails
//! is not tried again without a pause, and what stands is not written again before it has to be.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use sprag_core::ids::GroupId;
use sprag_core::time::Instant;

use super::{Invariant, Violation};
use crate::scenario::Scenario;
use crate::truth::{Ours, Truth};
use crate::wire::{Envelope, Partition, Request};

/// How long what happens is counted before it is compared with what is allowed.
const WINDOW: Duration = Duration::from_secs(5);

/// How often a partition of a group may be refreshed too early in a run: an answer that was lost makes an
/// instance write what stands already.
const EARLY: u32 = 2;

/// What is counted, of each instance.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// ListGroups.
    GroupList,
    /// DescribeTopics of `__consumer_offsets`.
    Coordinators,
    /// OffsetFetch of a group, on one cluster.
    Offsets(GroupId),
    /// TxnOffsetCommit and OffsetCommit of a group.
    Commit(GroupId),
    /// DescribeTopics.
    Topics,
    /// ListOffsets.
    LogOffsets,
    /// InitProducerId.
    InitProducer,
    /// A line of the log that has this event, about this group where it names one.
    Log(String, Option<String>),
}

impl What {
    /// What the request counts as, if it is counted.
    #[must_use]
    pub fn of(request: &Request) -> Option<Self> {
        match request {
            Request::ListGroups => Some(Self::GroupList),
            Request::DescribeCoordinators => Some(Self::Coordinators),
            Request::OffsetFetch { group, .. } => Some(Self::Offsets(group.clone())),
            Request::TxnOffsetCommit { group, .. } | Request::OffsetCommit { group, .. } => {
                Some(Self::Commit(group.clone()))
            }
            Request::DescribeTopics { .. } => Some(Self::Topics),
            Request::ListOffsets { .. } => Some(Self::LogOffsets),
            Request::InitProducer { .. } => Some(Self::InitProducer),
            // Mappings are read, and memberships kept, at the pace of the answers.
            Request::Fetch { .. }
            | Request::Join { .. }
            | Request::Heartbeat { .. }
            | Request::Leave { .. }
            | Request::DescribeGroup { .. }
            | Request::Produce { .. }
            | Request::EndTxn { .. }
            | Request::CreateTopic { .. }
            | Request::DeleteTopic { .. }
            | Request::DeleteRecords { .. }
            | Request::DeleteGroup { .. }
            | Request::OffsetDelete { .. } => None,
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GroupList => f.write_str("lists groups"),
            Self::Coordinators => f.write_str("looks coordinators up"),
            Self::Offsets(group) => write!(f, "reads the committed offsets of {group}"),
            Self::Commit(group) => write!(f, "commits offsets of {group}"),
            Self::Topics => f.write_str("describes topics"),
            Self::LogOffsets => f.write_str("reads log offsets"),
            Self::InitProducer => f.write_str("initialises producers"),
            Self::Log(event, None) => write!(f, "logs {event}"),
            Self::Log(event, Some(group)) => write!(f, "logs {event} of {group}"),
        }
    }
}

/// How often each instance did what, since this was asked last.
pub type Did = BTreeMap<(Rc<str>, What), u32>;

/// Notes a request, if an instance of Sprag's sent it.
pub fn note(did: &mut Did, envelope: &Envelope) {
    if envelope.from.starts_with("sprag-")
        && let Some(what) = What::of(&envelope.request)
    {
        *did.entry((Rc::clone(&envelope.from), what)).or_default() += 1;
    }
}

/// Counts.
#[derive(Default)]
pub struct Sparing {
    begun: Option<Instant>,
    /// By what was asked of: a cluster, or the log.
    did: BTreeMap<(&'static str, Rc<str>, What), u32>,
    early: BTreeMap<(GroupId, Partition), u32>,
}

impl Sparing {
    /// Adds what instances asked of a cluster, or wrote to the log.
    pub fn add(&mut self, of: &'static str, did: Did) {
        for ((from, what), times) in did {
            *self.did.entry((of, from, what)).or_default() += times;
        }
    }

    /// Compares it with what is allowed, at the end of each window.
    pub fn look(&mut self, scenario: &Scenario, now: Instant) -> Option<Violation> {
        let begun = *self.begun.get_or_insert(now);
        if now.since(begun) < WINDOW {
            return None;
        }
        self.begun = Some(now);
        let did = std::mem::take(&mut self.did);
        let ((of, from, what), times) =
            did.into_iter().find(|((_, _, what), times)| *times > allowed(scenario, what))?;
        let detail = format!(
            "{from} {what} ({of}) {times} times in {} ms; at most {} are allowed",
            now.since(begun).as_millis(),
            allowed(scenario, &what)
        );
        Some(Violation { invariant: Invariant::Sparing, time: now, place: None, detail })
    }

    /// Checks one commit of Sprag's, before the truth learns it.
    pub fn check(&mut self, scenario: &Scenario, truth: &Truth, ours: &Ours) -> Option<Violation> {
        let key = (ours.group.clone(), ours.at.clone());
        let stands = ours.before.as_ref() == Some(&ours.after);
        let since = ours.time.since(*truth.changed.get(&key).filter(|_| stands)?);
        if since >= Duration::from_millis(scenario.rules.refresh_millis) {
            return None;
        }
        let early = self.early.entry(key).or_default();
        *early += 1;
        (*early > EARLY).then(|| {
            let detail = format!(
                "{} wrote {} again, which stands there since {} ms; that it was too early happened \
                 {early} times",
                ours.from,
                ours.after.offset,
                since.as_millis()
            );
            Violation::of(Invariant::Sparing, ours, detail)
        })
    }
}

/// How often an instance may do this in a window, on one cluster.
fn allowed(scenario: &Scenario, what: &What) -> u32 {
    let per = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let rounds = per(WINDOW.as_millis() as usize) / per(scenario.rules.poll_millis as usize) + 1;
    let groups = per(scenario.shape.groups);
    match what {
        What::Offsets(_) => 3 * rounds + 20,
        What::Commit(_) => rounds + 10,
        What::Topics | What::LogOffsets => (3 * rounds + 20) * (groups + 1),
        What::GroupList | What::Coordinators => 2 * rounds + 20,
        What::InitProducer => 20 * per(scenario.shape.shards as usize),
        // A mapping partition that cannot be read is reported at each try. The port paces the tries.
        What::Log(..) => 2 * rounds + 100,
    }
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{Says, settled};
    use super::*;

    #[test]
    fn what_stands_is_not_written_again_before_it_has_to_be() {
        let (mut made, producer, fence) = settled(false);
        let says = Says { fence, as_of: 1, source: 5 };
        for _ in 0..EARLY {
            made.commits("sprag-0", &producer, says, 5);
        }
        assert_eq!(made.broken(), Vec::<String>::new(), "an answer may be lost");
        made.commits("sprag-0", &producer, says, 5);
        assert!(made.broken().join("").contains("Sparing"), "{:?}", made.broken());

        let (mut made, producer, fence) = settled(false);
        made.scenario.rules.refresh_millis = 10;
        for _ in 0..2 * EARLY {
            made.commits("sprag-0", &producer, Says { fence, as_of: 1, source: 5 }, 5);
        }
        assert_eq!(made.broken(), Vec::<String>::new(), "it was due");
    }

    #[test]
    fn what_is_done_too_often_in_a_window_is_noticed() {
        let scenario = Scenario::of(1);
        let what = || What::Offsets(GroupId::from("group-0"));
        let most = allowed(&scenario, &what());
        let broken = |times: u32, millis: u64| {
            let mut sparing = Sparing::default();
            assert_eq!(sparing.look(&scenario, Instant::from_millis(0)), None);
            sparing.add("target", Did::from([(("sprag-0".into(), what()), times)]));
            sparing.look(&scenario, Instant::from_millis(millis)).map(|it| it.to_string())
        };
        assert_eq!(broken(most, 5_000), None);
        assert_eq!(broken(most + 1, 4_000), None, "the window is not over");
        let said = broken(most + 1, 5_000).unwrap_or_default();
        assert!(said.contains("sprag-0 reads the committed offsets of group-0 (target)"), "{said}");
    }
}
