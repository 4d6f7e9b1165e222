//! Logging to standard error: text for a terminal, JSON for machines. `SPRAG_LOG` filters the lines
//! (for example `info` or `sprag=debug,rdkafka=warn`).

use std::io::IsTerminal;
use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use super::LogFormat;

const DEFAULT: &str = "info,librdkafka=off,rdkafka=off";
const LEVELS: &str = "error, warn, info, debug, trace or off";
const MODULES: &[&str] = &["sprag", "rdkafka", "librdkafka"];

/// Starts logging. Only the first call has an effect. An invalid filter is reported and ignored.
pub(super) fn start(format: LogFormat) {
    let asked = std::env::var("SPRAG_LOG").unwrap_or_default();
    let (filter, complaint) = match filter(&asked) {
        Ok(filter) => (filter, None),
        Err(complaint) => (EnvFilter::new(DEFAULT), Some(complaint)),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = match format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_target(false).try_init(),
    };
    if let Err(error) = started {
        tracing::debug!(%error, "logging has already been started");
    }
    if let Some(complaint) = complaint {
        tracing::warn!("SPRAG_LOG is ignored: {complaint}");
    }
}

/// Parses the filter. `EnvFilter` would take a misspelt level for the name of a module and silence
/// everything else, so unknown words are an error.
fn filter(asked: &str) -> Result<EnvFilter, String> {
    if asked.trim().is_empty() {
        return Ok(EnvFilter::new(DEFAULT));
    }
    let known = |word: &str| {
        LevelFilter::from_str(word).is_ok() || MODULES.iter().any(|module| word.starts_with(module))
    };
    let directives = asked.split(',').map(str::trim);
    if let Some(word) = directives.clone().find(|directive| !known(directive)) {
        return Err(format!("expected {LEVELS}, or `sprag=<level>`, found {word:?}"));
    }
    let directives = directives.collect::<Vec<_>>().join(",");
    EnvFilter::try_new(directives)
        .map_err(|error| format!("expected {LEVELS}, or `sprag=<level>`: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_would_silence_everything_is_refused() {
        for good in
            ["", " ", "debug", "INFO", "off", "sprag=debug,rdkafka=warn", "info, sprag=trace"]
        {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in ["dbug", "=/%!nonsense,,", "sprag=loud", "debug;info"] {
            assert!(filter(bad).is_err_and(|why| why.contains("expected")), "{bad}");
        }
    }
}
