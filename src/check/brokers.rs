//! Settings of the target's brokers: those that the configuration must fit, and the one that enables the
//! early new group coordinator, which has a bug (KAFKA-17877).

use std::collections::BTreeMap;
use std::time::Duration;

use super::report::{Report, acl};
use crate::config::Config;
use crate::kafka::client::{AdminClient, REQUEST_TIMEOUT};
use crate::kafka::settings::{Settings, Unread, of_brokers};
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::policy::CommitMode;

const LEAST_SESSION: &str = "group.min.session.timeout.ms";
const LONGEST_SESSION: &str = "group.max.session.timeout.ms";
const RETENTION: &str = "offsets.retention.minutes";
/// Brokers have this setting only before 4.0.
const BEFORE_4: &str = "inter.broker.protocol.version";
const PROTOCOLS: &str = "group.coordinator.rebalance.protocols";
const NEW_COORDINATOR: &str = "group.coordinator.new.enable";

type Brokers = BTreeMap<i32, Settings>;

/// Compares the configuration with the settings of the target's brokers.
pub(super) async fn check(config: &Config, target: &AdminClient, report: &mut Report) {
    let read = of_brokers(target, REQUEST_TIMEOUT).await;
    let known = known(read, report);
    if known.is_empty() {
        return;
    }
    session(config.coordination.session_timeout, &known, report);
    refresh(config.policy.refresh_interval, &known, report);
    if config.policy.commit_mode == CommitMode::Fenced {
        coordinator(&known, report);
    }
}

/// Returns the brokers whose settings are known, and reports the others.
fn known(
    read: Result<BTreeMap<i32, Result<Settings, Unread>>, Unread>,
    report: &mut Report,
) -> Brokers {
    let mut known = Brokers::new();
    let mut because = Vec::new();
    match read {
        Ok(read) => {
            for (broker, settings) in read {
                match settings {
                    Ok(settings) => drop(known.insert(broker, settings)),
                    Err(why) => because.push(why),
                }
            }
        }
        Err(why) => because.push(why),
    }
    if !because.is_empty() {
        let found = format!(
            "coordination.sessionTimeout, groups.refreshInterval and the group coordinator are not \
             checked, because {}",
            because.join("; ")
        );
        report.warn("target: broker settings", found, &acl(&["DescribeConfigs"], "--cluster"));
    }
    known
}

/// A broker rejects a member whose session timeout is outside its limits.
fn session(session: Duration, brokers: &Brokers, report: &mut Report) {
    let what = "target: coordination.sessionTimeout";
    let session = session.as_millis();
    for (broker, settings) in brokers {
        let limit = |name: &str| settings.get(name).and_then(|value| value.parse::<u128>().ok());
        let (Some(least), Some(most)) = (limit(LEAST_SESSION), limit(LONGEST_SESSION)) else {
            return not_reported(what, *broker, &[LEAST_SESSION, LONGEST_SESSION], report);
        };
        if !(least..=most).contains(&session) {
            let detail = format!(
                "expected {least} to {most} ms, which broker {broker} allows ({LEAST_SESSION}, \
                 {LONGEST_SESSION}), found {session} ms: no instance would ever own a shard"
            );
            let remedy = "set coordination.sessionTimeout to a duration within these limits, or change \
                          the limits on the target's brokers";
            return report.missing(what, &Failure::new(FailureClass::Stop, detail), remedy);
        }
    }
    report.ok(what, format!("{session} ms, within the limits of every broker that reports them"));
}

/// A committed offset that is not refreshed in time expires on the brokers and is lost.
fn refresh(interval: Duration, brokers: &Brokers, report: &mut Report) {
    let what = "target: groups.refreshInterval";
    let interval = interval.as_secs();
    for (broker, settings) in brokers {
        let retention = settings.get(RETENTION).and_then(|value| value.parse::<u64>().ok());
        let Some(minutes) = retention else {
            return not_reported(what, *broker, &[RETENTION], report);
        };
        if interval >= minutes.saturating_mul(60) {
            let found = format!(
                "{interval} s, but broker {broker} expires offsets after {minutes} minutes \
                 ({RETENTION}): the offsets of a group that does not move would be lost"
            );
            return report.warn(
                what,
                found,
                "set groups.refreshInterval to less than half the retention time",
            );
        }
    }
    report.ok(what, format!("{interval} s, which is shorter than the retention of offsets"));
}

/// Before Kafka 4.0 the new group coordinator loses transaction markers (KAFKA-17877).
fn coordinator(brokers: &Brokers, report: &mut Report) {
    let what = "target: group coordinator";
    for (broker, settings) in brokers {
        let before_4 = settings.get(BEFORE_4);
        let protocols = settings.get(PROTOCOLS);
        if before_4.is_none() && protocols.is_none() {
            return not_reported(what, *broker, &[BEFORE_4, PROTOCOLS], report);
        }
        let consumer = protocols
            .is_some_and(|protocols| protocols.split(',').any(|one| one.trim() == "consumer"));
        let switched_on = settings.get(NEW_COORDINATOR).is_some_and(|value| value == "true");
        let Some(version) = before_4.filter(|_| consumer || switched_on) else {
            continue;
        };
        let setting = if consumer { PROTOCOLS } else { NEW_COORDINATOR };
        let value = settings.get(setting).map_or("", String::as_str);
        let found = format!(
            "broker {broker} (version {version}) runs the early new group coordinator ({setting}={value}). \
             Before Kafka 4.0 it loses transaction markers when several transactions end at once \
             (KAFKA-17877); their groups and shards then hang until the brokers are restarted"
        );
        let remedy = format!(
            "set {PROTOCOLS}=classic (and do not set {NEW_COORDINATOR}) on the target's brokers, or \
             upgrade them to 4.0 or later"
        );
        return report.warn(what, found, &remedy);
    }
    report.ok(what, "no broker whose settings are known runs the early new coordinator");
}

fn not_reported(what: &str, broker: i32, names: &[&str], report: &mut Report) {
    let names = names.join(" or ");
    report.warn(what, format!("not checked, because broker {broker} does not report {names}"), "");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::report::State;

    fn brokers(settings: &[&[(&str, &str)]]) -> Brokers {
        let owned = |settings: &&[(&str, &str)]| {
            settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
        };
        (1..).zip(settings.iter().map(owned)).collect()
    }

    fn only(check: impl FnOnce(&mut Report)) -> (State, String) {
        let mut report = Report::default();
        check(&mut report);
        assert_eq!(report.findings.len(), 1, "{report:?}");
        let finding = report.findings.remove(0);
        (finding.state, finding.found)
    }

    #[test]
    fn a_session_must_be_within_the_limits_of_every_broker() {
        let defaults: &[_] = &[(LEAST_SESSION, "6000"), (LONGEST_SESSION, "1800000")];
        let narrow: &[_] = &[(LEAST_SESSION, "20000"), (LONGEST_SESSION, "60000")];
        for (millis, settings, state) in [
            (6_000, &[defaults][..], State::Ok),
            (1_800_000, &[defaults], State::Ok),
            (5_999, &[defaults], State::Missing),
            (1_800_001, &[defaults], State::Missing),
            (10_000, &[defaults, narrow], State::Missing),
            (10_000, &[defaults, &[]], State::Warning),
            (10_000, &[&[(LEAST_SESSION, "6000"), (LONGEST_SESSION, "")]], State::Warning),
        ] {
            let wanted = Duration::from_millis(millis);
            let (found, text) = only(|report| session(wanted, &brokers(settings), report));
            assert_eq!(found, state, "{millis}: {text}");
        }
    }

    #[test]
    fn a_refusal_names_the_limits_and_what_was_found() {
        let settings: &[_] = &[(LEAST_SESSION, "6000"), (LONGEST_SESSION, "1800000")];
        let wanted = Duration::from_secs(2);
        let (_, text) = only(|report| session(wanted, &brokers(&[settings]), report));
        for part in ["6000 to 1800000 ms", "broker 1", LEAST_SESSION, "found 2000 ms"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn offsets_must_be_written_again_before_they_expire() {
        for (seconds, minutes, state) in [
            (86_400, Some("10080"), State::Ok),
            (604_799, Some("10080"), State::Ok),
            (604_800, Some("10080"), State::Warning),
            (86_400, None, State::Warning),
        ] {
            let settings: Vec<_> =
                minutes.map(|minutes| (RETENTION, minutes)).into_iter().collect();
            let interval = Duration::from_secs(seconds);
            let found = only(|report| refresh(interval, &brokers(&[&settings]), report));
            assert_eq!(found.0, state, "{seconds}: {}", found.1);
        }
    }

    #[test]
    fn the_early_new_group_coordinator_is_found() {
        let three = (BEFORE_4, "3.9-IV0");
        for (settings, warns) in [
            (&[three, (PROTOCOLS, "classic,consumer")][..], true),
            (&[three, (PROTOCOLS, "consumer, classic")], true),
            (&[three, (NEW_COORDINATOR, "true")], true),
            (&[three, (PROTOCOLS, "classic"), (NEW_COORDINATOR, "false")], false),
            (&[three], false),
            (&[(PROTOCOLS, "classic,consumer,streams")], false),
        ] {
            let other: &[_] = &[(PROTOCOLS, "classic")];
            let (state, text) = only(|report| coordinator(&brokers(&[other, settings]), report));
            assert_eq!(state == State::Warning, warns, "{settings:?}: {text}");
            assert_eq!(text.contains("KAFKA-17877"), warns, "{text}");
        }
    }

    #[test]
    fn brokers_that_do_not_say_are_not_taken_for_fine() {
        let (state, text) = only(|report| coordinator(&brokers(&[&[]]), report));
        assert_eq!(state, State::Warning);
        assert!(text.contains("not checked, because broker 1"), "{text}");
        let mut report = Report::default();
        let read = BTreeMap::from([
            (1, Ok(Settings::new())),
            (2, Err("the settings of broker 2 could not be read: no".to_owned())),
        ]);
        assert_eq!(known(Ok(read), &mut report).len(), 1);
        assert!(known(Err("nobody answers".to_owned()), &mut report).is_empty());
        for (finding, why) in report.findings.iter().zip(["broker 2", "nobody answers"]) {
            assert_eq!(finding.state, State::Warning);
            let found = &finding.found;
            assert!(found.contains("not checked, because") && found.contains(why), "{found}");
            assert!(finding.remedy.contains("DescribeConfigs --cluster"), "{}", finding.remedy);
        }
        assert_eq!(report.findings.len(), 2);
    }
}
