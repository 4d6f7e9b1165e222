//! Start-up on a real broker: the time until 5,000,000 MirrorMaker 2 offset syncs are applied,
//! compared with a bare librdkafka consumer of the same topic in the same run. Also the resident
//! memory of an idle daemon.
//!
//! `cargo bench --bench load`; `-- 500000` reads another number of syncs.

// A bench reads the clock and prints.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::wildcard_enum_match_arm, dead_code)]

#[path = "../tests/brokers/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use sprag::kafka::client::{AdminClient, Properties};
use sprag::kafka::clock::ProcessClock;
use sprag::kafka::ffi::batch::{BatchReader, Delivered};
use sprag::kafka::mapping_reader::KafkaMappings;
use sprag::ports::{Clock, Mappings};
use sprag_core::action::{Action, Read};
use sprag_core::event::{ControlTopics, Event, FenceTopic, MappingTopic, ReadDone};
use sprag_core::ids::{MappingPartition, ShardCount, TopicId, TopicName};
use sprag_core::machine::{Core, Setup};
use sprag_core::policy::Policy;
use sprag_mapping::Format;
use sprag_mapping::replication_policy::ReplicationPolicy;
use support::alone::alone;
use support::artifacts::Version;
use support::broker::Broker;
use support::bulk::produce_pairs;
use support::sprag::Sprag;
use support::topics::create_topic;

const SYNCS: &str = "mm2-offset-syncs.dr.internal";
const PARTITIONS: i64 = 12;
const LIMIT: f64 = 1.25;
const IDLE_MB: f64 = 30.0;

fn main() {
    if !std::env::args().any(|arg| arg == "--bench") {
        println!("run by `cargo bench --bench load`");
        return;
    }
    let wanted = std::env::args().skip(1).find_map(|arg| arg.parse().ok());
    let count: i64 = wanted.unwrap_or(5_000_000);
    let _alone = alone();
    let broker = Broker::start(Version::V4_3);
    create_topic(&broker, SYNCS, 1);
    produce_pairs(&broker, SYNCS, 0, (0..count).map(sync));
    let properties: Properties =
        BTreeMap::from([("bootstrap.servers".to_owned(), broker.bootstrap())]);
    let mut ratios = Vec::new();
    for _ in 0..3 {
        let bare = bare(&properties, count);
        let applied = applied(&properties, count);
        let ratio = applied.as_secs_f64() / bare.as_secs_f64();
        println!(
            "{count} syncs: bare consumer {bare:.2?}, applied {applied:.2?}, ratio {ratio:.2}"
        );
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.2}, aim {LIMIT}", ratios[1]);
    idle(&broker);
}

/// The sync of roughly every hundredth record, at irregular distances.
fn sync(nth: i64) -> (Vec<u8>, Vec<u8>) {
    let (partition, step) = (nth % PARTITIONS, nth / PARTITIONS);
    let source = step * 100 + step * 7919 % 61;
    let mut key = 6_i16.to_be_bytes().to_vec();
    key.extend_from_slice(b"orders");
    key.extend_from_slice(&i32::try_from(partition).expect("a partition").to_be_bytes());
    let mut value = source.to_be_bytes().to_vec();
    value.extend_from_slice(&(source + step % 97).to_be_bytes());
    (key, value)
}

fn bare(properties: &Properties, count: i64) -> Duration {
    let start = Instant::now();
    let mut config = ClientConfig::new();
    for (key, value) in properties {
        config.set(key, value);
    }
    let consumer: BaseConsumer =
        config.set("group.id", "bare").set("enable.auto.commit", "false").create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(SYNCS, 0, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let mut reader = BatchReader::new(consumer, 10_000);
    let mut read = 0;
    while read < count {
        reader.poll(Duration::from_millis(100), |delivered| {
            read += i64::from(matches!(delivered, Delivered::Record { .. }));
        });
    }
    start.elapsed()
}

fn applied(properties: &Properties, count: i64) -> Duration {
    let start = Instant::now();
    let clock = ProcessClock::start();
    let admin = Rc::new(AdminClient::new(properties.clone(), "source", clock));
    let format = Format::MirrorMaker2(ReplicationPolicy::default_policy("main", "dr", "."));
    let mappings = KafkaMappings::new(admin, properties.clone(), TopicName::from(SYNCS), format);
    let fence_topic = FenceTopic { id: TopicId([1; 16]), shards: ShardCount(1) };
    let setup = Setup {
        policy: Policy::for_pipeline("bench"),
        source_cluster: "source".into(),
        target_cluster: "target".into(),
        fence_topic,
        mapping_topic: SYNCS.into(),
        jitter_seed: 0,
    };
    let mut core = Core::new(setup, clock.now());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut position = 0;
        while position < count {
            while let Some(action) = core.poll_action() {
                match action {
                    Action::Read(Read::ControlTopics { request }) => {
                        let topic = MappingTopic { id: TopicId([2; 16]), partitions: 1 };
                        let outcome =
                            Ok(ControlTopics { fence: Ok(fence_topic), mapping: Ok(topic) });
                        let event = Event::Read(ReadDone::ControlTopics { request, outcome });
                        core.handle(clock.now(), event);
                    }
                    Action::ReadMappings { topic, partitions } => mappings.read(topic, partitions),
                    _ => {}
                }
            }
            let event = mappings.next().await;
            if let Event::MappingsRead { partition: MappingPartition(0), position: at, .. } = &event
            {
                position = at.get();
            }
            core.handle(clock.now(), event);
        }
    });
    start.elapsed()
}

/// Measures a daemon with active shards and nothing to do.
fn idle(broker: &Broker) {
    let servers = broker.bootstrap();
    let config = format!(
        "name: idle\nsource.kafka.common.bootstrap.servers: \"{servers}\"\n\
         target.kafka.common.bootstrap.servers: \"{servers}\"\n"
    );
    create_topic(broker, "__k2k_offset_mappings", 1);
    let sprag = Sprag::start(&config);
    let wait = Duration::from_secs(60);
    for shard in 0..8 {
        let message = format!("shard {shard} is active");
        sprag.wait_for(wait, &message, |line| line.message().starts_with(&message));
    }
    support::wait::pass(Duration::from_secs(12));
    let status = std::fs::read_to_string(format!("/proc/{}/status", sprag.pid())).unwrap();
    let kilobytes: f64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok())
        .expect("the resident size");
    let megabytes = kilobytes / 1024.0;
    println!("idle daemon, 8 shards: {megabytes:.1} MB resident, aim {IDLE_MB} MB");
}
