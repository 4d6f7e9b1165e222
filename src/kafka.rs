//! The rdkafka adapter: implements the ports of [`crate::ports`] on real clusters.

mod addresses;
pub mod client;
pub mod clock;
mod complaints;
pub mod connect;
pub mod errors;
pub mod fence_reader;
pub mod ffi;
pub mod groups;
mod lookups;
pub mod mapping_reader;
pub mod membership;
mod producer;
pub mod properties;
pub mod settings;
pub mod topics;
pub mod transactions;
