//! What must hold in every state, and what must be reached somewhere: an exploration that never came
//! to a commit has proved nothing.

use sprag::core::action::{Action, Commit, TransactionEnd};
use sprag::core::event::{CommitDone, Event};
use sprag::core::failure::FailureClass;
use sprag::core::policy::CommitMode;
use stateright::Property;

use crate::instance::InFlight;
use crate::model::{State, World};
use crate::violation::{Violation, ours};

/// No translation is overwritten by one from older knowledge.
pub const NEVER_STALE: &str = "NeverStale";
/// No translation is set back, on a source that never was.
pub const NEVER_REWOUND: &str = "NeverRewound";
/// No commit of somebody else is overwritten.
pub const NEVER_TRAMPLE: &str = "NeverTrample";
/// Every offset is what its stamp's knowledge gives, for a position that was committed.
pub const NO_INVENTED_OFFSET: &str = "NoInventedOffset";
/// No instance ends its process.
pub const NOBODY_GIVES_UP: &str = "NobodyGivesUp";
/// `guarded`: an instance that paused between its check and its commit overwrote a newer translation.
pub const RACE_STALE: &str = "the documented race: a newer translation is overwritten";
/// `guarded`: it overwrote somebody else's commit.
pub const RACE_TRAMPLE: &str = "the documented race: a foreign commit is overwritten";

/// The properties of a world.
#[must_use]
pub fn of(world: &World) -> Vec<Property<World>> {
    let mut all = vec![
        Property::always(NEVER_STALE, |_, state: &State| !broken(state, Violation::Stale)),
        Property::always(NEVER_REWOUND, |_, state: &State| !broken(state, Violation::Rewound)),
        Property::always(NEVER_TRAMPLE, |_, state: &State| !broken(state, Violation::Trampled)),
        Property::always(NO_INVENTED_OFFSET, |_, state: &State| {
            !broken(state, Violation::Invented)
        }),
        Property::always(NOBODY_GIVES_UP, |_, state: &State| {
            state.instances.iter().all(|instance| !instance.stopped)
        }),
        Property::sometimes("a translation is committed", |_, state: &State| {
            state.brokers.holds_ours()
        }),
        Property::sometimes("an exact translation of the newest position is committed", newest),
        Property::sometimes("a second owner commits over the first one's", second_owner),
    ];
    if world.terms.plant.is_some() {
        return all;
    }
    match world.terms.mode {
        CommitMode::Fenced => all.extend([
            Property::sometimes("a zombie's first half is refused", |_, state: &State| {
                any(state, |flight| refused(flight, true))
            }),
            Property::sometimes("a zombie's end of a transaction is refused", |_, state: &State| {
                any(state, |flight| refused(flight, false))
            }),
            Property::sometimes("a commit that was overtaken is aborted", |_, state: &State| {
                any(state, aborts) && state.brokers.stored.is_some()
            }),
        ]),
        CommitMode::Guarded => all.extend([
            Property::sometimes(RACE_STALE, |_, state: &State| {
                raced(state, Violation::Stale) || raced(state, Violation::Rewound)
            }),
            Property::sometimes(RACE_TRAMPLE, |_, state: &State| {
                raced(state, Violation::Trampled)
            }),
        ]),
    }
    if world.terms.mode == CommitMode::Fenced && world.budget.joins > 0 {
        all.push(Property::sometimes("the broker refuses for a member's sake", |_, state: &State| {
            any(state, |flight| half(flight) == Some(FailureClass::GroupActive))
        }));
    }
    all
}

/// In `guarded` mode a pause between check and commit is documented, and nothing else is.
fn broken(state: &State, violation: Violation) -> bool {
    state.brokers.violation == Some(violation) && !state.brokers.raced
}

fn raced(state: &State, violation: Violation) -> bool {
    state.brokers.violation == Some(violation) && state.brokers.raced
}

fn newest(_: &World, state: &State) -> bool {
    let stored = state.brokers.stored.as_ref();
    stored.and_then(ours).is_some_and(|stamp| {
        state.brokers.source > 0
            && stamp.source == crate::script::source_commit(state.brokers.source)
            && stamp.as_of.get() == i64::from(state.brokers.mappings)
    })
}

fn second_owner(_: &World, state: &State) -> bool {
    let stored = state.brokers.stored.as_ref();
    stored.and_then(ours).is_some_and(|stamp| stamp.fence.get() > 0)
}

fn any(state: &State, is: impl Fn(&InFlight) -> bool) -> bool {
    state.instances.iter().flat_map(|instance| instance.requests.values()).any(is)
}

fn half(flight: &InFlight) -> Option<FailureClass> {
    match &flight.answer {
        Some(Event::Commit(CommitDone::HalfWritten { outcome: Err(failure), .. })) => {
            Some(failure.class)
        }
        _ => None,
    }
}

fn refused(flight: &InFlight, first_half: bool) -> bool {
    if first_half {
        return half(flight) == Some(FailureClass::Fenced);
    }
    match &flight.answer {
        Some(Event::Commit(CommitDone::Ended { outcome: Err(failure), .. })) => {
            failure.class == FailureClass::Fenced
        }
        _ => false,
    }
}

fn aborts(flight: &InFlight) -> bool {
    match &flight.sent.action {
        Action::Commit(Commit::End { end, .. }) => *end == TransactionEnd::Abort,
        _ => false,
    }
}
