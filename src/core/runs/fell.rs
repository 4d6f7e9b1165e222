//! Compares a part of a staircase before and after a change, to find where translations fell.

use alloc::vec::Vec;

use super::span::Span;

/// Source positions `[from, until)`; without `until`, all positions from `from` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Positions {
    pub(super) from: i64,
    pub(super) until: Option<i64>,
}

/// The positions whose translation fell when the spans `before` became `after`: ascending ranges that do
/// not touch. A position that had a translation and no longer has one fell, too. One that had none did not.
pub(super) fn fell(before: &[Span], after: &[Span]) -> Vec<Positions> {
    let (before, after) = (pieces(before), pieces(after));
    let mut edges: Vec<i64> = before.iter().chain(&after).map(|p| p.from).collect();
    edges.sort_unstable();
    edges.dedup();
    let mut found: Vec<Positions> = Vec::new();
    for (nth, from) in edges.iter().enumerate() {
        let stretch = Positions { from: *from, until: edges.get(nth + 1).copied() };
        let Some(before) = piece_at(&before, *from) else {
            continue;
        };
        let Some(lower) = lower_within(stretch, before, piece_at(&after, *from)) else {
            continue;
        };
        match found.last_mut() {
            Some(last) if last.until == Some(lower.from) => last.until = lower.until,
            Some(_) | None => found.push(lower),
        }
    }
    found
}

/// A piece of the translation: from `from` on it rises with the position (inside a run) or stays the same
/// (after a run).
#[derive(Clone, Copy)]
struct Piece {
    from: i64,
    target: i64,
    rises: bool,
}

impl Piece {
    fn at(self, position: i64) -> i64 {
        if self.rises { self.target + (position - self.from) } else { self.target }
    }
}

fn pieces(spans: &[Span]) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(spans.len() * 2);
    for (nth, span) in spans.iter().enumerate() {
        pieces.push(Piece { from: span.source, target: span.target, rises: true });
        let next = spans.get(nth + 1);
        if next.is_none_or(|next| next.source > span.end()) {
            pieces.push(Piece { from: span.end(), target: span.target_end(), rises: false });
        }
    }
    pieces
}

fn piece_at(pieces: &[Piece], position: i64) -> Option<Piece> {
    let behind = pieces.partition_point(|piece| piece.from <= position);
    pieces.get(behind.checked_sub(1)?).copied()
}

/// The part of `stretch` in which `after` is lower than `before`. Neither has an edge inside the stretch.
fn lower_within(stretch: Positions, before: Piece, after: Option<Piece>) -> Option<Positions> {
    let Some(after) = after else {
        return Some(stretch);
    };
    let Positions { from, until } = stretch;
    let drop = before.at(from) - after.at(from);
    match (before.rises, after.rises) {
        (true, true) | (false, false) => (drop > 0).then_some(stretch),
        // `after` rises by one per position until it has caught up.
        (false, true) => {
            let caught_up = from.saturating_add(drop.max(0));
            let until = until.map_or(caught_up, |until| until.min(caught_up));
            (from < until).then_some(Positions { from, until: Some(until) })
        }
        // `before` rises by one per position, so `after` is lower from some position on.
        (true, false) => {
            let falls = from.saturating_add(1_i64.saturating_sub(drop).max(0));
            until.is_none_or(|until| falls < until).then_some(Positions { from: falls, until })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fell_between(before: &[(i64, i64, i64)], after: &[(i64, i64, i64)]) -> Vec<Positions> {
        let spans = |runs: &[(i64, i64, i64)]| -> Vec<Span> {
            let span = |(source, target, len): &(i64, i64, i64)| Span {
                source: *source,
                target: *target,
                len: *len,
            };
            runs.iter().map(span).collect()
        };
        fell(&spans(before), &spans(after))
    }

    #[test]
    fn adjoining_positions_that_fell_are_one_range_and_others_are_left_out() {
        let before = [(0, 100, 10), (20, 200, 10), (40, 300, 10)];
        let after = [(0, 90, 10), (20, 200, 10), (40, 290, 10)];
        let first = Positions { from: 0, until: Some(20) };
        let last = Positions { from: 40, until: None };
        assert_eq!(fell_between(&before, &after), [first, last]);
    }

    #[test]
    fn translations_that_rise_or_stay_do_not_fall() {
        assert_eq!(fell_between(&[(0, 0, 5)], &[(0, 0, 10)]), []);
        assert_eq!(fell_between(&[(5, 5, 5)], &[(0, 0, 10)]), []);
        assert_eq!(fell_between(&[(0, 0, 5), (5, 9, 5)], &[(0, 0, 5), (5, 9, 5)]), []);
        assert_eq!(fell_between(&[], &[(0, 0, 5)]), []);
    }
}
