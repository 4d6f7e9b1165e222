//! `sprag demo`.

use std::process::ExitCode;
use std::time::Duration;

use indicatif::ProgressBar;

use super::{DemoArgs, LogFormat, Output, complain, log, print};
use crate::demo::{Options, Outcome, Promise, run_story};

/// Runs the demo and prints its outcome. Fails unless every promise was kept.
pub(super) fn run(args: &DemoArgs) -> ExitCode {
    if args.verbose {
        log::start(LogFormat::Text);
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("cannot start the async runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let progress = ProgressBar::new_spinner();
    progress.enable_steady_tick(Duration::from_millis(100));
    let options = Options { break_guard: args.break_guard };
    let step = |message: &str| progress.set_message(message.to_owned());
    let result = runtime.block_on(run_story(options, &step));
    progress.finish_and_clear();
    let outcome = match result {
        Ok(outcome) => outcome,
        Err(error) => {
            complain(&format!("a mock cluster failed: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match args.output {
        Output::Table => print(&table(&outcome)),
        Output::Json => match serde_json::to_string_pretty(&outcome) {
            Ok(json) => print(&json),
            Err(error) => complain(&format!("cannot write the outcome as JSON: {error}")),
        },
    }
    if outcome.kept() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn table(outcome: &Outcome) -> String {
    let mut lines = vec![format!(
        "{:<12} {:>8} {:>14} {:>14} {:>8} {:>8}",
        "group", "lag", "source offset", "target offset", "re-read", "missed"
    )];
    let number = |value: Option<i64>| value.map_or("-".to_owned(), |value| value.to_string());
    for group in &outcome.groups {
        lines.push(format!(
            "{:<12} {:>8} {:>14} {:>14} {:>8} {:>8}  {}",
            group.group,
            group.lag,
            group.source_offset,
            number(group.target_offset),
            number(group.re_read),
            number(group.missed),
            word(group.kept()),
        ));
    }
    lines.push(String::new());
    for trial in &outcome.trials {
        let promised = match trial.promised {
            Promise::Blocked => "must be blocked",
            Promise::Rewound => "must rewind (the guard is off)",
        };
        let silent = if trial.had_its_say { "" } else { " (it never made a decision)" };
        lines.push(format!(
            "{:<24} {:>8} -> {:<8} {promised}: {}{silent}",
            trial.name,
            number(trial.before),
            number(trial.after),
            word(trial.kept()),
        ));
    }
    lines.push(String::new());
    lines.push(
        "The demo runs in guarded mode on librdkafka's mock clusters and shows the stamp. Mock clusters\n\
         do not fence producers; scripts/test shows the fence on real Kafka brokers."
            .to_owned(),
    );
    lines.join("\n")
}

fn word(kept: bool) -> &'static str {
    if kept { "as promised" } else { "NOT AS PROMISED" }
}
