//! The daemon, started in this process on a database of its own.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::config;

/// Settings for a daemon in this folder.
fn settings(folder: &tempfile::TempDir, public: &str) -> Settings {
    // Tests start no other cryptography, and the clients need one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = folder.path().join("test.db").display().to_string();
    let text = format!(
        "[server]\nbind = \"{public}\"\n[admin]\nbind = \"127.0.0.1:0\"\n[store]\nurl = \"sqlite://{url}\"\n\
         [agent]\napi_key = \"k\"\nagent_id = \"a\"\n"
    );
    config::parse("test.toml", &text, []).unwrap()
}

async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn serves_on_the_ports_that_the_system_chose_until_it_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = start(settings(&folder, "127.0.0.1:0"), Overrides::default())
        .await
        .unwrap();
    assert!(running.public_addr.port() != 0 && running.admin_addr.port() != 0);
    assert!(get(running.public_addr, "/healthz").await.ends_with("ok"));
    assert!(get(running.public_addr, "/readyz").await.ends_with("ready"));
    assert!(get(running.admin_addr, "/nothing").await.contains("not_found"));

    assert_eq!(running.stop().await.unwrap(), Ended::Finished);
    assert!(TcpStream::connect(running.public_addr).await.is_err());
    assert!(TcpStream::connect(running.admin_addr).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_told_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = start(settings(&folder, &address), Overrides::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&address) && error.contains("server.bind"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_when_the_grace_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(&folder, "127.0.0.1:0");
    settings.server.shutdown_grace = Duration::from_millis(100);
    let mut running = start(settings, Overrides::default()).await.unwrap();
    // A request whose head never ends.
    let mut stuck = TcpStream::connect(running.public_addr).await.unwrap();
    stuck.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
    assert!(get(running.public_addr, "/healthz").await.ends_with("ok"));

    let stopped = tokio::time::timeout(Duration::from_secs(5), running.stop()).await;
    stopped.expect("the stop waits for the stuck request").unwrap();
    let mut rest = Vec::new();
    let _ = stuck.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
}
