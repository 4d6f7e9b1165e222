//! The harness of the broker tests: brokers, MirrorMaker 2, the built `sprag`, clients, and a
//! watcher of `__consumer_offsets`.
//!
//! Every helper panics with a message for the reader of the test output. Nothing waits by sleeping.
//! Every process ends with the test that started it, even if the test fails.

pub(crate) mod alone;
pub(crate) mod artifacts;
pub(crate) mod broker;
pub(crate) mod brokers;
pub(crate) mod bulk;
pub(crate) mod class_archive;
pub(crate) mod clients;
pub(crate) mod cluster;
pub(crate) mod coordinators;
pub(crate) mod failpoints;
pub(crate) mod gate;
pub(crate) mod groups;
pub(crate) mod history;
pub(crate) mod logged;
pub(crate) mod members;
pub(crate) mod mirrormaker;
pub(crate) mod offsets_topic;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod raw;
pub(crate) mod records;
pub(crate) mod sprag;
pub(crate) mod topics;
pub(crate) mod wait;
pub(crate) mod watcher;

use std::time::Duration;

/// How long a test waits for anything that should happen. It is generous, because other builds may
/// share the two cores. It bounds a failure; it never paces a success.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// How often a scenario repeats: `short` times by default, `long` times with `SPRAG_LONG=1`.
pub(crate) fn rounds(short: usize, long: usize) -> usize {
    match std::env::var("SPRAG_LONG").as_deref() {
        Ok("1") => long,
        Ok(_) | Err(_) => short,
    }
}
