//! Sprag: consumer-group offsets translated between two Kafka clusters, and never rewound.

pub mod config;
pub mod core;
pub mod mapping;
pub mod ports;
