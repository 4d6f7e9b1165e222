//! A broker hangs, with its connections open. What Sprag waits for from it fails in bounded time, and the
//! brokers that take its place are found.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use sprag::kafka::client::{AdminClient, Properties};
use sprag::kafka::clock::ProcessClock;
use sprag::kafka::mapping_reader::KafkaMappings;
use sprag::kafka::membership::KafkaMembership;
use sprag::ports::{Mappings, Membership};
use sprag_core::event::Event;
use sprag_core::ids::{MappingOffset, MappingPartition, Shard, TopicName};
use sprag_mapping::Format;

use crate::support::alone::turn;
use crate::support::artifacts::Version;
use crate::support::brokers::{Brokers, IDS};
use crate::support::clients::block_on;
use crate::support::cluster::Cluster;
use crate::support::gate::Mode;
use crate::support::records::produce;
use crate::support::topics::create_topic_on;
use crate::support::wait::eventually;

/// The broker that hangs.
const FAULTY: i32 = 3;
const SHARD: Shard = Shard(0);
/// How long a fault may show.
const BOUND: Duration = Duration::from_secs(20);

fn properties(bootstrap: String) -> Properties {
    BTreeMap::from([("bootstrap.servers".to_owned(), bootstrap)])
}

/// The answer of a future, or that there was none in time.
async fn in_time<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let answer = tokio::time::timeout(BOUND, future).await;
    answer.map_err(|_| format!("no answer within {BOUND:?}"))
}

#[test]
fn a_question_about_ownership_is_answered_in_time_though_no_coordinator_answers() {
    let _turn = turn();
    let cluster = Brokers::start(Version::V4_3);
    create_topic_on(&cluster, "fences", &[&IDS], &[]);
    let session = Duration::from_secs(6);
    let (group, topic) = ("sprag-instances", TopicName::from("fences"));
    let properties = properties(cluster.gated());
    let admin = Rc::new(AdminClient::new(properties.clone(), "target", ProcessClock::start()));
    let member = KafkaMembership::join(admin, &properties, group, &topic, session)
        .expect("librdkafka to accept the properties");
    let owns = || match block_on(in_time(member.is_assigned(SHARD))) {
        Ok(Ok(true)) => Ok(()),
        Ok(other) => Err(format!("{other:?}")),
        Err(late) => panic!("{late}"),
    };
    let assigned = block_on(in_time(member.next()));
    assert!(matches!(assigned, Ok(Event::ShardAssigned { shard: SHARD })), "{assigned:?}");
    eventually(BOUND, "an owner that knows it", owns);
    IDS.iter().for_each(|broker| cluster.gate(*broker).set(Mode::Blackhole));
    let answer = block_on(in_time(member.is_assigned(SHARD)));
    assert!(matches!(answer, Ok(Err(_) | Ok(false))), "{answer:?}");
    IDS.iter().for_each(|broker| cluster.gate(*broker).set(Mode::Pass));
    eventually(BOUND, "an owner that knows it again", owns);
}

#[test]
fn the_reader_of_mappings_follows_their_leader_when_it_hangs() {
    let _turn = turn();
    let mut cluster = Brokers::start(Version::V4_3);
    create_topic_on(&cluster, "mappings", &[&[FAULTY, 1, 2]], &[]);
    let clock = ProcessClock::start();
    let properties = properties(cluster.bootstrap());
    let admin = Rc::new(AdminClient::new(properties.clone(), "target", clock));
    let mappings =
        KafkaMappings::new(admin, properties, TopicName::from("mappings"), Format::Native);
    let partition = BTreeSet::from([MappingPartition(0)]);
    let ends = eventually(BOUND, "the mapping topic", || block_on(mappings.ends(&partition)));
    mappings.read(ends.topic, 1);
    let reads = |offset: i64| {
        let read = block_on(in_time(async {
            loop {
                let event = mappings.next().await;
                if let Event::MappingsRead { position, .. } = &event
                    && *position >= MappingOffset(offset)
                {
                    return;
                }
                eprintln!("{event:?}");
            }
        }));
        read.expect("the reader to reach the end");
    };
    produce(&cluster, "mappings", 0, 3);
    reads(3);
    cluster.stop_signal(FAULTY);
    cluster.wait_for_election_without(FAULTY);
    produce(&cluster, "mappings", 0, 2);
    reads(5);
    cluster.cont_signal(FAULTY);
}
