//! *CatchingUp*: a shard waits until the mappings are read up to the ends that were read after the fence
//! (`docs/protocol.md`, "The life of a shard").

use alloc::collections::BTreeMap;
use core::time::Duration;

use super::super::action::{Action, Read};
use super::super::event::MappingEnds;
use super::super::failure::Failure;
use super::super::ids::{MappingOffset, MappingPartition, Shard};
use super::super::planted::{Bug, has};
use super::super::shard::{Ends, Life};
use super::{Core, Waiter};

const ENDS_RETRY: Duration = Duration::from_secs(1);
/// How long a shard tries to reach the ends before they are read again. They may lie above records that
/// never come: the log was truncated, or the answer came from a replica that lagged behind.
const ENDS_AGAIN: Duration = Duration::from_secs(30);

impl Core {
    pub(super) fn mapping_ends_read(
        &mut self,
        shard: Shard,
        outcome: Result<MappingEnds, Failure>,
    ) {
        let present = self.index.topic().map(|topic| topic.id);
        if let Ok(MappingEnds { topic, .. }) = &outcome
            && present != Some(*topic)
            && !has(Bug::EndsOfAnotherTopic)
        {
            return self.ends_of_another_topic(shard);
        }
        let known = outcome.and_then(|MappingEnds { ends, .. }| {
            let ends = ends.into_iter();
            if has(Bug::CaughtUpDespiteError) {
                return Ok(ends.map(|(at, end)| (at, end.unwrap_or_default())).collect());
            }
            ends.map(|(at, end)| Ok((at, end?))).collect::<Result<BTreeMap<_, _>, _>>()
        });
        let due = self.now + ENDS_RETRY;
        let complete = known.as_ref().is_ok_and(|ends| {
            self.index.partitions().iter().all(|partition| ends.contains_key(partition))
        });
        if let Ok(ends) = &known {
            for (partition, end) in ends {
                self.index.log_end_read(*partition, *end);
            }
        }
        let Some(Life::CatchingUp { ends, .. }) =
            self.shards.get_mut(&shard).map(|state| &mut state.life)
        else {
            return;
        };
        let again = Some(self.now + ENDS_AGAIN);
        match (known, ends) {
            (Ok(read), Ends::Known { ends, again: next }) if complete => {
                // A later answer may lower an end, and never raises it: the first was after the fence.
                for (at, end) in ends {
                    *end = read.get(at).map_or(*end, |read| (*end).min(*read));
                }
                *next = again;
            }
            (Ok(_), Ends::Known { again: next, .. }) => *next = again,
            (Err(failure), Ends::Known { again: next, .. }) => {
                *next = again;
                self.listing_failed(failure);
            }
            (Ok(read), ends) if complete => *ends = Ends::Known { ends: read, again },
            (Ok(_), ends) => *ends = Ends::Due(due),
            (Err(failure), ends) => {
                *ends = Ends::Due(due);
                self.listing_failed(failure);
            }
        }
    }

    /// The ends belong to another mapping topic than the one being read. The shard is not caught up until the
    /// topics have been described again.
    fn ends_of_another_topic(&mut self, shard: Shard) {
        let due = self.now + ENDS_RETRY;
        self.describe_control_topics_now();
        if let Some(Life::CatchingUp { ends, .. }) =
            self.shards.get_mut(&shard).map(|state| &mut state.life)
        {
            *ends = Ends::Due(due);
        }
    }

    pub(super) fn ask_ends(&mut self, shard: Shard) {
        let request = self.requests.ask(Waiter::Shard(shard));
        let partitions = self.index.partitions();
        self.act(Action::Read(Read::MappingEnds { request, partitions }));
        if let Some(Life::CatchingUp { ends, .. }) =
            self.shards.get_mut(&shard).map(|state| &mut state.life)
        {
            match ends {
                Ends::Known { again, .. } => *again = None,
                Ends::Due(_) | Ends::Asked => *ends = Ends::Asked,
            }
        }
    }

    /// Whether everything below the ends is applied. Ends and the reader's position both count transaction
    /// markers, which a consumer never sees.
    pub(super) fn reached(&self, ends: &BTreeMap<MappingPartition, MappingOffset>) -> bool {
        ends.iter().all(|(at, end)| self.index.as_of(*at).is_some_and(|as_of| as_of >= *end))
    }
}
