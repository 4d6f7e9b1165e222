//! Compares the judge and the staircase with their specification, the crate `sprag-spec`. These are
//! integration tests, because inside the core's unit tests its types are not those that `sprag-spec` uses.

#![allow(clippy::unwrap_used, missing_docs)]

mod judge;
mod runs;
