//! How a group's round ends, and when the next one is due.

use alloc::collections::BTreeSet;
use core::time::Duration;

use super::super::coordinators::Side;
use super::super::decide::{self, Decision};
use super::super::failure::{Failure, FailureClass};
use super::super::group::Stage;
use super::super::ids::{GroupId, TargetPartition};
use super::super::note::Note;
use super::super::planted::{Bug, has};
use super::super::policy::OnActiveGroup;
use super::super::time::Instant;
use super::Core;
use super::timing::BackOff;

/// After this many rounds without a change the group is polled less often, and then again, ...
const IDLE_ROUNDS: u32 = 12;
/// ... but never less often than at this multiple of the poll interval.
const IDLE_MOST: u32 = 4;
/// How long a foreign transaction may be pending before it is reported as a hold: the longest
/// `transaction.timeout.ms` that brokers allow by default is 15 minutes, most clients' is one.
const PENDING_IS_NORMAL: Duration = Duration::from_secs(60);

impl Core {
    /// The round came to a good end; the next one is due after the poll interval, later for an idle
    /// group, sooner where a source read waits to be confirmed.
    pub(super) fn round_ended(&mut self, name: &GroupId) {
        let policy = self.policy();
        let (poll, confirm, refresh) =
            (policy.poll_interval, policy.confirm_after, policy.refresh_interval);
        let now = self.now;
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        group.failures = 0;
        let idle = (1 + group.idle / IDLE_ROUNDS).min(IDLE_MOST);
        let interval = if group.on_source { poll.saturating_mul(idle) } else { refresh / 2 };
        let confirms = group.source.confirm_due(confirm).unwrap_or(now + interval);
        let due = confirms.min(now + interval).max(now + Duration::from_millis(1));
        self.rest(name, due);
    }

    /// A transaction with offsets of the group is pending, so that nobody knows what will be stored.
    /// For a while that is every commit's way; one that lasts is a hold, and needs somebody to look.
    pub(super) fn transaction_pending(
        &mut self,
        name: GroupId,
        pending: &BTreeSet<TargetPartition>,
        failure: Failure,
    ) {
        let now = self.now;
        let Some(group) = self.groups.get_mut(&name) else {
            return;
        };
        let since = *group.pending_since.get_or_insert(now);
        if now.since(since) < PENDING_IS_NORMAL {
            return self.round_failed(name, failure);
        }
        let decision = Decision {
            verdicts: decide::held_by_pending(&self.index, &group.source, pending),
            ..Decision::default()
        };
        self.tell_verdicts(&name, &decision);
        self.round_ended(&name);
    }

    /// The round came to nothing; it is tried again after a back-off of this group alone.
    pub(super) fn round_failed(&mut self, name: GroupId, failure: Failure) {
        if self.fail_if_stop(&failure) {
            return;
        }
        let Some(group) = self.groups.get_mut(&name) else {
            return;
        };
        group.failures = group.failures.saturating_add(1);
        let failures = group.failures;
        let fail_when_active = self.policy().on_active_group == OnActiveGroup::Fail;
        if failure.class == FailureClass::GroupActive && fail_when_active {
            return self
                .fail(format!("{failure}; errorHandling.onActiveConsumerGroupCommit is fail"));
        }
        let due = match has(Bug::FailedRoundForgotten) {
            true => self.now + Duration::from_secs(24 * 3600),
            false => self.now + self.back_off(failures, BackOff::after(&failure)),
        };
        self.rest(&name, due);
        self.outage_for_all(&failure);
        // An outage fails every group again and again; ever fewer of these are news.
        if failures.is_power_of_two() {
            self.report(Note::GroupFailed { group: name, failure });
        }
    }

    pub(super) fn rest(&mut self, name: &GroupId, due: Instant) {
        let coordinator = self.coordinator(Side::Source, name);
        if let Some(group) = self.groups.get_mut(name) {
            group.stage = Stage::Resting { due };
            self.agenda.plan(due, name.clone(), group.failures > 0, coordinator);
        }
    }
}
