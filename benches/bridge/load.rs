//! The load: events over kept-alive connections, each sent when the one before is acknowledged.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::events::Platform;
use crate::report::Accepting;
use crate::wire::Wire;

/// How long until an event that was not acknowledged is sent again.
const AGAIN: Duration = Duration::from_millis(50);

/// A number of events over a number of connections.
pub(crate) struct Load {
    address: SocketAddr,
    platform: Platform,
    connections: usize,
    first: usize,
    events: usize,
    rate: Option<u32>,
    acknowledged: Option<Arc<AtomicUsize>>,
}

impl Load {
    /// Slack's, as fast as the acknowledgements come.
    pub(crate) fn new(address: SocketAddr, connections: usize, events: usize) -> Self {
        Self {
            address,
            platform: Platform::Slack,
            connections,
            first: 0,
            events,
            rate: None,
            acknowledged: None,
        }
    }

    /// Of this platform.
    pub(crate) fn of(self, platform: Platform) -> Self {
        Self { platform, ..self }
    }

    /// With numbers from here on.
    pub(crate) fn from(self, first: usize) -> Self {
        Self { first, ..self }
    }

    /// So many a second, whether or not the ones before were acknowledged.
    pub(crate) fn at_rate(self, rate: u32) -> Self {
        Self {
            rate: Some(rate),
            ..self
        }
    }

    /// What is not acknowledged with 200 is sent again until it is, as the platforms do; what is acknowledged is
    /// counted here.
    pub(crate) fn patient(self, acknowledged: Arc<AtomicUsize>) -> Self {
        Self {
            acknowledged: Some(acknowledged),
            ..self
        }
    }

    /// Sends everything. Panics if anything is answered otherwise than 200 and the load is not patient.
    pub(crate) async fn run(self) -> Accepting {
        let load = Arc::new(self);
        let next = Arc::new(AtomicUsize::new(0));
        let begin = Instant::now();
        let connections: Vec<_> = (0..load.connections)
            .map(|_| tokio::spawn(connection(load.clone(), next.clone(), begin)))
            .collect();
        let mut sent = vec![begin; load.events];
        let mut took = Vec::with_capacity(load.events);
        for connection in connections {
            for (id, at, acknowledged) in connection.await.unwrap() {
                sent[id] = at;
                took.push(acknowledged);
            }
        }
        Accepting::new(took, begin.elapsed(), sent)
    }
}

async fn connection(
    load: Arc<Load>,
    next: Arc<AtomicUsize>,
    begin: Instant,
) -> Vec<(usize, Instant, Duration)> {
    let mut wire = None;
    let mut done = Vec::new();
    loop {
        let id = next.fetch_add(1, Ordering::Relaxed);
        if id >= load.events {
            return done;
        }
        if let Some(rate) = load.rate {
            let due = begin + Duration::from_secs(1) * u32::try_from(id).unwrap() / rate;
            tokio::time::sleep_until(due.into()).await;
        }
        let request = load.platform.event(load.first + id);
        let at = Instant::now();
        while let Err(answer) = exchange(&mut wire, load.address, &request).await {
            assert!(load.acknowledged.is_some(), "{answer}");
            wire = None;
            tokio::time::sleep(AGAIN).await;
        }
        done.push((id, at, at.elapsed()));
        if let Some(acknowledged) = &load.acknowledged {
            acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Sends a request, over a new connection where there is none, and waits for its answer: an error unless it is 200.
pub(crate) async fn exchange(
    wire: &mut Option<Wire>,
    address: SocketAddr,
    request: &[u8],
) -> Result<(), String> {
    if wire.is_none() {
        *wire = Some(Wire::connect(address).await.map_err(|error| error.to_string())?);
    }
    let open = wire.as_mut().unwrap();
    open.send(request).await.map_err(|error| error.to_string())?;
    let answer = open.message().await.ok_or("the connection ended")?;
    if answer.head.starts_with("HTTP/1.1 200") {
        return Ok(());
    }
    Err(format!("{}{}", answer.head, answer.body))
}
