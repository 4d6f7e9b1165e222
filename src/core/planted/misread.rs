//! What planted bugs make of a stored commit before the judge sees it, and of a position within a run.

use super::super::ids::MappingOffset;
use super::super::judge::{Ownership, Stored};
use super::super::stamp::{Metadata, Stamp};
use super::{Bug, has};

/// `stored` as the judge is shown it: unchanged, unless a bug is planted.
pub(crate) fn misread(stored: Stored, own: &Ownership) -> Stored {
    if !has(Bug::LexicographicOrder) && !has(Bug::TwoShardCounts) {
        return stored;
    }
    match stored {
        Stored::Nothing => Stored::Nothing,
        Stored::Commit { offset, metadata } => {
            let metadata = match metadata {
                Metadata::Stamped { stamp, source_metadata } => {
                    Metadata::Stamped { stamp: misread_stamp(stamp, own), source_metadata }
                }
                other @ (Metadata::Foreign
                | Metadata::Malformed
                | Metadata::NewerVersion { .. }) => other,
            };
            Stored::Commit { offset, metadata }
        }
    }
}

fn misread_stamp(stamp: Stamp, own: &Ownership) -> Stamp {
    if has(Bug::TwoShardCounts) {
        return Stamp { shard: own.shard, shards: own.shards, ..stamp };
    }
    match stamp.fence < own.fence {
        true => Stamp { as_of: MappingOffset::default(), ..stamp },
        false => stamp,
    }
}

/// How far into a run a position lies: `distance`, unless a bug is planted.
pub(crate) fn into_run(distance: i64) -> i64 {
    if has(Bug::StartOfRun) { 0 } else { distance }
}
