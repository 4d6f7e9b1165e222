//! One independent stream of random numbers per concern, all derived from one seed. A change to one concern
//! leaves the draws of the others unchanged.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What random numbers are drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// How many of each thing there are, and the policies.
    Shape,
    /// What clients and operators do.
    Work,
    /// What breaks.
    Faults,
    /// Which messages are late or lost.
    Network,
    /// The back-offs of the instances.
    Jitter,
    /// Replicators that copy records again where mappings are sparse.
    Replays,
    /// The number of brokers, and the faults of one of them.
    Brokers,
    /// Owners that know fewer mappings than the owners before them.
    HalfRead,
    /// What instances read about topics.
    Topics,
}

/// The stream of one concern.
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream of `concern` in the run of `seed`.
    #[must_use]
    pub fn of(seed: u64, concern: Concern) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(concern as u64);
        Self(rng)
    }

    /// A number in `from..=to`.
    pub fn between(&mut self, from: i64, to: i64) -> i64 {
        self.0.random_range(from..=to.max(from))
    }

    /// An index below `len`, which must be at least one.
    pub fn index(&mut self, len: usize) -> usize {
        self.0.random_range(0..len.max(1))
    }

    /// One of `choices`, which must not be empty.
    pub fn choose<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())].clone()
    }

    /// True with a probability of `per_cent` percent.
    pub fn chance(&mut self, per_cent: u32) -> bool {
        self.0.random_range(0..100) < per_cent
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0.random()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ_by_concern() {
        let draw = |concern| {
            let mut stream = Stream::of(7, concern);
            [stream.any(), stream.any()]
        };
        assert_eq!(draw(Concern::Work), draw(Concern::Work));
        assert_ne!(draw(Concern::Work), draw(Concern::Faults));
    }
}
