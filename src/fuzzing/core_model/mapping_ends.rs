//! The ends of the mapping partitions that a shard must catch up with, by `docs/protocol.md`, "The life of
//! a shard".

use std::collections::{BTreeMap, BTreeSet};

use crate::core::failure::Failure;
use crate::core::ids::{MappingOffset, MappingPartition, Shard};
use crate::core::machine::view::LifeView;
use crate::core::request::RequestId;

use super::model::Model;
use super::shards::ShardModel;

/// How long until ends are read again: after a failure, and where they are not reached.
const ENDS_FAILED: u64 = 1_000;
const ENDS_AGAIN: u64 = 30_000;

pub(super) enum Ends {
    Due(u64),
    Asked,
    Known(BTreeMap<MappingPartition, MappingOffset>, Option<u64>),
}

impl Model {
    pub(super) fn ends_ordered(
        &mut self,
        request: RequestId,
        partitions: &BTreeSet<MappingPartition>,
    ) {
        assert!(partitions.iter().eq(self.known.as_of.keys()), "ends of {partitions:?} alone");
        let (now, as_of) = (self.now, self.known.as_of.clone());
        let due = |state: &ShardModel| match (&state.ends, state.view.life) {
            (Ends::Due(due), LifeView::CatchingUp { .. }) => *due <= now,
            (Ends::Known(ends, Some(again)), LifeView::CatchingUp { .. }) => {
                *again <= now && !reached(ends, &as_of)
            }
            (Ends::Due(_) | Ends::Asked | Ends::Known(_, _), _) => false,
        };
        let Some((shard, state)) = self.shards.iter_mut().find(|(_, state)| due(state)) else {
            panic!("no shard has to catch up with anything now");
        };
        self.asked_ends.insert(request, *shard);
        match &mut state.ends {
            Ends::Known(_, again) => *again = None,
            Ends::Due(_) | Ends::Asked => state.ends = Ends::Asked,
        }
    }

    pub(super) fn ends_read(
        &mut self,
        shard: Option<Shard>,
        outcome: &Result<BTreeMap<MappingPartition, Result<MappingOffset, Failure>>, Failure>,
    ) {
        let all = outcome.clone().and_then(|ends| {
            ends.into_iter().map(|(at, end)| Ok((at, end?))).collect::<Result<BTreeMap<_, _>, _>>()
        });
        if let Ok(ends) = &all {
            let known = &self.known.as_of;
            self.log_ends.extend(ends.iter().filter(|(at, _)| known.contains_key(at)));
        }
        let now = self.now;
        let complete =
            all.as_ref().is_ok_and(|ends| self.known.as_of.keys().all(|at| ends.contains_key(at)));
        let state = shard.and_then(|shard| self.shards.get_mut(&shard));
        let waits =
            |state: &&mut ShardModel| matches!(state.view.life, LifeView::CatchingUp { .. });
        if let Some(state) = state.filter(waits) {
            match (&mut state.ends, &all) {
                (Ends::Known(ends, again), Ok(read)) if complete => {
                    for (at, end) in ends {
                        *end = (*end).min(read[at]);
                    }
                    *again = Some(now + ENDS_AGAIN);
                }
                (Ends::Known(_, again), _) => *again = Some(now + ENDS_AGAIN),
                (ends, Ok(read)) if complete => {
                    *ends = Ends::Known(read.clone(), Some(now + ENDS_AGAIN));
                }
                (ends, _) => *ends = Ends::Due(now + ENDS_FAILED),
            }
            if let Err(failure) = all {
                self.fails_by(&failure);
            }
        }
    }
}

pub(super) fn reached(
    ends: &BTreeMap<MappingPartition, MappingOffset>,
    as_of: &BTreeMap<MappingPartition, MappingOffset>,
) -> bool {
    ends.iter().all(|(at, end)| as_of.get(at).is_some_and(|as_of| as_of >= end))
}
