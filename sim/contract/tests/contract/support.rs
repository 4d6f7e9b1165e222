//! The parts of the test harness for real brokers that are needed here.

#![allow(dead_code, reason = "other tests on brokers use the rest")]

#[path = "../../../../tests/brokers/support/alone.rs"]
pub(crate) mod alone;
#[path = "../../../../tests/brokers/support/artifacts.rs"]
pub(crate) mod artifacts;
#[path = "../../../../tests/brokers/support/broker.rs"]
pub(crate) mod broker;
#[path = "../../../../tests/brokers/support/class_archive.rs"]
pub(crate) mod class_archive;
#[path = "../../../../tests/brokers/support/clients.rs"]
pub(crate) mod clients;
#[path = "../../../../tests/brokers/support/cluster.rs"]
pub(crate) mod cluster;
#[path = "../../../../tests/brokers/support/process.rs"]
pub(crate) mod process;
#[path = "../../../../tests/brokers/support/topics.rs"]
pub(crate) mod topics;
#[path = "../../../../tests/brokers/support/wait.rs"]
pub(crate) mod wait;

use std::time::Duration;

/// How long a test waits for anything that should happen. It bounds failures and never paces a success.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// How much of itself a test runs: `short` by default, `long` if `SPRAG_LONG=1` is set.
pub(crate) fn rounds(short: usize, long: usize) -> usize {
    match std::env::var("SPRAG_LONG").as_deref() {
        Ok("1") => long,
        Ok(_) | Err(_) => short,
    }
}
