//! What `docs/protocol.md` defines and the core computes in another way: the table of the judge, and the
//! staircase. Written from the document, as plainly as possible and without the code that it specifies. The
//! tests of the core, the fuzz targets and the simulator's invariants compare the code with it.

pub mod inputs;
pub mod judge;
pub mod staircase;
