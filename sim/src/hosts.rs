//! The processes of a run, one turmoil host each, each one future.

pub mod broker;
pub mod brokers;
pub mod clients;
pub mod instance;
pub mod replicator;
