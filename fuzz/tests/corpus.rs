//! Runs the committed corpus of each fuzz target on the stable compiler. No input may break its
//! target, and all inputs together must still reach every situation that they should
//! (`fuzz/README.md`).

#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use sprag_fuzz::{Situations, TARGETS, Target};

/// The largest total size of one target's corpus, in bytes.
const LARGEST: u64 = 300_000;

fn folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name)
}

fn files(target: &Target) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder(target)).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn replay(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let files = files(target);
    assert!(files.len() >= 10, "{} holds {} files", folder(target).display(), files.len());
    let mut reached = Situations::default();
    for file in &files {
        let bytes = fs::read(file).unwrap();
        let run = || {
            let mut situations = Situations::default();
            (target.run)(&bytes, &mut situations);
            situations
        };
        match catch_unwind(run) {
            Ok(situations) => reached.extend(situations),
            Err(_) => {
                panic!("{} breaks the target {name}; the reason is printed above", file.display())
            }
        }
    }
    let missed: Vec<_> =
        target.situations.iter().copied().flatten().filter(|name| !reached.has(name)).collect();
    assert!(missed.is_empty(), "no file of {name} reaches {missed:?} any more");
}

#[test]
fn config_yaml() {
    replay("config_yaml");
}

#[test]
fn core_model() {
    replay("core_model");
}

#[test]
fn judge() {
    replay("judge");
}

#[test]
fn mapping_records() {
    replay("mapping_records");
}

#[test]
fn stamp() {
    replay("stamp");
}

#[test]
fn every_target_has_a_corpus_a_shim_and_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tests = fs::read_to_string(root.join("tests/corpus.rs")).unwrap();
    let manifest = fs::read_to_string(root.join("libfuzzer/Cargo.toml")).unwrap();
    let mut corpora: Vec<_> = fs::read_dir(root.join("corpus"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    corpora.sort();
    let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(corpora, names);
    for target in TARGETS {
        let name = target.name;
        let shim = format!("libfuzzer/fuzz_targets/{name}.rs");
        assert!(fs::read_to_string(root.join(&shim)).unwrap().contains(name), "{shim}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "libfuzzer/Cargo.toml: {name}");
        assert!(tests.contains(&format!("replay(\"{name}\")")), "tests/corpus.rs: {name}");
        let sizes = files(target).into_iter().map(|file| fs::metadata(file).unwrap().len());
        let whole: u64 = sizes.sum();
        assert!(whole <= LARGEST, "{name}: {whole} bytes");
    }
}

/// Inputs that nobody chose: parts of two files of the corpus, with some bytes changed. `SPRAG_FUZZ_MUTATIONS`
/// sets how many.
#[test]
fn core_model_holds_for_mutations_of_its_corpus() {
    let target = TARGETS.iter().find(|target| target.name == "core_model").unwrap();
    let inputs: Vec<_> = files(target).iter().map(|file| fs::read(file).unwrap()).collect();
    let count = std::env::var("SPRAG_FUZZ_MUTATIONS").map_or(2_000, |count| count.parse().unwrap());
    let mut random = 1_u64;
    let mut below = |count: usize| {
        // Knuth's MMIX. Its high bits are the random ones.
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % count.max(1)
    };
    for _ in 0..count {
        let (from, to) = (&inputs[below(inputs.len())], &inputs[below(inputs.len())]);
        let mut bytes = [&from[..below(from.len() + 1)], &to[below(to.len() + 1)..]].concat();
        for _ in 0..below(4) {
            let at = below(bytes.len() + 1);
            bytes.splice(at..at, [below(256) as u8]);
        }
        let run = || (target.run)(&bytes, &mut Situations::default());
        assert!(
            catch_unwind(run).is_ok(),
            "{bytes:?} breaks core_model; the reason is printed above"
        );
    }
}

/// The corpus of `core_model` catches each of these bugs when it is planted in the core. The simulator has
/// an invariant for the others.
#[test]
fn the_corpus_of_core_model_notices_planted_bugs() {
    use sprag_core::planted::{Bug, Planting};
    const NOTICED: &[Bug] = &[
        Bug::AsOfAtCommit,
        Bug::EndsBeforeFence,
        Bug::TargetKeptAcrossTakeOver,
        Bug::DecisionRetried,
        Bug::NoVerification,
        Bug::TimeOutIsNotCommitted,
        Bug::FailedFetchIsNothing,
        Bug::Interpolation,
        Bug::LatestWins,
        Bug::UntilPassed,
        Bug::StandDownIgnored,
        Bug::VanishedIsZero,
        Bug::StartOfRun,
        Bug::FailedRoundForgotten,
        Bug::LateRequestIgnored,
    ];
    let target = TARGETS.iter().find(|target| target.name == "core_model").unwrap();
    let inputs: Vec<_> = files(target).iter().map(|file| fs::read(file).unwrap()).collect();
    for bug in NOTICED {
        let breaks = |bytes: &Vec<u8>| {
            let run = || {
                let _planting = Planting::of(Some(*bug));
                (target.run)(bytes, &mut Situations::default());
            };
            catch_unwind(run).is_err()
        };
        assert!(inputs.iter().any(breaks), "no input of core_model notices {bug:?}");
    }
}
