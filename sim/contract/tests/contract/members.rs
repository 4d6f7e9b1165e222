//! The members of a sequence's group, as they see themselves.

use std::collections::{BTreeMap, BTreeSet};

use sprag_sim::wire::Protocol;

use super::operation::{SLOTS, Stated, Who};

/// A member, or one that was.
#[derive(Clone, Debug, Default)]
pub(crate) struct Member {
    /// Its id; of its last membership, if it left.
    pub(crate) id: String,
    /// The generation, or member epoch, that it was told.
    pub(crate) generation: i32,
    /// The partitions that it was told to have.
    pub(crate) assigned: BTreeSet<i32>,
    /// What it speaks while it is a member.
    pub(crate) speaks: Option<Protocol>,
    /// Its JoinGroup has not been answered: its generation will be the next one.
    pub(crate) waits: bool,
}

/// All of them, and whether the members of a classic group have yet to join again.
#[derive(Clone, Debug)]
pub(crate) struct Members {
    pub(crate) slots: Vec<Member>,
    pub(crate) unsettled: bool,
}

impl Members {
    pub(crate) fn none() -> Self {
        let never = |slot| Member { id: format!("never-{slot}"), ..Member::default() };
        Self { slots: (0..SLOTS).map(never).collect(), unsettled: false }
    }

    /// The slots that are members.
    pub(crate) fn live(&self) -> Vec<usize> {
        (0..SLOTS).filter(|slot| self.slots[*slot].speaks.is_some()).collect()
    }

    /// The members of a classic group that have yet to join again.
    pub(crate) fn unaware(&self) -> Vec<usize> {
        self.live().into_iter().filter(|slot| !self.slots[*slot].waits).collect()
    }

    /// Nobody waits any more.
    pub(crate) fn settled(&mut self) {
        self.unsettled = false;
        self.slots.iter_mut().for_each(|member| member.waits = false);
    }

    /// What the members speak, if there are any.
    pub(crate) fn protocol(&self) -> Option<Protocol> {
        self.slots.iter().find_map(|member| member.speaks)
    }

    /// The member id that a request names.
    pub(crate) fn id(&self, who: Who) -> String {
        match who {
            Who::Slot(slot) => self.slots[slot].id.clone(),
            Who::Nobody => String::new(),
            Who::Stranger => "stranger".to_owned(),
        }
    }

    /// The generation that a request states. One before the first is the first.
    pub(crate) fn generation(&self, stated: Stated) -> i32 {
        match stated {
            Stated::Own(slot) => self.slots[slot].generation,
            Stated::Old(slot) => (self.slots[slot].generation - 1).max(0),
            Stated::Future(slot) => self.slots[slot].generation + 1,
            Stated::Nothing => -1,
        }
    }

    /// What each member was told: its generation, and how many partitions it has where it is the
    /// broker that shares them out.
    pub(crate) fn told(&self) -> BTreeMap<usize, (i32, usize)> {
        let told = |slot: usize| {
            let member = &self.slots[slot];
            let shared_out_here = member.speaks == Some(Protocol::Consumer);
            let count = if shared_out_here { member.assigned.len() } else { 0 };
            (slot, (member.generation, count))
        };
        self.live().into_iter().map(told).collect()
    }
}
