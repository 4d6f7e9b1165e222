//! Visits every state of small worlds. The promises of the documents hold in all of them, the race that the
//! documents admit is found, and so is every planted bug.

use sprag_core::policy::CommitMode;
use sprag_explore::budget::Budget;
use sprag_explore::model::World;
use sprag_explore::plant::Plant;
use sprag_explore::plant_worlds::{broken_by, smallest};
use sprag_explore::properties;
use stateright::{Checker, HasDiscoveries, Model};

const NOTHING: Budget = Budget::nothing();

/// Every promise holds in every state, and every situation that the budget allows for is reached. Returns
/// the number of states.
fn explore(mode: CommitMode, budget: Budget) -> usize {
    let checker = World::new(mode, budget).checker().spawn_bfs().join();
    checker.assert_properties();
    checker.unique_state_count()
}

#[test]
fn fenced_keeps_every_promise_while_the_shard_changes_hands() {
    let budget = Budget { losses_of_shard: 1, source_commits: 1, ticks: 1, ..NOTHING };
    let states = explore(CommitMode::Fenced, budget);
    assert!(states > 10_000, "{states}");
}

#[test]
fn fenced_keeps_every_promise_alongside_consumers_of_the_target() {
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
fn planted_bugs_are_found_in_the_smallest_world_in_which_they_show() {
    for plant in Plant::ALL {
        let checker = smallest(plant).checker().threads(2);
        let checker = checker.finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        let found = checker.discoveries();
        let broken: Vec<_> =
            found.keys().filter(|name| properties::PROMISES.contains(name)).collect();
        assert!(
            !broken.is_empty() && broken.iter().all(|name| broken_by(plant).contains(name)),
            "{plant:?} breaks {broken:?}"
        );
    }
}
