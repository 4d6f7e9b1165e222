//! Connections for reads that may wait at the broker.
//!
//! A group coordinator of Apache Kafka 4 answers a read of stable offsets only when everything that was
//! written to the group's partition of `__consumer_offsets` is replicated, or after
//! `offsets.commit.timeout.ms` (`GroupCoordinatorService.fetchOffsets`, KAFKA-17267). A broker answers the
//! requests of one connection one after the other. So a follower that lags would delay all requests to the
//! broker, if they shared a connection.

use std::rc::Rc;

use crate::kafka::client::AdminClient;

/// How many connections to each broker such reads have. Groups of the same partition share one.
const LANES: u32 = 4;

/// The clients for reads that may wait.
pub(super) struct Waiting(Vec<Rc<AdminClient>>);

impl Waiting {
    /// Clients of the cluster that `admin` is connected to. They connect when they are first used.
    pub(super) fn of(admin: &AdminClient) -> Self {
        Self((0..LANES).map(|_| Rc::new(admin.sibling())).collect())
    }

    /// The client for groups of this partition of `__consumer_offsets`.
    pub(super) fn lane(&self, partition: u32) -> &Rc<AdminClient> {
        &self.0[(partition % LANES) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::client::Properties;
    use crate::kafka::clock::ProcessClock;

    #[test]
    fn groups_of_one_partition_share_a_connection_and_others_mostly_do_not() {
        let admin = AdminClient::new(Properties::new(), "target", ProcessClock::start());
        let waiting = Waiting::of(&admin);
        let same = |one, other| Rc::ptr_eq(waiting.lane(one), waiting.lane(other));
        assert!(same(7, 7) && same(1, 1 + LANES));
        assert!(!same(0, 1) && !same(1, 2) && !same(2, 3) && !same(3, 4));
    }
}
