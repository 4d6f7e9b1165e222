//! What is true in a run according to the clusters' own histories: what groups committed on the source,
//! where records were copied to, and who took over which shard.

mod commits;
mod logs;
mod mapping_ends;
mod replays_over;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use sprag_core::ids::{Fence, GroupId, MappingTopicTag, Shard, TopicId, TopicName};
use sprag_core::mapping::MappingRecord;
use sprag_core::time::Instant;
use sprag_mapping::{Decoder, Format};

pub use self::commits::{Ours, SourceCommit, is_foreign, stamp_of};
pub use self::logs::Logs;
pub use self::mapping_ends::MappingEnds;
pub use self::replays_over::ReplaysOver;
use crate::cluster::Cluster;
use crate::cluster::history::{Author, Fact, What};
use crate::coverage::{Kind, reached};
use crate::names::Names;
use crate::scenario::{Fault, Publisher, Rules, Scenario};
use crate::wire::{Committed, Partition, Producer};

/// The prefix of stamps in every run.
pub const PREFIX: &str = "k2k_";

/// Both clusters in their current state.
#[derive(Clone, Copy)]
pub struct Clusters<'a> {
    /// The source.
    pub source: &'a Cluster,
    /// The target.
    pub target: &'a Cluster,
}

/// Everything that is true so far.
pub struct Truth {
    /// The names used in the run.
    pub names: Names,
    /// Sprag's configuration in the run.
    pub rules: Rules,
    /// Number of shards.
    pub shards: i32,
    /// The mapping log end offsets may come from a lagging replica.
    pub ends_may_be_stale: bool,
    /// Each group's commits on the source, in order.
    pub source: BTreeMap<(GroupId, Partition), Vec<SourceCommit>>,
    /// Each group's committed offset on the target.
    pub stored: BTreeMap<(GroupId, Partition), Committed>,
    /// Each group's last committed offset on the target, even if it no longer exists.
    last: BTreeMap<(GroupId, Partition), Committed>,
    /// Sprag's last commit for each group.
    pub ours: BTreeMap<(GroupId, Partition), Committed>,
    /// Every record of the current mapping topic that was ever appended, by partition and offset. Neither
    /// compaction nor retention removes any.
    pub mappings: BTreeMap<(i32, i64), MappingRecord>,
    /// The replays that are over.
    pub replays_over: ReplaysOver,
    decoder: Decoder,
    /// When each group's committed offset on the target last changed.
    pub changed: BTreeMap<(GroupId, Partition), Instant>,
    /// When each instance last read each group, requiring stable offsets: all of it (`None`), or a
    /// partition by name.
    looked: BTreeMap<(Rc<str>, GroupId, Option<Partition>), Instant>,
    /// When each topic of the target was created.
    pub made: BTreeMap<TopicName, Instant>,
    /// The ids of the mapping topics so far, in order.
    mapping_topics: Vec<TopicId>,
    /// The newest fence of each shard.
    pub fences: BTreeMap<Shard, Fence>,
    /// The mapping log end offsets when each take-over record was written.
    pub taken_over: BTreeMap<(Shard, Fence), MappingEnds>,
    /// When requests of each fenced producer of a shard were refused: the first and the last time.
    pub refused: BTreeMap<Producer, (Instant, Instant)>,
    /// When each instance last made a plain commit for each group.
    plainly: BTreeMap<(Rc<str>, GroupId), Instant>,
    /// What each producer last wrote for each group.
    written: BTreeMap<(GroupId, i64), Written>,
    /// For each offset on the target that was committed in a foreign transaction: when it became pending,
    /// and what was stored before such transactions.
    pended: BTreeMap<(GroupId, Partition), (Instant, Option<Committed>)>,
    /// The mapping log end offsets before the current step.
    mapping_ends: MappingEnds,
    /// The producer ids of the shards' producers.
    shard_producers: BTreeSet<i64>,
    /// Transactional commits that a later commit had already superseded, with the client that made them.
    pub superseded: Vec<(Rc<str>, GroupId, Partition, i64)>,
    /// How far the logs extended, and when.
    pub logs: Logs,
    /// The ids of the source topics, by partition.
    source_ids: BTreeMap<Partition, TopicId>,
    seen: (usize, usize),
}

/// The offsets that a producer last wrote for a group.
#[derive(Clone, Debug)]
struct Written {
    at: Instant,
    /// The host of the client that wrote them.
    by: Rc<str>,
    /// The group had members at that time.
    active: bool,
    /// When that client first read the group after that.
    peeked: Option<Instant>,
}

impl Truth {
    /// The state before anything has happened.
    #[must_use]
    pub fn new(scenario: &Scenario, names: &Names) -> Self {
        Self {
            names: names.clone(),
            rules: scenario.rules.clone(),
            shards: scenario.shape.shards,
            ends_may_be_stale: scenario
                .faults
                .iter()
                .any(|fault| matches!(fault.what, Fault::StaleEnds { .. })),
            source: BTreeMap::new(),
            stored: BTreeMap::new(),
            last: BTreeMap::new(),
            ours: BTreeMap::new(),
            mappings: BTreeMap::new(),
            replays_over: ReplaysOver::default(),
            decoder: Decoder::new(match scenario.shape.publisher {
                Publisher::Dense => Format::Native,
                Publisher::Sparse { .. } => crate::names::syncs(),
            }),
            changed: BTreeMap::new(),
            looked: BTreeMap::new(),
            made: BTreeMap::new(),
            mapping_topics: Vec::new(),
            fences: BTreeMap::new(),
            taken_over: BTreeMap::new(),
            refused: BTreeMap::new(),
            plainly: BTreeMap::new(),
            written: BTreeMap::new(),
            pended: BTreeMap::new(),
            mapping_ends: MappingEnds::default(),
            shard_producers: BTreeSet::new(),
            superseded: Vec::new(),
            logs: Logs::default(),
            source_ids: BTreeMap::new(),
            seen: (0, 0),
        }
    }

    /// Learns what happened since the last call. Each commit of Sprag's is passed to `check` before its
    /// effect is learnt.
    pub fn learn(&mut self, clusters: Clusters<'_>, mut check: impl FnMut(&Self, &Ours)) {
        let (source, target) = (clusters.source.history(), clusters.target.history());
        for fact in &source[self.seen.0..] {
            self.learn_source(fact);
        }
        for fact in &target[self.seen.1..] {
            if let Some(ours) = self.ours(fact) {
                check(self, &ours);
                self.ours.insert((ours.group, ours.at), ours.after);
            }
            self.learn_target(fact);
        }
        self.seen = (source.len(), target.len());
        self.mapping_ends = MappingEnds::of(clusters.target, &self.names.mapping_topic);
    }

    fn learn_source(&mut self, fact: &Fact) {
        match &fact.what {
            What::Offset { group, change, .. } => {
                if let Some(commit) = change.after.clone() {
                    let any = Partition { partition: 0, ..change.at.clone() };
                    let topic = self.source_ids.get(&any).copied();
                    let commit = SourceCommit { at: fact.at, commit, topic };
                    self.source.entry((group.clone(), change.at.clone())).or_default().push(commit);
                }
            }
            What::Created { at, topic } => {
                self.source_ids.insert(at.clone(), *topic);
                self.logs.made(at);
            }
            What::Appended { at, offset, .. } => self.logs.grew(fact.at, at, offset + 1),
            What::Fencing { .. }
            | What::Pending { .. }
            | What::Refused { .. }
            | What::Looked { .. }
            | What::Peeked { .. }
            | What::Superseded { .. }
            | What::Joined { .. }
            | What::Left { .. }
            | What::Trimmed { .. } => {}
        }
    }

    fn learn_target(&mut self, fact: &Fact) {
        match &fact.what {
            What::Offset { group, change, by, .. } => {
                let key = (group.clone(), change.at.clone());
                match change.after.clone() {
                    Some(stored) => {
                        self.last.insert(key.clone(), stored.clone());
                        self.stored.insert(key.clone(), stored)
                    }
                    None => self.stored.remove(&key),
                };
                let pended = self.pended.remove(&key);
                if let Author::Transaction { producer } = by
                    && !self.shard_producers.contains(producer)
                    && let Some(Written { at, .. }) = self.written.get(&(group.clone(), *producer))
                {
                    let before = pended.map_or_else(|| change.before.clone(), |(_, before)| before);
                    self.pended.insert(key.clone(), (*at, before));
                }
                self.changed.insert(key, fact.at);
                if *by == Author::Expiry {
                    reached(Kind::Fault, "Expiry");
                }
                if matches!(by, Author::Plain { member } if member.is_empty()) {
                    self.plainly.insert((Rc::clone(&fact.from), group.clone()), fact.at);
                }
            }
            What::Pending { group, producer, active } => {
                let (at, by) = (fact.at, Rc::clone(&fact.from));
                let written = Written { at, by, active: *active, peeked: None };
                self.written.insert((group.clone(), *producer), written);
            }
            What::Peeked { group } => {
                for ((of, _), written) in &mut self.written {
                    if of == group && written.by == fact.from {
                        written.peeked.get_or_insert(fact.at);
                    }
                }
            }
            What::Refused { producer } if self.shard_producers.contains(&producer.id) => {
                let seen = self.refused.entry(producer.clone()).or_insert((fact.at, fact.at));
                seen.1 = fact.at;
            }
            What::Fencing { producer } if producer.transactional_id.starts_with("sprag.") => {
                self.shard_producers.insert(producer.id);
            }
            What::Appended { at, offset, key, value, .. }
                if at.topic == self.names.mapping_topic =>
            {
                self.logs.published(fact.at, at, *offset);
                if let Ok(record) = self.decoder.decode(Some(key), value.as_deref()) {
                    self.mappings.insert((at.partition, *offset), record);
                }
            }
            What::Appended { at, offset, value, .. } if at.topic == self.names.fence_topic => {
                let text = value.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
                if text.contains("\"mode\"") {
                    let (shard, fence) = (Shard(at.partition.unsigned_abs()), Fence(*offset));
                    self.fences.insert(shard, fence);
                    self.taken_over.insert((shard, fence), self.mapping_ends.clone());
                }
            }
            What::Superseded { group, at, commit } => {
                let from = Rc::clone(&fact.from);
                self.superseded.push((from, group.clone(), at.clone(), commit.offset));
            }
            What::Looked { group, at } => {
                let named = at.as_ref().map(|at| at.iter().cloned().map(Some).collect());
                for at in named.unwrap_or_else(|| vec![None]) {
                    self.looked.insert((Rc::clone(&fact.from), group.clone(), at), fact.at);
                }
            }
            What::Fencing { .. }
            | What::Appended { .. }
            | What::Refused { .. }
            | What::Joined { .. }
            | What::Left { .. } => {}
            What::Trimmed { at, start } => self.logs.trimmed(fact.at, at, *start),
            What::Created { at, topic } => {
                self.made.insert(at.topic.clone(), fact.at);
                self.logs.made(at);
                if at.topic == self.names.mapping_topic {
                    self.mappings.clear();
                    self.replays_over.forget();
                    self.mapping_topics.push(*topic);
                }
            }
        }
    }

    fn ours(&self, fact: &Fact) -> Option<Ours> {
        let What::Offset { group, change, by, active } = &fact.what else {
            return None;
        };
        let (plain, active, verified) = match by {
            Author::Transaction { producer } if self.shard_producers.contains(producer) => {
                let written = self.written.get(&(group.clone(), *producer));
                let peeked = written.and_then(|written| written.peeked);
                let verified = peeked.is_some_and(|peeked| peeked <= fact.sent);
                (false, written.is_some_and(|written| written.active), verified)
            }
            Author::Plain { member } if member.is_empty() && is_instance(&fact.from) => {
                (true, *active, true)
            }
            Author::Transaction { .. }
            | Author::Plain { .. }
            | Author::Expiry
            | Author::Deletion => return None,
        };
        let after = change.after.clone()?;
        let (stamp, own) = stamp_of(&after)?;
        let key = (group.clone(), change.at.clone());
        let refresh = self.last.get(&key) == Some(&after);
        let mut ours = Ours {
            time: fact.at,
            from: Rc::clone(&fact.from),
            group: group.clone(),
            at: change.at.clone(),
            before: change.before.clone(),
            after,
            stamp,
            own,
            plain,
            active,
            verified,
            refresh,
        };
        // If the admitted race changed the offset that it was to keep, a refresh is still a refresh.
        let overtaken = self.pended.get(&key).and_then(|(_, before)| before.as_ref());
        ours.refresh |= overtaken == Some(&ours.after) && self.is_transactions_race(&ours);
        Some(ours)
    }

    /// The source partition that is copied to this target partition.
    #[must_use]
    pub fn source_of(&self, at: &Partition) -> Option<Partition> {
        let (source, _) = self.names.topics.iter().find(|(_, target)| *target == at.topic)?;
        Some(Partition { topic: source.clone(), partition: at.partition })
    }

    /// The index of the mapping topic with this tag, among all mapping topics so far.
    #[must_use]
    pub fn mapping_topic(&self, tag: MappingTopicTag) -> Option<usize> {
        self.mapping_topics.iter().position(|topic| MappingTopicTag::of(*topic) == tag)
    }

    /// The group's commits on the source for the source partition of `at`.
    #[must_use]
    pub fn source_commits(&self, group: &GroupId, at: &Partition) -> &[SourceCommit] {
        let key = self.source_of(at).map(|source| (group.clone(), source));
        key.and_then(|key| self.source.get(&key)).map_or(&[], Vec::as_slice)
    }

    /// Whether the target topic was recreated after the read that the commit was decided from. Kafka has no
    /// commit that names a topic id, so this cannot be prevented; the next round corrects it.
    #[must_use]
    pub fn is_made_since_look(&self, ours: &Ours) -> bool {
        let look = self.look(ours, &ours.at);
        let made = self.made.get(&ours.at.topic);
        made.is_some_and(|made| look.is_none_or(|look| *made >= look))
    }

    /// When the instance that committed last read this partition of the group.
    #[must_use]
    pub fn look(&self, ours: &Ours, at: &Partition) -> Option<Instant> {
        let of = |at| self.looked.get(&(Rc::clone(&ours.from), ours.group.clone(), at)).copied();
        of(None).max(of(Some(at.clone())))
    }

    /// Whether the commit overwrote an offset of a foreign transaction that became pending after the read
    /// that the commit was decided from. No read shows such an offset, and the broker keeps the later of
    /// the two. The documents admit this for groups without members.
    #[must_use]
    pub fn is_transactions_race(&self, ours: &Ours) -> bool {
        let pended = self.pended.get(&(ours.group.clone(), ours.at.clone()));
        let look = self.look(ours, &ours.at);
        let since_look = pended.is_some_and(|(at, _)| look.is_some_and(|look| *at >= look));
        !ours.plain && !ours.active && since_look
    }

    /// Whether the documents of `guarded` mode admit the commit: it is the first plain commit after the
    /// read that it was decided from, and what it overwrote came after that read.
    #[must_use]
    pub fn is_guarded_race(&self, ours: &Ours) -> bool {
        let Some(look) = self.look(ours, &ours.at) else {
            return false;
        };
        let by = (Rc::clone(&ours.from), ours.group.clone());
        let again = self.plainly.get(&by).is_some_and(|at| *at > look && *at < ours.time);
        let changed = self.changed.get(&(ours.group.clone(), ours.at.clone()));
        self.rules.guarded && ours.plain && !again && changed.is_some_and(|at| *at >= look)
    }
}

/// Whether a host runs an instance of Sprag.
fn is_instance(host: &str) -> bool {
    host.starts_with("sprag-")
}
