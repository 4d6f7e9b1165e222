//! Errors in a configuration: where they are, and what to do about them.

use std::fmt;

use super::origin::Origin;

/// One error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, and the line if it is known.
    pub origin: Option<Origin>,
    /// The key's path. Empty if the error concerns the whole file.
    pub key: String,
    /// What was expected, what was found, and what to do.
    pub message: String,
}

/// All errors in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl ConfigError {
    pub(super) fn in_file(file: &str, message: impl Into<String>) -> Self {
        let origin = Origin::File { file: file.to_owned(), line: None };
        Self { origin: Some(origin), key: String::new(), message: message.into() }
    }

    pub(super) fn at(key: &str, origin: Option<&Origin>, message: impl Into<String>) -> Self {
        Self { origin: origin.cloned(), key: key.to_owned(), message: message.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, error) in self.0.iter().enumerate() {
            if nth > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
impl std::error::Error for ConfigErrors {}
