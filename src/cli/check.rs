//! `sprag check`.

use std::process::ExitCode;

use super::{CheckArgs, Output, complain, print};
use crate::check::check;

/// Checks everything that the daemon needs, and prints what is missing and how to fix it.
pub(super) fn run(args: &CheckArgs) -> ExitCode {
    let loaded = match args.files.load() {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    for notice in &loaded.notices {
        complain(notice);
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("cannot start the async runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let report = runtime.block_on(check(&loaded.config));
    match args.output {
        Output::Table => print(&report.table()),
        Output::Json => match serde_json::to_string_pretty(&report) {
            Ok(json) => print(&json),
            Err(error) => complain(&format!("cannot write the report as JSON: {error}")),
        },
    }
    if report.complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
