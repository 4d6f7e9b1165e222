//! Explores every interleaving of small worlds: two or three instances of the real core
//! ([`sprag_core::machine::Core`]) and the smallest brokers that can answer them.
//!
//! Anything else may happen between two steps, so an instance that is not stepped is frozen. A request is
//! *carried out* in one step, and its answer is *delivered* in another or lost. A [`budget::Budget`] bounds
//! everything that may go wrong, so the number of states is finite and all of them are visited.

pub mod brokers;
pub mod budget;
pub mod instance;
pub mod model;
pub mod plant;
pub mod plant_worlds;
pub mod properties;
pub mod requests;
pub mod script;
pub mod violation;
pub mod wording;
