//! For every policy key, two values that lead to different actions.

use std::time::Duration;

use super::super::super::event::GroupActivity;
use super::super::super::group_filter::GroupFilter;
use super::super::super::policy::{
    CommitMode, OnActiveGroup, OnBelowFirstMapping, OnCorrection, OnForeignCommit, OnSourceRewind,
    Policy,
};
use super::super::super::stamp::Metadata;
use super::world::{World, target};
use super::{policy, poll};

/// The offset that is stored after a minute, under this policy. `prepare` changes the world before the core
/// runs, and `then` after it has settled.
fn after(prepare: impl Fn(&mut World), policy: Policy, then: impl Fn(&mut World)) -> Option<i64> {
    let mut world = World::new();
    prepare(&mut world);
    let mut core = world.settled(policy);
    then(&mut world);
    world.pass(&mut core, Duration::from_secs(60));
    world.stored()
}

fn nothing(_: &mut World) {}

#[test]
fn the_guard_prefix_is_what_stamps_begin_with() {
    for prefix in ["k2k_", "other-"] {
        let mut world = World::new();
        world.settled(Policy { guard_prefix: prefix.to_owned(), ..policy() });
        let metadata = &world.target[&target()].metadata;
        assert!(metadata.starts_with(&format!("{prefix}v1:")), "{metadata}");
    }
}

#[test]
fn a_former_prefix_is_ours_only_where_it_is_accepted() {
    let mut before = World::new();
    before.settled(Policy { guard_prefix: "old_".to_owned(), ..policy() });
    let stamped = before.target[&target()].metadata.clone();
    assert!(matches!(Metadata::parse(&stamped, ["old_"]), Metadata::Stamped { .. }));
    let advanced = |accepted: Vec<String>| {
        let policy = Policy { accepted_guard_prefixes: accepted, ..policy() };
        after(|world| world.store(1150, &stamped), policy, |world| world.source = Some(200))
    };
    assert_eq!(advanced(vec![]), Some(1150));
    assert_eq!(advanced(vec!["old_".to_owned()]), Some(1250));
}

#[test]
fn the_guard_compares_or_does_not() {
    let foreign = |world: &mut World| world.store(5000, "somebody's");
    assert_eq!(after(foreign, policy(), nothing), Some(5000));
    let off = Policy { apply_mappings_guard: false, ..policy() };
    assert_eq!(after(foreign, off, nothing), Some(1150));
}

#[test]
fn the_commit_mode_decides_how_it_is_written() {
    for (mode, way) in [(CommitMode::Fenced, "write half"), (CommitMode::Guarded, "commit plainly")]
    {
        let mut world = World::new();
        world.settled(Policy { commit_mode: mode, ..policy() });
        assert!(world.logged(way), "{mode:?}: {:#?}", world.transcript);
        assert_eq!(world.stored(), Some(1150));
    }
}

#[test]
fn a_foreign_commit_is_held_passed_or_overwritten() {
    let with = |on_foreign_commit, stored| {
        let policy = Policy { on_foreign_commit, ..policy() };
        after(|world| world.store(stored, ""), policy, nothing)
    };
    assert_eq!(with(OnForeignCommit::Hold, 900), Some(900));
    assert_eq!(with(OnForeignCommit::ForwardOnly, 900), Some(1150));
    assert_eq!(with(OnForeignCommit::ForwardOnly, 2000), Some(2000));
    assert_eq!(with(OnForeignCommit::Overwrite, 2000), Some(1150));
}

#[test]
fn a_source_rewind_is_followed_or_held() {
    let with = |on_source_rewind| {
        let policy = Policy { on_source_rewind, ..policy() };
        after(nothing, policy, |world| world.source = Some(100))
    };
    assert_eq!(with(OnSourceRewind::Follow), Some(1100));
    assert_eq!(with(OnSourceRewind::Hold), Some(1150));
}

#[test]
fn a_stored_offset_beyond_the_end_is_corrected_or_held() {
    let with = |on_correction| {
        let policy = Policy { on_correction, ..policy() };
        let mut world = World::new();
        world.source = Some(200);
        let mut core = world.settled(policy);
        assert_eq!(world.stored(), Some(1250));
        // The target's log lost its end, and other records were written there.
        world.log.end = super::super::super::ids::TargetOffset(1240);
        world.mappings.push((199, 1230));
        let event = world.mappings_read(super::super::super::ids::TopicId([8; 16]));
        core.handle(world.now, event);
        world.mappings.push((200, 1231));
        let event = world.mappings_read(super::super::super::ids::TopicId([8; 16]));
        core.handle(world.now, event);
        world.source_end = 201;
        world.pass(&mut core, Duration::from_secs(60));
        world.stored()
    };
    assert_eq!(with(OnCorrection::Follow), Some(1231));
    assert_eq!(with(OnCorrection::Hold), Some(1250));
}

#[test]
fn below_the_first_mapping_is_held_or_the_log_start() {
    let with = |on_below_first_mapping| {
        let policy = Policy { on_below_first_mapping, ..policy() };
        let low = |world: &mut World| {
            world.source = Some(7);
            world.log.start = super::super::super::ids::TargetOffset(33);
        };
        after(low, policy, nothing)
    };
    assert_eq!(with(OnBelowFirstMapping::Hold), None);
    assert_eq!(with(OnBelowFirstMapping::LogStart), Some(33));
}

#[test]
fn an_active_group_stops_everything_or_only_itself() {
    for (on_active_group, stops) in [(OnActiveGroup::Ignore, false), (OnActiveGroup::Fail, true)] {
        let mut world = World::new();
        world.activity = GroupActivity::Active;
        world.settled(Policy { on_active_group, ..policy() });
        assert_eq!(world.stopped.is_some(), stops);
        assert_eq!(world.stored(), None);
    }
}

#[test]
fn a_doubtful_read_waits_as_long_as_the_policy_says() {
    let followed_after = |seconds: u64| {
        let policy = Policy { confirm_after: Duration::from_secs(seconds), ..policy() };
        let mut world = World::new();
        let mut core = world.settled(policy);
        world.source = Some(100);
        world.pass(&mut core, poll() + Duration::from_secs(8));
        world.stored()
    };
    assert_eq!(followed_after(5), Some(1100));
    assert_eq!(followed_after(30), Some(1150));
}

#[test]
fn a_commit_is_written_again_when_it_is_old() {
    let refreshed = |hours: u64| {
        let interval = Duration::from_secs(hours * 3600);
        let mut world = World::new();
        let mut core = world.settled(Policy { refresh_interval: interval, ..policy() });
        let before = world.target.clone();
        world.transcript.clear();
        world.pass(&mut core, Duration::from_secs(5 * 3600));
        assert_eq!(world.target, before, "byte for byte");
        world.logged("written again before it expires")
    };
    assert!(refreshed(4));
    assert!(!refreshed(24));
}

#[test]
fn groups_are_polled_as_often_as_the_policy_says() {
    let rounds = |seconds: u64| {
        let mut world = World::new();
        let poll_interval = Duration::from_secs(seconds);
        let mut core = world.settled(Policy { poll_interval, ..policy() });
        world.transcript.clear();
        world.pass(&mut core, Duration::from_secs(30));
        world.transcript.iter().filter(|line| *line == "read source offsets").count()
    };
    assert_eq!((rounds(5), rounds(10)), (6, 3));
}

#[test]
fn groups_that_are_not_selected_are_not_read() {
    let mut world = World::new();
    let groups = GroupFilter::all("dr").named([]);
    world.settled(Policy { groups, ..policy() });
    assert!(!world.logged("read source offsets"));
}
