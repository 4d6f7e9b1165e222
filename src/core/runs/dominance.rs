//! Which copies stay when a run comes in: *(s, t) is kept iff no other known copy (s', t') has
//! s' ≥ s and t' ≤ t.* Pure functions over ascending spans.

use alloc::vec::Vec;

use super::span::Span;

/// The parts of `new` that no known copy dominates, ascending. `known` ascends: the last span that ends
/// at or below the target of `new`, and all behind it up to the first behind the source of `new`.
pub(super) fn clip(new: Span, known: &[Span]) -> Vec<Span> {
    let mut survivors = Vec::new();
    let mut at = new.source;
    for span in known.iter().filter(|span| span.end() > new.source) {
        // In the gap before this span only targets below its first survive.
        let gap_end = span.source.clamp(at, new.end());
        let below = span.target.saturating_sub(new.delta());
        survivors.extend(new.part(at, gap_end.min(below)));
        // Inside it only copies that lie lower on the target survive.
        let inside_end = span.end().min(new.end());
        if new.delta() < span.delta() {
            survivors.extend(new.part(gap_end, inside_end));
        }
        at = inside_end.max(gap_end);
        if at >= new.end() {
            break;
        }
    }
    survivors.extend(new.part(at, new.end()));
    join(&survivors)
}

/// What the survivors of one run, as [`clip`] left them, leave of the known spans. Both ascend.
pub(super) fn cut(known: &[Span], survivors: &[Span]) -> Vec<Span> {
    let mut kept = Vec::with_capacity(known.len() + survivors.len());
    for span in known {
        // Only the nearest survivor counts: one inside the span reaches to the end of the span or of
        // the whole run, and one behind it lies lower than all after that.
        let nearest = survivors.partition_point(|survivor| survivor.end() <= span.source);
        let Some(survivor) = survivors.get(nearest) else {
            kept.push(*span);
            continue;
        };
        // Copies before the survivor go from where their target reaches its first; copies of the
        // same source offsets go if they lie higher.
        let reaches = survivor.target.saturating_sub(span.delta());
        let from = reaches.clamp(span.source, span.end());
        let covered =
            if span.delta() > survivor.delta() { survivor.end() } else { survivor.source };
        let until = covered.min(span.end());
        if from < until {
            kept.extend(span.part(span.source, from));
            kept.extend(span.part(until, span.end()));
        } else {
            kept.push(*span);
        }
    }
    kept
}

/// Ascending spans, with those that touch in source and in target as one.
pub(super) fn join(spans: &[Span]) -> Vec<Span> {
    let mut joined: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match joined.last_mut() {
            Some(last) if last.touches(*span) => *last = last.joined(*span),
            Some(_) | None => joined.push(*span),
        }
    }
    joined
}
