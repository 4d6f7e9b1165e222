//! The harness itself, proved on every version before any scenario stands on it.

mod cluster;
mod daemon;
mod gate;
mod kafka;
mod mirroring;
mod processes;
mod watching;
