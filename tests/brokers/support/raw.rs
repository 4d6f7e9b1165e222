//! Hand-made requests, for members that librdkafka cannot be.

use super::DEADLINE;
use super::broker::Broker;
use super::wait::eventually;
use std::io::{Read, Write};
use std::net::TcpStream;

const SHARE_GROUP_HEARTBEAT: i16 = 76;
const STREAMS_GROUP_HEARTBEAT: i16 = 88;
/// The member epoch of a member that joins.
const JOINS: i32 = 0;
const NONE: u8 = 0;
const NULL_STRUCT: u8 = 0xff;

/// Creates a `streams` group (KIP-1071) with one member, which reads `topic`. The member stays
/// until its session times out.
#[track_caller]
pub(crate) fn join_streams_group(broker: &Broker, group: &str, topic: &str) {
    let mut body = Body::default();
    body.text(group).text(&member()).int32(JOINS).int32(0);
    // Instance and rack, then the rebalance timeout.
    body.bytes(&[NONE, NONE]).int32(60_000);
    // A topology of one subtopology with one source topic: its id, topics, and five empty lists.
    body.bytes(&[1]).int32(0).bytes(&[2]).text("0").bytes(&[2]).text(topic);
    body.bytes(&[1, 1, 1, 1, 1, NONE, NONE]);
    // Active, standby and warm-up tasks; the process; endpoint, tags, offsets; no shutdown; no tags.
    body.bytes(&[1, 1, 1]).text("process").bytes(&[NULL_STRUCT, NONE, NONE, NONE, 0, NONE]);
    joined(broker, STREAMS_GROUP_HEARTBEAT, 0, &body.0);
}

/// Creates a share group (KIP-932) with one member, which reads `topic`. The member stays until its
/// session times out.
#[track_caller]
pub(crate) fn join_share_group(broker: &Broker, group: &str, topic: &str) {
    let mut body = Body::default();
    body.text(group).text(&member()).int32(JOINS).bytes(&[NONE, 2]).text(topic).bytes(&[NONE]);
    joined(broker, SHARE_GROUP_HEARTBEAT, 1, &body.0);
}

/// Joins a group as a classic member of the protocol type `connect`. librdkafka cannot do this: its
/// members are all of the type `consumer`. The member stays until its session times out.
pub(crate) fn join_as_connect_worker(broker: &Broker, group: &str) {
    const JOIN_GROUP: i16 = 11;
    const PATIENCE: i32 = 300_000;
    fn put(request: &mut Vec<u8>, text: &str) {
        request.extend(i16::try_from(text.len()).expect("a short text").to_be_bytes());
        request.extend(text.as_bytes());
    }
    let mut request = Vec::new();
    request.extend([JOIN_GROUP.to_be_bytes(), 2_i16.to_be_bytes()].concat());
    request.extend(1_i32.to_be_bytes());
    put(&mut request, "sprag-test");
    put(&mut request, group);
    request.extend([PATIENCE.to_be_bytes(), PATIENCE.to_be_bytes()].concat());
    put(&mut request, "");
    put(&mut request, "connect");
    request.extend(1_i32.to_be_bytes());
    put(&mut request, "default");
    request.extend(0_i32.to_be_bytes());

    let mut stream = TcpStream::connect(broker.bootstrap()).expect("a connection to the broker");
    stream.set_read_timeout(Some(DEADLINE)).expect("a socket with a deadline");
    let length = i32::try_from(request.len()).expect("a small request");
    stream.write_all(&[&length.to_be_bytes(), &request[..]].concat()).expect("a broker");
    // Length, correlation id, throttle time, error code.
    let mut answer = [0; 14];
    stream.read_exact(&mut answer).expect("an answer from the broker");
    assert_eq!(answer[12..], [0, 0], "error code");
}

/// A member id. It must look like one of Kafka's.
fn member() -> String {
    "AAAAAAAAAAAAAAAAAAAAAA".to_owned()
}

#[track_caller]
fn joined(broker: &Broker, key: i16, version: i16, body: &[u8]) {
    eventually(
        DEADLINE,
        &format!("a response without an error to the request with API key {key}"),
        || match error_code(&broker.bootstrap(), key, version, body) {
            Ok(0) => Ok(()),
            Ok(code) => Err(format!("error code {code}")),
            Err(error) => Err(error.to_string()),
        },
    );
}

/// Sends a request of a flexible version. Its response begins with the throttle time and an error
/// code, which is returned.
fn error_code(bootstrap: &str, key: i16, version: i16, body: &[u8]) -> std::io::Result<i16> {
    let client = "sprag-tests";
    let mut request = [key.to_be_bytes(), version.to_be_bytes()].concat();
    request.extend(1_i32.to_be_bytes());
    request.extend(i16::try_from(client.len()).expect("a short name").to_be_bytes());
    request.extend(client.as_bytes());
    request.push(NONE);
    request.extend(body);
    let mut stream = TcpStream::connect(bootstrap)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let length = i32::try_from(request.len()).expect("a small request");
    stream.write_all(&[&length.to_be_bytes(), &request[..]].concat())?;
    // Length, correlation id, tags, throttle time, error code.
    let mut answer = [0; 15];
    stream.read_exact(&mut answer)?;
    Ok(i16::from_be_bytes([answer[13], answer[14]]))
}

#[derive(Default)]
struct Body(Vec<u8>);

impl Body {
    fn text(&mut self, text: &str) -> &mut Self {
        let length = u8::try_from(text.len() + 1).expect("a short text");
        assert!(length < 128, "a text whose length takes one byte");
        self.0.push(length);
        self.bytes(text.as_bytes())
    }

    fn int32(&mut self, number: i32) -> &mut Self {
        self.bytes(&number.to_be_bytes())
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend(bytes);
        self
    }
}
