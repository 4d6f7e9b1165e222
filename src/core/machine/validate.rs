//! The invariants of the core's own state, which hold after every event.

use super::super::group::Stage;
use super::super::shard::Lane;
use super::{Core, Waiter};

impl Core {
    /// Checks the core's own invariants. Debug, simulation and fuzz builds call it after every event.
    ///
    /// # Panics
    ///
    /// If an invariant is broken. That is a bug in the core, whatever its input was.
    pub fn validate(&self) {
        for (name, group) in &self.groups {
            let active = self.shards.get(&group.shard).and_then(|state| state.active_fence());
            assert!(active.is_some(), "group {name} is kept, but its shard is not active");
            let resting = match &group.stage {
                Stage::Resting { due } => {
                    let planned = self.agenda.rests_until(name);
                    assert_eq!(planned, Some(*due), "group {name} rests without a next round");
                    true
                }
                Stage::ReadingSource { .. }
                | Stage::WaitingForTarget { .. }
                | Stage::ReadingTarget { .. }
                | Stage::ReadingTopics { .. }
                | Stage::Queued(_)
                | Stage::Writing(_)
                | Stage::Verifying { .. }
                | Stage::Ending { .. }
                | Stage::Committing(_) => false,
            };
            let waiting = self.waits(name);
            assert!(
                resting || waiting || self.stopped,
                "group {name} is stuck: nothing will wake it"
            );
        }
        let known = self.agenda.groups().all(|name| self.groups.contains_key(name));
        assert!(known, "the agenda has a group that is not kept");
        for (shard, state) in &self.shards {
            if let Lane::Group(name) = &state.lane {
                let open = self.groups.get(name).is_some_and(|group| group.in_transaction());
                assert!(open, "shard {shard}: group {name} has the lane, but no transaction");
                assert!(state.active_fence().is_some(), "shard {shard} writes without a fence");
            }
        }
    }

    fn waits(&self, name: &super::super::ids::GroupId) -> bool {
        let queued = self.shards.values().any(|state| state.queue.contains(name));
        let asked = self.requests.any(|waiter| *waiter == Waiter::Group(name.clone()));
        queued || asked || self.waits_for_target(name)
    }
}
