//! PostgreSQL for the tests: a database of its own for each that wants one.
//!
//! `tests/run` starts a server, names it in `CHATBRIDGE_TEST_POSTGRES`, and runs these tests a second time with
//! `CHATBRIDGE_TEST_STORE=postgres`: then everything that keeps something keeps it there.

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

/// Whether this run is the one on PostgreSQL.
pub(crate) fn on_postgres() -> bool {
    std::env::var("CHATBRIDGE_TEST_STORE").is_ok_and(|store| store == "postgres")
}

/// The server's address, if there is a server.
pub(crate) fn server() -> Option<String> {
    let address = std::env::var("CHATBRIDGE_TEST_POSTGRES").ok();
    assert!(
        address.is_some() || !(on_postgres() || std::env::var_os("CI").is_some()),
        "CHATBRIDGE_TEST_POSTGRES names no server; tests/run starts one"
    );
    address
}

/// A database that is gone when this is dropped, or when its server is.
pub(crate) struct Database {
    server: String,
    name: String,
    /// Who works in it, where the server is there for this test alone.
    owner: Option<&'static str>,
}

impl Database {
    /// A new, empty one; none if there is no server.
    pub(crate) fn new() -> Option<Self> {
        let server = server()?;
        let name = named();
        administer(&server, format!("CREATE DATABASE {name} TEMPLATE template0"));
        Some(Self {
            server,
            name,
            owner: None,
        })
    }

    /// One of this user's on a server that is there for this test alone, in this tablespace.
    pub(crate) fn at(server: String, owner: &'static str, tablespace: &str) -> Self {
        let name = named();
        let made = format!("CREATE DATABASE {name} TEMPLATE template0 OWNER {owner} TABLESPACE {tablespace}");
        administer(&server, made);
        Self {
            server,
            name,
            owner: Some(owner),
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its address, as in `store.url`.
    pub(crate) fn url(&self) -> String {
        self.url_at(None)
    }

    /// The same by way of another port of this machine.
    pub(crate) fn url_at(&self, port: Option<u16>) -> String {
        let mut url = reqwest::Url::parse(&self.server).unwrap();
        url.set_path(&self.name);
        if let Some(owner) = self.owner {
            url.set_username(owner).unwrap();
        }
        if let Some(port) = port {
            url.set_port(Some(port)).unwrap();
        }
        url.to_string()
    }

    /// The server's port.
    pub(crate) fn port(&self) -> u16 {
        let url = reqwest::Url::parse(&self.server).unwrap();
        url.port().unwrap()
    }

    /// Ends all connections to it.
    pub(crate) fn disconnect_all(&self) {
        let name = &self.name;
        administer(
            &self.server,
            format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"),
        );
    }

    /// Lets nobody in, and ends all connections; or lets everybody in again.
    pub(crate) fn close(&self, closed: bool) {
        let allow = !closed;
        administer(
            &self.server,
            format!("ALTER DATABASE {} ALLOW_CONNECTIONS {allow}", self.name),
        );
        if closed {
            self.disconnect_all();
        }
    }

    /// Carries out statements in it.
    pub(crate) fn execute(&self, sql: &str) {
        administer(&self.url(), sql.to_owned());
    }

    /// What a statement counts in it.
    pub(crate) fn count(&self, sql: &'static str) -> i64 {
        let options: PgConnectOptions = self.url().parse().unwrap();
        aside(async move {
            let mut conn: PgConnection = options.connect().await.unwrap();
            let count = sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap();
            conn.close().await.unwrap();
            count
        })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.owner.is_some() {
            return;
        }
        administer(
            &self.server,
            format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name),
        );
    }
}

fn named() -> String {
    format!("t{:016x}", rand::random::<u64>())
}

/// Carries out statements at this address.
pub(crate) fn administer(url: &str, sql: String) {
    let options: PgConnectOptions = url.parse().unwrap();
    aside(async move {
        let mut conn: PgConnection = options.connect().await.unwrap();
        conn.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
        conn.close().await.unwrap();
    });
}

/// In a thread and a runtime of its own: whoever calls may stand in another.
fn aside<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    std::thread::spawn(move || runtime.unwrap().block_on(work))
        .join()
        .unwrap()
}
