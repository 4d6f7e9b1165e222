//! The one table that says what follows from a broker's or a client's error.

mod table;

#[cfg(test)]
mod tests;

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use self::table::{CREDENTIALS_REFUSED, Row, row};
use super::ffi::NativeError;
use crate::config::properties::is_secret;
use sprag_core::failure::{Failure, FailureClass};

/// What is told of a code that is in no row.
const UNLISTED: &str = "not an error that was expected here; tried again";

/// What was being done when the error came: the same code does not always mean the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Starting up, before anything runs. As `Fencing`, but refused credentials end the process:
    /// nothing has shown yet that they were ever right.
    Connecting,
    /// Reading something; nothing changed.
    Reading,
    /// Committing offsets of a group.
    Committing,
    /// Ending a transaction.
    Ending,
    /// Taking a shard over, or writing to its fence partition.
    Fencing,
}

/// The failure that follows from `error`; `what` says what was asked of whom.
#[must_use]
pub fn failure(error: &NativeError, doing: Doing, what: &str) -> Failure {
    let row = row_of(error);
    if row.is_none() {
        let code = error.number;
        tracing::warn!(code, what, "an error code that was not expected: {error}");
    }
    let advice = row.map_or(UNLISTED, |row| row.advice);
    let class = class(error, row, doing);
    Failure::new(class, format!("{what}: {error}; {advice}"))
}

/// What to do about `code`, for people.
#[must_use]
pub fn advice(code: Code) -> &'static str {
    row(code).map_or(UNLISTED, |row| row.advice)
}

/// What rdkafka says, without the value of a property that was refused: it may be a secret.
#[must_use]
pub fn said(error: &KafkaError) -> String {
    let KafkaError::ClientConfig(_, why, name, _) = error else {
        return error.to_string();
    };
    if is_secret(name) {
        return format!("the value of {name} is refused, or there is no such property");
    }
    why.trim().to_owned()
}

/// An error of rdkafka's own as a native one.
#[must_use]
pub fn native(error: &KafkaError) -> NativeError {
    // A property that librdkafka refuses comes without a code, and stays refused.
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

/// Whether the answer shows that the coordinator or a leader may have moved, so that it is looked up
/// anew by a new client: librdkafka's admin requests never evict what they have looked up.
#[must_use]
pub fn coordinator_moved(error: &NativeError) -> bool {
    row_of(error).is_some_and(|row| row.moved)
}

fn row_of(error: &NativeError) -> Option<&'static Row> {
    // A number that librdkafka has no name for comes as `Unknown`, which is a code of its own.
    let named = error.number == error.code as i32;
    named.then(|| row(error.code)).flatten()
}

fn class(error: &NativeError, row: Option<&Row>, doing: Doing) -> FailureClass {
    use FailureClass as Class;
    if error.fatal {
        // The producer is beyond use and is made anew, which begins with taking the shard over.
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
