//! Sprag translates consumer-group offsets between two Kafka clusters and never rewinds one by mistake.

#[cfg(feature = "kafka")]
pub mod check;
#[cfg(feature = "kafka")]
pub mod cli;
pub mod config;
#[cfg(feature = "kafka")]
pub mod demo;
#[cfg(feature = "driver")]
pub mod driver;
#[cfg(feature = "driver")]
pub mod failpoint;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod ports;
