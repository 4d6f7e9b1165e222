//! The target brokers' limits on the length of a commit's metadata and on its total size. They are learned
//! from refusals, because reading them needs an extra right (`docs/protocol.md`, "Compare-and-swap").

use super::stamp::METADATA_MAX_UNITS;

/// The most bytes that one commit holds. A broker appends a commit as one batch to `__consumer_offsets`,
/// whose `max.message.bytes` is 1 MiB by default.
const MOST_BYTES: usize = 512 * 1024;
/// The size of a record of `__consumer_offsets` in bytes, without names and metadata.
const RECORD_BYTES: usize = 100;
/// Each commit that needed the size limit raises it by 1/`GROWTH` of itself.
const GROWTH: usize = 16;
/// After this many refusals of metadata, the limit is searched by halving.
const TRIED_ONE_BY_ONE: u32 = 4;

/// What is known about the brokers' limits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CommitLimits {
    /// The longest metadata that was accepted since the first refusal, in UTF-16 code units.
    fits: usize,
    /// The shortest metadata that was refused, in UTF-16 code units.
    refused: Option<usize>,
    /// How often metadata was refused.
    refusals: u32,
    /// The most bytes that a commit may hold.
    bytes: usize,
}

impl CommitLimits {
    pub(crate) fn new() -> Self {
        Self { fits: 0, refused: None, refusals: 0, bytes: MOST_BYTES }
    }

    /// The longest metadata to try, in UTF-16 code units: just below the shortest that was refused. After
    /// some refusals it is half-way between what was accepted and what was refused, so that few more follow.
    pub(crate) fn metadata_units(&self) -> usize {
        match self.refused {
            None => METADATA_MAX_UNITS,
            Some(refused) if self.refusals <= TRIED_ONE_BY_ONE => refused.saturating_sub(1),
            Some(refused) => self.fits + refused.saturating_sub(self.fits) / 2,
        }
    }

    /// The most bytes that a commit may hold. A single partition may exceed it.
    pub(crate) fn commit_bytes(&self) -> usize {
        self.bytes
    }

    /// A commit was refused for the length of its metadata, which was up to `longest` units. Returns false
    /// if the longest stamp alone, `stamp_units`, is as long: leaving out the source's metadata does not
    /// help then.
    pub(crate) fn metadata_refused(&mut self, longest: usize, stamp_units: usize) -> bool {
        let refused = self.refused.map_or(longest, |refused| refused.min(longest));
        self.refused = Some(refused);
        self.refusals = self.refusals.saturating_add(1);
        self.fits = self.fits.min(refused.saturating_sub(1));
        stamp_units < longest
    }

    /// A commit was accepted, with metadata of up to `longest` units.
    pub(crate) fn metadata_accepted(&mut self, longest: usize) {
        if let Some(refused) = &mut self.refused {
            self.fits = self.fits.max(longest);
            *refused = (*refused).max(self.fits + 1);
        }
    }

    /// A commit of `bytes` bytes was refused, perhaps for its size: brokers of Apache Kafka 4 do not say.
    pub(crate) fn commit_refused(&mut self, bytes: usize) {
        self.bytes = (bytes / 2).max(1);
    }

    /// A commit that was made smaller to keep the size limit was accepted. The limit rises slowly, because
    /// it may have been learned from an error that had another cause.
    pub(crate) fn commit_accepted(&mut self) {
        let more = self.bytes / GROWTH + 1;
        self.bytes = self.bytes.saturating_add(more).min(MOST_BYTES);
    }
}

/// The number of bytes that one partition's offset takes in a commit.
pub(crate) fn partition_bytes(group: &str, topic: &str, metadata: &str) -> usize {
    group.len() + topic.len() + metadata.len() + RECORD_BYTES
}

/// The length of a commit's metadata in UTF-16 code units, as brokers count it.
pub(crate) fn units(metadata: &str) -> usize {
    metadata.encode_utf16().count()
}

/// The length of the stamp alone, in UTF-16 code units. A stamp contains no `|`.
pub(crate) fn stamp_units(metadata: &str) -> usize {
    units(metadata.split_once('|').map_or(metadata, |(stamp, _)| stamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_found_by_halving() {
        for limit in [121, 300, 1000, 4095] {
            let mut limits = CommitLimits::new();
            let mut refusals = 0;
            let longest = loop {
                let tried = limits.metadata_units();
                if tried <= limit {
                    limits.metadata_accepted(tried);
                    if limits.metadata_units() == tried {
                        break tried;
                    }
                } else {
                    refusals += 1;
                    assert!(limits.metadata_refused(tried, 120));
                }
            };
            assert_eq!(longest, limit);
            assert!(refusals <= 16, "{refusals}");
        }
    }

    #[test]
    fn a_limit_that_was_learned_by_mistake_is_forgotten() {
        let mut limits = CommitLimits::new();
        limits.commit_refused(500);
        assert_eq!(limits.commit_bytes(), 250);
        (0..200).for_each(|_| limits.commit_accepted());
        assert_eq!(limits.commit_bytes(), MOST_BYTES);
    }

    #[test]
    fn leaving_out_metadata_does_not_help_a_stamp_that_is_too_long() {
        let mut limits = CommitLimits::new();
        assert!(!limits.metadata_refused(120, 120));
    }

    #[test]
    fn lengths_count_utf_16_units_and_sizes_count_bytes() {
        assert_eq!(stamp_units("k2k_v1:a|grüße"), 8);
        assert_eq!(stamp_units("k2k_v1:a"), 8);
        assert_eq!(units("😀|"), 3);
        assert_eq!(partition_bytes("g", "topic", "ü"), 8 + RECORD_BYTES);
    }
}
