//! Replays that are over. An instance that translates a position which a replay covered has seen its end, and
//! writes that to the fence logs of its shards. Later owners of these shards know it from there.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use sprag_core::ids::Shard;
use sprag_core::time::Instant;

use super::Ours;
use crate::wire::Partition;

/// How long an instance goes on committing before it must have written that a replay is over.
const WRITTEN: Duration = Duration::from_secs(3);

/// By target partition and shard.
#[derive(Default)]
pub struct ReplaysOver {
    /// For each instance: the as-of below which it has seen the end of every replay, and when it had.
    seen: BTreeMap<(Partition, Shard, Rc<str>), (i64, Instant)>,
    written: BTreeMap<(Partition, Shard), i64>,
}

impl ReplaysOver {
    /// An instance committed. `below` is the as-of below which every replay was over to its knowledge.
    pub fn learn(&mut self, ours: &Ours, below: Option<i64>) {
        let (at, shard) = (&ours.at, ours.stamp.shard);
        let key = (at.clone(), shard, Rc::clone(&ours.from));
        if let Some((seen, since)) = self.seen.get(&key).copied()
            && ours.time.since(since) >= WRITTEN
        {
            let written = self.written.entry((at.clone(), shard)).or_default();
            *written = seen.max(*written);
            self.seen.remove(&key);
        }
        if let Some(below) = below {
            self.seen.entry(key).or_insert((below, ours.time));
        }
    }

    /// The as-of below which every owner of the shard knows that all replays of this target partition are over.
    #[must_use]
    pub fn below(&self, at: &Partition, shard: Shard) -> i64 {
        self.written.get(&(at.clone(), shard)).copied().unwrap_or_default()
    }

    /// The mapping topic was recreated.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}
