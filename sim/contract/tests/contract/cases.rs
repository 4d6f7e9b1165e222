//! The port contract: what the protocol relies on (`docs/protocol.md`), tested through the ports case by
//! case. Seeded sequences cover more; each of these has a name.

use sprag_sim::wire::Protocol;

use super::operation::{Metadata, Operation, Spot, Stated, Which, Who};
use Operation::{
    Commit, CommitInTransaction, End, EndTransaction, FenceLog, InitProducer, Join, Leave,
    LogRanges, PlainCommit, Read, Settle, TakeOver, Write,
};

/// Every case, for a cluster that supports these protocols.
pub(crate) fn cases(protocols: &[Protocol]) -> Vec<(String, Vec<Operation>)> {
    // librdkafka takes half a second for a take-over, so cases share one where they can.
    let without_members = [vec![TakeOver], new_group(), foreign(), deleted()].concat();
    let mut cases = vec![
        named("commits to a group without members", without_members),
        named("a zombie", zombie()),
        named("a plain commit, and partitions that do not exist", [plain(), nowhere()].concat()),
    ];
    for protocol in protocols {
        let come_and_go = [vec![TakeOver], members(*protocol), meanwhile(*protocol)].concat();
        cases.push((format!("{protocol:?} members come and go"), come_and_go));
    }
    cases
}

fn named(name: &str, operations: Vec<Operation>) -> (String, Vec<Operation>) {
    (name.to_owned(), operations)
}

fn new_group() -> Vec<Operation> {
    let mut operations = vec![LogRanges, write(Which::Owner)];
    operations.extend(reads());
    operations.push(end(Which::Owner, true));
    operations.extend(reads());
    operations.extend([write(Which::Owner), end(Which::Owner, false)]);
    operations
}

fn zombie() -> Vec<Operation> {
    vec![
        TakeOver,
        write(Which::Owner),
        end(Which::Owner, true),
        FenceLog,
        write(Which::Owner),
        TakeOver,
        end(Which::Zombie, true),
        write(Which::Zombie),
        write(Which::Owner),
        end(Which::Owner, true),
        FenceLog,
        LogRanges,
    ]
}

fn foreign() -> Vec<Operation> {
    let mut operations = vec![plain_commit(Metadata::Short), write(Which::Owner)];
    operations.extend(reads());
    operations.extend([
        end(Which::Owner, false),
        write(Which::Owner),
        plain_commit(Metadata::Short),
        end(Which::Owner, true),
    ]);
    operations.extend(reads());
    operations
}

fn plain() -> Vec<Operation> {
    vec![
        plain_commit(Metadata::TooLong),
        plain_commit(Metadata::Short),
        Operation::DeleteOffsets { spots: vec![Spot::One] },
        plain_commit(Metadata::TooLong),
        Operation::DeleteGroup,
        plain_commit(Metadata::Short),
    ]
}

fn nowhere() -> Vec<Operation> {
    let spots = vec![Spot::Zero, Spot::NoPartition, Spot::NoTopic];
    let (which, who, stated) = (Which::Owner, Who::Stranger, Stated::Nothing);
    vec![
        LogRanges,
        PlainCommit { spots: spots.clone(), metadata: Metadata::Short },
        InitProducer,
        CommitInTransaction { which, who, stated, spots },
        CommitInTransaction { which, who, stated, spots: vec![Spot::NoTopic] },
        EndTransaction { which, commit: true },
    ]
}

fn deleted() -> Vec<Operation> {
    vec![
        plain_commit(Metadata::Short),
        write(Which::Owner),
        Operation::DeleteGroup,
        end(Which::Owner, true),
        write(Which::Owner),
        Operation::DeleteOffsets { spots: vec![Spot::Zero, Spot::One] },
        end(Which::Owner, true),
    ]
}

fn members(protocol: Protocol) -> Vec<Operation> {
    vec![
        join(0, protocol),
        commit(0),
        plain_commit(Metadata::Short),
        write(Which::Owner),
        end(Which::Owner, false),
        join(1, protocol),
        Settle,
        commit(1),
        FenceLog,
        Leave { slot: 0 },
        write(Which::Owner),
        end(Which::Owner, false),
        Leave { slot: 1 },
        commit(1),
        write(Which::Owner),
        end(Which::Owner, true),
        plain_commit(Metadata::Short),
    ]
}

fn meanwhile(protocol: Protocol) -> Vec<Operation> {
    vec![
        write(Which::Owner),
        join(0, protocol),
        commit(0),
        Leave { slot: 0 },
        end(Which::Owner, true),
        write(Which::Owner),
        join(0, protocol),
        end(Which::Owner, true),
        Leave { slot: 0 },
    ]
}

fn reads() -> Vec<Operation> {
    let mut reads = Vec::new();
    for stable in [true, false] {
        reads.extend([true, false].map(|all| Read { stable, all }));
    }
    reads
}

fn join(slot: usize, protocol: Protocol) -> Operation {
    Join { slot, protocol }
}

fn commit(slot: usize) -> Operation {
    let (who, stated) = (Who::Slot(slot), Stated::Own(slot));
    Commit { who, stated, spots: vec![Spot::Zero, Spot::One], metadata: Metadata::Short }
}

fn plain_commit(metadata: Metadata) -> Operation {
    PlainCommit { spots: vec![Spot::Zero, Spot::One], metadata }
}

fn write(which: Which) -> Operation {
    Write { which, spots: vec![Spot::Zero, Spot::One] }
}

fn end(which: Which, commit: bool) -> Operation {
    End { which, commit }
}
