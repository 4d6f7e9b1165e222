//! `sprag check`: whether everything that the daemon needs is in place, and how to fix what is not.
//!
//! Each step does once what the daemon does all the time, without disturbing a running daemon or any
//! group: the producer has its own transactional.id under the daemon's prefix, and the transaction that
//! writes offsets is aborted.

mod brokers;
mod mappings;
mod report;
mod source;
mod target;

use std::rc::Rc;

use crate::config::Config;
use crate::kafka::client::AdminClient;
use crate::kafka::clock::ProcessClock;
use crate::kafka::connect::plain;

pub use report::{Finding, Report, State};

/// Runs every check. Failures are part of the report.
pub async fn check(config: &Config) -> Report {
    let clock = ProcessClock::start();
    let source = Rc::new(AdminClient::new(plain(&config.source.admin), "source", clock));
    let target = Rc::new(AdminClient::new(plain(&config.target.admin), "target", clock));
    let mut report = Report::default();
    let groups = source::check(config, &source, &mut report).await;
    if groups.is_some() {
        mappings::check(
            config,
            if config.mapping.on_source { &source } else { &target },
            &mut report,
        )
        .await;
    }
    let groups = groups.unwrap_or_default();
    target::check(config, (&source, &target), &groups, &mut report).await;
    report
}
