//! The rdkafka adapter: the ports of [`crate::ports`] on real clusters.

pub mod client;
pub mod clock;
pub mod errors;
pub mod ffi;
pub mod groups;
pub mod topics;
