//! Empty: `tests/contract` compares the simulated cluster with real brokers.
//!
//! It is a package of its own so that the product's tests and dependencies stay free of what only the
//! simulator needs.
