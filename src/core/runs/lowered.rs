//! Where translations fell, and which record showed it.

use super::super::ids::MappingOffset;

/// More notes than this are made coarser: two become one that covers both.
const MOST_NOTES: usize = 256;

/// Source ranges whose translation fell, each with the as-of behind the record that showed it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Lowered {
    notes: Vec<Note>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Note {
    from: i64,
    /// Open-ended where nothing is known behind it.
    until: Option<i64>,
    as_of: MappingOffset,
}

impl Lowered {
    /// Translations of `[from, until)` fell by a record below `as_of`.
    pub(super) fn note(&mut self, from: i64, until: Option<i64>, as_of: MappingOffset) {
        let note = Note { from, until, as_of };
        self.notes.retain(|old| !(note.covers(old) && note.as_of >= old.as_of));
        self.notes.push(note);
        if self.notes.len() > MOST_NOTES {
            self.coarsen();
        }
    }

    /// Whether the translation of `position` fell by a record at or above `as_of`.
    pub(super) fn after(&self, position: i64, as_of: MappingOffset) -> bool {
        self.notes.iter().any(|note| note.as_of > as_of && note.holds(position))
    }

    /// One note for the two oldest. It may say "fell" of a position between them that did not: a
    /// stored offset there is then lowered to the translation, which re-reads and never skips.
    fn coarsen(&mut self) {
        let (first, second) = (self.notes[0], self.notes[1]);
        let both = Note {
            from: first.from.min(second.from),
            until: first.until.zip(second.until).map(|(first, second)| first.max(second)),
            as_of: first.as_of.max(second.as_of),
        };
        self.notes.splice(0..2, [both]);
    }
}

impl Note {
    fn holds(&self, position: i64) -> bool {
        self.from <= position && self.until.is_none_or(|until| position < until)
    }

    fn covers(&self, other: &Self) -> bool {
        let behind = match (self.until, other.until) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(ours), Some(theirs)) => theirs <= ours,
        };
        self.from <= other.from && behind
    }
}
