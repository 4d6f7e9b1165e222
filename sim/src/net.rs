//! Sends requests and answers as messages on turmoil's network, so that latency, loss, partitions and
//! freezes act on them. A message carries only a number; its content is in the [`Mail`] of the run.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use futures::channel::oneshot;
use futures::stream::{FuturesUnordered, StreamExt};
use turmoil::net::UdpSocket;

use crate::trace::{self, What};
use crate::wire::{Envelope, Request, Response};

const PORT: u16 = 9092;

/// The content of all messages of a run. Clones share it.
#[derive(Clone, Default)]
pub struct Mail(Rc<Letters>);

#[derive(Default)]
struct Letters {
    next: Cell<u64>,
    requests: RefCell<BTreeMap<u64, Envelope>>,
    answers: RefCell<BTreeMap<u64, Response>>,
}

impl Mail {
    fn request(&self, number: u64) -> Option<Request> {
        self.0.requests.borrow().get(&number).map(|envelope| envelope.request.clone())
    }
}

/// There is no answer: the request or its answer was lost or is late. The request may have taken effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// No answer arrived in time.
    TimedOut,
    /// The connection broke.
    Broken,
}

/// The connection of one process to the clusters, through its own socket.
pub struct Client {
    mail: Mail,
    socket: UdpSocket,
    waiting: RefCell<BTreeMap<u64, oneshot::Sender<Response>>>,
    name: Rc<str>,
}

impl Client {
    /// Creates a client on the current host.
    ///
    /// # Errors
    ///
    /// An error of turmoil, if the host has no port left.
    pub async fn bind(mail: Mail, name: &str) -> std::io::Result<Self> {
        let socket = UdpSocket::bind((IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0)).await?;
        let name = Rc::from(name);
        Ok(Self { mail, socket, waiting: RefCell::default(), name })
    }

    /// The host's name.
    #[must_use]
    pub fn name(&self) -> Rc<str> {
        Rc::clone(&self.name)
    }

    /// Passes answers on to the calls that wait for them. Must run for as long as there are calls.
    pub async fn receive(&self) {
        let mut buffer = [0; 8];
        while let Ok((_, _)) = self.socket.recv_from(&mut buffer).await {
            let number = u64::from_be_bytes(buffer);
            let answer = self.mail.0.answers.borrow_mut().remove(&number);
            let waits = self.waiting.borrow_mut().remove(&number);
            trace::record(&self.name, || What::Received { number });
            if let (Some(answer), Some(waits)) = (answer, waits) {
                let _ = waits.send(answer);
            }
        }
    }

    /// Sends one request to the cluster on host `to` and waits for its answer.
    ///
    /// # Errors
    ///
    /// [`NoAnswer`] after `patience`, or if the connection broke.
    #[expect(clippy::disallowed_methods, reason = "a simulated client's own time-out")]
    pub async fn call(
        &self,
        to: &str,
        request: Envelope,
        patience: Duration,
    ) -> Result<Response, NoAnswer> {
        let number = self.mail.0.next.get();
        self.mail.0.next.set(number + 1);
        self.mail.0.requests.borrow_mut().insert(number, request);
        trace::record(&self.name, || What::Sent {
            number,
            to: to.to_owned(),
            says: self.mail.request(number).map(|it| format!("{it:?}")).unwrap_or_default(),
        });
        let (sender, receiver) = oneshot::channel();
        self.waiting.borrow_mut().insert(number, sender);
        let address = SocketAddr::new(turmoil::lookup(to), PORT);
        let sent = self.socket.send_to(&number.to_be_bytes(), address).await;
        let outcome = match sent {
            Ok(_) => tokio::time::timeout(patience, receiver).await,
            Err(_) => return Err(NoAnswer::Broken),
        };
        self.waiting.borrow_mut().remove(&number);
        match outcome {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(NoAnswer::Broken),
            Err(_) => Err(NoAnswer::TimedOut),
        }
    }
}

/// What happens to an answer.
pub enum Answer {
    /// It is sent after this delay.
    After(Duration, Response),
    /// It is lost.
    Lost,
    /// There is none, because the request never reached its broker.
    Unheard,
    /// The client sees its connection break and gets no answer.
    Broken,
}

/// Answers requests on this `host`. Returns only on an error.
///
/// # Errors
///
/// An error of turmoil, if the port cannot be bound.
#[expect(clippy::disallowed_methods, reason = "a slow cluster's delay")]
pub async fn serve(
    mail: Mail,
    host: &str,
    answer: impl Fn(Envelope) -> Answer,
) -> std::io::Result<()> {
    let socket = UdpSocket::bind((IpAddr::V4(Ipv4Addr::UNSPECIFIED), PORT)).await?;
    let mut late = FuturesUnordered::new();
    let mut buffer = [0; 8];
    loop {
        let from = tokio::select! {
            biased;
            received = socket.recv_from(&mut buffer) => received?.1,
            Some((number, to)) = late.next(), if !late.is_empty() => {
                let number: u64 = number;
                socket.send_to(&number.to_be_bytes(), to).await?;
                continue;
            }
        };
        let number = u64::from_be_bytes(buffer);
        let Some(request) = mail.0.requests.borrow_mut().remove(&number) else {
            continue;
        };
        trace::record(host, || What::Arrived { number });
        let client = Rc::clone(&request.from);
        match answer(request) {
            Answer::After(delay, response) => {
                trace::record(host, || What::Answered {
                    number,
                    to: client.to_string(),
                    says: format!("{response:?}"),
                });
                mail.0.answers.borrow_mut().insert(number, response);
                if delay.is_zero() {
                    socket.send_to(&number.to_be_bytes(), from).await?;
                } else {
                    late.push(async move {
                        tokio::time::sleep(delay).await;
                        (number, from)
                    });
                }
            }
            Answer::Lost => trace::record(host, || What::AnswerLost { number }),
            Answer::Unheard => trace::record(host, || What::Unheard { number }),
            Answer::Broken => {
                trace::record(host, || What::AnswerLost { number });
                socket.send_to(&number.to_be_bytes(), from).await?;
            }
        }
    }
}
