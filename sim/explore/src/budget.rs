//! How often each kind of event may happen in a world.

/// What may still happen. Every amount only decreases, which makes a world finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    /// For each instance: how often its clock may jump to its core's next deadline.
    pub ticks: u8,
    /// Mapping records that the replicator may still publish.
    pub publications: u8,
    /// Commits that the group may still make on the source.
    pub source_commits: u8,
    /// Times that the coordination group may take the shard away without asking.
    pub losses_of_shard: u8,
    /// Times that the coordination group may revoke the shard and wait for it to be released.
    pub revocations: u8,
    /// Instances that may be killed and restarted.
    pub crashes: u8,
    /// Requests or answers that may be lost.
    pub lost: u8,
    /// Source reads that a former coordinator may answer.
    pub stale_source_reads: u8,
    /// Reads of the mapping log end offsets that a lagging replica may answer.
    pub stale_ends: u8,
    /// Commits on the target by a consumer that is not a member of the group.
    pub foreign_commits: u8,
    /// Times that a consumer may join the group on the target. It may commit, and it may leave.
    pub joins: u8,
    /// Transactions that the broker may abort because they took too long.
    pub timeouts: u8,
    /// Requests of a transaction that may be delayed while their client retries.
    pub late: u8,
}

impl Budget {
    /// Only what instances do by themselves, without their clocks.
    #[must_use]
    pub const fn nothing() -> Self {
        Self {
            ticks: 0,
            publications: 0,
            source_commits: 0,
            losses_of_shard: 0,
            revocations: 0,
            crashes: 0,
            lost: 0,
            stale_source_reads: 0,
            stale_ends: 0,
            foreign_commits: 0,
            joins: 0,
            timeouts: 0,
            late: 0,
        }
    }

    /// A change of owner, a stale source read and a foreign commit. Small enough for every change of the
    /// code.
    #[must_use]
    pub const fn small() -> Self {
        Self {
            ticks: 1,
            publications: 0,
            source_commits: 1,
            losses_of_shard: 1,
            revocations: 0,
            crashes: 0,
            lost: 0,
            stale_source_reads: 1,
            stale_ends: 0,
            foreign_commits: 1,
            joins: 0,
            timeouts: 0,
            late: 0,
        }
    }

    /// A late request of a transaction, and a foreign commit.
    #[must_use]
    pub const fn late() -> Self {
        Self { ticks: 1, source_commits: 1, foreign_commits: 1, late: 1, ..Self::nothing() }
    }

    /// New mappings: an instance is killed and reads them again, and a lagging replica returns a log end
    /// offset that is too low.
    #[must_use]
    pub const fn mappings() -> Self {
        Self {
            ticks: 1,
            publications: 1,
            source_commits: 1,
            losses_of_shard: 0,
            revocations: 0,
            crashes: 1,
            lost: 0,
            stale_source_reads: 0,
            stale_ends: 1,
            foreign_commits: 0,
            joins: 0,
            timeouts: 0,
            late: 0,
        }
    }

    /// A change of owner, a lost answer, a transaction that takes too long, and a member that joins and
    /// commits.
    #[must_use]
    pub const fn full() -> Self {
        Self {
            ticks: 1,
            publications: 0,
            source_commits: 1,
            losses_of_shard: 1,
            revocations: 0,
            crashes: 0,
            lost: 1,
            stale_source_reads: 0,
            stale_ends: 0,
            foreign_commits: 0,
            joins: 1,
            timeouts: 1,
            late: 0,
        }
    }

    /// Changes one amount, given as text such as `lost=2`.
    ///
    /// # Errors
    ///
    /// Why the text is invalid.
    pub fn set(&mut self, change: &str) -> Result<(), String> {
        let (name, amount) = change
            .split_once('=')
            .ok_or_else(|| "expected name=number, such as lost=2".to_owned())?;
        let amount = amount.parse().map_err(|error| format!("{amount}: {error}"))?;
        let place = match name {
            "ticks" => &mut self.ticks,
            "publications" => &mut self.publications,
            "source_commits" => &mut self.source_commits,
            "losses_of_shard" => &mut self.losses_of_shard,
            "revocations" => &mut self.revocations,
            "crashes" => &mut self.crashes,
            "lost" => &mut self.lost,
            "stale_source_reads" => &mut self.stale_source_reads,
            "stale_ends" => &mut self.stale_ends,
            "foreign_commits" => &mut self.foreign_commits,
            "joins" => &mut self.joins,
            "timeouts" => &mut self.timeouts,
            "late" => &mut self.late,
            _ => {
                return Err(format!(
                    "unknown amount {name:?}; see Budget in sim/explore/src/budget.rs"
                ));
            }
        };
        *place = amount;
        Ok(())
    }
}
