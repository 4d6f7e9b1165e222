//! The port that reads fence partitions.

use std::collections::BTreeMap;

use sprag::ports::{FenceReader, FenceRecords, ReadFrom};
use sprag_core::failure::Failure;
use sprag_core::ids::{Fence, Shard, TopicName};

use super::Wiring;
use super::classify::Doing;
use super::link::{Link, strange};
use crate::coverage::{Kind, reached};
use crate::wire::{Isolation, Partition, Request, Response};

const BATCH: usize = 1000;
/// The log start offset of every fence partition: only compaction removes records from them.
const LOG_START: i64 = 0;

/// The port that reads fence partitions.
pub struct SimFenceReader {
    link: Link,
    fence_topic: TopicName,
}

impl SimFenceReader {
    pub(super) fn new(link: Link, wiring: &Wiring) -> Self {
        Self { link, fence_topic: wiring.fence_topic.clone() }
    }
}

impl FenceReader for SimFenceReader {
    async fn read(&self, shard: Shard, from: ReadFrom) -> Result<FenceRecords, Failure> {
        let what = format!("reading the fence partition of shard {shard}");
        let at =
            Partition { topic: self.fence_topic.clone(), partition: shard.get().cast_signed() };
        let mut newest = BTreeMap::new();
        let mut offset = match from {
            ReadFrom::LogStart => LOG_START,
            ReadFrom::Offset(offset) => offset.get(),
        };
        loop {
            let (at, isolation) = (at.clone(), Isolation::ReadCommitted);
            let request = Request::Fetch { at, offset, isolation, most: BATCH };
            let answer = self.link.ask(request, Doing::Reading, &what).await?;
            let Response::Fetched { records, position, end } = answer else {
                return Err(strange(&what, &answer));
            };
            for record in records {
                let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
                newest.insert(text(record.key), (Fence(record.offset), record.value.map(text)));
            }
            if position >= end {
                reached(Kind::Step, "Fence log read");
                return Ok(FenceRecords { newest, end: Fence(position) });
            }
            offset = position;
        }
    }
}
