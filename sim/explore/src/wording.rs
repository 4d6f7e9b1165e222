//! Describes steps in words.

use sprag_core::action::{Action, Commit, Read};
use sprag_core::event::{Aftermath, CommitDone, Event, ReadDone, TargetCommit};
use sprag_core::failure::Failure;
use sprag_core::request::RequestId;

use crate::model::{State, Step};
use crate::script;
use crate::violation::ours;

/// Describes the step from one state to the next.
#[must_use]
pub fn step(before: &State, step: Step, after: &State) -> String {
    match step {
        Step::Assign(id) => format!("the coordination group assigns the shard to {}", name(id)),
        Step::TakeAway => "the coordination group takes the shard away".to_owned(),
        Step::AskBack => "the coordination group revokes the shard".to_owned(),
        Step::Hears(id) => {
            format!("{} learns that the shard was taken away or must be released", name(id))
        }
        Step::ReadsMapping(id) => format!("{} reads a mapping record", name(id)),
        Step::CarryOut(id, request) => carried_out(before, after, id, request, ""),
        Step::CarryOutStale(id, request) => {
            carried_out(before, after, id, request, " (a stale answer)")
        }
        Step::Deliver(id, request) => {
            format!("{} gets the answer: {}", name(id), what(before, id, request))
        }
        Step::Lose(id, request) => {
            format!("{} gets no answer: {}", name(id), what(before, id, request))
        }
        Step::Delay(id, request) => format!(
            "{} loses its connection and sends again: {}",
            name(id),
            what(before, id, request)
        ),
        Step::LateRequest(nth) => {
            let late = before.brokers.late.get(nth);
            let line = late.map_or_else(String::new, |late| action(&late.sent.action));
            format!("a late first attempt arrives: {line}{}", became(before, after))
        }
        Step::Tick(id) => {
            let now = after.instances.get(id).map(|instance| instance.now.as_millis());
            format!("time passes for {}, to {} ms", name(id), now.unwrap_or_default())
        }
        Step::Crash(id) => format!("{} is killed and restarted", name(id)),
        Step::Publish => format!("mapping record {} is published", before.brokers.mappings),
        Step::SourceCommit => format!(
            "the group commits {} on the source",
            script::source_commit(after.brokers.source)
        ),
        Step::ForeignCommit => "a foreign client commits on the target".to_owned(),
        Step::Join => "a consumer joins the group on the target".to_owned(),
        Step::MemberCommit => "that consumer commits on the target".to_owned(),
        Step::LeaveGroup => "that consumer leaves".to_owned(),
        Step::TimeOut => "the broker aborts the open transaction, which took too long".to_owned(),
    }
}

fn name(id: usize) -> char {
    ['A', 'B', 'C', 'D'].get(id).copied().unwrap_or('?')
}

fn what(state: &State, id: usize, request: RequestId) -> String {
    let instance = state.instances.get(id);
    match instance.and_then(|instance| instance.requests.get(&request)) {
        Some(flight) => action(&flight.sent.action),
        None => "nothing".to_owned(),
    }
}

fn carried_out(before: &State, after: &State, id: usize, request: RequestId, how: &str) -> String {
    let instance = after.instances.get(id);
    let answer = instance.and_then(|instance| instance.requests.get(&request)?.answer.as_ref());
    let found = answer.map(outcome).unwrap_or_default();
    let became = became(before, after);
    format!("{}: {}{how} -> {found}{became}", name(id), what(before, id, request))
}

/// How a step changed the stored offset; empty if it did not.
fn became(before: &State, after: &State) -> String {
    if before.brokers.stored == after.brokers.stored {
        return String::new();
    }
    let stored = |state: &State| commit(state.brokers.stored.as_ref());
    format!("; stored: {} becomes {}", stored(before), stored(after))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "everything else is printed as it is")]
fn action(action: &Action) -> String {
    let text = match action {
        Action::InitTransactions { .. } => "init_transactions",
        Action::WriteTakeOver { .. } => "take-over record",
        Action::Read(Read::MappingEnds { .. }) => "read the ends of the mapping log",
        Action::Read(Read::SourceOffsets { .. }) => "read the group on the source",
        Action::Read(Read::TargetOffsets { stable: true, .. }) => "read the group on the target",
        Action::Read(Read::TargetOffsets { stable: false, .. }) => "read it again, unstable",
        Action::Commit(Commit::WriteHalf { offsets, .. }) => {
            return format!("first half, {}", commit(offsets.get(&script::target())));
        }
        Action::Commit(Commit::End { end, .. }) => return format!("{end:?} the transaction"),
        Action::Commit(Commit::Plain { offsets, .. }) => {
            return format!("plain commit, {}", commit(offsets.get(&script::target())));
        }
        other => return format!("{other:?}"),
    };
    text.to_owned()
}

fn commit(commit: Option<&TargetCommit>) -> String {
    match commit {
        None => "nothing".to_owned(),
        Some(commit) => match ours(commit) {
            None => format!("{} (not ours)", commit.offset),
            Some(stamp) => format!(
                "{} (for source {}, fence {}, as-of {})",
                commit.offset, stamp.source, stamp.fence, stamp.as_of
            ),
        },
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "everything else is printed as it is")]
fn outcome(event: &Event) -> String {
    match event {
        Event::TransactionsInitialised { outcome, .. } => short(outcome, |()| String::from("done")),
        Event::TakeOverWritten { outcome, .. } => short(outcome, |fence| format!("fence {fence}")),
        Event::Read(ReadDone::MappingEnds { outcome, .. }) => short(outcome, |ends| {
            ends.ends.values().map(|end| short(end, ToString::to_string)).collect()
        }),
        Event::Read(ReadDone::SourceOffsets { outcome, .. }) => short(outcome, |offsets| {
            offsets.commits.values().map(|commit| commit.offset.to_string()).collect()
        }),
        Event::Read(ReadDone::TargetOffsets { outcome, .. }) => short(outcome, |offsets| {
            offsets.values().map(|read| short(read, |stored| commit(stored.as_ref()))).collect()
        }),
        Event::Commit(CommitDone::HalfWritten { outcome, .. }) => {
            short(outcome, |()| String::from("done"))
        }
        Event::Commit(CommitDone::Ended { outcome, .. }) => {
            short(outcome, |aftermath| match aftermath {
                Aftermath::Settled => String::from("done"),
                Aftermath::LateRequest => String::from("done, but a late request may follow"),
            })
        }
        Event::Commit(CommitDone::Plain { outcome, .. }) => short(outcome, |results| {
            results.values().map(|result| short(result, |()| String::from("done"))).collect()
        }),
        other => format!("{other:?}"),
    }
}

fn short<T>(outcome: &Result<T, Failure>, describe: impl Fn(&T) -> String) -> String {
    match outcome {
        Ok(found) => describe(found),
        Err(failure) => failure.to_string(),
    }
}
