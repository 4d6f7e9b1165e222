//! Kafka's primitive types: big-endian numbers, length-prefixed strings, unsigned varints.

use super::skip::Skip;

/// Reads a record from its front.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Skip> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(Skip::Truncated { field })?;
        self.rest = rest;
        Ok(*head)
    }

    pub(super) fn int16(&mut self, field: &'static str) -> Result<i16, Skip> {
        self.array(field).map(i16::from_be_bytes)
    }

    pub(super) fn int32(&mut self, field: &'static str) -> Result<i32, Skip> {
        self.array(field).map(i32::from_be_bytes)
    }

    pub(super) fn int64(&mut self, field: &'static str) -> Result<i64, Skip> {
        self.array(field).map(i64::from_be_bytes)
    }

    /// A number that cannot be negative.
    pub(super) fn offset(&mut self, field: &'static str) -> Result<i64, Skip> {
        let offset = self.int64(field)?;
        if offset < 0 { Err(Skip::Malformed { field, reason: "negative" }) } else { Ok(offset) }
    }

    pub(super) fn partition(&mut self, field: &'static str) -> Result<i32, Skip> {
        let index = self.int32(field)?;
        if index < 0 { Err(Skip::Malformed { field, reason: "negative" }) } else { Ok(index) }
    }

    /// `STRING`: an INT16 length, then UTF-8.
    pub(super) fn string(&mut self, field: &'static str) -> Result<&'a str, Skip> {
        let negative = Skip::Malformed { field, reason: "negative length" };
        let len = usize::try_from(self.int16(field)?).map_err(|_| negative)?;
        let (head, rest) = self.rest.split_at_checked(len).ok_or(Skip::Truncated { field })?;
        self.rest = rest;
        std::str::from_utf8(head).map_err(|_| Skip::Malformed { field, reason: "not UTF-8" })
    }

    /// `UNSIGNED_VARINT`, up to 64 bits: 7 bits a byte, low group first.
    pub(super) fn varint(&mut self, field: &'static str) -> Result<u64, Skip> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array(field)?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Skip::Malformed { field, reason: "longer than 64 bits" })
    }
}

pub(super) fn put_string(out: &mut Vec<u8>, text: &str) -> Option<()> {
    let len = i16::try_from(text.len()).ok()?;
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
    Some(())
}

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
