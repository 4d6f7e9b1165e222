//! Classifies the errors of brokers and of librdkafka, by one table.

mod table;

#[cfg(test)]
mod tests;

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use self::table::{CREDENTIALS_REFUSED, Row, row};
use super::ffi::NativeError;
use crate::config::properties::is_secret;
use sprag_core::failure::{Failure, FailureClass};

/// The advice for a code that is in no row.
const UNLISTED: &str = "unexpected error; Sprag tries again";

/// The operation that failed. The same code can have different consequences in different operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Starting up, before anything runs. Same as `Fencing`, except that refused credentials end the
    /// process: no login has succeeded with them yet.
    Connecting,
    /// Reading; the request changes nothing.
    Reading,
    /// Committing offsets of a group.
    Committing,
    /// Ending a transaction.
    Ending,
    /// Taking a shard over, or writing to its fence partition.
    Fencing,
}

/// Turns `error` into a failure. `what` names the operation and its target, and starts the failure's text.
#[must_use]
pub fn failure(error: &NativeError, doing: Doing, what: &str) -> Failure {
    let row = row_of(error);
    if row.is_none() {
        let code = error.number;
        tracing::warn!(code, what, "unexpected error code: {error}");
    }
    let advice = row.map_or(UNLISTED, |row| row.advice);
    let class = class(error, row, doing);
    Failure::new(class, format!("{what}: {error}; {advice}"))
}

/// What an operator can do about `code`.
#[must_use]
pub fn advice(code: Code) -> &'static str {
    row(code).map_or(UNLISTED, |row| row.advice)
}

/// rdkafka's message, without the value of a refused property, which may be a secret.
#[must_use]
pub fn said(error: &KafkaError) -> String {
    let KafkaError::ClientConfig(_, why, name, _) = error else {
        return error.to_string();
    };
    if is_secret(name) {
        return format!("{name} has an invalid value, or is not a known property");
    }
    why.trim().to_owned()
}

/// Converts an rdkafka error into a native one.
#[must_use]
pub fn native(error: &KafkaError) -> NativeError {
    // A refused property has no error code. A retry cannot help, so it must not look like a transient error.
    let refused = matches!(error, KafkaError::ClientConfig(..));
    let otherwise = if refused { Code::InvalidArgument } else { Code::Fail };
    let code = error.rdkafka_error_code().unwrap_or(otherwise);
    let mut native = NativeError { message: said(error), ..NativeError::of(code) };
    if let KafkaError::Transaction(error) = error {
        native.code = error.code();
        native.number = error.code() as i32;
        native.message = error.to_string();
        native.fatal = error.is_fatal();
        native.abortable = error.txn_requires_abort();
    }
    native
}

/// Whether the error shows that the coordinator or a leader may have moved. If so, a new client must look it
/// up again: librdkafka's admin requests never evict cached coordinators and leaders.
#[must_use]
pub fn coordinator_moved(error: &NativeError) -> bool {
    row_of(error).is_some_and(|row| row.moved)
}

fn row_of(error: &NativeError) -> Option<&'static Row> {
    // A number that librdkafka has no name for is mapped to `Unknown`, which is also a real code.
    let named = error.number == error.code as i32;
    named.then(|| row(error.code)).flatten()
}

fn class(error: &NativeError, row: Option<&Row>, doing: Doing) -> FailureClass {
    use FailureClass as Class;
    if error.fatal {
        // The producer is unusable. Its replacement starts by taking the shard over again.
        return Class::Fenced;
    }
    let class = row.map_or(Class::Retry, |row| match doing {
        Doing::Reading => row.classes[0],
        Doing::Committing => row.classes[1],
        Doing::Ending => row.classes[2],
        Doing::Fencing => row.classes[3],
        Doing::Connecting if CREDENTIALS_REFUSED.contains(&error.code) => Class::Stop,
        Doing::Connecting => row.classes[3],
    });
    let open = matches!(class, Class::Retry | Class::OutcomeUnknown);
    if open && error.abortable && doing != Doing::Reading {
        Class::Abort
    } else if class == Class::Retry && doing == Doing::Ending {
        Class::OutcomeUnknown
    } else {
        class
    }
}
