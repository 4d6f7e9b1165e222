//! A sequence of operations from a seed.

use sprag_sim::streams::{Concern, Stream};
use sprag_sim::wire::Protocol;

use super::operation::{Metadata, Operation, SLOTS, Spot, Stated, Which, Who};

/// Operations in a sequence.
pub(crate) const LENGTH: usize = 40;

/// The sequence of `seed`, for a cluster that supports these protocols. Half of the sequences include
/// instances of Sprag. Take-overs are few, because librdkafka takes half a second for each.
pub(crate) fn sequence(seed: u64, protocols: &[Protocol]) -> Vec<Operation> {
    let mut stream = Stream::of(seed, Concern::Work);
    let owned = stream.chance(50);
    let generator = Generator { stream, protocols, owned, live: [None; SLOTS], produced: false };
    let first = owned.then_some(Operation::TakeOver);
    first.into_iter().chain(generator).take(LENGTH).collect()
}

/// Draws operations. It remembers enough of the past to draw few that make no sense.
struct Generator<'a> {
    stream: Stream,
    protocols: &'a [Protocol],
    owned: bool,
    live: [Option<Protocol>; SLOTS],
    produced: bool,
}

impl Iterator for Generator<'_> {
    type Item = Operation;

    fn next(&mut self) -> Option<Operation> {
        Some(match self.stream.index(10) {
            0..3 => self.of_members(),
            3..6 => self.of_offsets(),
            6..8 if self.owned => self.of_instances(),
            _ => self.of_transactions(),
        })
    }
}

impl Generator<'_> {
    fn of_members(&mut self) -> Operation {
        let slot = self.stream.index(SLOTS);
        let spoken = self.live.iter().copied().flatten().next();
        let full = spoken == Some(Protocol::Consumer) && self.live.iter().flatten().count() == 2;
        if self.live[slot].is_none() && !full {
            let protocol = spoken.unwrap_or_else(|| self.stream.choose(self.protocols));
            self.live[slot] = Some(protocol);
            return match (spoken, self.stream.chance(40)) {
                (Some(Protocol::Classic), true) => Operation::JoinAndWait { slot },
                (Some(_) | None, _) => Operation::Join { slot, protocol },
            };
        }
        match self.stream.index(12) {
            0..4 => Operation::Settle,
            4..7 => Operation::Beat { slot, stated: self.stated(slot) },
            7..11 => {
                self.live[slot] = None;
                Operation::Leave { slot }
            }
            _ => Operation::StrangerLeaves,
        }
    }

    fn of_offsets(&mut self) -> Operation {
        match self.stream.index(30) {
            0..18 => {
                let (who, stated) = self.membership();
                let (spots, metadata) = (self.spots(), self.metadata());
                Operation::Commit { who, stated, spots, metadata }
            }
            18..22 => Operation::PlainCommit { spots: self.spots(), metadata: self.metadata() },
            22..25 => Operation::DeleteOffsets { spots: self.spots() },
            25..28 => Operation::DeleteGroup,
            28 => Operation::LogRanges,
            _ => {
                let (stable, all) = (self.stream.chance(70), self.stream.chance(50));
                Operation::Read { stable, all }
            }
        }
    }

    fn of_transactions(&mut self) -> Operation {
        if !self.produced || self.stream.chance(15) {
            self.produced = true;
            return Operation::InitProducer;
        }
        let which = self.which();
        if self.stream.chance(35) {
            return Operation::EndTransaction { which, commit: self.stream.chance(60) };
        }
        let (who, stated) = self.membership();
        Operation::CommitInTransaction { which, who, stated, spots: self.spots() }
    }

    fn of_instances(&mut self) -> Operation {
        match self.stream.index(40) {
            0..2 => Operation::TakeOver,
            2 => Operation::FenceLog,
            3..22 => Operation::Write { which: self.which(), spots: self.existing() },
            _ => Operation::End { which: self.which(), commit: self.stream.chance(60) },
        }
    }

    /// The member and the generation that a commit names. Half of the time they belong to one current or
    /// former member.
    fn membership(&mut self) -> (Who, Stated) {
        let slot = self.stream.index(SLOTS);
        if self.stream.chance(50) {
            return (Who::Slot(slot), self.stated(slot));
        }
        let who = match self.stream.index(10) {
            0..4 => Who::Slot(self.stream.index(SLOTS)),
            4..7 => Who::Nobody,
            _ => Who::Stranger,
        };
        let nothing = self.stream.chance(50);
        (who, if nothing { Stated::Nothing } else { self.stated(slot) })
    }

    fn stated(&mut self, slot: usize) -> Stated {
        match self.stream.index(10) {
            0..4 => Stated::Own(slot),
            4..7 => Stated::Old(slot),
            7..9 => Stated::Future(slot),
            _ => Stated::Nothing,
        }
    }

    /// librdkafka retries a transactional commit to a partition that does not exist for as long as the
    /// transaction may last.
    fn existing(&mut self) -> Vec<Spot> {
        match self.stream.index(10) {
            0..5 => vec![Spot::Zero],
            5..7 => vec![Spot::One],
            _ => vec![Spot::Zero, Spot::One],
        }
    }

    fn spots(&mut self) -> Vec<Spot> {
        match self.stream.index(12) {
            0..10 => self.existing(),
            10 => vec![Spot::Zero, Spot::NoPartition, Spot::NoTopic],
            _ => vec![self.stream.choose(&[Spot::NoPartition, Spot::NoTopic])],
        }
    }

    fn which(&mut self) -> Which {
        if self.stream.chance(75) { Which::Owner } else { Which::Zombie }
    }

    fn metadata(&mut self) -> Metadata {
        if self.stream.chance(95) { Metadata::Short } else { Metadata::TooLong }
    }
}
