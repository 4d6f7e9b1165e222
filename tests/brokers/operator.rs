//! What operators do: reset a group on the source, and disable the guard.

use crate::scenario::{Mapped, PATIENCE, committed, event, pipeline};
use crate::support::alone::turn;
use crate::support::artifacts::Version;
use crate::support::broker::Broker;
use crate::support::groups::{Group, ResetTo};
use crate::support::sprag::Sprag;
use crate::support::watcher::OffsetsWatcher;

const GROUP: &str = "billing";

struct Synced {
    source: Broker,
    target: Broker,
    mapped: Mapped,
    watcher: OffsetsWatcher,
}

/// Syncs a group at source offset 900.
fn synced(overrides: &[(&str, &str)]) -> (Synced, Sprag) {
    let (source, target) = Broker::start_pair(Version::V3_9, Version::V4_3);
    let mapped = Mapped::make(&source, &target, "orders", 1000, 7);
    crate::support::records::produce(&source, &mapped.source, 0, 1000);
    let watcher = OffsetsWatcher::start(&target);
    Group::of(&source, GROUP).commit(&mapped.source, 0, 900, "");
    let sprag = Sprag::start(&pipeline(&source, &target, overrides));
    committed(&watcher, GROUP, &mapped.target, mapped.at(900));
    (Synced { source, target, mapped, watcher }, sprag)
}

#[test]
fn a_reset_on_the_source_is_followed() {
    let _turn = turn();
    let (synced, _sprag) = synced(&[]);
    let group = Group::of(&synced.source, GROUP);
    group.reset_with_kafka_tool(&synced.mapped.source, ResetTo::Offset(100));
    let expected = synced.mapped.at(100);
    synced.watcher.wait_until(PATIENCE, "the rewind to be followed", |history| {
        match history.latest(GROUP, &synced.mapped.target, 0) {
            Some(seen) if seen.offset == expected => Ok(()),
            seen => Err(format!("{seen:?}")),
        }
    });
}

#[test]
fn a_reset_on_the_source_is_held_if_so_configured() {
    let _turn = turn();
    let (synced, sprag) = synced(&[("groups.onSourceRewind", "hold")]);
    let group = Group::of(&synced.source, GROUP);
    group.reset_with_kafka_tool(&synced.mapped.source, ResetTo::Offset(100));
    sprag.wait_for(PATIENCE, "the hold", |line| {
        event(line) == "judged" && line.message().contains("groups.onSourceRewind: hold")
    });
    assert_eq!(synced.watcher.decreases(), []);
}

#[test]
fn with_the_guard_disabled_a_full_reset_goes_through_and_the_log_is_loud() {
    let _turn = turn();
    let (synced, sprag) = synced(&[]);
    drop(sprag);
    // Another client's commit, far ahead. The guard would hold the group.
    Group::of(&synced.target, GROUP).commit(&synced.mapped.target, 0, 1005, "somebody's");
    let config =
        pipeline(&synced.source, &synced.target, &[("features.applyMappingsGuard", "disabled")]);
    let sprag = Sprag::start(&config);
    let loud = sprag.wait_for(PATIENCE, "the error that the guard is off", |line| {
        event(line) == "guard_disabled"
    });
    assert!(loud.text.contains("ERROR") && loud.message().contains("THE GUARD IS OFF"));
    let expected = synced.mapped.at(900);
    synced.watcher.wait_until(PATIENCE, "the reset", |history| {
        match history.latest(GROUP, &synced.mapped.target, 0) {
            Some(seen) if seen.offset == expected => Ok(()),
            seen => Err(format!("{seen:?}")),
        }
    });
}
