//! The bodies of the fuzz targets (`fuzz/README.md`): each turns bytes into input, compares the code with
//! something that was written independently of it, and panics if the two differ. The committed corpus runs
//! through them as an ordinary test, `fuzz/tests/corpus.rs`.

mod choices;
mod config_yaml;
mod core_model;
mod judge;
mod mapping_records;
mod stamp;

use std::collections::BTreeSet;

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, that of its folder in `fuzz/corpus` too.
    pub name: &'static str,
    /// Runs one input, and notes what it came by.
    pub run: fn(&[u8], &mut Situations),
    /// What the corpus as a whole must come by.
    pub situations: &'static [&'static [&'static str]],
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "config_yaml", run: config_yaml::run, situations: &[config_yaml::SITUATIONS] },
    Target { name: "core_model", run: core_model::run, situations: &[core_model::SITUATIONS] },
    Target { name: "judge", run: judge::run, situations: &[judge::SITUATIONS] },
    Target {
        name: "mapping_records",
        run: mapping_records::run,
        situations: &[mapping_records::SITUATIONS],
    },
    Target { name: "stamp", run: stamp::run, situations: &[stamp::SITUATIONS] },
];

/// What inputs came by: a corpus that does not reach what it should is noticed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Situations(BTreeSet<&'static str>);

impl Situations {
    /// What was reached, in the order of the alphabet.
    pub fn iter(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.iter().copied()
    }

    /// Whether it was reached.
    #[must_use]
    pub fn has(&self, situation: &str) -> bool {
        self.0.contains(situation)
    }

    /// Adds those of another input.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    fn reach(&mut self, situation: &'static str) {
        self.0.insert(situation);
    }
}

/// Reads a configuration file.
///
/// # Panics
///
/// Where the configuration breaks its word.
pub fn config_yaml(bytes: &[u8]) {
    config_yaml::run(bytes, &mut Situations::default());
}

/// Drives the whole core in a small world.
///
/// # Panics
///
/// Where the core breaks a rule.
pub fn core_model(bytes: &[u8]) {
    core_model::run(bytes, &mut Situations::default());
}

/// Compares the guard with the table of the protocol.
///
/// # Panics
///
/// Where the two differ.
pub fn judge(bytes: &[u8]) {
    judge::run(bytes, &mut Situations::default());
}

/// Reads mapping records of both formats, and looks copies up in the index.
///
/// # Panics
///
/// Where a record is not read as it is written, or a translation is not what its definition says.
pub fn mapping_records(bytes: &[u8]) {
    mapping_records::run(bytes, &mut Situations::default());
}

/// Reads and writes stamps.
///
/// # Panics
///
/// Where one is not read as it was written.
pub fn stamp(bytes: &[u8]) {
    stamp::run(bytes, &mut Situations::default());
}
