//! Which copies are kept when a run is inserted: *(s, t) is kept iff no other known copy (s', t') has
//! s' ≥ s and t' ≤ t.* Pure functions over ascending spans.

use alloc::vec::Vec;

use super::span::Span;

/// The parts of `new` that no known copy dominates, in ascending order. `known` must be ascending, and hold
/// the last span that ends at or below the target of `new`, and all spans after that up to the first one
/// that starts at or after the source end of `new`.
pub(super) fn clip(new: Span, known: &[Span]) -> Vec<Span> {
    let mut survivors = Vec::new();
    let mut at = new.source;
    for span in known.iter().filter(|span| span.end() > new.source) {
        // In the gap before this span, only copies with targets below the span's first survive.
        let gap_end = span.source.clamp(at, new.end());
        let below = span.target.saturating_sub(new.delta());
        survivors.extend(new.part(at, gap_end.min(below)));
        // Inside the span, only copies that are lower on the target survive.
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

/// The parts of the known spans that `survivors` do not dominate. `survivors` are what [`clip`] returned for
/// one run. Both are ascending.
pub(super) fn cut(known: &[Span], survivors: &[Span]) -> Vec<Span> {
    let mut kept = Vec::with_capacity(known.len() + survivors.len());
    for span in known {
        // Only the nearest survivor counts. One inside the span reaches to the end of the span or of the
        // whole run. One after the span is lower than all later ones.
        let nearest = survivors.partition_point(|survivor| survivor.end() <= span.source);
        let Some(survivor) = survivors.get(nearest) else {
            kept.push(*span);
            continue;
        };
        // Copies before the survivor are removed from where their target reaches the survivor's first.
        // Copies of the same source offsets are removed if they are higher.
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

/// The ascending spans, with those that touch in source and in target joined.
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
