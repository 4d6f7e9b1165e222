//! The port that reads the mapping topic.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use sprag::ports::{Clock, Mappings};
use sprag_core::event::{Event, MappingEnds};
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::ids::{MappingOffset, MappingPartition, TopicId, TopicName};
use sprag_mapping::{Decoder, Format};
use tokio::sync::Notify;

use super::Wiring;
use super::classify::{Doing, failure, no_answer};
use super::link::{Link, strange};
use super::topics::{describe_one, log_ranges};
use crate::coverage::{Kind, reached};
use crate::wire::{Error, Isolation, Partition, Request, Response};

/// Maximum number of records per fetch.
const BATCH: usize = 200;
/// How long the reader waits at the log end.
const PAUSE: Duration = Duration::from_millis(50);

/// Reads the mapping topic.
pub struct SimMappings {
    link: Link,
    name: TopicName,
    format: Format,
    reading: Cell<Option<Reading>>,
    events: RefCell<VecDeque<Event>>,
    arrived: Notify,
    ordered: Notify,
}

/// The last order to read. A new number restarts from the beginning.
#[derive(Clone, Copy)]
struct Reading {
    number: u64,
    topic: TopicId,
    partitions: i32,
}

impl SimMappings {
    pub(super) fn new(link: Link, wiring: &Wiring) -> Self {
        Self {
            link,
            name: wiring.mapping_topic.clone(),
            format: wiring.mapping_format.clone(),
            reading: Cell::new(None),
            events: RefCell::default(),
            arrived: Notify::new(),
            ordered: Notify::new(),
        }
    }

    /// Reads as ordered. Never returns.
    pub(super) async fn run(&self) {
        loop {
            match self.reading.get() {
                Some(reading) => self.read_on(reading).await,
                None => self.ordered.notified().await,
            }
        }
    }

    /// Reads until the order changes.
    async fn read_on(&self, reading: Reading) {
        let mut decoder = Decoder::new(self.format.clone());
        let mut positions: BTreeMap<i32, i64> =
            (0..reading.partitions).map(|partition| (partition, 0)).collect();
        loop {
            let mut at_end = true;
            for partition in 0..reading.partitions {
                let from = positions.get(&partition).copied().unwrap_or_default();
                let (event, next) = self.fetch(reading, partition, from, &mut decoder).await;
                if self.reading.get().is_none_or(|now| now.number != reading.number) {
                    return;
                }
                at_end &= next.is_none_or(|next| next == from);
                if next != Some(from) || from == 0 {
                    self.deliver(event);
                }
                positions.insert(partition, next.unwrap_or(from));
            }
            if at_end {
                let clock = self.link.clock();
                clock.sleep_until(clock.now() + PAUSE).await;
            }
        }
    }

    /// Fetches once. Returns the event for the core, and the next position if the fetch succeeded.
    async fn fetch(
        &self,
        reading: Reading,
        partition: i32,
        from: i64,
        decoder: &mut Decoder,
    ) -> (Event, Option<i64>) {
        let Reading { topic, .. } = reading;
        let at = Partition { topic: self.name.clone(), partition };
        let what = format!("reading mapping partition {partition}");
        let isolation = Isolation::ReadCommitted;
        let request = Request::Fetch { at, offset: from, isolation, most: BATCH };
        let partition = MappingPartition(partition);
        let failed = |out_of_range, failure| Event::MappingReadFailed {
            topic,
            partition,
            out_of_range,
            failure,
        };
        match self.link.plainly(request).await {
            Some(Response::Fetched { records, position, end: _ }) => {
                let records = records
                    .into_iter()
                    .filter_map(|record| {
                        let decoded = decoder.decode(Some(&record.key), record.value.as_deref());
                        Some((MappingOffset(record.offset), decoded.ok()?))
                    })
                    .collect();
                let read = MappingOffset(position);
                (Event::MappingsRead { topic, partition, records, position: read }, Some(position))
            }
            Some(Response::Failed(error)) => {
                let out_of_range = error == Error::OffsetOutOfRange;
                (failed(out_of_range, failure(error, Doing::Reading, &what)), None)
            }
            Some(other) => (failed(false, strange(&what, &other)), None),
            None => (failed(false, no_answer(Doing::Reading, &what)), None),
        }
    }

    fn deliver(&self, event: Event) {
        self.events.borrow_mut().push_back(event);
        self.arrived.notify_one();
    }
}

impl Mappings for SimMappings {
    fn read(&self, topic: TopicId, partitions: i32) {
        let number = self.reading.get().map_or(0, |reading| reading.number + 1);
        self.reading.set(Some(Reading { number, topic, partitions }));
        self.events.borrow_mut().clear();
        self.ordered.notify_one();
    }

    async fn next(&self) -> Event {
        loop {
            let next = self.events.borrow_mut().pop_front();
            match next {
                Some(event) => return event,
                None => self.arrived.notified().await,
            }
        }
    }

    async fn ends(&self, partitions: &BTreeSet<MappingPartition>) -> Result<MappingEnds, Failure> {
        let topic = describe_one(&self.link, &self.name).await?.0;
        let at =
            |at: &MappingPartition| Partition { topic: self.name.clone(), partition: at.get() };
        let wanted = partitions.iter().map(at).collect();
        let ranges = log_ranges(&self.link, wanted, Isolation::ReadCommitted).await?;
        if describe_one(&self.link, &self.name).await?.0 != topic {
            let detail = "the mapping topic was recreated meanwhile";
            return Err(Failure::new(FailureClass::Retry, detail));
        }
        reached(Kind::Step, "Ends read");
        let ends = ranges.into_iter().map(|(at, range)| {
            (MappingPartition(at.partition), range.map(|(_, end)| MappingOffset(end)))
        });
        Ok(MappingEnds { topic, ends: ends.collect() })
    }
}
