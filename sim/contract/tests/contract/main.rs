//! Compares the simulated cluster (`sprag_sim::cluster`) with real brokers: the same operations on both
//! must give equal answers and equal state after each.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]
#![allow(clippy::disallowed_methods, reason = "the harness needs real clocks and threads")]

mod cases;
mod compare;
mod generate;
mod members;
mod model;
mod operation;
mod raw;
mod real;
mod side;
mod support;

use std::time::Instant;

use sprag_sim::wire::Protocol;

use self::compare::{Difference, Tally, compare, shrink};
use self::generate::{LENGTH, sequence};
use crate::support::alone::turn;
use crate::support::artifacts::Version;
use crate::support::broker::Broker;
use crate::support::rounds;

/// Number of sequences on each version, unless `SPRAG_CONTRACT_SEQUENCES` is set.
const SHORT: usize = 12;
/// So far 4.4 behaves like 4.3. A few sequences show when it no longer does.
const SHORT_OF_A_TWIN: usize = 3;
const LONG: usize = 500;
/// Number of differences after which a version's run stops.
const REPORTED: usize = 4;

fn protocols(version: Version) -> &'static [Protocol] {
    match version {
        Version::V3_9 => &[Protocol::Classic],
        Version::V4_3 | Version::V4_4 => &[Protocol::Classic, Protocol::Consumer],
    }
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable}={value} is not a number")))
}

fn short(version: Version) -> usize {
    match version {
        Version::V3_9 | Version::V4_3 => SHORT,
        Version::V4_4 => SHORT_OF_A_TWIN,
    }
}

fn seeds(version: Version) -> Vec<u64> {
    if let Some(seed) = number("SPRAG_CONTRACT_SEED") {
        return vec![seed];
    }
    let default = u64::try_from(rounds(short(version), LONG)).expect("a number of sequences");
    (1..=number("SPRAG_CONTRACT_SEQUENCES").unwrap_or(default)).collect()
}

fn report(version: Version, seed: u64, difference: &Difference) -> String {
    format!(
        "Apache Kafka {}, seed {seed}, shrunk:\n{difference}repeat with: \
         SPRAG_CONTRACT_SEED={seed} scripts/test --test contract {}\n",
        version.number(),
        name(version),
    )
}

fn name(version: Version) -> &'static str {
    match version {
        Version::V3_9 => "on_3_9",
        Version::V4_3 => "on_4_3",
        Version::V4_4 => "on_4_4",
    }
}

fn contract_on(version: Version) {
    let _turn = turn();
    let broker = real::start(version);
    let mut tally = Tally::default();
    if number("SPRAG_CONTRACT_SEED").is_none() {
        ports_on(&broker, &mut tally);
    }
    sequences_on(&broker, &mut tally);
    eprintln!("{tally}");
}

fn ports_on(broker: &Broker, tally: &mut Tally) {
    for (case, operations) in cases::cases(protocols(broker.version())) {
        if let Err(difference) = compare(broker, &operations, tally) {
            panic!("Apache Kafka {}, {case}:\n{difference}", broker.version().number());
        }
    }
}

fn sequences_on(broker: &Broker, tally: &mut Tally) {
    let (begun, version) = (Instant::now(), broker.version());
    let (mut sequences, mut asked, mut differences) = (0, 0, Vec::new());
    for seed in seeds(version) {
        let operations = sequence(seed, protocols(version));
        sequences += 1;
        match compare(broker, &operations, tally) {
            Ok(count) => asked += count,
            Err(difference) => {
                eprintln!("{}", report(version, seed, &shrink(broker, difference)));
                differences.push(seed);
            }
        }
        if differences.len() == REPORTED {
            break;
        }
    }
    let took = begun.elapsed().as_secs_f64();
    eprintln!(
        "Apache Kafka {}: {sequences} sequences of {LENGTH} operations, {asked} of them \
         carried out with equal answers and equal state, in {took:.1} s",
        version.number(),
    );
    assert!(differences.is_empty(), "the model differs at seeds {differences:?}; see above");
}

#[test]
fn on_3_9() {
    contract_on(Version::V3_9);
}

#[test]
fn on_4_3() {
    contract_on(Version::V4_3);
}

#[test]
fn on_4_4() {
    contract_on(Version::V4_4);
}
