//! Counts the members of the coordination group.

use std::rc::Rc;
use std::time::Duration;

use crate::kafka::client::AdminClient;
use crate::kafka::errors::Doing;
use crate::kafka::lookups::Lookups;
use sprag_core::failure::Failure;
use sprag_core::ids::{BrokerId, GroupId};

/// The time limit of a request. It delays a take-over.
const PATIENCE: Duration = Duration::from_secs(5);

/// Counts the members of a group. The instance that counts need not be a member.
pub struct MemberCount {
    admin: Rc<AdminClient>,
    lookups: Lookups,
    group: GroupId,
}

impl MemberCount {
    /// The members of `group` on the cluster that `admin` is connected to.
    #[must_use]
    pub fn of(group: &str, admin: Rc<AdminClient>) -> Self {
        Self { lookups: Lookups::new(Rc::clone(&admin)), admin, group: GroupId::from(group) }
    }

    /// The present number of members.
    ///
    /// # Errors
    ///
    /// If the group's coordinator does not answer. Classified by the error table.
    pub async fn read(&self) -> Result<usize, Failure> {
        let group = &self.group;
        // Take-overs are rare, and a lost broker is a common cause, so the coordinator is always looked up
        // again.
        let (live, at) = self.lookups.coordinator(group, Some(self.admin.now())).await?;
        let described = live.admin.describe_group(group.as_str(), at.map(BrokerId::get), PATIENCE);
        let described = described.await;
        self.lookups.answered(at, group, described.as_ref().err());
        let what = format!("describing the coordination group {group}");
        described
            .map(|described| described.members)
            .map_err(|error| self.admin.failed(&error, Doing::Reading, &what))
    }
}
