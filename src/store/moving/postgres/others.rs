//! Whoever else is connected.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};

use crate::store::moving::error::MoveError;
use crate::store::postgres::connect;

/// A connection of a process that has just ended may be seen for so long still.
const FADING: Duration = Duration::from_secs(3);

/// Connections of daemons and commands: by the name that they give themselves. `name`
const OTHERS: &str = "
    SELECT count(*) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = $1 AND pid <> pg_backend_pid()";

/// Refuses a database on which a daemon or a command works, as far as the server shows its connections.
pub(super) async fn refuse(
    options: &PgConnectOptions,
    conn: &mut PgConnection,
    daemons: &str,
) -> Result<(), MoveError> {
    let until = tokio::time::Instant::now() + FADING;
    loop {
        let others = sqlx::query_scalar(OTHERS)
            .bind(daemons)
            .fetch_one(&mut *conn)
            .await;
        match others {
            // A server that does not show them cannot be asked; whoever writes is noticed all the same.
            Ok(0) | Err(sqlx::Error::Database(_)) => return Ok(()),
            Ok(count) if tokio::time::Instant::now() > until => {
                return Err(served(options, count));
            }
            Ok(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            Err(error) => return Err(error.into()),
        }
    }
}

fn served(options: &PgConnectOptions, connections: i64) -> MoveError {
    let count = match connections {
        1 => "a connection".to_owned(),
        count => format!("{count} connections"),
    };
    MoveError::Served {
        database: connect::name(options),
        sign: format!("the server shows {count}; if a pooler keeps them, name the server itself"),
    }
}
