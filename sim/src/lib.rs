//! Sprag's own core and driver on simulated Kafka clusters: one seed, one repeatable history.

pub mod clock;
pub mod gate;
pub mod net;
pub mod ports;
pub mod scenario;
pub mod streams;
pub mod wire;
