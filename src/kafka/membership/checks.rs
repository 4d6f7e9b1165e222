//! Questions whether this instance still owns a shard. Each is an offset commit with the generation of this
//! member, which the coordinator accepts only from a member of the current generation. The commits are
//! asynchronous: the thread that polls the coordination group never waits for an answer.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::channel::oneshot;
use rdkafka::TopicPartitionList;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode as Code;
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::ids::Shard;
use sprag_core::time::Instant;

use crate::kafka::client::failed;
use crate::kafka::errors::{Doing, native};

/// How long an answer is waited for. librdkafka itself keeps a commit until it finds a coordinator that
/// answers.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where an answer goes.
pub(super) type Asker = oneshot::Sender<Result<bool, Failure>>;

/// The questions that wait for an answer.
#[derive(Default)]
pub(super) struct Checks(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    /// The number of the next question. A commit carries it as its metadata, to tell the answers apart.
    next: u64,
    asked: BTreeMap<u64, Asked>,
}

struct Asked {
    shard: Shard,
    until: Instant,
    asker: Asker,
}

impl Checks {
    /// Notes a question. Returns its number.
    pub(super) fn ask(&self, now: Instant, shard: Shard, asker: Asker) -> u64 {
        let mut waiting = self.waiting();
        let number = waiting.next;
        waiting.next += 1;
        waiting.asked.insert(number, Asked { shard, until: now + PATIENCE, asker });
        number
    }

    /// The commit for this question could not be sent.
    pub(super) fn refused(&self, number: u64, error: KafkaError) {
        self.settle(number, Err(error));
    }

    /// A commit was answered. An answer that comes too late is dropped.
    pub(super) fn answered(&self, result: &KafkaResult<()>, offsets: &TopicPartitionList) {
        for part in offsets.elements() {
            if let Ok(number) = part.metadata().parse() {
                self.settle(number, result.clone().and_then(|()| part.error()));
            }
        }
    }

    /// Answers the questions that have waited too long.
    pub(super) fn expire(&self, now: Instant) {
        let late: Vec<_> =
            self.waiting().asked.extract_if(.., |_, asked| asked.until <= now).collect();
        for (_, Asked { shard, asker, .. }) in late {
            let detail = format!(
                "{}: its coordinator did not answer within {PATIENCE:?}; Sprag asks again",
                what(shard)
            );
            let _ = asker.send(Err(Failure::new(FailureClass::Retry, detail)));
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "librdkafka's codes are open-ended")]
    fn settle(&self, number: u64, result: KafkaResult<()>) {
        let Some(Asked { shard, asker, .. }) = self.waiting().asked.remove(&number) else {
            return;
        };
        let answer = match result {
            Ok(()) => Ok(true),
            Err(error) => match native(&error).code {
                Code::UnknownMemberId
                | Code::IllegalGeneration
                | Code::FencedInstanceId
                | Code::AssignmentLost => Ok(false),
                _ => Err(failed(&error, Doing::Reading, &what(shard))),
            },
        };
        // The caller may no longer wait.
        let _ = asker.send(answer);
    }
}

/// What a question is called in a failure.
pub(super) fn what(shard: Shard) -> String {
    format!("asking the coordination group about shard {shard}")
}

#[cfg(test)]
mod tests;
