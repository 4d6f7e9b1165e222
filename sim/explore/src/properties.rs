//! What must hold in every state, and what must be reached in some state: an exploration that never reached
//! a commit proves nothing.

use sprag_core::action::{Action, Commit, TransactionEnd};
use sprag_core::event::{CommitDone, Event};
use sprag_core::failure::FailureClass;
use sprag_core::policy::CommitMode;
use stateright::Property;

use crate::brokers::Late;
use crate::instance::InFlight;
use crate::model::{State, World};
use crate::violation::{Violation, ours};

/// No translation is overwritten by one from older knowledge.
pub const NEVER_STALE: &str = "NeverStale";
/// No translation moves back, on a source that was never reset.
pub const NEVER_REWOUND: &str = "NeverRewound";
/// No foreign commit is overwritten.
pub const NEVER_TRAMPLE: &str = "NeverTrample";
/// Every offset is the translation of a committed position by the mappings that its stamp claims.
pub const NO_INVENTED_OFFSET: &str = "NoInventedOffset";
/// No offset becomes visible before the stored one has been read again.
pub const VERIFIED: &str = "Verified";
/// No instance ends its process.
pub const NOBODY_GIVES_UP: &str = "NobodyGivesUp";
/// The promises that no bug of the product may break.
pub const PROMISES: [&str; 5] =
    [NEVER_STALE, NEVER_REWOUND, NEVER_TRAMPLE, NO_INVENTED_OFFSET, VERIFIED];
/// `guarded`: an instance that paused between its check and its commit overwrote a newer translation.
pub const RACE_STALE: &str = "the documented race: a newer translation is overwritten";
/// `guarded`: such an instance overwrote a foreign commit.
pub const RACE_TRAMPLE: &str = "the documented race: a foreign commit is overwritten";

/// `fenced`: a zombie was refused.
pub const ZOMBIE_REFUSED: &str = "a zombie's commit is refused";
/// A translation was committed.
pub const COMMITTED: &str = "a translation is committed";
/// The group's newest position was committed, translated with all mappings that exist.
pub const NEWEST: &str = "an exact translation of the newest position is committed";
/// A later owner committed.
pub const SECOND_OWNER: &str = "a second owner commits";
/// `fenced`: the second read saved a foreign commit.
pub const OVERTAKEN: &str = "a commit overtaken by a foreign one is aborted";
/// `fenced`: the end of a zombie's transaction was refused.
pub const END_REFUSED: &str = "a zombie's end of a transaction is refused";
/// `fenced`: a delayed request belongs to a producer that was replaced.
pub const LATE_REFUSED: &str = "a late request will be refused";
/// The broker's member check refused a commit.
pub const MEMBER_REFUSED: &str = "a commit is refused because the group has a member";

// stateright 0.31 lets a later discovery replace an earlier one. Each is reported only once, so that the
// trace is a shortest one.
macro_rules! never {
    ($name:expr, $broken:expr) => {
        Property::always($name, |world: &World, state: &State| {
            !($broken(state) && world.is_first($name))
        })
    };
}
macro_rules! reached {
    ($name:expr, $is:expr) => {
        Property::sometimes($name, |world: &World, state: &State| {
            $is(state) && world.is_first($name)
        })
    };
}

/// The properties of a world. Everything that its budget allows for must be reached.
#[must_use]
pub fn of(world: &World) -> Vec<Property<World>> {
    let mut all = vec![
        never!(NEVER_STALE, |state| broken(state, Violation::Stale)),
        never!(NEVER_REWOUND, |state| broken(state, Violation::Rewound)),
        never!(NEVER_TRAMPLE, |state| broken(state, Violation::Trampled)),
        never!(NO_INVENTED_OFFSET, |state| broken(state, Violation::Invented)),
        never!(VERIFIED, |state| broken(state, Violation::Unverified)),
        never!(NOBODY_GIVES_UP, |state: &State| state.instances.iter().any(|it| it.stopped)),
        reached!(COMMITTED, |state: &State| state.brokers.holds_ours()),
    ];
    let budget = &world.budget;
    let fenced = world.terms.mode == CommitMode::Fenced;
    if budget.source_commits > 0 && budget.ticks > 0 {
        all.push(reached!(NEWEST, newest));
    }
    if budget.losses_of_shard + budget.revocations + budget.crashes > 0 {
        all.push(reached!(SECOND_OWNER, second_owner));
    }
    if budget.losses_of_shard > 0 && fenced {
        all.push(reached!(ZOMBIE_REFUSED, |state| any(state, |it| half(it)
            == Some(FailureClass::Fenced))));
        all.push(reached!(END_REFUSED, |state| any(state, end_refused)));
    }
    if budget.foreign_commits > 0 && fenced {
        all.push(reached!(OVERTAKEN, |state: &State| any(state, aborts)
            && state.brokers.stored.is_some()
            && !state.brokers.holds_ours()));
    }
    if budget.late > 0 && fenced {
        all.push(reached!(LATE_REFUSED, late_refused));
    }
    if budget.joins > 0 && fenced {
        all.push(reached!(MEMBER_REFUSED, |state| any(state, |it| {
            half(it) == Some(FailureClass::GroupActive)
        })));
    }
    if budget.losses_of_shard > 0 && !fenced {
        all.push(reached!(RACE_STALE, |state| raced(state, Violation::Stale)));
    }
    if budget.foreign_commits > 0 && !fenced {
        all.push(reached!(RACE_TRAMPLE, |state| raced(state, Violation::Trampled)));
    }
    all
}

/// `guarded` mode documents a race between check and commit. Nothing else is excused.
fn broken(state: &State, violation: Violation) -> bool {
    state.brokers.violation == Some(violation) && !state.brokers.raced
}

fn raced(state: &State, violation: Violation) -> bool {
    state.brokers.violation == Some(violation) && state.brokers.raced
}

fn newest(state: &State) -> bool {
    let stored = state.brokers.stored.as_ref();
    stored.and_then(ours).is_some_and(|stamp| {
        state.brokers.source > 0
            && stamp.source == crate::script::source_commit(state.brokers.source)
            && stamp.as_of.get() == i64::from(state.brokers.mappings)
    })
}

fn late_refused(state: &State) -> bool {
    let brokers = &state.brokers;
    let refused = |late: &Late| late.sent.epoch.is_some_and(|epoch| epoch < brokers.epoch);
    brokers.late.iter().any(refused) && !brokers.pending.is_empty()
}

fn second_owner(state: &State) -> bool {
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

fn end_refused(flight: &InFlight) -> bool {
    match &flight.answer {
        Some(Event::Commit(CommitDone::Ended { outcome: Err(failure), .. })) => {
            failure.class == FailureClass::Fenced
        }
        _ => false,
    }
}

fn aborts(flight: &InFlight) -> bool {
    let Action::Commit(Commit::End { end, .. }) = &flight.sent.action else {
        return false;
    };
    *end == TransactionEnd::Abort
}
