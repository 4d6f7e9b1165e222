//! The archive of a broker's classes for the JVM (class data sharing). A broker that finds it
//! starts with half of the work.

use super::artifacts::Version;
use super::broker;
use std::fs::{self, File};

/// Creates this version's archive if it is missing: a broker starts once, and the JVM dumps its
/// classes when it ends. Without an archive, brokers only start more slowly.
pub(super) fn ensure(version: Version) {
    // The archive lies in the jars' folder, which the first call creates.
    version.libs();
    let archive = version.class_archive();
    // Held until this function returns: another test process waits here, then finds the archive.
    let lock = File::create(archive.with_extension("lock")).expect("a lock file for the archive");
    lock.lock().expect("the lock on the class archive");
    if archive.is_file() {
        return;
    }
    let partial = archive.with_extension("partial");
    let _ = fs::remove_file(&partial);
    broker::run_once(version, format!("-XX:ArchiveClassesAtExit={}", partial.display()));
    if let Err(error) = fs::rename(&partial, &archive) {
        eprintln!("Java created no class archive for Kafka {}: {error}", version.number());
    }
}
