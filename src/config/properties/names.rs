//! Names of client properties: those that are ignored, those with another name in librdkafka, and those
//! that are secret.

/// Ignored properties, with the reason: properties of the Java client only, and properties that Sprag
/// sets itself because its guarantees depend on them.
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
    ("partition.assignment.strategy", "Sprag's coordination group uses cooperative-sticky"),
    ("group.protocol", "Sprag's coordination group uses the classic protocol"),
    ("group.remote.assignor", "Sprag's coordination group uses the classic protocol"),
    ("group.id", "Sprag chooses its own group ids"),
    ("group.instance.id", "an instance that leaves must lose its shards at once"),
    ("session.timeout.ms", "coordination.sessionTimeout sets it"),
    ("heartbeat.interval.ms", "it follows from coordination.sessionTimeout"),
    ("transactional.id", "it consists of the pipeline's id and the shard"),
    ("transaction.timeout.ms", "Sprag's transactions time out after 10 seconds"),
    ("enable.auto.commit", "Sprag commits offsets itself"),
    ("enable.idempotence", "Sprag's producers are always idempotent"),
    ("acks", "Sprag's producers always wait for all in-sync replicas"),
    ("isolation.level", "mappings are always read with read_committed"),
    ("auto.offset.reset", "mappings are always read from the start of the log"),
];

const JAVAS: &str = "only the Java client has it";

/// Java's names and librdkafka's, for properties with the same values.
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

/// Other common client properties.
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

/// Whether this is one of the client properties listed here.
pub(in crate::config) fn is_known(name: &str) -> bool {
    known().any(|known| known == name)
}

/// The known property that was probably meant.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static str> {
    let near = known().map(|known| (strsim::damerau_levenshtein(name, known), known)).min();
    near.filter(|(distance, known)| *distance <= known.len() / 4).map(|(_, known)| known)
}

/// Whether the value of a property must never be shown.
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
