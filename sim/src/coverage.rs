//! What a sweep reached: every fault, work item, verdict of the judge and step in a shard's life. A sweep
//! that claims to cover them and does not is a failure.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

/// The kind of thing that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A fault that took effect.
    Fault,
    /// A successful action of a client or an operator.
    Work,
    /// A verdict of the judge, by name.
    Verdict,
    /// A note of the core, by name. These include the transitions in a shard's life.
    Note,
    /// A call that a shard's owner makes during its life.
    Step,
}

/// How often each thing was reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<(Kind, String), u64>);

thread_local! {
    static REACHED: RefCell<Coverage> = RefCell::default();
}

/// Counts one thing for this thread's sweep.
pub fn reached(kind: Kind, name: &str) {
    REACHED.with_borrow_mut(|coverage| coverage.add(kind, name, 1));
}

/// Returns what this thread has reached since the last call.
#[must_use]
pub fn take() -> Coverage {
    REACHED.take()
}

/// What a sweep over enough seeds must reach. Three verdicts of the judge are missing because no scenario
/// leads to them; their unit tests cover them. `Merged`: no replicator here merges topics. `GuardOff`: no
/// seed disables the guard. `Refence`: after a mapping topic was recreated, every shard is taken over again
/// before anything is judged.
const WANTED: &[(Kind, &[&str])] = &[
    (
        Kind::Fault,
        &[
            "Freeze Moves",
            "Freeze Stands",
            "FreezeAtCommit Write",
            "FreezeAtCommit End",
            "Visit",
            "Crash",
            "Cut Source",
            "Cut Target",
            "Slow answer of the source",
            "Slow answer of the target",
            "Lost answer of the source",
            "Lost answer of the target",
            "Answer of a former coordinator",
            "Look-up of a former coordinator",
            "Ends of a lagging replica",
            "End of a leader that is behind",
            "Topic is not described",
            "Partition cannot be read",
            "End of a partition cannot be read",
            "Late request",
            "Late request of a stopped broker",
            "Broker does not answer",
            "Slow broker",
            "Election",
            "Lost messages",
            "Expiry",
        ],
    ),
    (
        Kind::Work,
        &[
            "Produce",
            "SourceCommit",
            "SourceReset",
            "TargetConsumer",
            "TargetCommit",
            "TargetTransaction",
            "Disguised",
            "ZombieCopies",
            "ReplicatorRestart",
            "CompactMappings",
            "RecreateSource",
            "RecreateTarget",
            "RecreateMappings",
            "TrimTarget",
        ],
    ),
    (
        Kind::Verdict,
        &[
            "First",
            "Override",
            "Reincarnate",
            "Correct",
            "FollowRewind",
            "Advance",
            "Same",
            "NotForward",
            "NoSourceOffset",
            "NoMapping",
            "BelowFirst",
            "Replay",
            "TargetMissing",
            "SourceMissing",
            "NewerVersion",
            "Active",
            "BeyondEnd",
            "Foreign",
            "ForeignSibling",
            "OtherPipeline",
            "FenceChanged",
            "FenceRegressed",
            "Recreated",
            "Correction",
            "Rewind",
            "Unconfirmed",
            "Stale",
            "Behind",
        ],
    ),
    (
        Kind::Note,
        &[
            "fence_acquired",
            "shard_active",
            "fencing_failed",
            "stood_down",
            "shard_left",
            "overtaken",
            "mappings_restarted",
            "topic_recreated",
            "twice_published",
            "lowered",
            "source_disturbed",
            "refreshed",
            "group_failed",
            "producer_replaced",
        ],
    ),
    (
        Kind::Step,
        &[
            "Assigned",
            "Revoked",
            "Lost",
            "Fence log read",
            "Transactions initialised",
            "Taken over",
            "Ends read",
            "Late request possible",
            "Assignment confirmed",
            "Assignment denied",
            "Released",
            "Group next to a faulty broker",
        ],
    ),
];

/// What less than one seed in a hundred reaches, and the number of seeds from which a sweep must reach it.
const RARE: (u64, &[(Kind, &str)]) = (2_000, &[(Kind::Verdict, "StoredIsSharper")]);

impl Coverage {
    fn add(&mut self, kind: Kind, name: &str, times: u64) {
        *self.0.entry((kind, name.to_owned())).or_default() += times;
    }

    /// Adds the counts of another sweep.
    pub fn merge(&mut self, other: Self) {
        for ((kind, name), times) in other.0 {
            self.add(kind, &name, times);
        }
    }

    /// What a sweep over `seeds` seeds should have reached and did not.
    #[must_use]
    pub fn missing(&self, seeds: u64) -> Vec<String> {
        let wanted =
            WANTED.iter().flat_map(|(kind, names)| names.iter().map(move |it| (*kind, *it)));
        let rare = RARE.1.iter().copied().filter(|_| seeds >= RARE.0);
        let reached = |kind: Kind, name: &str| self.0.contains_key(&(kind, name.to_owned()));
        let missing = wanted.chain(rare).filter(|(kind, name)| !reached(*kind, name));
        missing.map(|(kind, name)| format!("{kind:?} {name}")).collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((kind, name), times) in &self.0 {
            writeln!(f, "{times:>10}  {kind:?} {name}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_reached_is_named() {
        let mut coverage = Coverage::default();
        let all = coverage.missing(0).len();
        coverage.add(Kind::Verdict, "First", 3);
        let missing = coverage.missing(0);
        assert_eq!(missing.len(), all - 1);
        assert!(missing.contains(&"Verdict Advance".to_owned()), "{missing:?}");
        assert!(!missing.contains(&"Verdict First".to_owned()), "{missing:?}");
        assert_eq!(coverage.missing(RARE.0).len(), all, "one is rare");
    }
}
