//! The loop between the core and the outside world: events in, actions out. It makes no decisions.
//!
//! The loop is a single future. It waits for the next event, polling the sources in a fixed order,
//! passes the event to the core, and carries out the core's actions. Requests run concurrently, and
//! each is answered exactly once.

use std::future::Future;
use std::pin::{Pin, pin};

use futures::stream::{FuturesUnordered, StreamExt};
use tracing::{debug, error, info, trace, warn};

use crate::failpoint::{self, Point};
use crate::ports::{
    Clock, FenceReader, Mappings, Membership, Ports, ReadFrom, SourceGroups, TargetGroups,
    TopicReader, Transactions,
};
use sprag_core::action::{Action, Commit, Read, StopReason};
use sprag_core::coordinators::Side;
use sprag_core::event::{CommitDone, Event, ReadDone};
use sprag_core::failure::Failure;
use sprag_core::fence_log::FenceLog;
use sprag_core::ids::Shard;
use sprag_core::machine::Core;
use sprag_core::note::{Level, Note};

/// The maximum number of ready answers handled before the loop polls its other sources again.
const EVENTS_AT_ONCE: usize = 1000;

type Answer<'a> = Pin<Box<dyn Future<Output = Event> + 'a>>;

/// Runs the core on these ports until it orders a stop. `stop` completes when the process is asked
/// to stop.
pub async fn run<P: Ports>(
    mut core: Core,
    ports: &P,
    stop: impl Future<Output = ()>,
) -> StopReason {
    let clock = ports.clock();
    let mut answers: FuturesUnordered<Answer<'_>> = FuturesUnordered::new();
    let mut stop = pin!(stop);
    let mut asked_to_stop = false;
    loop {
        if let Some(reason) = carry_out_all(&mut core, ports, &mut answers) {
            return reason;
        }
        let (deadline, why) = core.poll_timeout();
        let event = tokio::select! {
            biased;
            () = &mut stop, if !asked_to_stop => {
                asked_to_stop = true;
                Event::StopRequested
            }
            event = ports.membership().next() => event,
            Some(event) = answers.next(), if !answers.is_empty() => event,
            event = ports.mappings().next() => event,
            () = clock.sleep_until(deadline) => {
                trace!(?why, "time passed");
                Event::TimePassed
            }
        };
        trace!(answer = ?event, "event received");
        core.handle(clock.now(), event);
        // Ready answers come first, so that a busy mapping topic does not delay commits. Their number
        // is bounded, so that they do not delay a stop.
        for _ in 0..EVENTS_AT_ONCE {
            if let Some(reason) = carry_out_all(&mut core, ports, &mut answers) {
                return reason;
            }
            let Some(event) = ready(&mut answers).await else {
                break;
            };
            trace!(answer = ?event, "event received");
            core.handle(clock.now(), event);
        }
    }
}

async fn ready(answers: &mut FuturesUnordered<Answer<'_>>) -> Option<Event> {
    tokio::select! {
        biased;
        event = answers.next() => event,
        () = std::future::ready(()) => None,
    }
}

fn carry_out_all<'a, P: Ports>(
    core: &mut Core,
    ports: &'a P,
    answers: &mut FuturesUnordered<Answer<'a>>,
) -> Option<StopReason> {
    while let Some(action) = core.poll_action() {
        trace!(order = ?action, "action ordered");
        match action {
            Action::Stop { reason } => return Some(reason),
            Action::Report { note } => log(&note),
            Action::DestroyProducer { shard } => ports.transactions().destroy_producer(shard),
            Action::ReleaseShard { shard } => ports.membership().release(shard),
            Action::ReadMappings { topic, partitions } => ports.mappings().read(topic, partitions),
            asking @ (Action::CheckAssignment { .. }
            | Action::ReadFenceLog { .. }
            | Action::InitTransactions { .. }
            | Action::WriteTakeOver { .. }
            | Action::WriteFenceRecords { .. }
            | Action::Read(_)
            | Action::Commit(_)) => answers.extend(ask(asking, ports)),
        }
    }
    None
}

/// Starts an action that has an answer. The caller has carried out the other actions.
fn ask<'a, P: Ports>(action: Action, ports: &'a P) -> Option<Answer<'a>> {
    match action {
        Action::Stop { .. }
        | Action::Report { .. }
        | Action::DestroyProducer { .. }
        | Action::ReleaseShard { .. }
        | Action::ReadMappings { .. } => None,
        Action::CheckAssignment { request, shard } => {
            let asked = ports.membership().is_assigned(shard);
            answer(asked, move |outcome| Event::AssignmentChecked { request, outcome })
        }
        Action::ReadFenceLog { request, of, .. } => {
            answer(fence_log(of, ports), move |outcome| Event::FenceLogRead { request, outcome })
        }
        Action::InitTransactions { request, shard } => {
            let asked = ports.transactions().init(shard);
            answer(asked, move |outcome| Event::TransactionsInitialised { request, outcome })
        }
        Action::WriteTakeOver { request, shard, record } => {
            let asked = async move { ports.transactions().take_over(shard, &record).await };
            answer(asked, move |outcome| Event::TakeOverWritten { request, outcome })
        }
        Action::WriteFenceRecords { request, shard, fence, records } => {
            let asked =
                async move { ports.transactions().write_records(shard, fence, &records).await };
            answer(asked, move |outcome| Event::FenceRecordsWritten { request, outcome })
        }
        Action::Read(read) => answer(ask_read(read, ports), Event::Read),
        Action::Commit(commit) => answer(ask_commit(commit, ports), Event::Commit),
    }
}

fn answer<'a, T>(
    asked: impl Future<Output = T> + 'a,
    event: impl FnOnce(T) -> Event + 'a,
) -> Option<Answer<'a>> {
    Some(Box::pin(async move { event(asked.await) }))
}

/// The content of a fence partition, and the number of instances at that time.
async fn fence_log<P: Ports>(shard: Shard, ports: &P) -> Result<FenceLog, Failure> {
    let read = ports.fence_reader().read(shard, ReadFrom::LogStart).await?;
    let kept = |(key, (offset, value)): (String, (_, Option<_>))| Some((key, (offset, value?)));
    let newest = read.newest.into_iter().filter_map(kept).collect();
    let members = ports.membership().members().await;
    if let Err(failure) = &members {
        debug!(%failure, "the number of members of the coordination group is unknown");
    }
    Ok(FenceLog { newest, members: members.ok() })
}

async fn ask_read<P: Ports>(read: Read, ports: &P) -> ReadDone {
    match read {
        Read::ControlTopics { request } => {
            let outcome = ports.topic_reader().control().await;
            ReadDone::ControlTopics { request, outcome }
        }
        Read::MappingEnds { request, partitions } => {
            let outcome = ports.mappings().ends(&partitions).await;
            ReadDone::MappingEnds { request, outcome }
        }
        Read::Coordinators { request, side } => {
            let outcome = match side {
                Side::Source => ports.source_groups().coordinators().await,
                Side::Target => ports.target_groups().coordinators().await,
            };
            ReadDone::Coordinators { request, side, outcome }
        }
        Read::SourceGroups { request } => {
            let outcome = ports.source_groups().list().await;
            ReadDone::SourceGroups { request, outcome }
        }
        Read::TargetGroups { request } => {
            let outcome = ports.target_groups().list().await;
            ReadDone::TargetGroups { request, outcome }
        }
        Read::SourceOffsets { request, group, coordinator, coordinator_since } => {
            let groups = ports.source_groups();
            let outcome = groups.offsets(&group, coordinator, coordinator_since).await;
            ReadDone::SourceOffsets { request, outcome }
        }
        Read::TargetOffsets { request, group, coordinator_since, scope, stable } => {
            if !stable {
                failpoint::reach(Point::HalfWritten, &group).await;
            }
            let groups = ports.target_groups();
            let outcome = groups.offsets(&group, coordinator_since, &scope, stable).await;
            if stable {
                failpoint::reach(Point::BeforeDecision, &group).await;
            }
            ReadDone::TargetOffsets { request, outcome }
        }
        Read::Topics { request, source, target, source_ends } => {
            let outcome = ports.topic_reader().topics(&source, &target, &source_ends).await;
            ReadDone::Topics { request, outcome }
        }
    }
}

async fn ask_commit<P: Ports>(commit: Commit, ports: &P) -> CommitDone {
    match commit {
        Commit::WriteHalf { request, shard, fence, group, offsets } => {
            failpoint::reach(Point::Decided, &group).await;
            let outcome = ports.transactions().write_offsets(shard, fence, &group, &offsets).await;
            CommitDone::HalfWritten { request, outcome }
        }
        Commit::End { request, shard, fence, group, end } => {
            failpoint::reach(Point::Verified, &group).await;
            let outcome = ports.transactions().end(shard, fence, end).await;
            CommitDone::Ended { request, outcome }
        }
        Commit::Plain { request, group, offsets, not_after } => {
            failpoint::reach(Point::Decided, &group).await;
            let outcome = ports.target_groups().commit(&group, &offsets, not_after).await;
            CommitDone::Plain { request, outcome }
        }
    }
}

/// Writes one log line per note. The fields are for machines: a verdict's line has its reason, a
/// commit's line all of its parts.
fn log(note: &Note) {
    if let Note::Committed { group, target, from, to, source, verdict, re_read } = note {
        info!(
            event = "committed",
            group = group.as_str(),
            topic = target.topic.as_str(),
            partition = target.partition,
            from = from.map(|from| from.get()),
            offset = to.get(),
            source_offset = source.get(),
            reason = verdict.name(),
            re_read,
            "{note}"
        );
        return;
    }
    let (event, reason) = (note.name(), note.reason());
    match note.level() {
        Level::Debug => debug!(event, reason, "{note}"),
        Level::Info => info!(event, reason, "{note}"),
        Level::Warn => warn!(event, reason, "{note}"),
        Level::Error => error!(event, reason, "{note}"),
    }
}
