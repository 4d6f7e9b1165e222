//! Names of client properties: which are ignored, which librdkafka calls otherwise, which are
//! secret.

/// Properties of the Java client alone, and those that Sprag sets itself because what it promises
/// rests on them.
pub(super) const IGNORED: &[(&str, &str)] = &[
    ("key.deserializer", JAVAS),
    ("value.deserializer", JAVAS),
    ("key.serializer", JAVAS),
    ("value.serializer", JAVAS),
    ("interceptor.classes", JAVAS),
    ("metric.reporters", JAVAS),
    ("metrics.num.samples", JAVAS),
    ("metrics.recording.level", JAVAS),
    ("metrics.sample.window.ms", JAVAS),
    ("auto.include.jmx.reporter", JAVAS),
    ("max.poll.records", JAVAS),
    ("max.block.ms", JAVAS),
    ("default.api.timeout.ms", JAVAS),
    ("exclude.internal.topics", JAVAS),
    ("partitioner.class", JAVAS),
    ("config.providers", JAVAS),
    ("security.providers", JAVAS),
    ("socket.connection.setup.timeout.max.ms", JAVAS),
    ("ssl.protocol", JAVAS),
    ("ssl.provider", JAVAS),
    ("ssl.enabled.protocols", JAVAS),
    ("ssl.keymanager.algorithm", JAVAS),
    ("ssl.trustmanager.algorithm", JAVAS),
    ("ssl.secure.random.implementation", JAVAS),
    ("partition.assignment.strategy", "Sprag assigns cooperatively"),
    ("group.protocol", "Sprag's coordination group uses the classic protocol"),
    ("group.remote.assignor", "Sprag's coordination group uses the classic protocol"),
    ("group.id", "Sprag's groups have names of their own"),
    ("group.instance.id", "an instance must lose its shards when it goes"),
    ("session.timeout.ms", "it is coordination.sessionTimeout"),
    ("heartbeat.interval.ms", "it follows from coordination.sessionTimeout"),
    ("transactional.id", "it is made of the pipeline's id and the shard"),
    ("transaction.timeout.ms", "Sprag's transactions last 10 seconds at most"),
    ("enable.auto.commit", "Sprag commits by itself"),
    ("enable.idempotence", "Sprag's producers are idempotent"),
    ("acks", "Sprag's producers wait for all replicas in sync"),
    ("isolation.level", "mappings are read committed"),
    ("auto.offset.reset", "mappings are read from the start of their log, always"),
];

const JAVAS: &str = "it is the Java client's";

/// Java's name → librdkafka's, where the value stays.
pub(super) const RENAMED: &[(&str, &str)] = &[
    ("sasl.mechanism", "sasl.mechanisms"),
    ("ssl.truststore.certificates", "ssl.ca.pem"),
    ("ssl.keystore.certificate.chain", "ssl.certificate.pem"),
    ("ssl.keystore.key", "ssl.key.pem"),
    ("request.timeout.ms", "socket.timeout.ms"),
    ("send.buffer.bytes", "socket.send.buffer.bytes"),
    ("receive.buffer.bytes", "socket.receive.buffer.bytes"),
    ("fetch.max.wait.ms", "fetch.wait.max.ms"),
];

/// Those that most clients have, beside the ones above.
const USUAL: &[&str] = &[
    "bootstrap.servers",
    "client.id",
    "client.rack",
    "security.protocol",
    "sasl.jaas.config",
    "sasl.username",
    "sasl.password",
    "ssl.truststore.location",
    "ssl.truststore.password",
    "ssl.truststore.type",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.keystore.type",
    "ssl.key.password",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.endpoint.identification.algorithm",
    "connections.max.idle.ms",
    "metadata.max.age.ms",
    "reconnect.backoff.ms",
    "reconnect.backoff.max.ms",
    "retry.backoff.ms",
    "fetch.min.bytes",
    "fetch.max.bytes",
    "max.partition.fetch.bytes",
    "buffer.memory",
    "compression.type",
    "max.in.flight.requests.per.connection",
];

fn known() -> impl Iterator<Item = &'static str> {
    let renamed = RENAMED.iter().flat_map(|(java, native)| [*java, *native]);
    IGNORED.iter().map(|(name, _)| *name).chain(renamed).chain(USUAL.iter().copied())
}

/// Whether most clients have it.
pub(in crate::config) fn is_known(name: &str) -> bool {
    known().any(|known| known == name)
}

/// The property that was meant.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static str> {
    let near = known().map(|known| (strsim::damerau_levenshtein(name, known), known)).min();
    near.filter(|(distance, known)| *distance <= known.len() / 4).map(|(_, known)| known)
}

/// Whether a property's value must never be shown.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    const PARTS: &[&str] = &[
        "passw",
        "passphrase",
        "pasw",
        "pwd",
        "secret",
        "credential",
        "jaas",
        "token",
        "user.info",
        "api.key",
        "apikey",
        "oauthbearer.config",
        "private",
        "assertion",
        "ssl.key.pem",
        "keystore.key",
    ];
    let name = name.to_ascii_lowercase();
    PARTS.iter().any(|part| name.contains(part)) && !name.ends_with("token.endpoint.url")
}
