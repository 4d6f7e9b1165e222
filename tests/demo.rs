//! `sprag demo` keeps its promises, and fails if the guard is broken.

#![allow(clippy::unwrap_used, missing_docs)]

use std::process::{Command, Output};

fn demo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sprag")).arg("demo").args(arguments).output().unwrap()
}

#[test]
fn every_promise_is_kept() {
    let output = demo(&["--output", "json"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let outcome: serde_json::Value = serde_json::from_str(&text).unwrap();
    let groups = outcome["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 4);
    assert!(groups.iter().all(|group| group["re_read"] == 0 && group["missed"] == 0), "{text}");
    let trials = outcome["trials"].as_array().unwrap();
    assert!(trials.iter().all(|trial| trial["had_its_say"] == true), "{text}");
    let step = |nth: usize| {
        let number = |name: &str| trials[nth][name].as_i64().unwrap();
        number("after") - number("before")
    };
    assert_eq!((step(0), step(1)), (0, 0), "{text}");
    assert!(step(2) < 0, "{text}");
}

#[test]
fn with_the_guard_broken_it_fails() {
    let output = demo(&["--break-guard"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let broken = |name: &str| {
        text.lines().any(|line| line.starts_with(name) && line.ends_with("NOT AS PROMISED"))
    };
    assert!(broken("half-read start-up") && broken("zombie wakes up"), "{text}");
}
