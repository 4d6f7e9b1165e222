//! The state machine: mappings and group states in, offset commits out.
//!
//! ```text
//!  event ──▶ machine::Core::handle ──▶ action
//!                │
//!                ├─ machine/fencing   the life of a shard
//!                ├─ machine/control   the mappings    ──▶ index ──▶ runs (the staircase)
//!                ├─ machine/rounds    a group's round ──▶ decide ──▶ judge (the guard) ──▶ stamp
//!                └─ machine/commits   compare-and-swap
//! ```
//!
//! The core does no I/O, reads no clock, and uses no randomness and no async. [`machine::Core`] states
//! the contract.

#![cfg_attr(not(any(test, feature = "planted-bugs")), no_std)]

#[macro_use]
extern crate alloc;

pub mod action;
pub mod coordinators;
mod decide;
pub mod event;
pub mod failure;
pub mod fence_log;
mod group;
pub mod group_filter;
pub mod ids;
pub mod index;
pub mod judge;
mod limits;
pub mod machine;
pub mod mapping;
pub mod murmur2;
pub mod note;
pub mod planted;
pub mod policy;
pub mod request;
pub mod runs;
mod shard;
mod source;
pub mod stamp;
pub mod time;
mod translate;
pub mod verdict;
