//! Client configurations that suit tests, and helpers to call the async admin client.

use super::DEADLINE;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::fmt::Display;

/// Configures a client that reconnects quickly when the broker comes back.
pub(crate) fn config(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("client.id", "sprag-tests")
        .set("broker.address.family", "v4")
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "500")
        .set("log.connection.close", "false")
        .set_log_level(RDKafkaLogLevel::Critical);
    if bootstrap.contains(',') {
        // One of several brokers may hang: the client must soon try another one.
        config
            .set("socket.timeout.ms", "2000")
            .set("socket.connection.setup.timeout.ms", "2000")
            .set("api.version.request.timeout.ms", "2000")
            .set("topic.metadata.refresh.interval.ms", "500");
    }
    config
}

/// Configures a consumer of `group` that reads only committed records. It does not join the group
/// or commit by itself.
pub(crate) fn group_config(bootstrap: &str, group: &str) -> ClientConfig {
    let mut config = config(bootstrap);
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", "read_committed")
        .set("fetch.wait.max.ms", "50")
        .set("auto.offset.reset", "error");
    config
}

/// Makes one call of the admin client.
///
/// # Panics
/// If the request, or any of its items, fails.
#[track_caller]
pub(crate) fn admin<T, E: Display>(
    bootstrap: &str,
    what: &str,
    call: impl AsyncFnOnce(
        &AdminClient<DefaultClientContext>,
        &AdminOptions,
    ) -> Result<Vec<Result<T, E>>, KafkaError>,
) {
    let client: AdminClient<DefaultClientContext> =
        config(bootstrap).create().unwrap_or_else(|error| panic!("cannot {what}: {error}"));
    let options =
        AdminOptions::new().request_timeout(Some(DEADLINE)).operation_timeout(Some(DEADLINE));
    let results =
        block_on(call(&client, &options)).unwrap_or_else(|error| panic!("cannot {what}: {error}"));
    for result in results {
        if let Err(error) = result {
            panic!("cannot {what}: {error}");
        }
    }
}

/// Whether the same request may succeed a moment later: the coordinator is not available yet, or
/// the connection was lost.
pub(crate) fn is_transient(error: &KafkaError) -> bool {
    let transient = [
        RDKafkaErrorCode::NotCoordinator,
        RDKafkaErrorCode::CoordinatorNotAvailable,
        RDKafkaErrorCode::CoordinatorLoadInProgress,
        RDKafkaErrorCode::WaitingForCoordinator,
        RDKafkaErrorCode::BrokerTransportFailure,
        RDKafkaErrorCode::AllBrokersDown,
        RDKafkaErrorCode::OperationTimedOut,
        RDKafkaErrorCode::RequestTimedOut,
    ];
    error.rdkafka_error_code().is_some_and(|code| transient.contains(&code))
}

/// Runs a future to completion.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime for one call")
        .block_on(future)
}
