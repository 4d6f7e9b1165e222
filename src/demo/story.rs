//! The steps of the demo, in order.

use rdkafka::error::KafkaError;

use super::clusters::{Clusters, RECORDS};
use super::instance::Instance;
use super::ports::Fault;
use super::{Outcome, Promise, Synced, Trial};
use sprag_core::ids::GroupId;

const LAGS: [i64; 4] = [0, 500, 5_000, 50_000];
/// How many records are replicated while the zombie sleeps.
const MORE: i64 = 2_000;

/// How to run the demo.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Disable the guard where it should block, to see the demo fail.
    pub break_guard: bool,
}

/// Runs the demo. `step` receives a description of each step.
///
/// # Errors
///
/// If a request to a mock cluster fails.
pub async fn run_story(options: Options, step: &dyn Fn(&str)) -> Result<Outcome, KafkaError> {
    step("starting two mock clusters");
    let mut clusters = Clusters::start()?;
    step("replicating 60,000 records to other offsets");
    clusters.replicate(RECORDS)?;
    let names: Vec<String> = LAGS.iter().map(|lag| format!("lag-{lag}")).collect();
    let groups: Vec<GroupId> = names.iter().map(|name| GroupId::from(name.as_str())).collect();
    for (name, lag) in names.iter().zip(LAGS) {
        clusters.commit_source(name, RECORDS - lag)?;
    }
    step("syncing four groups");
    let all = |clusters: &Clusters| {
        names.iter().all(|name| matches!(clusters.target_offset(name), Ok(Some(_))))
    };
    let guard = !options.break_guard;
    let mut zombie = Instance::start(&clusters, &groups, Fault::OldSource, guard);
    zombie.run_until(|| all(&clusters)).await;
    let mut unguarded = Instance::start(&clusters, &groups, Fault::OldSource, false);
    unguarded.have_its_say().await;
    let synced = read_back(&clusters, &names)?;

    step("starting an instance that reads only half of the mappings");
    let mut half = Instance::start(&clusters, &groups, Fault::HalfRead(RECORDS / 2000), guard);
    let half_read =
        trial("half-read start-up", Promise::Blocked, &clusters, &names[0], half.have_its_say())
            .await?;
    drop(half);

    step("moving a group forward while a zombie sleeps");
    clusters.replicate(MORE)?;
    clusters.commit_source(&names[0], RECORDS + MORE)?;
    let before = clusters.target_offset(&names[0])?;
    let mut owner = Instance::start(&clusters, &groups, Fault::None, true);
    owner.run_until(|| clusters.target_offset(&names[0]).is_ok_and(|now| now > before)).await;
    drop(owner);

    step("waking the zombie");
    let woken = zombie.have_its_say();
    let blocked = trial("zombie wakes up", Promise::Blocked, &clusters, &names[0], woken).await?;
    step("waking a second zombie, with the guard disabled");
    let woken = unguarded.have_its_say();
    let rewound =
        trial("zombie, guard disabled", Promise::Rewound, &clusters, &names[0], woken).await?;
    Ok(Outcome { groups: synced, trials: vec![half_read, blocked, rewound] })
}

async fn trial(
    name: &'static str,
    promised: Promise,
    clusters: &Clusters,
    group: &str,
    say: impl Future<Output = bool>,
) -> Result<Trial, KafkaError> {
    let before = clusters.target_offset(group)?;
    let had_its_say = say.await;
    let after = clusters.target_offset(group)?;
    Ok(Trial { name, had_its_say, before, after, promised })
}

fn read_back(clusters: &Clusters, names: &[String]) -> Result<Vec<Synced>, KafkaError> {
    let copies = clusters.copies()?;
    let count = |is: &dyn Fn(&(i64, i64)) -> bool| {
        i64::try_from(copies.iter().filter(|copy| is(copy)).count()).unwrap_or(i64::MAX)
    };
    let each = names.iter().zip(LAGS).map(|(name, lag)| {
        let source_offset = RECORDS - lag;
        let target_offset = clusters.target_offset(name)?;
        let again = |from: i64| count(&|(at, source)| *at >= from && *source < source_offset);
        let missed = |from: i64| count(&|(at, source)| *at < from && *source >= source_offset);
        Ok(Synced {
            group: name.clone(),
            lag,
            source_offset,
            target_offset,
            re_read: target_offset.map(again),
            missed: target_offset.map(missed),
        })
    });
    each.collect()
}
