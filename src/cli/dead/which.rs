//! Which dead letters are meant.

use anyhow::anyhow;

use super::unknown;
use crate::cli::moment::Moment;
use crate::domain::Time;
use crate::store::Store;
use crate::store::operator::DeadQuery;

/// What all must have that are meant.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Filter {
    /// Only this kind.
    #[arg(long, value_parser = ["message", "delivery"])]
    kind: Option<String>,
    /// Only this channel.
    #[arg(long, value_parser = ["slack", "whatsapp"])]
    channel: Option<String>,
    /// Only this account: a Slack workspace, the id of a WhatsApp number.
    #[arg(long)]
    account: Option<String>,
    /// Only the thread of this address.
    #[arg(long)]
    address: Option<String>,
    /// Only those with this code.
    #[arg(long)]
    code: Option<String>,
    /// Only those given up since: a time (RFC 3339), or how long ago (2h).
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Only those given up until.
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
}

impl Filter {
    pub(super) fn query(self, limit: u32, now: Time) -> DeadQuery {
        DeadQuery {
            kind: self.kind,
            id: None,
            channel: self.channel,
            account: self.account,
            address: self.address,
            code: self.code,
            since: self.since.map(|moment| moment.resolve(now)),
            until: self.until.map(|moment| moment.resolve(now)),
            limit,
        }
    }
}

/// The dead letters that a command is about.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// Their ids, or a range of them: FROM..TO, as they stand in the list.
    #[arg(
        value_name = "ID",
        required_unless_present_any = ["all", "kind", "channel", "account", "address", "code", "since", "until"],
        conflicts_with_all = ["all", "kind", "channel", "account", "address", "code", "since", "until", "limit"]
    )]
    ids: Vec<String>,
    /// All of them.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    filter: Filter,
    /// At most so many, the oldest first.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

impl Which {
    /// Their ids, each once; those of a thread in the order in which they were written.
    pub(super) async fn ids(self, store: &dyn Store, now: Time) -> anyhow::Result<Vec<String>> {
        let mut ids = Vec::new();
        if self.ids.is_empty() {
            let limit = self.limit.unwrap_or(u32::MAX);
            ids = listed(store, self.filter.query(limit, now)).await?;
        }
        for name in self.ids {
            match name.split_once("..") {
                Some((from, to)) => ids.extend(range(store, from, to).await?),
                None => ids.push(name),
            }
        }
        ids.sort_by_cached_key(|id| place(id));
        ids.dedup();
        Ok(ids)
    }
}

async fn listed(store: &dyn Store, query: DeadQuery) -> anyhow::Result<Vec<String>> {
    let letters = store.dead(query).await?;
    Ok(letters.into_iter().map(|letter| letter.id).collect())
}

async fn range(store: &dyn Store, from: &str, to: &str) -> anyhow::Result<Vec<String>> {
    let all = DeadQuery {
        limit: u32::MAX,
        ..DeadQuery::default()
    };
    let ids = listed(store, all).await?;
    let place = |id: &str| {
        ids.iter()
            .position(|known| known == id)
            .ok_or_else(|| unknown(id))
    };
    let (first, last) = (place(from)?, place(to)?);
    if first > last {
        return Err(anyhow!(
            "{from} stands behind {to} in the list; turn the range round"
        ));
    }
    Ok(ids[first..=last].to_vec())
}

/// Where an id stands: `THREAD.mNUMBER` or `THREAD.dNUMBER`.
fn place(id: &str) -> (String, String, i64) {
    let (thread, rest) = id.rsplit_once('.').unwrap_or((id, ""));
    let digits = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
    let (kind, number) = rest.split_at(digits);
    (thread.to_owned(), kind.to_owned(), number.parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stand_in_the_order_of_their_numbers() {
        let mut ids = ["b.m1", "a.m10", "a.m9", "a.d2", "odd"];
        ids.sort_by_key(|id| place(id));
        assert_eq!(ids, ["a.d2", "a.m9", "a.m10", "b.m1", "odd"]);
    }
}
