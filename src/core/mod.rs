//! The state machine: no I/O, no clock, no randomness, no async.

pub mod ids;
pub mod mapping;
pub mod murmur2;
pub mod time;
