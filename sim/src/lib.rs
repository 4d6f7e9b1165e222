//! Sprag's own core and driver on simulated Kafka clusters: one seed, one repeatable history.

pub mod wire;
