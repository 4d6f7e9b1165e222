//! One connection to a broker: requests are sent and answers received in order.

use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

use crate::support::DEADLINE;

pub(super) struct Connection {
    stream: TcpStream,
    sent: i32,
    answered: i32,
}

impl Connection {
    pub(super) fn open(bootstrap: &str) -> Self {
        let stream = TcpStream::connect(bootstrap).expect("a connection to the broker");
        stream.set_nodelay(true).expect("a socket without delay");
        stream.set_read_timeout(Some(DEADLINE)).expect("a socket with a deadline");
        Self { stream, sent: 0, answered: 0 }
    }

    /// Sends a request and waits for its answer.
    pub(super) fn ask<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        self.send(request, version);
        self.receive::<R>(version)
    }

    /// Sends a request without waiting.
    pub(super) fn send<R: Request>(&mut self, request: &R, version: i16) {
        self.sent += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.sent)
            .with_client_id(Some(StrBytes::from_static_str("sprag-contract")));
        let mut body = BytesMut::new();
        header.encode(&mut body, R::header_version(version)).expect("a header");
        request.encode(&mut body, version).expect("a request of this version");
        let length = u32::try_from(body.len()).expect("a small request");
        self.stream.write_all(&[&length.to_be_bytes(), &body[..]].concat()).expect("a broker");
    }

    /// Receives the next answer, which must be to a request of this kind.
    pub(super) fn receive<R: Request>(&mut self, version: i16) -> R::Response {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).expect("an answer of the broker");
        let mut body = vec![0; usize::try_from(u32::from_be_bytes(length)).expect("a length")];
        self.stream.read_exact(&mut body).expect("the whole answer");
        let mut body = Bytes::from(body);
        self.answered += 1;
        let header = ResponseHeader::decode(&mut body, R::Response::header_version(version));
        assert_eq!(header.expect("a header").correlation_id, self.answered, "in order");
        let answer = R::Response::decode(&mut body, version).expect("an answer that can be read");
        assert!(!body.has_remaining(), "{} bytes of an answer are left", body.remaining());
        answer
    }
}
