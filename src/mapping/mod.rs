//! Decoders of mapping records.
