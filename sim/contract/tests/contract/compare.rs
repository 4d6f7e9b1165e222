//! Runs the same sequence on both clusters and compares them step by step.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use super::model::on_model;
use super::operation::{Answer, Operation, State};
use super::real::fresh;
use crate::support::broker::Broker;
use crate::support::clients::block_on;
use crate::support::wait::pass;

/// How long the broker's state may lag behind its answers: the end of a transaction takes effect some
/// milliseconds after it was answered.
const LAG: Duration = Duration::from_secs(3);
/// The same while a known difference is shrunk.
const SHORT_LAG: Duration = Duration::from_millis(300);
const PAUSE: Duration = Duration::from_millis(2);

/// How often both gave each outcome to each operation.
#[derive(Default)]
pub(crate) struct Tally(BTreeMap<String, usize>);

impl Tally {
    fn count(&mut self, operation: &Operation, answer: &Answer) {
        for outcome in answer.outcomes() {
            *self.0.entry(format!("{}: {outcome}", operation.name())).or_default() += 1;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(what, count)| writeln!(f, "{count:>8} {what}"))
    }
}

/// A difference between the two.
#[derive(Debug)]
pub(crate) struct Difference {
    /// The index of the operation in the sequence.
    pub(crate) nth: usize,
    /// The broker's answer and state.
    broker: (Answer, State),
    /// The model's answer and state.
    model: (Answer, State),
    sequence: Vec<Operation>,
}

/// Runs the sequence on the model and then on the broker, in a new group. Returns how many operations were
/// carried out and answered equally.
pub(crate) fn compare(
    broker: &Broker,
    sequence: &[Operation],
    tally: &mut Tally,
) -> Result<usize, Box<Difference>> {
    let answers = compare_within(LAG, broker, sequence)?;
    sequence.iter().zip(&answers).for_each(|(operation, answer)| tally.count(operation, answer));
    Ok(answers.iter().filter(|answer| **answer != Answer::Skipped).count())
}

fn compare_within(
    lag: Duration,
    broker: &Broker,
    sequence: &[Operation],
) -> Result<Vec<Answer>, Box<Difference>> {
    let expected = on_model(broker.version(), sequence);
    block_on(compare_with(lag, broker, sequence, expected))
}

async fn compare_with(
    lag: Duration,
    broker: &Broker,
    sequence: &[Operation],
    expected: Vec<(Answer, State)>,
) -> Result<Vec<Answer>, Box<Difference>> {
    let mut side = fresh(broker);
    let mut answers = Vec::new();
    for (nth, (operation, (answer, state))) in sequence.iter().zip(expected).enumerate() {
        let answered = side.perform(nth, operation).await;
        let mut stored = side.state().await;
        if answered == answer {
            let end = Instant::now() + lag;
            while !state.agrees(&stored) && Instant::now() < end {
                pass(PAUSE);
                stored = side.state().await;
            }
        }
        if answered != answer || !state.agrees(&stored) {
            let sequence = sequence[..=nth].to_vec();
            let (broker, model) = ((answered, stored), (answer, state));
            return Err(Box::new(Difference { nth, broker, model, sequence }));
        }
        answers.push(answered);
    }
    Ok(answers)
}

/// Shrinks a difference by leaving out one operation at a time.
pub(crate) fn shrink(broker: &Broker, mut difference: Box<Difference>) -> Box<Difference> {
    let mut at = difference.nth;
    while at > 0 {
        at -= 1;
        let mut fewer = difference.sequence.clone();
        fewer.remove(at);
        if let Err(smaller) = compare_within(SHORT_LAG, broker, &fewer) {
            at = at.min(smaller.nth);
            difference = smaller;
        }
    }
    difference
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, operation) in self.sequence.iter().enumerate() {
            writeln!(f, "  {nth:>2} {operation:?}")?;
        }
        let (broker, model) = (&self.broker, &self.model);
        if broker.0 != model.0 {
            writeln!(f, "the broker answered {:?}", broker.0)?;
            writeln!(f, "the model answered  {:?}", model.0)?;
        }
        if !model.1.agrees(&broker.1) {
            writeln!(f, "the broker stores {:?}", broker.1)?;
            writeln!(f, "the model stores  {:?}", model.1)?;
        }
        Ok(())
    }
}
