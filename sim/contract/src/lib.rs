//! Nothing of its own: `tests/contract` holds the simulated cluster against real brokers.
//!
//! A package beside the simulator, so that the product's own tests and what it may depend on stay
//! free of what only the simulator needs.
