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

/// Each time this many rounds pass without a change, the group's interval grows by one poll interval.
const IDLE_ROUNDS: u32 = 12;
/// The longest interval of an idle group, in poll intervals.
const IDLE_MOST: u32 = 4;
/// How long a foreign transaction may be pending before its partitions are held. Most clients set
/// `transaction.timeout.ms` to one minute; brokers allow 15 minutes by default.
const PENDING_IS_NORMAL: Duration = Duration::from_secs(60);

impl Core {
    /// Ends a round that succeeded. The next one is due after the poll interval: later if the group is idle
    /// or not on the source, sooner if a source read waits to be confirmed.
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

    /// A transaction with offsets of the group is pending, so that it is not known what will be stored. For a
    /// short time that is normal. If it lasts, the partitions are held, and somebody should look.
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
        self.report_verdicts(&name, &decision);
        self.round_ended(&name);
    }

    /// Ends a round that failed. It is tried again after the group's own back-off.
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
            return self.fail(format!(
                "group {name}: {failure}, and errorHandling.onActiveConsumerGroupCommit is fail. \
                 Stop its consumers on the target, exclude the group, or set the key to ignore"
            ));
        }
        let due = match has(Bug::FailedRoundForgotten) {
            true => self.now + Duration::from_secs(24 * 3600),
            false => self.now + self.back_off(failures, BackOff::after(&failure)),
        };
        self.rest(&name, due);
        self.outage_for_all(&failure);
        // An outage fails every group again and again, so the reports become ever rarer.
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
