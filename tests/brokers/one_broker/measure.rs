//! Measures how long each translation takes, by what it needs from the broker that fails, and
//! reports those that take too long.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::scenario::event;
use crate::support::history::Seen;
use crate::support::sprag::Sprag;
use crate::support::watcher::OffsetsWatcher;

/// How long to wait for a translation: long enough to show how late it is.
const PATIENCE: Duration = Duration::from_secs(45);

/// The longest time allowed, in seconds, from a source commit, or from the election if that is
/// later, to its translation.
const RESUMED: f64 = 15.0;
/// The longest time allowed, in seconds, from the broker's return until everything is up to date.
const UP_TO_DATE: f64 = 10.0;
/// The share of one core that an outage may cost. A busy loop takes a whole core.
const CPU: f64 = 0.5;

/// What a group's partition needs from the broker that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Nothing.
    Apart,
    /// Nothing, but another partition of its group is on that broker.
    Mixed,
    /// The coordinator of its group, of its shard's transactions, or of the coordination group.
    Moved,
    /// The partition itself, which is on that broker.
    Parked,
}

/// A translation that is waited for.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) class: Class,
    pub(super) group: String,
    /// The topic on the target.
    pub(super) topic: String,
    pub(super) offset: i64,
    /// When the clock started.
    pub(super) since: Instant,
}

/// The seconds that each translation took, by class. `None` if it did not arrive in time.
#[derive(Default)]
pub(super) struct Wave {
    classes: BTreeMap<Class, Vec<(Option<f64>, String)>>,
    /// The greatest delay of the watcher in seconds, by the broker's clock, which is also ours. The
    /// measured times are too long by at most this.
    behind: f64,
}

impl Wave {
    /// Waits until all items are committed on the target, or until [`PATIENCE`] has passed.
    pub(super) fn watch(watcher: &OffsetsWatcher, items: &[Item]) -> Self {
        let mut seconds: Vec<Option<f64>> = vec![None; items.len()];
        let mut behind: f64 = 0.0;
        let _ = watcher.try_wait_until(PATIENCE, |history| {
            for (item, seconds) in items.iter().zip(&mut seconds).filter(|(_, s)| s.is_none()) {
                let commits = history.commits(&item.group, &item.topic, 0);
                if let Some(first) = commits.iter().find(|seen| seen.offset >= item.offset) {
                    let took = first.seen_at.saturating_duration_since(item.since);
                    *seconds = Some(took.as_secs_f64());
                    behind = behind.max(seconds_behind(first));
                }
            }
            seconds.iter().all(Option::is_some)
        });
        let mut classes: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (item, seconds) in items.iter().zip(seconds) {
            let name = format!("{} {}", item.group, item.topic);
            classes.entry(item.class).or_default().push((seconds, name));
        }
        Self { classes, behind }
    }

    /// Adds the results of another wave.
    pub(super) fn extend(&mut self, other: Self) {
        for (class, items) in other.classes {
            self.classes.entry(class).or_default().extend(items);
        }
        self.behind = self.behind.max(other.behind);
    }
}

/// Seconds from a commit, by its own timestamp, until the watcher read it.
fn seconds_behind(seen: &Seen) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    let committed = Duration::from_millis(u64::try_from(seen.commit_timestamp).unwrap_or(0));
    (now.saturating_sub(committed)).saturating_sub(seen.seen_at.elapsed()).as_secs_f64()
}

/// The measurements, printed as they arrive, and what was too late.
#[derive(Default)]
pub(super) struct Report {
    title: String,
    late: Vec<String>,
    /// For how many entries of `late` the daemon's log has been printed.
    reported: usize,
}

impl Report {
    pub(super) fn begin(&mut self, title: &str) {
        title.clone_into(&mut self.title);
        eprintln!("\n{title}");
    }

    pub(super) fn remark(&self, what: &str) {
        eprintln!("  {what}");
    }

    /// A wave without a fault.
    pub(super) fn settled(&mut self, wave: &Wave) {
        self.rows("without a fault", wave, RESUMED);
    }

    /// A wave of source commits while the broker is gone.
    pub(super) fn wave(&mut self, which: &str, wave: &Wave) {
        self.rows(which, wave, RESUMED);
    }

    /// A wave after the broker's return.
    pub(super) fn back(&mut self, wave: &Wave) {
        self.rows("since it is back", wave, UP_TO_DATE);
    }

    fn rows(&mut self, what: &str, wave: &Wave, bound: f64) {
        eprintln!("  {what}, the watcher at most {:.1} s behind", wave.behind);
        for (class, items) in &wave.classes {
            let mut seconds: Vec<f64> = items.iter().filter_map(|(seconds, _)| *seconds).collect();
            seconds.sort_by(f64::total_cmp);
            let missing = items.len() - seconds.len();
            let shown = |at: Option<&f64>| at.map_or("-".to_owned(), |at| format!("{at:.1} s"));
            let (median, last) = (shown(seconds.get(seconds.len() / 2)), shown(seconds.last()));
            let row = format!(
                "  {:<7} {:>2} partitions: median {median:>6}, last {last:>6}, \
                 {missing} missing after {} s",
                format!("{class:?}"),
                items.len(),
                PATIENCE.as_secs(),
            );
            eprintln!("  {row}");
            let late: Vec<&str> = items
                .iter()
                .filter(|(seconds, _)| seconds.is_none_or(|seconds| seconds > bound))
                .map(|(_, name)| name.as_str())
                .collect();
            if !late.is_empty() {
                let late = late.join(", ");
                self.late
                    .push(format!("{}, {what}: {row}; later than {bound} s: {late}", self.title));
            }
        }
    }

    /// The CPU time that the outage cost, and the threads that had used most by its end.
    pub(super) fn cpu(&mut self, spent: f64, outage: Duration, threads: &[(String, f64)]) {
        let outage = outage.as_secs_f64();
        let row = format!("{spent:.1} s of CPU in {outage:.1} s");
        eprintln!("  {row}");
        if spent > CPU * outage {
            self.late.push(format!("{}: {row}: a busy loop: {threads:?}", self.title));
        }
    }

    /// Prints how often each event was logged since a mark. If something was late, also prints the
    /// lines that may explain it, and the state of the brokers.
    pub(super) fn log(&mut self, sprag: &Sprag, mark: usize, brokers: impl Fn() -> String) {
        let mut events: BTreeMap<String, usize> = BTreeMap::new();
        for line in sprag.log().iter().skip(mark) {
            *events.entry(event(line).to_owned()).or_default() += 1;
        }
        eprintln!("  log: {events:?}");
        if std::mem::replace(&mut self.reported, self.late.len()) < self.late.len() {
            for line in sprag.log().iter().skip(mark) {
                if !matches!(event(line), "committed" | "judged") {
                    eprintln!("    {}", line.text);
                }
            }
            eprintln!("{}", brokers());
        }
    }

    /// # Panics
    /// If anything was later than promised.
    #[track_caller]
    pub(super) fn judge(self) {
        assert!(self.late.is_empty(), "later than promised:\n{}", self.late.join("\n"));
    }
}
