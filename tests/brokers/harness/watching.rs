//! The watcher of `__consumer_offsets` misses nothing and invents nothing.

use crate::support::alone::turn;
use crate::support::artifacts::Version;
use crate::support::broker::Broker;
use crate::support::groups::Group;
use crate::support::history::Change;
use crate::support::topics::create_topic;
use crate::support::watcher::OffsetsWatcher;
use crate::support::{DEADLINE, rounds};

fn offsets(watcher: &OffsetsWatcher, group: &str) -> Vec<i64> {
    watcher.history().commits(group, "orders", 0).iter().map(|seen| seen.offset).collect()
}

#[test]
fn every_commit_is_seen_in_order_with_its_metadata() {
    let _turn = turn();
    for version in Version::tested().iter().copied() {
        let mut broker = Broker::start(version);
        let watcher = OffsetsWatcher::start(&broker);
        create_topic(&broker, "orders", 1);
        let groups: Vec<Group> = (0..8).map(|n| Group::of(&broker, &format!("g{n}"))).collect();
        let last = i64::try_from(rounds(20, 500)).unwrap();
        for offset in 1..=last {
            for group in &groups {
                group.commit("orders", 0, offset, &format!("m{offset}"));
            }
        }
        watcher.catch_up();
        for n in 0..8 {
            let name = format!("g{n}");
            assert_eq!(offsets(&watcher, &name), (1..=last).collect::<Vec<_>>());
            let latest = watcher.history().latest(&name, "orders", 0).unwrap();
            assert_eq!((latest.offset, latest.metadata), (last, format!("m{last}")));
            assert!(latest.commit_timestamp > 0);
        }
        assert_eq!(watcher.decreases(), []);

        broker.kill();
        broker.restart();
        groups[0].commit("orders", 0, 7, "back");
        let decreases = watcher.decreases();
        assert_eq!(decreases.len(), 1);
        let found = &decreases[0];
        assert_eq!(
            (found.group.as_str(), found.topic.as_str(), found.partition),
            ("g0", "orders", 0)
        );
        assert_eq!((found.before.offset, found.after.offset), (last, 7));
        assert!(found.before.position < found.after.position);

        groups[0].delete();
        groups[0].commit("orders", 0, 3, "a new group of that name");
        watcher.catch_up();
        let history = watcher.history().of_group("g0");
        let changes = &history[&("orders".to_owned(), 0)];
        assert!(matches!(changes[changes.len() - 2], Change::Deleted { .. }));
        assert_eq!(watcher.decreases().len(), 1, "a deletion is not a decrease");
    }
}

#[test]
fn offsets_in_transactions_are_seen_when_they_commit_and_only_then() {
    let _turn = turn();
    for version in Version::tested().iter().copied() {
        let broker = Broker::start(version);
        let watcher = OffsetsWatcher::start(&broker);
        create_topic(&broker, "orders", 1);
        let group = Group::of(&broker, "g1");
        group.commit("orders", 0, 1, "plain");
        group.begin_transactional_commit("t", &[("orders", 0, 2, "aborted")]).abort();
        group.begin_transactional_commit("t", &[("orders", 0, 3, "committed")]).commit();
        watcher.catch_up();
        assert_eq!(offsets(&watcher, "g1"), [1, 3]);

        let open = group.begin_transactional_commit("t", &[("orders", 0, 4, "open")]);
        group.commit("orders", 0, 5, "behind an open transaction");
        std::thread::scope(|scope| {
            let certain = scope.spawn(|| watcher.catch_up());
            let seen =
                crate::support::wait::try_eventually(std::time::Duration::from_secs(1), || {
                    offsets(&watcher, "g1").len() > 2 || certain.is_finished()
                });
            assert!(seen.is_err(), "nothing after an open transaction is certain");
            open.commit();
            certain.join().unwrap();
        });
        assert_eq!(offsets(&watcher, "g1"), [1, 3, 4, 5]);
        let reached = watcher.wait_until(DEADLINE, "the offset 5", |history| {
            history.latest("g1", "orders", 0).filter(|seen| seen.offset == 5)
        });
        assert_eq!(reached.metadata, "behind an open transaction");
    }
}
