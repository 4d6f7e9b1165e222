//! Every interleaving of small worlds: the real core ([`sprag_core::machine::Core`]), two or three
//! instances of it, and the smallest brokers that can answer them.
//!
//! Between any two steps anything else may happen, so an instance that is not stepped is frozen. A
//! request is *carried out* in one step and its answer *told* in another, or the answer is lost. All
//! that may go wrong is bounded by a [`budget::Budget`], so that the states are finite in number and
//! all of them are visited.

pub mod brokers;
pub mod budget;
pub mod instance;
pub mod model;
pub mod plant;
pub mod plant_worlds;
pub mod properties;
pub mod requests;
pub mod script;
pub mod told;
pub mod violation;
