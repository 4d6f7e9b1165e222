//! Searches by index.

/// How far the first step away from the guess goes.
const FIRST_STEP: usize = 4;

/// How many of `len` ascending numbers are at or below `wanted`: `at(0)` is `first`,
/// `at(len - 1)` is `last`, neither negative.
///
/// Offsets grow evenly more often than not. A guess by proportion, then steps that double, touch one
/// or two cache lines where a binary search of a large index touches many, and need no more than
/// twice its steps at worst.
pub(super) fn count_at_or_below(
    wanted: i64,
    len: usize,
    (first, last): (i64, i64),
    at: impl Fn(usize) -> i64,
) -> usize {
    if len == 0 || wanted < first {
        return 0;
    }
    if wanted >= last {
        return len;
    }
    let guess = guess(wanted - first, last - first, len - 1);
    let (mut low, mut high) = (guess, guess);
    let mut step = FIRST_STEP;
    if at(guess) <= wanted {
        high = (low + step).min(len - 1);
        while at(high) <= wanted {
            low = high;
            step *= 2;
            high = (low + step).min(len - 1);
        }
    } else {
        low = high.saturating_sub(step);
        while at(low) > wanted {
            high = low;
            step *= 2;
            low = high.saturating_sub(step);
        }
    }
    while high - low > 1 {
        let middle = low.midpoint(high);
        if at(middle) <= wanted {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// The first index below `len` for which `is` holds, else `len`; it holds for all behind that one.
pub(super) fn first_where(len: usize, is: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low.midpoint(high);
        if is(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// `steps` times `part / whole`, which is below 1. In whole numbers: by floating point a lookup in a
/// large index took nearly twice as long.
fn guess(part: i64, whole: i64, steps: usize) -> usize {
    let (part, whole, steps) = (part.unsigned_abs(), whole.unsigned_abs(), steps as u64);
    match part.checked_mul(steps) {
        Some(product) => (product / whole) as usize,
        None => (u128::from(part) * u128::from(steps) / u128::from(whole)) as usize,
    }
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
