use futures::FutureExt;
use rdkafka::Offset;

use super::*;

const START: Instant = Instant::from_millis(1_000);

fn asks(checks: &Checks, shard: u32) -> (u64, oneshot::Receiver<Result<bool, Failure>>) {
    let (asker, answer) = oneshot::channel();
    (checks.ask(START, Shard(shard), asker), answer)
}

fn committed(number: u64) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("fences", 0, Offset::Offset(0)).unwrap();
    list.find_partition("fences", 0).unwrap().set_metadata(number.to_string());
    list
}

fn got(answer: oneshot::Receiver<Result<bool, Failure>>) -> Option<Result<bool, Failure>> {
    answer.now_or_never().map(|answer| answer.unwrap())
}

#[test]
fn each_answer_reaches_the_question_that_it_belongs_to() {
    let checks = Checks::default();
    let ((first, earlier), (second, later)) = (asks(&checks, 0), asks(&checks, 0));
    let generation = KafkaError::ConsumerCommit(Code::IllegalGeneration);
    checks.answered(&Err(generation), &committed(second));
    assert_eq!(got(later), Some(Ok(false)));
    checks.answered(&Ok(()), &committed(first));
    assert_eq!(got(earlier), Some(Ok(true)));
}

#[test]
fn an_error_that_says_nothing_about_ownership_is_a_failure() {
    let checks = Checks::default();
    for code in [Code::NotCoordinator, Code::BrokerTransportFailure, Code::OperationTimedOut] {
        let (number, answer) = asks(&checks, 3);
        checks.refused(number, KafkaError::ConsumerCommit(code));
        let failure = got(answer).unwrap().unwrap_err();
        assert_eq!(failure.class, FailureClass::Retry);
        assert!(failure.detail.contains("about shard 3"), "{failure:?}");
    }
}

#[test]
fn a_question_without_an_answer_fails_in_time_and_a_late_answer_is_dropped() {
    let checks = Checks::default();
    let (number, answer) = asks(&checks, 0);
    checks.expire(START + (PATIENCE - Duration::from_millis(1)));
    let answer = answer.shared();
    assert!(answer.clone().now_or_never().is_none());
    checks.expire(START + PATIENCE);
    assert!(answer.now_or_never().unwrap().unwrap().is_err());
    checks.answered(&Ok(()), &committed(number));
}
