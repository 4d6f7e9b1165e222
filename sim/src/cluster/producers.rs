//! The transaction coordinator: transactional.ids, their epochs and their open transactions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sprag_core::ids::GroupId;
use sprag_core::time::Instant;

use crate::wire::{Error, Partition, Producer};

/// All transactional producers.
#[derive(Clone, Debug, Default)]
pub struct Producers {
    known: BTreeMap<String, Known>,
    next_id: i64,
}

#[derive(Clone, Debug)]
struct Known {
    id: i64,
    epoch: i16,
    timeout: Duration,
    open: Option<Open>,
    /// Whether the last transaction of this epoch was committed; `None` if none has ended.
    ended: Option<bool>,
}

/// An open transaction.
#[derive(Clone, Debug)]
pub struct Open {
    since: Instant,
    /// Partitions in which it has records.
    pub partitions: BTreeSet<Partition>,
    /// Groups for which it has offsets.
    pub groups: BTreeSet<GroupId>,
}

/// A transaction to end: its producer id and what it wrote.
pub type Ending = (i64, Open);

impl Producers {
    /// Starts a new epoch. Returns the open transaction of the previous epoch, which must be aborted.
    pub fn init(
        &mut self,
        transactional_id: &str,
        timeout: Duration,
    ) -> (Producer, Option<Ending>) {
        let next_id = self.next_id;
        let known = self.known.entry(transactional_id.to_owned()).or_insert_with(|| Known {
            id: next_id,
            epoch: -1,
            timeout,
            open: None,
            ended: None,
        });
        if known.id == next_id {
            self.next_id += 1;
        }
        known.epoch += 1;
        known.timeout = timeout;
        known.ended = None;
        let aborted = known.open.take().map(|open| (known.id, open));
        let (id, epoch) = (known.id, known.epoch);
        (Producer { transactional_id: transactional_id.to_owned(), id, epoch }, aborted)
    }

    /// The open transaction of this producer. The first write begins it.
    ///
    /// # Errors
    ///
    /// If the producer is not the newest of its transactional.id.
    pub fn open(&mut self, producer: &Producer, now: Instant) -> Result<&mut Open, Error> {
        let known = self.newest(producer)?;
        known.ended = None;
        Ok(known.open.get_or_insert_with(|| Open {
            since: now,
            partitions: BTreeSet::new(),
            groups: BTreeSet::new(),
        }))
    }

    /// Whether this producer is the newest and its open transaction includes the group.
    #[must_use]
    pub fn has_open(&self, producer: &Producer, group: &GroupId) -> bool {
        let known = self.known.get(&producer.transactional_id);
        let open = known.filter(|_| self.is_newest(producer)).and_then(|known| known.open.as_ref());
        open.is_some_and(|open| open.groups.contains(group))
    }

    /// Ends the open transaction. `Ok(None)` if the last one already ended the same way.
    ///
    /// # Errors
    ///
    /// If the producer is not the newest, or its last transaction did not end this way.
    pub fn end(&mut self, producer: &Producer, commit: bool) -> Result<Option<Ending>, Error> {
        let known = self.newest(producer)?;
        match known.open.take() {
            Some(open) => {
                known.ended = Some(commit);
                Ok(Some((known.id, open)))
            }
            None if known.ended == Some(commit) => Ok(None),
            None => Err(Error::InvalidTxnState),
        }
    }

    /// Removes and returns the transactions that were open for too long, and fences their producers.
    pub fn expire(&mut self, now: Instant) -> Vec<Ending> {
        let mut expired = Vec::new();
        for known in self.known.values_mut() {
            if let Some(open) = known.open.take_if(|open| now.since(open.since) > known.timeout) {
                known.epoch += 1;
                known.ended = None;
                expired.push((known.id, open));
            }
        }
        expired
    }

    /// Whether this producer is the newest of its transactional.id.
    #[must_use]
    pub fn is_newest(&self, producer: &Producer) -> bool {
        self.known
            .get(&producer.transactional_id)
            .is_some_and(|known| known.id == producer.id && known.epoch == producer.epoch)
    }

    fn newest(&mut self, producer: &Producer) -> Result<&mut Known, Error> {
        let known = self.known.get_mut(&producer.transactional_id);
        match known.filter(|known| known.id == producer.id) {
            None => Err(Error::InvalidProducerIdMapping),
            Some(known) if known.epoch != producer.epoch => Err(Error::ProducerFenced),
            Some(known) => Ok(known),
        }
    }
}
