//! Every state of small worlds: what the documents promise holds in all of them, the race that they
//! admit is found, and so is each planted bug.

#![allow(clippy::expect_used, reason = "tests")]

use sprag::core::policy::CommitMode;
use sprag_explore::budget::Budget;
use sprag_explore::model::World;
use sprag_explore::plant::Plant;
use sprag_explore::properties;
use stateright::{Checker, HasDiscoveries, Model};

const NOTHING: Budget = Budget::nothing();

/// Every promise holds in every state, and every situation that the budget allows for is reached.
fn explore(mode: CommitMode, budget: Budget) -> usize {
    let checker = World::new(mode, budget).checker().spawn_bfs().join();
    checker.assert_properties();
    checker.unique_state_count()
}

/// The promise that a planted bug breaks first.
fn broken_by(plant: Plant, budget: Budget) -> &'static str {
    let mut world = World::new(CommitMode::Fenced, budget).planted(plant);
    world.instances = if budget.losses_of_shard > 0 { 2 } else { 1 };
    let checker = world.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let promises = [
        properties::NEVER_STALE,
        properties::NEVER_REWOUND,
        properties::NEVER_TRAMPLE,
        properties::NO_INVENTED_OFFSET,
    ];
    let found = promises.into_iter().filter_map(|name| Some((checker.discovery(name)?, name)));
    let first = found.min_by_key(|(path, _)| path.clone().into_actions().len());
    first.expect("the planted bug breaks a promise").1
}

#[test]
fn fenced_keeps_every_promise_while_the_shard_changes_hands() {
    let budget = Budget { losses_of_shard: 1, source_commits: 1, ticks: 1, ..NOTHING };
    let states = explore(CommitMode::Fenced, budget);
    assert!(states > 10_000, "{states}");
}

#[test]
fn fenced_keeps_every_promise_beside_consumers_of_the_target() {
    let budget = Budget { losses_of_shard: 1, foreign_commits: 1, joins: 1, ..NOTHING };
    let states = explore(CommitMode::Fenced, budget);
    assert!(states > 10_000, "{states}");
}

#[test]
fn fenced_keeps_every_promise_where_answers_are_lost_and_instances_die() {
    let budget = Budget { lost: 1, crashes: 1, timeouts: 1, ticks: 1, ..NOTHING };
    let states = explore(CommitMode::Fenced, budget);
    assert!(states > 1_000, "{states}");
}

#[test]
fn guarded_has_the_race_that_its_documents_admit_and_no_other() {
    let budget = Budget { losses_of_shard: 1, foreign_commits: 1, ..NOTHING };
    let states = explore(CommitMode::Guarded, budget);
    assert!(states > 1_000, "{states}");
}

#[test]
fn planted_a_broker_that_does_not_fence() {
    let budget = Budget { losses_of_shard: 1, ..NOTHING };
    assert_eq!(broken_by(Plant::NoFence, budget), properties::NEVER_STALE);
}

#[test]
fn planted_a_commit_that_names_no_member() {
    let budget = Budget { joins: 1, ..NOTHING };
    assert_eq!(broken_by(Plant::EmptyMember, budget), properties::NEVER_TRAMPLE);
}

#[test]
fn planted_no_verification_between_the_halves() {
    let budget = Budget { foreign_commits: 1, ..NOTHING };
    assert_eq!(broken_by(Plant::NoVerification, budget), properties::NEVER_TRAMPLE);
}

#[test]
fn planted_a_decision_retried_after_a_take_over() {
    let budget = Budget { losses_of_shard: 1, ..NOTHING };
    assert_eq!(broken_by(Plant::RetriedAfterTakeOver, budget), properties::NEVER_STALE);
}

#[test]
fn planted_a_judge_that_compares_nothing() {
    let budget =
        Budget { crashes: 1, publications: 1, source_commits: 1, stale_ends: 1, ..NOTHING };
    let broken = broken_by(Plant::GuardOff, budget);
    assert!(broken == properties::NEVER_STALE || broken == properties::NEVER_REWOUND, "{broken}");
}

#[test]
fn planted_a_failed_fetch_taken_for_no_offset() {
    let budget = Budget { foreign_commits: 1, lost: 2, ..NOTHING };
    assert_eq!(broken_by(Plant::FailedFetchIsNone, budget), properties::NEVER_TRAMPLE);
}

#[test]
fn planted_an_unconfirmed_source_read_that_is_followed() {
    let budget = Budget { source_commits: 1, stale_source_reads: 2, ticks: 2, ..NOTHING };
    assert_eq!(broken_by(Plant::UnconfirmedFollowed, budget), properties::NEVER_REWOUND);
}

#[test]
fn planted_a_later_fence_that_wins_whatever_its_owner_has_read() {
    let budget =
        Budget { crashes: 1, publications: 1, source_commits: 1, stale_ends: 1, ..NOTHING };
    assert_eq!(broken_by(Plant::LexicographicOrder, budget), properties::NEVER_STALE);
}

#[test]
fn planted_target_offsets_that_outlive_their_ownership() {
    let budget = Budget { losses_of_shard: 2, foreign_commits: 1, ..NOTHING };
    assert_eq!(broken_by(Plant::TargetKeptAcrossTakeOver, budget), properties::NEVER_TRAMPLE);
}
