//! Bytes as a list of choices. Where they end, every further choice is the first one: so that short
//! inputs mean something, and zeros are what is usual.

/// Choices, taken from the front.
pub(super) struct Choices<'a> {
    rest: &'a [u8],
}

impl<'a> Choices<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether all that follows are zeros that nobody chose.
    pub(super) fn is_over(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else {
            return 0;
        };
        self.rest = rest;
        *first
    }

    /// One of `0..count`.
    pub(super) fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count.max(1)
    }

    /// True once in `times`, and never by default.
    pub(super) fn rarely(&mut self, times: u8) -> bool {
        self.byte() % times == times - 1
    }

    pub(super) fn flag(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    pub(super) fn of<T: Clone>(&mut self, options: &[T]) -> T {
        options[self.below(options.len())].clone()
    }

    pub(super) fn word(&mut self) -> u32 {
        u32::from_be_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    pub(super) fn long(&mut self) -> u64 {
        u64::from(self.word()) << 32 | u64::from(self.word())
    }

    /// A number that others are likely to be equal to, or next to; now and then any at all.
    pub(super) fn number(&mut self) -> i64 {
        match self.byte() {
            small @ 0..=199 => i64::from(small % 8),
            200..=219 => i64::MAX - i64::from(self.byte() % 4),
            220..=229 => i64::from(u32::MAX) + i64::from(self.byte() % 4),
            230..=255 => self.long().cast_signed(),
        }
    }

    /// A number of that kind which is not negative.
    pub(super) fn natural(&mut self) -> i64 {
        self.number() & i64::MAX
    }

    /// The next `count` bytes, or what is left of them.
    pub(super) fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// As many bytes as the next one says.
    pub(super) fn some_bytes(&mut self) -> &'a [u8] {
        let count = usize::from(self.byte());
        self.bytes(count)
    }

    /// A text of up to 255 bytes.
    pub(super) fn text(&mut self) -> String {
        String::from_utf8_lossy(self.some_bytes()).into_owned()
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }
}
