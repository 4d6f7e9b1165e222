//! Apache Kafka from its published Maven artifacts: brokers, tools and MirrorMaker 2. Each version
//! has one folder of jars, which is fetched once into the target folder.

use super::rounds;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

const POM: &str = include_str!("kafka/pom.xml");
const ATTEMPTS: usize = 3;

/// A version of Apache Kafka that Sprag is tested with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// 3.9.2: the last 3.x line, with its classic group coordinator.
    V3_9,
    /// 4.3.0: KRaft only, KIP-848 groups, offset commits of version 4.
    V4_3,
    /// 4.4.0: the newest release. It has no published MirrorMaker 2, so tests run that of 4.3.1.
    V4_4,
}

impl Version {
    /// The versions on which a test repeats itself, oldest first. The long form covers all of them.
    pub(crate) fn tested() -> &'static [Self] {
        let all = &[Self::V3_9, Self::V4_3, Self::V4_4];
        &all[..rounds(2, all.len())]
    }

    /// As Maven spells it.
    pub(crate) fn number(self) -> &'static str {
        match self {
            Self::V3_9 => "3.9.2",
            Self::V4_3 => "4.3.0",
            Self::V4_4 => "4.4.0",
        }
    }

    /// MirrorMaker 2's artifact for this version, as Maven spells it.
    fn mirrormaker(self) -> &'static str {
        match self {
            Self::V3_9 | Self::V4_3 => self.number(),
            Self::V4_4 => "4.3.1",
        }
    }

    /// `java -cp <jars> -Xmx<heap> <class>` of this version. Fetches the jars if they are missing.
    /// The flags trade peak speed for a quick start on few cores.
    pub(crate) fn java(self, heap: &str, class: &str) -> Command {
        let archive = self.class_archive();
        let shared = format!("-XX:SharedArchiveFile={}", archive.display());
        self.java_with(heap, class, archive.is_file().then_some(shared))
    }

    /// Like [`Version::java`], with another JVM option, or none, instead of the class archive.
    pub(super) fn java_with(self, heap: &str, class: &str, option: Option<String>) -> Command {
        let mut command = Command::new("java");
        command
            .arg(format!("-Xmx{heap}"))
            .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"])
            .args(option)
            .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
            .arg("-Dorg.slf4j.simpleLogger.showDateTime=true")
            .arg("-cp")
            .arg(self.libs().join("*"))
            .arg(class);
        command
    }

    /// The folder of this version's jars. The first call on a machine fetches them.
    ///
    /// # Panics
    /// If Java or Maven is missing, or the artifacts cannot be fetched.
    pub(crate) fn libs(self) -> PathBuf {
        let folder = self.folder();
        let libs = folder.join("libs");
        fs::create_dir_all(&folder).expect("a folder for Kafka's jars");
        // Held until this function returns: another test process waits here, then finds the jars.
        let lock = File::create(folder.join("lock")).expect("a lock file next to Kafka's jars");
        lock.lock().expect("the lock on Kafka's jars");
        if !libs.is_dir() {
            fetch(self, &folder.join("libs.partial"), &libs);
        }
        libs
    }

    /// Where this version's class archive is, once `class_archive::ensure` has created it.
    pub(super) fn class_archive(self) -> PathBuf {
        self.folder().join("classes.jsa")
    }

    fn folder(self) -> PathBuf {
        scratch().parent().expect("a target folder").join("kafka").join(self.number())
    }
}

/// Where tests put their files: inside the target folder.
pub(crate) fn scratch() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// Fetches into `partial` and then renames it, so that `libs` is complete whenever it exists.
fn fetch(version: Version, partial: &Path, libs: &Path) {
    require("java", "-version", "a Java runtime, version 17 or later");
    require("mvn", "-version", "Apache Maven");
    let pom = partial.with_file_name("pom.xml");
    fs::write(&pom, POM).expect("a file for Maven");
    let mut failure = String::new();
    for _ in 0..ATTEMPTS {
        let _ = fs::remove_dir_all(partial);
        let output = Command::new("mvn")
            .args(["-B", "-q", "dependency:copy-dependencies", "-f"])
            .arg(&pom)
            .arg(format!("-Dkafka.version={}", version.number()))
            .arg(format!("-Dmirrormaker.version={}", version.mirrormaker()))
            .arg(format!("-DoutputDirectory={}", partial.display()))
            .output()
            .expect("Maven, which answered a moment ago");
        if output.status.success() {
            fs::rename(partial, libs).expect("the jars moved to their final folder");
            return;
        }
        failure = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    panic!(
        "cannot fetch Apache Kafka {} with Maven after {ATTEMPTS} attempts ({}):\n{failure}",
        version.number(),
        pom.display()
    );
}

fn require(program: &str, question: &str, what: &str) {
    let answer = Command::new(program).arg(question).output();
    assert!(
        answer.is_ok_and(|output| output.status.success()),
        "the broker tests need {what}, but `{program} {question}` failed. Install it and try again; \
         scripts/setup installs it on Debian and Ubuntu."
    );
}
