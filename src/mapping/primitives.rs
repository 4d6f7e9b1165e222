//! Kafka's primitive types: big-endian numbers, length-prefixed strings and unsigned varints.

use alloc::vec::Vec;

use super::skip::{Flaw, Skip};

/// Reads a record from front to back.
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
        let left = self.rest.len();
        let (head, rest) =
            self.rest.split_first_chunk::<N>().ok_or(Skip::Truncated { field, needed: N, left })?;
        self.rest = rest;
        Ok(*head)
    }

    pub(super) fn int16(&mut self, field: &'static str) -> Result<i16, Skip> {
        self.array(field).map(i16::from_be_bytes)
    }

    pub(super) fn int64(&mut self, field: &'static str) -> Result<i64, Skip> {
        self.array(field).map(i64::from_be_bytes)
    }

    /// Reads an INT64 that must not be negative.
    pub(super) fn offset(&mut self, field: &'static str) -> Result<i64, Skip> {
        let offset = self.int64(field)?;
        not_negative(field, offset)?;
        Ok(offset)
    }

    /// Reads an INT32 that must not be negative.
    pub(super) fn partition(&mut self, field: &'static str) -> Result<i32, Skip> {
        let index = self.array(field).map(i32::from_be_bytes)?;
        not_negative(field, i64::from(index))?;
        Ok(index)
    }

    /// Reads a STRING (an INT16 length, then UTF-8) that is a name: not empty, and without control
    /// characters.
    pub(super) fn name(&mut self, field: &'static str) -> Result<&'a str, Skip> {
        let malformed = |flaw| Skip::Malformed { field, flaw };
        let len = self.int16(field)?;
        not_negative(field, i64::from(len))?;
        let (needed, left) = (usize::from(len.unsigned_abs()), self.rest.len());
        let (head, rest) =
            self.rest.split_at_checked(needed).ok_or(Skip::Truncated { field, needed, left })?;
        self.rest = rest;
        let name = core::str::from_utf8(head).map_err(|_| malformed(Flaw::NotUtf8))?;
        match name_flaw(name) {
            None => Ok(name),
            Some(flaw) => Err(malformed(flaw)),
        }
    }

    /// Reads an UNSIGNED_VARINT of up to 64 bits: 7 bits per byte, lowest group first.
    pub(super) fn varint(&mut self, field: &'static str) -> Result<u64, Skip> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array(field)?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte can only hold the 64th bit.
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Skip::Malformed { field, flaw: Flaw::LongVarint })
    }
}

/// The reason why a string is not a valid name, or `None` if it is one.
pub(super) fn name_flaw(name: &str) -> Option<Flaw> {
    if name.is_empty() {
        Some(Flaw::Empty)
    } else if name.chars().any(char::is_control) {
        Some(Flaw::ControlCharacter)
    } else {
        None
    }
}

/// Appends an UNSIGNED_VARINT.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn not_negative(field: &'static str, number: i64) -> Result<(), Skip> {
    if number < 0 {
        let flaw = Flaw::Negative(number);
        Err(Skip::Malformed { field, flaw })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn varint(bytes: &[u8]) -> Result<u64, Skip> {
        Reader::new(bytes).varint("count")
    }

    #[test]
    fn varints_hold_64_bits_and_no_more() {
        let largest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(varint(&largest), Ok(u64::MAX));
        let too_long = Err(Skip::Malformed { field: "count", flaw: Flaw::LongVarint });
        let mut one_bit_more = largest;
        one_bit_more[9] = 0x02;
        assert_eq!(varint(&one_bit_more), too_long);
        assert_eq!(varint(&[0x80; 11]), too_long);
        let cut = Err(Skip::Truncated { field: "count", needed: 1, left: 0 });
        assert_eq!(varint(&largest[..9]), cut);
        assert_eq!(varint(&[]), cut);
    }

    #[test]
    fn an_invalid_name_is_refused_with_the_reason() {
        let read = |bytes: &[u8]| Reader::new(bytes).name("topic").map(str::to_owned);
        let malformed = |flaw| {
            let field = "topic";
            Err(Skip::Malformed { field, flaw })
        };
        assert_eq!(read(b"\0\x02ab"), Ok("ab".to_owned()));
        assert_eq!(read(b"\0\0"), malformed(Flaw::Empty));
        assert_eq!(read(b"\xff\xffab"), malformed(Flaw::Negative(-1)));
        assert_eq!(read(b"\0\x01\xff"), malformed(Flaw::NotUtf8));
        assert_eq!(read(b"\0\x02a\0"), malformed(Flaw::ControlCharacter));
        let truncated = Skip::Truncated { field: "topic", needed: 3, left: 2 };
        assert_eq!(read(b"\0\x03ab"), Err(truncated));
    }

    proptest! {
        #[test]
        fn varints_come_back(value in any::<u64>(), shift in 0..64_u32) {
            let value = value >> shift;
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            let bits = 64 - value.leading_zeros().min(63);
            prop_assert_eq!(bytes.len(), bits.div_ceil(7) as usize);
            prop_assert_eq!(varint(&bytes), Ok(value));
        }
    }
}
