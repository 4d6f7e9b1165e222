//! Tests of the harness itself, on every version, before any scenario relies on it.

mod cluster;
mod daemon;
mod gate;
mod kafka;
mod mirroring;
mod processes;
mod watching;
