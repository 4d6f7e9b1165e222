//! The harness itself, proved on every version before any scenario stands on it.

mod daemon;
mod kafka;
mod mirroring;
mod processes;
mod watching;
