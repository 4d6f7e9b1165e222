//! Searches in ascending sequences, by index.

/// The length of the first step away from the guess.
const FIRST_STEP: usize = 4;

/// The number of values at or below `wanted` among the `len` ascending values `at(0)` to `at(len - 1)`.
/// `first` is `at(0)` and `last` is `at(len - 1)`; neither is negative.
///
/// Offsets usually grow evenly. So the search guesses by proportion and then doubles its steps. In a large
/// index that touches one or two cache lines, where a binary search touches many. At worst it needs twice
/// the steps of a binary search.
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

/// The first index below `len` for which `is` holds, or `len`. It must hold for all indexes after that, too.
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

/// `steps * part / whole`, where `part` is less than `whole`. It uses integers, because with floating point
/// a look-up in a large index took nearly twice as long.
fn guess(part: i64, whole: i64, steps: usize) -> usize {
    let (part, whole, steps) = (part.unsigned_abs(), whole.unsigned_abs(), steps as u64);
    match part.checked_mul(steps) {
        Some(product) => (product / whole) as usize,
        None => (u128::from(part) * u128::from(steps) / u128::from(whole)) as usize,
    }
}

#[cfg(test)]
mod tests;
