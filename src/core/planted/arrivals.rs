//! Runs in the order in which they were told: what an index would know that lets the latest copy win.

use super::super::ids::SourceOffset;
use super::super::mapping::Run;
use super::super::runs::Translation;

/// The runs of one lineage, oldest news first. Of no size where no bug can be planted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Arrivals {
    #[cfg(feature = "planted-bugs")]
    runs: Vec<Run>,
}

#[cfg(not(feature = "planted-bugs"))]
impl Arrivals {
    pub(crate) fn note(&mut self, _: Run) {}

    /// Nothing: no bug is planted.
    pub(crate) fn translate(&self, _: SourceOffset) -> Option<Translation> {
        None
    }
}

#[cfg(feature = "planted-bugs")]
impl Arrivals {
    pub(crate) fn note(&mut self, run: Run) {
        if super::has(super::Bug::LatestWins) || super::has(super::Bug::UntilPassed) {
            self.runs.push(run);
        }
    }

    /// What a planted bug makes of `position`.
    pub(crate) fn translate(&self, position: SourceOffset) -> Option<Translation> {
        if super::has(super::Bug::LatestWins) {
            return self.latest_wins(position.get());
        }
        super::has(super::Bug::UntilPassed).then(|| self.until_passed(position.get())).flatten()
    }

    fn latest_wins(&self, position: i64) -> Option<Translation> {
        let holding = self.runs.iter().rev().find(|run| holds(run, position));
        holding.map(|run| exact(run, position)).or_else(|| {
            let below = self.runs.iter().filter(|run| end(run) <= position);
            below.max_by_key(|run| end(run)).map(bound)
        })
    }

    fn until_passed(&self, position: i64) -> Option<Translation> {
        let newest = self.runs.iter().rev().find(|run| run.source.get() <= position)?;
        if end(newest) <= position {
            return Some(bound(newest));
        }
        self.runs.iter().find(|run| holds(run, position)).map(|run| exact(run, position))
    }
}

#[cfg(feature = "planted-bugs")]
fn end(run: &Run) -> i64 {
    run.source.get().saturating_add_unsigned(run.len)
}

#[cfg(feature = "planted-bugs")]
fn holds(run: &Run, position: i64) -> bool {
    (run.source.get()..end(run)).contains(&position)
}

#[cfg(feature = "planted-bugs")]
fn exact(run: &Run, position: i64) -> Translation {
    use super::super::ids::TargetOffset;

    Translation::Exact { target: TargetOffset(run.target.get() + position - run.source.get()) }
}

#[cfg(feature = "planted-bugs")]
fn bound(run: &Run) -> Translation {
    use super::super::ids::TargetOffset;

    let target = TargetOffset(run.target.get().saturating_add_unsigned(run.len));
    Translation::LowerBound { target, next: None }
}
