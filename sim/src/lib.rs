//! Runs Sprag's real core and driver on simulated Kafka clusters. One seed gives one repeatable history.

pub mod clock;
pub mod cluster;
pub mod coverage;
pub mod diagram;
pub mod faults;
pub mod gate;
pub mod hosts;
pub mod invariants;
pub mod listener;
pub mod meta;
pub mod names;
pub mod net;
pub mod planted;
pub mod ports;
pub mod run;
pub mod scenario;
pub mod shrink;
pub mod streams;
pub mod sweep;
pub mod trace;
pub mod truth;
pub mod wire;
pub mod world;
