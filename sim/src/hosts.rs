//! The processes of a run. Each is one future on a turmoil host of its own.

pub mod broker;
pub mod brokers;
pub mod clients;
pub mod instance;
pub mod replicator;
