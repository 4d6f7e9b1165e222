//! Tests on real Apache Kafka brokers and a real MirrorMaker 2.
//!
//! All scenarios are modules of one crate, so that they link once. They need Java 17 and Maven
//! (`scripts/setup`), and run four at a time (`support::alone`). `SPRAG_LONG=1` runs their long
//! form.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]
#![allow(clippy::disallowed_methods, reason = "the harness has its own clocks and threads")]

mod advertised;
mod answerers;
mod check;
mod facts;
mod faults;
mod flow;
mod harness;
mod hung_broker;
mod late;
mod limits;
mod live;
mod logins;
mod one_broker;
mod operator;
mod protocols;
mod requests;
mod scenario;
mod stable_reads;
mod startup;
mod support;
mod zombie;
