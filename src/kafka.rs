//! The rdkafka adapter: implements the ports of [`crate::ports`] on real clusters.

mod addresses;
pub mod client;
pub mod clock;
pub mod committer;
mod complaints;
pub mod connect;
pub mod errors;
mod fence_log;
pub mod ffi;
pub mod groups;
mod lookups;
pub mod mapping_reader;
pub mod ownership;
mod producer;
pub mod properties;
pub mod settings;
pub mod topics;
