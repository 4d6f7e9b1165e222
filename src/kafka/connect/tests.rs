#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::disallowed_methods, reason = "the test's own broker, and deadlines")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use rdkafka::consumer::BaseConsumer;

use super::*;
use crate::kafka::client::client_config;

#[test]
fn a_session_as_long_as_the_configuration_allows_is_taken_by_librdkafka() {
    let session = Duration::from_secs(30 * 60);
    let ours = [("group.id", "sprag.dr"), ("session.timeout.ms", "1800000")];
    for set in [None, Some("60000"), Some("2000000")] {
        let properties: Properties = set
            .map(|set| ("max.poll.interval.ms".to_owned(), set.to_owned()))
            .into_iter()
            .collect();
        let raised = polled_as_long(properties.clone(), session);
        let made: Result<BaseConsumer, _> = client_config(&raised, &ours).create();
        assert!(made.is_ok(), "{set:?}: {:?}", made.err());
        let asked = set.is_some_and(|set| set == "2000000");
        assert_eq!(raised == properties, asked, "{set:?}: {raised:?}");
    }
    let wrong = Properties::from([("max.poll.interval.ms".to_owned(), "often".to_owned())]);
    assert_eq!(polled_as_long(wrong.clone(), session), wrong);
    let short = Duration::from_secs(10);
    assert_eq!(polled_as_long(Properties::new(), short), Properties::new());
}

const PATIENCE: Duration = Duration::from_secs(20);
const API_VERSIONS: i16 = 18;
const METADATA: i16 = 3;
const SASL_HANDSHAKE: i16 = 17;
const SASL_AUTHENTICATE: i16 = 36;
const NO_ERROR: i16 = 0;
const UNSUPPORTED_VERSION: i16 = 35;
const REFUSED: i16 = 58;

/// Starts a broker that refuses every login and advertises port `advertised`, where nothing listens. It
/// serves connections until the process ends.
fn broker(advertised: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream, advertised));
        }
    });
    address
}

fn serve(mut stream: TcpStream, advertised: u16) -> Option<()> {
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length).ok()?;
        let mut request = vec![0; usize::try_from(u32::from_be_bytes(length)).ok()?];
        stream.read_exact(&mut request).ok()?;
        let number = |at: usize| i16::from_be_bytes([request[at], request[at + 1]]);
        let body = [&request[4..8], &answer(number(0), number(2), advertised)].concat();
        let length = u32::try_from(body.len()).ok()?;
        stream.write_all(&[&length.to_be_bytes(), &body[..]].concat()).ok()?;
    }
}

fn answer(key: i16, version: i16, advertised: u16) -> Vec<u8> {
    let mut body = Vec::new();
    let text = |body: &mut Vec<u8>, text: &str| {
        body.extend(i16::try_from(text.len()).unwrap().to_be_bytes());
        body.extend(text.as_bytes());
    };
    match key {
        API_VERSIONS if version > 0 => {
            body.extend([&UNSUPPORTED_VERSION.to_be_bytes()[..], &0_i32.to_be_bytes()].concat());
        }
        API_VERSIONS => {
            let served = [(METADATA, 2), (API_VERSIONS, 0), (SASL_HANDSHAKE, 1)];
            let served = [&served[..], &[(SASL_AUTHENTICATE, 0)]].concat();
            body.extend(NO_ERROR.to_be_bytes());
            body.extend(i32::try_from(served.len()).unwrap().to_be_bytes());
            for (key, newest) in served {
                body.extend([key, 0, newest].map(i16::to_be_bytes).concat());
            }
        }
        SASL_HANDSHAKE => {
            body.extend(NO_ERROR.to_be_bytes());
            body.extend(1_i32.to_be_bytes());
            text(&mut body, "PLAIN");
        }
        SASL_AUTHENTICATE => {
            body.extend(REFUSED.to_be_bytes());
            text(&mut body, "Authentication failed: Invalid username or password");
            body.extend(0_i32.to_be_bytes());
        }
        METADATA => {
            body.extend([1_i32, 1].map(i32::to_be_bytes).concat());
            text(&mut body, "127.0.0.1");
            body.extend(i32::from(advertised).to_be_bytes());
            body.extend((-1_i16).to_be_bytes());
            text(&mut body, "cluster");
            body.extend([1_i32, 0].map(i32::to_be_bytes).concat());
        }
        _ => panic!("request {key}, version {version}"),
    }
    body
}

fn client(properties: &[(&str, &str)]) -> AdminClient {
    let properties = properties.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    AdminClient::new(properties.collect(), "source", ProcessClock::start())
}

/// Asks for the cluster id until the client has a connection error.
async fn complaint(client: &AdminClient) -> Option<String> {
    let start = std::time::Instant::now();
    let admin = client.present().unwrap();
    while client.last_complaint().is_empty() {
        assert!(start.elapsed() < PATIENCE, "no complaint");
        let _ = admin.cluster_id(Duration::from_millis(200)).await;
        let _ = admin.describe_topics(["t"].into_iter(), None, Duration::from_millis(200)).await;
    }
    admin.cluster_id(Duration::from_millis(200)).await
}

#[tokio::test]
async fn refused_credentials_end_the_start_up_and_a_broker_that_is_down_does_not() {
    let servers = broker(1);
    let client_of = |servers: &str| {
        client(&[
            ("bootstrap.servers", servers),
            ("security.protocol", "sasl_plaintext"),
            ("sasl.mechanism", "PLAIN"),
            ("sasl.username", "somebody"),
            ("sasl.password", "wrong"),
        ])
    };
    let refused = client_of(&servers);
    assert_eq!(complaint(&refused).await, None);
    let failure = unanswered(&refused);
    assert_eq!(failure.class, FailureClass::Stop, "{failure}");
    assert!(failure.detail.contains("Invalid username or password"), "{failure}");

    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let down = client_of(&free.to_string());
    assert_eq!(complaint(&down).await, None);
    let failure = unanswered(&down);
    assert_eq!(failure.class, FailureClass::Retry, "{failure}");
    assert!(failure.detail.contains("Connection refused"), "{failure}");
    assert!(!failure.detail.contains("advertised.listeners"), "{failure}");
}

#[tokio::test]
async fn an_advertised_address_that_refuses_connections_is_named() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = client(&[("bootstrap.servers", &broker(free.port()))]);
    let id = complaint(&client).await;
    assert_eq!(id.as_deref(), Some("cluster"));
    let timed_out = NativeError::of(RDKafkaErrorCode::OperationTimedOut);
    let failure = with_address(&client, client.failed(&timed_out, Doing::Reading, "reading"));
    assert_eq!(failure.class, FailureClass::Retry);
    let named = format!("{free} is not one of bootstrap.servers");
    assert!(failure.detail.contains(&named), "{failure}");
    let right = NativeError::of(RDKafkaErrorCode::TopicAuthorizationFailed);
    let failure = with_address(&client, client.failed(&right, Doing::Reading, "reading"));
    assert!(!failure.detail.contains("bootstrap.servers"), "{failure}");
}
