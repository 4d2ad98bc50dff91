//! Requests to a server of SFTP and its answers, many under way at the same time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};

use super::failure::Failure;
use super::protocol::{Answer, INIT, OK, Request, VERSION, answer, version};
use crate::pulse::Pulse;

/// What the longest packet of a server may have: more than any has that answers this client.
const LONGEST: u32 = 1 << 20;

/// Packets that wait to be sent.
const WAITING: usize = 16;

/// A connection that requests go over. The tasks that serve it end with it.
#[derive(Debug)]
pub(super) struct Channel {
    packets: mpsc::Sender<Bytes>,
    requests: Arc<Requests>,
    next: AtomicU32,
    timeout: Duration,
}

/// Who waits for which answer.
#[derive(Debug, Default)]
struct Requests {
    /// None once the connection is closed.
    waiting: Mutex<Option<HashMap<u32, oneshot::Sender<Answer>>>>,
    pulse: Pulse,
}

impl Requests {
    fn waiting(&self) -> MutexGuard<'_, Option<HashMap<u32, oneshot::Sender<Answer>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// That of a connection that was closed.
fn closed() -> Failure {
    Failure::Lost("it was closed".to_owned())
}

impl Channel {
    /// Greets the server. The names of its extensions come with the channel.
    pub(super) async fn open(
        mut output: impl AsyncRead + Unpin + Send + 'static,
        mut input: impl AsyncWrite + Unpin + Send + 'static,
        timeout: Duration,
    ) -> Result<(Self, Vec<String>), Failure> {
        // It has the version where others have a number.
        let hello = Request::new(INIT).packet(VERSION);
        let greeting = async {
            input.write_all(&hello).await.ok()?;
            input.flush().await.ok()?;
            receive(&mut output).await
        };
        let greeting = tokio::time::timeout(timeout, greeting).await;
        let packet = greeting.map_err(|_| silent())?.ok_or_else(closed)?;
        let (VERSION.., extensions) = version(packet).ok_or_else(strange)? else {
            return Err(Failure::Strange("its version is too old".to_owned()));
        };
        let (packets, outgoing) = mpsc::channel(WAITING);
        let requests = Arc::new(Requests::default());
        *requests.waiting() = Some(HashMap::new());
        let (sent, received) = (requests.clone(), requests.clone());
        let sending = tokio::spawn(async move { send(input, outgoing, &sent).await });
        tokio::spawn(async move {
            while let Some(packet) = receive(&mut output).await {
                received.pulse.beat();
                let Some((number, answer)) = answer(packet) else {
                    break;
                };
                let waiting = received
                    .waiting()
                    .as_mut()
                    .and_then(|waiting| waiting.remove(&number));
                if let Some(waiting) = waiting {
                    // Who no longer waits has given it up.
                    waiting.send(answer).ok();
                }
            }
            // Whoever waits still is told so.
            *received.waiting() = None;
            sending.abort();
        });
        let channel = Self {
            packets,
            requests,
            next: AtomicU32::new(0),
            timeout,
        };
        Ok((channel, extensions))
    }

    /// Sends a request and waits for its answer, as long as anything moves on the connection.
    async fn ask(&self, request: Request) -> Result<Answer, Failure> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        match &mut *self.requests.waiting() {
            Some(waiting) => drop(waiting.insert(number, answer)),
            None => return Err(closed()),
        }
        let ask = async {
            self.packets
                .send(request.packet(number))
                .await
                .map_err(|_| closed())?;
            answered.await.map_err(|_| closed())
        };
        tokio::select! {
            answer = ask => answer,
            () = self.requests.pulse.stops(self.timeout) => Err(silent()),
        }
    }

    /// The answer to a request, which is no status.
    pub(super) async fn answer(&self, request: Request) -> Result<Answer, Failure> {
        match self.ask(request).await? {
            Answer::Status { code: OK, .. } => Err(strange()),
            Answer::Status { code, message } => Err(Failure::Status { code, message }),
            answer => Ok(answer),
        }
    }

    /// Does what is answered by a status.
    pub(super) async fn perform(&self, request: Request) -> Result<(), Failure> {
        match self.ask(request).await? {
            Answer::Status { code: OK, .. } => Ok(()),
            Answer::Status { code, message } => Err(Failure::Status { code, message }),
            _ => Err(strange()),
        }
    }

    /// The handle that a request is answered by.
    pub(super) async fn handle(&self, request: Request) -> Result<Bytes, Failure> {
        match self.answer(request).await? {
            Answer::Handle(handle) => Ok(handle),
            _ => Err(strange()),
        }
    }
}

/// The failure where a server answers something else than it was asked.
pub(super) fn strange() -> Failure {
    Failure::Strange("another packet was due".to_owned())
}

fn silent() -> Failure {
    Failure::Lost("the server does not answer".to_owned())
}

/// Sends packets until nobody has any more.
async fn send(
    mut input: impl AsyncWrite + Unpin,
    mut packets: mpsc::Receiver<Bytes>,
    requests: &Requests,
) {
    while let Some(packet) = packets.recv().await {
        if input.write_all(&packet).await.is_err() || input.flush().await.is_err() {
            break;
        }
        requests.pulse.beat();
    }
    // The server ends then, and with it the other task.
    input.shutdown().await.ok();
}

/// A packet without its length; none where the connection ended, or something else than SFTP comes over it.
async fn receive(output: &mut (impl AsyncRead + Unpin)) -> Option<Bytes> {
    let length = output.read_u32().await.ok()?;
    if length > LONGEST {
        return None;
    }
    let mut packet = BytesMut::zeroed(length as usize);
    output.read_exact(&mut packet).await.ok()?;
    Some(packet.freeze())
}
