//! Storms: faults in any order. The core comes to rest after each of them. Soon after the last one, the
//! group is served again.

#![allow(clippy::wildcard_enum_match_arm)]

use std::time::Duration;

use proptest::prelude::*;

use super::super::super::event::{Event, GroupActivity};
use super::super::super::failure::FailureClass;
use super::super::super::ids::Shard;
use super::super::super::policy::{CommitMode, Policy};
use super::policy;
use super::world::World;

/// The names of the actions that may fail.
const ORDERS: [&str; 19] = [
    "read source coordinators",
    "read target coordinators",
    "describe control topics",
    "check assignment",
    "read fence log",
    "init transactions",
    "write take-over",
    "write fence records",
    "read mapping ends",
    "list source groups",
    "list target groups",
    "read source offsets",
    "read target offsets",
    "verify target offsets",
    "read topics",
    "write half",
    "commit transaction",
    "abort transaction",
    "commit plainly",
];

#[derive(Clone, Debug)]
enum Gust {
    Fail(&'static str, FailureClass, usize),
    Source(i64),
    Pass(u64),
    Assigned,
    Revoked,
    Lost,
    Disturbed,
    Activity(GroupActivity),
    MappingTopic(Option<[u8; 16]>),
}

fn gust() -> impl Strategy<Value = Gust> {
    use FailureClass as Class;
    let class = prop::sample::select(vec![
        Class::Retry,
        Class::GroupActive,
        Class::HoldGroup,
        Class::Fenced,
        Class::Abort,
        Class::OutcomeUnknown,
        Class::Missing,
        Class::LateRequest,
        Class::MetadataTooLarge,
        Class::Unstable,
    ]);
    let activity = [GroupActivity::Empty, GroupActivity::Active, GroupActivity::Unknown];
    let mapping_topic = [None, Some([8; 16]), Some([18; 16])];
    prop_oneof![
        6 => (prop::sample::select(&ORDERS), class, 1..9usize)
            .prop_map(|(order, class, times)| Gust::Fail(order, class, times)),
        4 => (100..=200i64).prop_map(Gust::Source),
        8 => (0..90u64).prop_map(Gust::Pass),
        1 => Just(Gust::Assigned),
        1 => Just(Gust::Revoked),
        1 => Just(Gust::Lost),
        1 => Just(Gust::Disturbed),
        1 => prop::sample::select(activity.to_vec()).prop_map(Gust::Activity),
        1 => prop::sample::select(mapping_topic.to_vec()).prop_map(Gust::MappingTopic),
    ]
}

proptest! {
    #[test]
    fn after_any_storm_the_group_is_served_again(
        gusts in prop::collection::vec(gust(), 1..40),
        guarded in any::<bool>(),
    ) {
        let commit_mode = if guarded { CommitMode::Guarded } else { CommitMode::Fenced };
        let mut world = World::new();
        let mut core = world.settled(Policy { commit_mode, ..policy() });
        let (shard, mut owned) = (Shard(0), true);
        for gust in gusts {
            let event = match gust {
                Gust::Fail(order, class, times) => {
                    for _ in 0..times {
                        world.fail(order, class);
                    }
                    Event::TimePassed
                }
                Gust::Source(offset) => {
                    world.source = Some(offset);
                    Event::TimePassed
                }
                Gust::Pass(seconds) => {
                    world.pass(&mut core, Duration::from_secs(seconds));
                    Event::TimePassed
                }
                Gust::Assigned => Event::ShardAssigned { shard },
                Gust::Revoked => Event::ShardRevoked { shard },
                Gust::Lost => Event::ShardLost { shard },
                Gust::Disturbed => {
                    world.connection_breaks();
                    Event::TimePassed
                }
                Gust::Activity(activity) => {
                    world.activity = activity;
                    Event::TimePassed
                }
                Gust::MappingTopic(id) => {
                    world.mapping_topic = id;
                    Event::TimePassed
                }
            };
            owned = match &event {
                Event::ShardAssigned { .. } => true,
                Event::ShardRevoked { .. } | Event::ShardLost { .. } => false,
                _ => owned,
            };
            core.handle(world.now, event);
            world.settle(&mut core);
        }
        world.instead.clear();
        world.activity = GroupActivity::Empty;
        world.mapping_topic.get_or_insert([8; 16]);
        world.source = Some(200);
        if !owned {
            core.handle(world.now, Event::ShardAssigned { shard });
        }
        world.pass(&mut core, Duration::from_secs(300));
        prop_assert_eq!(world.stored(), Some(1250), "{:#?}", world.transcript);
        prop_assert_eq!(world.stopped, None);
    }
}
