//! The records of `__consumer_offsets` that carry committed offsets, as brokers write them
//! (`OffsetCommitKey.json`, `OffsetCommitValue.json`). Written only for the tests, and deliberately
//! not shared with Sprag: an oracle that used the code under test would share its mistakes.

#[cfg(test)]
mod tests;

/// What one record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OffsetRecord {
    /// A committed offset.
    Commit(CommitKey, CommitValue),
    /// The offset with this key is gone: it expired, or was deleted with its group or topic.
    Tombstone(CommitKey),
    /// A record about groups, not offsets, with its type number.
    Other(i16),
}

/// What identifies a committed offset.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CommitKey {
    pub(crate) group: String,
    pub(crate) topic: String,
    pub(crate) partition: i32,
}

/// What was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommitValue {
    /// Negative means that there is no offset. Some clients commit that.
    pub(crate) offset: i64,
    pub(crate) metadata: String,
    /// When the broker accepted it, by its own clock, in milliseconds since the epoch.
    pub(crate) commit_timestamp: i64,
    /// -1 if there is none, as in all values before version 3.
    pub(crate) leader_epoch: i32,
    /// Present from version 4 on, if the broker knew it.
    pub(crate) topic_id: Option<[u8; 16]>,
}

/// Decodes one record. The error says what is wrong. A value of an unknown version is an error.
pub(crate) fn decode(key: &[u8], value: Option<&[u8]>) -> Result<OffsetRecord, String> {
    let mut reader = Reader(key);
    let record_type = reader.i16("the record type")?;
    if !matches!(record_type, 0 | 1) {
        return Ok(OffsetRecord::Other(record_type));
    }
    let key = CommitKey {
        group: reader.string("the group")?,
        topic: reader.string("the topic")?,
        partition: reader.i32("the partition")?,
    };
    reader.end("the key")?;
    match value {
        None => Ok(OffsetRecord::Tombstone(key)),
        Some(value) => Ok(OffsetRecord::Commit(key, decode_value(value)?)),
    }
}

fn decode_value(value: &[u8]) -> Result<CommitValue, String> {
    let mut reader = Reader(value);
    let version = reader.i16("the value version")?;
    if !(0..=4).contains(&version) {
        return Err(format!("unknown value version {version}, expected 0 to 4"));
    }
    let offset = reader.i64("the offset")?;
    let leader_epoch = if version >= 3 { reader.i32("the leader epoch")? } else { -1 };
    let metadata = match version {
        4 => reader.compact_string("the metadata")?,
        _ => reader.string("the metadata")?,
    };
    let commit_timestamp = reader.i64("the commit timestamp")?;
    if version == 1 {
        reader.i64("the expire timestamp")?;
    }
    let topic_id = if version == 4 { reader.topic_id()? } else { None };
    reader.end("the value")?;
    Ok(CommitValue { offset, metadata, commit_timestamp, leader_epoch, topic_id })
}

/// The bytes that are left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize, what: &str) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(|| {
            format!("{what} needs {count} bytes, but only {} are left", self.0.len())
        })?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], String> {
        self.bytes(N, what)?.try_into().map_err(|_| format!("{what} is not {N} bytes long"))
    }

    fn i16(&mut self, what: &str) -> Result<i16, String> {
        self.array(what).map(i16::from_be_bytes)
    }

    fn i32(&mut self, what: &str) -> Result<i32, String> {
        self.array(what).map(i32::from_be_bytes)
    }

    fn i64(&mut self, what: &str) -> Result<i64, String> {
        self.array(what).map(i64::from_be_bytes)
    }

    fn string(&mut self, what: &str) -> Result<String, String> {
        let length = self.i16(what)?;
        let length = usize::try_from(length).map_err(|_| format!("{what} is null"))?;
        self.utf8(length, what)
    }

    fn compact_string(&mut self, what: &str) -> Result<String, String> {
        let length = self.unsigned_varint(what)?;
        let length = length.checked_sub(1).ok_or_else(|| format!("{what} is null"))?;
        self.utf8(length, what)
    }

    fn utf8(&mut self, length: usize, what: &str) -> Result<String, String> {
        let bytes = self.bytes(length, what)?;
        String::from_utf8(bytes.to_vec()).map_err(|error| format!("{what}: {error}"))
    }

    /// 7 bits per byte, the lowest first, at most 5 bytes.
    fn unsigned_varint(&mut self, what: &str) -> Result<usize, String> {
        let mut value = 0_u64;
        for group in 0..5 {
            let [byte] = self.array(what)?;
            value |= u64::from(byte & 0x7f) << (7 * group);
            if byte & 0x80 == 0 {
                return usize::try_from(value).map_err(|error| format!("{what}: {error}"));
            }
        }
        Err(format!("{what} is a varint of more than 5 bytes"))
    }

    /// Reads the tagged fields of version 4. Tag 0 is the topic id.
    fn topic_id(&mut self) -> Result<Option<[u8; 16]>, String> {
        let mut topic_id = None;
        for _ in 0..self.unsigned_varint("the number of tagged fields")? {
            let tag = self.unsigned_varint("a tag")?;
            let size = self.unsigned_varint("the size of a tagged field")?;
            let field = self.bytes(size, "a tagged field")?;
            if tag == 0 {
                let id: [u8; 16] =
                    field.try_into().map_err(|_| format!("a topic id of {size} bytes"))?;
                topic_id = (id != [0; 16]).then_some(id);
            }
        }
        Ok(topic_id)
    }

    fn end(&self, what: &str) -> Result<(), String> {
        match self.0.len() {
            0 => Ok(()),
            left => Err(format!("{left} bytes are left after {what}")),
        }
    }
}
