//! What instances read about the replicated topics: log end offsets that lag behind, ids that come late, and
//! stamps of another fence topic.

use super::generate::FAULTS;
use super::{Disguise, Fault, Scenario, Side, Timed, Work};
use crate::streams::Stream;

/// Gives some runs such faults, and the policy under which a group may start at the log start.
pub(super) fn with_topics(stream: &mut Stream, mut scenario: Scenario) -> Scenario {
    scenario.rules.from_log_start = stream.chance(30);
    if stream.chance(40) {
        for _ in 0..stream.between(1, 3) {
            push(stream, &mut scenario, |_, lasts| Fault::LaggingLeaders { lasts });
        }
    }
    if stream.chance(30) {
        for _ in 0..stream.between(1, 3) {
            push(stream, &mut scenario, |stream, lasts| {
                let cluster = stream.choose(&[Side::Source, Side::Target]);
                Fault::TopicsUnread { cluster, lasts }
            });
        }
    }
    if stream.chance(5) {
        let what = Work::Disguised {
            group: stream.index(scenario.shape.groups),
            topic: stream.index(scenario.shape.topics),
            partition: 0,
            disguise: Disguise::OtherFenceTopic,
        };
        scenario.work.push(Timed { at: stream.between(6_000, 20_000) as u64, what });
    }
    scenario.work.sort_by_key(|work| work.at);
    scenario.faults.sort_by_key(|fault| fault.at);
    scenario
}

fn push(stream: &mut Stream, scenario: &mut Scenario, make: fn(&mut Stream, u64) -> Fault) {
    let lasts = stream.choose(&[300, 1_500, 4_000]);
    let at = stream.between(FAULTS.0 as i64, (FAULTS.1 - lasts) as i64) as u64;
    let what = make(stream, lasts);
    scenario.faults.push(Timed { at, what });
}
