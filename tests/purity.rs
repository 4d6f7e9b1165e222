//! The core is pure: it names no clock, no socket, no runtime and no unordered map. No file is too
//! long to be one idea.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

const FORBIDDEN: &[&str] = &[
    "rdkafka",
    "tokio",
    "std::time::Instant",
    "SystemTime",
    "HashMap",
    "HashSet",
    "std::net",
    "std::fs",
    "std::env",
    "std::thread",
    "println!",
    "async fn",
    ".await",
    "unsafe ",
];

fn sources(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn the_core_names_no_clock_no_io_and_no_unordered_map() {
    let files = sources("src/core");
    assert!(files.len() > 20, "{files:?}");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for (nth, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in FORBIDDEN {
                assert!(!code.contains(word), "{}:{}: {line}", file.display(), nth + 1);
            }
        }
    }
}

#[test]
fn no_file_is_longer_than_400_lines() {
    for file in ["src", "tests", "benches", "sim"].iter().flat_map(|folder| sources(folder)) {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= 400, "{} has {lines} lines", file.display());
    }
}
