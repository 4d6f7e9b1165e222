//! The index of the mappings at full size: bytes per run, and the time per lookup and insertion.
//! For comparison, the same process measures a plain vector and a B-tree of the same runs.
//!
//! `cargo bench --bench index` measures 10,000,000 runs; `-- 1000000` measures another number.
//! Without `--bench`, as `cargo test --all-targets` starts it, it only runs through with a few.

// A bench reads the clock and prints.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use sprag_core::ids::{MappingOffset, SourceOffset, TargetOffset};
use sprag_core::mapping::Run;
use sprag_core::runs::{Inserted, Staircase, Translation};

const BYTES_PER_RUN: f64 = 16.0;
const LOOKUP_NS: f64 = 150.0;
const ROUNDS: usize = 16;
/// Each round has its own positions, so that no round finds the caches filled by another one.
const LOOKUPS_PER_ROUND: usize = 250_000;
/// One run in this many is held back, and inserted after all others.
const LATE_ONE_IN: usize = 1000;

type Plain = (i64, i64, u64);

fn main() {
    let runs_wanted = std::env::args().skip(1).find_map(|arg| arg.parse().ok());
    let is_bench = std::env::args().any(|arg| arg == "--bench");
    let count: usize = runs_wanted.unwrap_or(if is_bench { 10_000_000 } else { 20_000 });
    let lookups = ROUNDS * if is_bench { LOOKUPS_PER_ROUND } else { 100 };

    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let runs = irregular(count, &mut random);
    let end = runs.last().map_or(0, |run| run.0 + run.2.cast_signed());
    println!("{count} irregular runs over {end} source offsets");
    println!(
        "lookups: {ROUNDS} rounds; other load on the machine affects the median, not the best"
    );
    println!();

    let (staircase, building) = timed(|| appended(&runs));
    let late = inserted_late(&runs);
    let tree: BTreeMap<i64, (i64, u64)> = runs.iter().map(|run| (run.0, (run.1, run.2))).collect();

    let bytes = staircase.heap_bytes() as f64 / count as f64;
    let heading = ["best", "median", "limit", "ratio"].map(|column| format!("{column:>9}"));
    println!("{:<36}{}", "", heading.concat());
    row("bytes per run", &[bytes], Some(BYTES_PER_RUN));
    row("bytes per run, after late ones", &[late.bytes], Some(BYTES_PER_RUN));
    row("append, ns per run", &[building / count as f64], None);
    row("insert in the middle, ns per run", &[late.insert_ns], None);
    let cut = cutting(&staircase, end, &mut random);
    row("cut by a stray copy, ns per run", &[cut], None);

    let anywhere: Vec<i64> = (0..lookups).map(|_| random.below(end)).collect();
    let tail = end.min(10_000_000);
    let near_end: Vec<i64> = (0..lookups).map(|_| end - random.below(tail)).collect();
    for (name, positions) in [("anywhere", &anywhere), ("near the end", &near_end)] {
        println!();
        println!("lookup {name}, ns");
        let packed = |at| in_staircase(&staircase, at);
        row("  staircase", &measured(positions, packed), Some(LOOKUP_NS));
        row("  staircase, one at a time", &measured_in_turn(positions, packed), None);
        row("  vector", &measured(positions, |at| in_vector(&runs, at)), None);
        row("  B-tree", &measured(positions, |at| in_tree(&tree, at)), None);
    }
    let differ = anywhere
        .iter()
        .filter(|at| in_staircase(&staircase, **at) != in_vector(&runs, **at))
        .count();
    assert_eq!(differ, 0, "the staircase and the vector must agree");
}

struct Late {
    insert_ns: f64,
    bytes: f64,
}

fn irregular(count: usize, random: &mut Random) -> Vec<Plain> {
    let (mut source, mut target) = (0, 0);
    let mut runs = Vec::with_capacity(count);
    for _ in 0..count {
        source += random.below(20);
        target += 1 + random.below(5);
        let len = 1 + random.below(400);
        runs.push((source, target, len.unsigned_abs()));
        source += len;
        target += len;
    }
    runs
}

fn appended(runs: &[Plain]) -> Staircase {
    let mut staircase = Staircase::default();
    for run in runs {
        insert(&mut staircase, run);
    }
    staircase
}

fn inserted_late(runs: &[Plain]) -> Late {
    let is_late = |nth: &usize| nth % LATE_ONE_IN == LATE_ONE_IN / 2;
    let mut staircase = Staircase::default();
    let each = || runs.iter().enumerate();
    for (_, run) in each().filter(|(nth, _)| !is_late(nth)) {
        insert(&mut staircase, run);
    }
    let late: Vec<&Plain> = each().filter(|(nth, _)| is_late(nth)).map(|(_, run)| run).collect();
    let ((), ns) = timed(|| {
        late.iter().for_each(|run| insert(&mut staircase, run));
    });
    assert_eq!(staircase.len(), runs.len(), "every run must be there");
    Late {
        insert_ns: ns / late.len().max(1) as f64,
        bytes: staircase.heap_bytes() as f64 / runs.len() as f64,
    }
}

/// Inserts copies that are one lower on the target than the known translation. Returns nanoseconds
/// per run.
fn cutting(staircase: &Staircase, end: i64, random: &mut Random) -> f64 {
    let mut staircase = staircase.clone();
    let mut runs = Vec::new();
    while runs.len() < 1000 {
        let source = SourceOffset(random.below(end));
        if let Translation::Exact { target } = staircase.translate(source) {
            let target = TargetOffset((target.get() - 1).max(0));
            runs.push(Run { source, target, len: 1 });
        }
    }
    let (lowered, ns) = timed(|| {
        let insert = |run: &&Run| staircase.insert(**run, MappingOffset(1)) == Inserted::Lowered;
        runs.iter().filter(insert).count()
    });
    assert!(lowered > 0, "a stray copy must cut");
    ns / runs.len() as f64
}

fn insert(staircase: &mut Staircase, (source, target, len): &Plain) {
    let run = Run { source: SourceOffset(*source), target: TargetOffset(*target), len: *len };
    let inserted = staircase.insert(run, MappingOffset(1));
    assert_eq!(inserted, Inserted::Added);
}

fn in_staircase(staircase: &Staircase, at: i64) -> i64 {
    match staircase.translate(SourceOffset(at)) {
        Translation::Exact { target } | Translation::LowerBound { target, .. } => target.get(),
        Translation::BelowFirst { .. } | Translation::Empty => -1,
    }
}

fn in_vector(runs: &[Plain], at: i64) -> i64 {
    let behind = runs.partition_point(|run| run.0 <= at);
    behind.checked_sub(1).map_or(-1, |nth| {
        let (source, target, len) = runs[nth];
        target + (at - source).min(len.cast_signed())
    })
}

fn in_tree(tree: &BTreeMap<i64, (i64, u64)>, at: i64) -> i64 {
    tree.range(..=at)
        .next_back()
        .map_or(-1, |(source, (target, len))| target + (at - source).min(len.cast_signed()))
}

/// Nanoseconds per lookup in each round. The processor may overlap lookups.
fn measured(positions: &[i64], lookup: impl Fn(i64) -> i64) -> Vec<f64> {
    rounds(positions, |positions| {
        positions.iter().for_each(|at| {
            black_box(lookup(*at));
        });
    })
}

/// Nanoseconds per lookup in each round, when each lookup waits for the previous one.
fn measured_in_turn(positions: &[i64], lookup: impl Fn(i64) -> i64) -> Vec<f64> {
    rounds(positions, |positions| {
        let last = positions.iter().fold(0, |last, at| lookup(at ^ (last & 1)));
        black_box(last);
    })
}

/// The time per position in each round, the best first.
fn rounds(positions: &[i64], mut round: impl FnMut(&[i64])) -> Vec<f64> {
    let mut times: Vec<f64> = positions
        .chunks(positions.len().div_ceil(ROUNDS).max(1))
        .map(|positions| timed(|| round(positions)).1 / positions.len() as f64)
        .collect();
    times.sort_by(f64::total_cmp);
    times
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let done = work();
    (done, start.elapsed().as_nanos() as f64)
}

/// Prints the best and the median of sorted measurements, and compares the best with its limit.
fn row(name: &str, sorted: &[f64], limit: Option<f64>) {
    let Some(best) = sorted.first() else {
        return;
    };
    let median = match sorted.len() {
        1 => String::new(),
        len => format!("{:.1}", sorted[len / 2]),
    };
    let limits = limit.map(|limit| format!("{limit:>9.0}{:>9.2}", best / limit));
    println!("{name:<36}{best:>9.1}{median:>9}{}", limits.unwrap_or_default());
}

/// Xorshift: the same numbers in every run of the bench.
struct Random(u64);

impl Random {
    /// At least 0 and below `bound`, which is at least 1.
    fn below(&mut self, bound: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.unsigned_abs().max(1)).cast_signed()
    }
}
