//! The members of a sequence's group, as they see themselves.

use std::collections::{BTreeMap, BTreeSet};

use sprag_sim::wire::Protocol;

use super::operation::{SLOTS, Stated, Who};

/// A current or former member.
#[derive(Clone, Debug, Default)]
pub(crate) struct Member {
    /// Its member id; after it left, the id that it had.
    pub(crate) id: String,
    /// The generation or member epoch that it was last given.
    pub(crate) generation: i32,
    /// The partitions that it was last assigned.
    pub(crate) assigned: BTreeSet<i32>,
    /// The group protocol that it uses; `None` if it is not a member.
    pub(crate) speaks: Option<Protocol>,
    /// Its JoinGroup has not been answered. `generation` is already the next one.
    pub(crate) waits: bool,
}

/// All members, and whether the members of a classic group still have to rejoin.
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

    /// The slots of current members.
    pub(crate) fn live(&self) -> Vec<usize> {
        (0..SLOTS).filter(|slot| self.slots[*slot].speaks.is_some()).collect()
    }

    /// The slots of current members that have not sent their next JoinGroup.
    pub(crate) fn unaware(&self) -> Vec<usize> {
        self.live().into_iter().filter(|slot| !self.slots[*slot].waits).collect()
    }

    /// No member waits any more.
    pub(crate) fn settled(&mut self) {
        self.unsettled = false;
        self.slots.iter_mut().for_each(|member| member.waits = false);
    }

    /// The members' group protocol, if there are members.
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

    /// The generation that a request states. An old generation is never below 0.
    pub(crate) fn generation(&self, stated: Stated) -> i32 {
        match stated {
            Stated::Own(slot) => self.slots[slot].generation,
            Stated::Old(slot) => (self.slots[slot].generation - 1).max(0),
            Stated::Future(slot) => self.slots[slot].generation + 1,
            Stated::Nothing => -1,
        }
    }

    /// For each member its generation and, if the broker assigns the partitions, how many it has.
    pub(crate) fn assignments(&self) -> BTreeMap<usize, (i32, usize)> {
        let assignments = |slot: usize| {
            let member = &self.slots[slot];
            let shared_out_here = member.speaks == Some(Protocol::Consumer);
            let count = if shared_out_here { member.assigned.len() } else { 0 };
            (slot, (member.generation, count))
        };
        self.live().into_iter().map(assignments).collect()
    }
}
