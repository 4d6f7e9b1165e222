//! Finds the client properties that librdkafka refuses on their own. They are reported with file and key
//! before any connection is made.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;

use super::errors::said;
use crate::config::properties::{nearest, written_as};
use crate::config::{Cluster, ConfigError, ConfigErrors, Loaded, Secret};

/// Tries each property of each client.
///
/// # Errors
///
/// The refused properties, each with the place where it is set.
pub fn refused(loaded: &Loaded) -> Result<(), ConfigErrors> {
    let mut errors = Vec::new();
    for (side, cluster) in [("source", &loaded.config.source), ("target", &loaded.config.target)] {
        for (section, properties) in clients(cluster) {
            for (name, value) in properties {
                let Some(message) = refusal(name, &value.0) else {
                    continue;
                };
                let error = located(loaded, (side, section), name, message);
                if !errors.contains(&error) {
                    errors.push(error);
                }
            }
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(ConfigErrors(errors)) }
}

fn clients(cluster: &Cluster) -> [(&'static str, &BTreeMap<String, Secret>); 3] {
    let Cluster { admin, consumer, producer } = cluster;
    [("admin", admin), ("consumer", consumer), ("producer", producer)]
}

fn refusal(name: &str, value: &str) -> Option<String> {
    let mut alone = ClientConfig::new();
    let error = alone.set(name, value).create_native_config().err()?;
    let unknown =
        matches!(&error, KafkaError::ClientConfig(_, why, _, _) if why.contains("No such"));
    Some(match (unknown, nearest(name)) {
        (true, Some(nearest)) => format!("unknown client property; did you mean {nearest}?"),
        (true, None) => {
            "unknown client property: neither Kafka's Java client nor librdkafka has it".to_owned()
        }
        (false, _) => format!("librdkafka refuses the value: {}", said(&error)),
    })
}

fn located(
    loaded: &Loaded,
    (side, section): (&str, &str),
    name: &str,
    message: String,
) -> ConfigError {
    let keys = written_as(name).flat_map(|name| {
        [section, "common"].map(|section| format!("{side}.kafka.{section}.{name}"))
    });
    let set = keys.into_iter().find_map(|key| {
        let origin = loaded.effective.get(&key)?.origin.clone();
        Some((key, origin))
    });
    match set {
        Some((key, origin)) => ConfigError { origin: Some(origin), key, message },
        None => {
            ConfigError { origin: None, key: format!("{side}.kafka.{section}.{name}"), message }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::load_text;

    fn errors(text: &str) -> String {
        let base = "name: x\nsource.kafka.common.bootstrap.servers: 'a:1'\n\
                    target.kafka.common.bootstrap.servers: 'b:1'\n";
        let loaded = load_text("x.yaml", &format!("{base}{text}"), &|_| None).unwrap();
        refused(&loaded).map_or_else(|errors| errors.to_string(), |()| String::new())
    }

    #[test]
    fn refused_properties_are_reported_with_their_place_and_without_their_values() {
        insta::assert_snapshot!(errors(
            "source.kafka.common.sasl.pasword: hushhush\n\
             source.kafka.consumer.fetch.min.bytes: hushhush\n\
             target.kafka.producer.nobody.knows: hushhush\n\
             target.kafka.common.request.timeout.ms: 600000\n\
             target.kafka.admin.sasl.password.a: hushhush\n"
        ), @r#"
    x.yaml:4: source.kafka.common.sasl.pasword: unknown client property; did you mean sasl.password?
    x.yaml:5: source.kafka.consumer.fetch.min.bytes: librdkafka refuses the value: Invalid value for configuration property "fetch.min.bytes"
    x.yaml:8: target.kafka.admin.sasl.password.a: unknown client property; did you mean sasl.password?
    x.yaml:7: target.kafka.common.request.timeout.ms: librdkafka refuses the value: Configuration property "socket.timeout.ms" value 600000 is outside allowed range 10..300000
    x.yaml:6: target.kafka.producer.nobody.knows: unknown client property: neither Kafka's Java client nor librdkafka has it
    "#);
    }

    #[test]
    fn javas_and_librdkafkas_names_are_not_refused() {
        let reported = errors(
            "source.kafka.common:\n  security.protocol: SASL_SSL\n  sasl.mechanism: PLAIN\n  \
             sasl.username: u\n  sasl.password: p\n  max.block.ms: 5\n  buffer.memory: 33554432\n",
        );
        assert_eq!(reported, "");
    }
}
