//! What is true in a run, as the clusters' own histories tell it: what groups committed on the source,
//! where records were copied to, who took shards over.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use sprag::core::ids::{Fence, GroupId, Shard, TopicId, TopicName};
use sprag::core::stamp::{Metadata, Stamp};
use sprag::core::time::Instant;

use crate::cluster::history::{Author, Fact, What};
use crate::scenario::Scenario;
use crate::wire::{Committed, Partition};
use crate::world::{Names, World};

/// The prefix of stamps in every run.
const PREFIX: &str = "k2k_";

/// Everything true so far.
pub struct Truth {
    /// The names of things.
    pub names: Names,
    /// Guarded mode.
    pub guarded: bool,
    /// What each group committed on the source, in order.
    pub source: BTreeMap<(GroupId, Partition), Vec<SourceCommit>>,
    /// When the committed offset of each group on the target changed last.
    pub changed: BTreeMap<(GroupId, Partition), Instant>,
    /// When each instance last looked at each group.
    pub looked: BTreeMap<(Rc<str>, GroupId), Instant>,
    /// When each topic of the target was made.
    pub made: BTreeMap<TopicName, Instant>,
    /// The newest take-over record of each shard.
    pub fences: BTreeMap<Shard, Fence>,
    /// The producer ids of shards.
    shard_producers: BTreeSet<i64>,
    /// The topics' ids, by name, on each cluster.
    source_ids: BTreeMap<Partition, TopicId>,
    seen: (usize, usize),
}

/// A commit on the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceCommit {
    /// When.
    pub at: Instant,
    /// What.
    pub commit: Committed,
    /// The source topic's id.
    pub topic: Option<TopicId>,
}

/// An offset that Sprag committed on the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ours {
    /// When.
    pub time: Instant,
    /// By which instance; empty where a time-out ended the transaction.
    pub from: Rc<str>,
    /// The group.
    pub group: GroupId,
    /// The target partition.
    pub at: Partition,
    /// What stood before.
    pub before: Option<Committed>,
    /// What stands now.
    pub after: Committed,
    /// What it says it knew.
    pub stamp: Stamp,
    /// The source's own metadata behind the stamp.
    pub own: String,
    /// Whether it was plain, without a transaction.
    pub plain: bool,
}

/// A stamp that belongs to its commit, and the source's own metadata behind it.
#[must_use]
pub fn stamp_of(commit: &Committed) -> Option<(Stamp, String)> {
    match Metadata::parse(&commit.metadata, [PREFIX]) {
        Metadata::Stamped { stamp, source_metadata } if stamp.target.get() == commit.offset => {
            Some((stamp, source_metadata))
        }
        Metadata::Stamped { .. }
        | Metadata::Foreign
        | Metadata::Malformed
        | Metadata::NewerVersion { .. } => None,
    }
}

impl Truth {
    /// Nothing happened yet.
    #[must_use]
    pub fn new(scenario: &Scenario, names: &Names) -> Self {
        Self {
            names: names.clone(),
            guarded: scenario.rules.guarded,
            source: BTreeMap::new(),
            changed: BTreeMap::new(),
            looked: BTreeMap::new(),
            made: BTreeMap::new(),
            fences: BTreeMap::new(),
            shard_producers: BTreeSet::new(),
            source_ids: BTreeMap::new(),
            seen: (0, 0),
        }
    }

    /// Learns what happened since the last time; each commit of Sprag's goes through `check` before
    /// what it changes is learnt.
    pub fn learn(&mut self, world: &World, mut check: impl FnMut(&Self, &Ours)) {
        let mut seen = self.seen;
        world.source.look(|cluster| {
            for fact in &cluster.history()[seen.0..] {
                self.learn_source(fact);
            }
            seen.0 = cluster.history().len();
        });
        world.target.look(|cluster| {
            for fact in &cluster.history()[seen.1..] {
                if let Some(ours) = self.ours(fact) {
                    check(self, &ours);
                }
                self.learn_target(fact);
            }
            seen.1 = cluster.history().len();
        });
        self.seen = seen;
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
            }
            What::Appended { .. }
            | What::Fencing { .. }
            | What::Refused { .. }
            | What::Looked { .. }
            | What::Joined { .. }
            | What::Left { .. }
            | What::Trimmed { .. } => {}
        }
    }

    fn learn_target(&mut self, fact: &Fact) {
        match &fact.what {
            What::Offset { group, change, .. } => {
                self.changed.insert((group.clone(), change.at.clone()), fact.at);
            }
            What::Fencing { producer } if producer.transactional_id.starts_with("sprag.") => {
                self.shard_producers.insert(producer.id);
            }
            What::Appended { at, offset, value, .. } if at.topic == self.names.fence_topic => {
                let text = value.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
                if text.contains("\"mode\"") {
                    self.fences.insert(Shard(at.partition.unsigned_abs()), Fence(*offset));
                }
            }
            What::Looked { group } => {
                self.looked.insert((Rc::clone(&fact.from), group.clone()), fact.at);
            }
            What::Fencing { .. }
            | What::Appended { .. }
            | What::Refused { .. }
            | What::Joined { .. }
            | What::Left { .. }
            | What::Trimmed { .. } => {}
            What::Created { at, .. } => {
                self.made.insert(at.topic.clone(), fact.at);
            }
        }
    }

    fn ours(&self, fact: &Fact) -> Option<Ours> {
        let What::Offset { group, change, by, active: _ } = &fact.what else {
            return None;
        };
        let plain = match by {
            Author::Transaction { producer } if self.shard_producers.contains(producer) => false,
            Author::Plain { member } if member.is_empty() => true,
            Author::Transaction { .. }
            | Author::Plain { .. }
            | Author::Expiry
            | Author::Deletion => return None,
        };
        let after = change.after.clone()?;
        let (stamp, own) = stamp_of(&after)?;
        Some(Ours {
            time: fact.at,
            from: Rc::clone(&fact.from),
            group: group.clone(),
            at: change.at.clone(),
            before: change.before.clone(),
            after,
            stamp,
            own,
            plain,
        })
    }

    /// The source partition that is copied to a target partition.
    #[must_use]
    pub fn source_of(&self, at: &Partition) -> Option<Partition> {
        let (source, _) = self.names.topics.iter().find(|(_, target)| *target == at.topic)?;
        Some(Partition { topic: source.clone(), partition: at.partition })
    }

    /// What the group committed on the source, of the partition behind `at`.
    #[must_use]
    pub fn source_commits(&self, group: &GroupId, at: &Partition) -> &[SourceCommit] {
        let key = self.source_of(at).map(|source| (group.clone(), source));
        key.and_then(|key| self.source.get(&key)).map_or(&[], Vec::as_slice)
    }

    /// Whether the target topic was made again after the look that the commit was decided from: Kafka
    /// has no commit that names a topic's id, so the next round corrects it.
    #[must_use]
    pub fn is_made_since_look(&self, ours: &Ours) -> bool {
        let look = self.looked.get(&(Rc::clone(&ours.from), ours.group.clone()));
        let made = self.made.get(&ours.at.topic);
        made.is_some_and(|made| look.is_none_or(|look| made >= look))
    }

    /// Whether the commit is one that `guarded` mode's documents admit: what it overwrote came after
    /// the look that it was decided from.
    #[must_use]
    pub fn is_guarded_race(&self, ours: &Ours) -> bool {
        let look = self.looked.get(&(Rc::clone(&ours.from), ours.group.clone()));
        let changed = self.changed.get(&(ours.group.clone(), ours.at.clone()));
        self.guarded && ours.plain && changed.is_some_and(|at| look.is_none_or(|look| at >= look))
    }
}
