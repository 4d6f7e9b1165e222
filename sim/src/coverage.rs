//! What a sweep reached: every fault, every work, every arm of the judge, every turn in a shard's life.
//! A sweep that is said to have tried them, and has not, fails.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

/// What kind of thing was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A fault that struck.
    Fault,
    /// Something that a client or an operator did, with success.
    Work,
    /// A verdict of the judge, by its name.
    Verdict,
    /// A note of the core's, by its name: among them the turns in a shard's life.
    Note,
    /// A call that a shard's owner makes on its way.
    Step,
}

/// How often each thing was reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<(Kind, String), u64>);

thread_local! {
    static REACHED: RefCell<Coverage> = RefCell::default();
}

/// Counts one thing, in this thread's sweep.
pub fn reached(kind: Kind, name: &str) {
    REACHED.with_borrow_mut(|coverage| coverage.add(kind, name, 1));
}

/// What this thread reached since it was asked last.
#[must_use]
pub fn take() -> Coverage {
    REACHED.take()
}

/// What a sweep over enough seeds must have reached. Of the judge's arms it lacks those that no seed can
/// reach, because nothing in a scenario leads there; their unit tests stand for them:
/// `Merged` (no replicator here merges topics), `GuardOff` (no seed disables the guard) and `Refence` (a
/// mapping topic that was made again has every shard taken over anew before anything is judged).
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
            "Group beside a broker in trouble",
        ],
    ),
];

/// What one seed in some thousands reaches, and from how many seeds on a sweep must have.
const RARE: (u64, &[(Kind, &str)]) = (20_000, &[(Kind::Verdict, "StoredIsSharper")]);

impl Coverage {
    fn add(&mut self, kind: Kind, name: &str, times: u64) {
        *self.0.entry((kind, name.to_owned())).or_default() += times;
    }

    /// Adds another sweep's.
    pub fn merge(&mut self, other: Self) {
        for ((kind, name), times) in other.0 {
            self.add(kind, &name, times);
        }
    }

    /// What was not reached and should have been, in so many seeds.
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
