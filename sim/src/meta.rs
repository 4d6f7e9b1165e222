//! Checks that a seed gives one history: runs the same scenario in two processes and compares their
//! transcripts line by line at the most detailed level. Two runs in one process would share what differs
//! between processes, such as addresses and the seeds of hash maps.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::run::Outcome;
use crate::scenario::Scenario;
use crate::sweep::run_caught;
use crate::trace;

/// Everything that a run recorded, as text.
#[must_use]
pub fn transcript(seed: u64) -> String {
    let scenario = Scenario::of(seed);
    let (outcome, lines) = trace::recorded(|| run_caught(&scenario, |_| true));
    let mut text = format!("{scenario:?}\n");
    for line in lines {
        text.push_str(&line.to_string());
        text.push('\n');
    }
    text.push_str(&match outcome {
        Outcome::Good(counts) => format!("{counts:?}\n"),
        Outcome::Crash(error) => format!("{error}\n"),
        Outcome::Broken(violation) => format!("{violation}\n"),
    });
    text
}

/// Lets `program` write the transcript of `seed` in two processes and compares the two. Returns the number
/// of lines if all are equal.
///
/// # Errors
///
/// The first line that differs, or why a process could not be run.
pub fn compare(program: &Path, seed: u64) -> Result<usize, String> {
    let (first, second) = (begin(program, seed)?, begin(program, seed)?);
    let (first, second) = (finish(first)?, finish(second)?);
    for (nth, (one, other)) in first.lines().zip(second.lines()).enumerate() {
        if one != other {
            let nth = nth + 1;
            return Err(format!("seed {seed}, line {nth} differs:\n  {one}\n  {other}"));
        }
    }
    let (one, other) = (first.lines().count(), second.lines().count());
    match one == other {
        true => Ok(one),
        false => Err(format!("seed {seed}: {one} lines in one process, {other} in the other")),
    }
}

fn begin(program: &Path, seed: u64) -> Result<Child, String> {
    let begun = Command::new(program)
        .args(["transcript", "--seed", &seed.to_string()])
        .stdout(Stdio::piped())
        .spawn();
    begun.map_err(|error| format!("cannot run {}: {error}", program.display()))
}

fn finish(mut child: Child) -> Result<String, String> {
    let mut text = String::new();
    if let Some(mut output) = child.stdout.take() {
        output.read_to_string(&mut text).map_err(|error| error.to_string())?;
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    match status.success() {
        true => Ok(text),
        false => Err(format!("a transcript process ended with {status}")),
    }
}
