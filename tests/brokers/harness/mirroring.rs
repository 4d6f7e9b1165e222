//! MirrorMaker 2 replicates between the versions, in both directions.

use crate::support::DEADLINE;
use crate::support::alone::turn;
use crate::support::artifacts::Version;
use crate::support::broker::Broker;
use crate::support::mirrormaker::{MirrorMaker, MirrorOptions, replicated};
use crate::support::process::is_running;
use crate::support::records::{produce, produce_in_transaction, read, true_target_offset};
use crate::support::topics::{create_topic, log_range, wait_for_topic};
use crate::support::wait::eventually;

#[test]
fn mirrormaker_replicates_from_3_9_to_4_3() {
    let _turn = turn();
    let options = MirrorOptions { topics: "orders.*".to_owned(), ..MirrorOptions::default() };
    replicates(Version::V3_9, Version::V4_3, &options);
}

#[test]
fn mirrormaker_replicates_from_4_3_to_3_9_with_syncs_on_the_target() {
    let _turn = turn();
    let options = MirrorOptions { topics: "orders.*".to_owned(), syncs_on_target: true };
    replicates(Version::V4_3, Version::V3_9, &options);
}

fn replicates(source_version: Version, target_version: Version, options: &MirrorOptions) {
    let (source, target) = Broker::start_pair(source_version, target_version);
    create_topic(&source, "orders", 1);
    produce(&source, "orders", 0, 600);
    produce_in_transaction(&source, "orders", 0, 400);
    let mut mirror = MirrorMaker::start(&source, &target, options);
    let copy = replicated("orders");
    wait_for_topic(&target, &copy, 1);
    eventually(DEADLINE, "1000 replicated records", || match log_range(&target, &copy, 0).end {
        end if end >= 1000 => Ok(()),
        end => Err(format!("{end} records")),
    });
    let copies: Vec<i64> = read(&target, &copy, 0, 0).iter().map(|r| r.source_offset()).collect();
    assert_eq!(copies, (0..1000).collect::<Vec<i64>>());
    assert_eq!(true_target_offset(&target, &copy, 0, 700), Some(700));
    assert_eq!(true_target_offset(&target, &copy, 0, 1000), None);

    let syncs_at = if options.syncs_on_target { &target } else { &source };
    let syncs = read(syncs_at, &options.offset_syncs_topic(), 0, 0);
    assert!(syncs.iter().any(|sync| sync.key.as_deref() == Some(&b"\0\x06orders\0\0\0\0"[..])));

    // The transaction marker took the source offset 1000 and has no copy.
    mirror.stop_signal();
    assert_eq!(produce(&source, "orders", 0, 1), 1001..1002);
    mirror.cont_signal();
    eventually(DEADLINE, "the record written during the pause", || {
        true_target_offset(&target, &copy, 0, 1000)
    });
    let first_pid = mirror.pid();
    mirror.kill();
    assert!(!is_running(first_pid));
    assert_eq!(produce(&source, "orders", 0, 1), 1002..1003);
    mirror.restart();
    eventually(DEADLINE, "the record written while MirrorMaker was down", || {
        true_target_offset(&target, &copy, 0, 1002)
    });
}
