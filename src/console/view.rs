//! Which page is meant, and the part of it that changes by itself.

use axum::extract::Query;
use http::Uri;
use maud::Markup;
use serde::Deserialize;

use super::{Desk, accounts, dead, erase, overview, settings, thread, threads};
use crate::http::sessions::Visitor;
use crate::store::StoreError;

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum View {
    Overview,
    Threads(threads::Filter),
    Thread(String),
    /// What would go with a thread.
    EraseThread(String),
    /// What would go with a person.
    ErasePerson(erase::Wanted),
    /// What was erased.
    Erased,
    Dead(dead::Filter),
    Accounts,
    Settings,
}

/// What a redirect after an act says.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Notice {
    pub(super) done: Option<String>,
}

impl View {
    /// The page at an address; none if there is none.
    pub(super) fn of(uri: &Uri) -> Option<Self> {
        let path = uri.path().trim_end_matches('/').strip_prefix("/console")?;
        match path {
            "" => Some(Self::Overview),
            "/threads" => Some(Self::Threads(query(uri)?)),
            "/dead" => Some(Self::Dead(query(uri)?)),
            "/accounts" => Some(Self::Accounts),
            "/settings" => Some(Self::Settings),
            "/erase" => Some(Self::ErasePerson(query(uri)?)),
            "/erased" => Some(Self::Erased),
            other => Self::of_thread(other.strip_prefix("/threads/")?),
        }
    }

    /// `ID` or `ID/erase`.
    fn of_thread(path: &str) -> Option<Self> {
        let erase = path.strip_suffix("/erase");
        let id = erase.unwrap_or(path);
        if id.is_empty() || id.contains('/') {
            return None;
        }
        let view = if erase.is_some() {
            Self::EraseThread
        } else {
            Self::Thread
        };
        Some(view(id.to_owned()))
    }

    /// Whether the page follows what happens. To find all that is a person's takes the store too long for that.
    pub(super) fn follows(&self) -> bool {
        !matches!(self, Self::ErasePerson(_))
    }

    /// What a reader is told where the page has nothing to show.
    pub(super) fn missing(&self) -> &'static str {
        match self {
            Self::Thread(_) | Self::EraseThread(_) => "No thread is known by this name.",
            _ => "There is no such page.",
        }
    }
}

fn query<T: for<'a> Deserialize<'a>>(uri: &Uri) -> Option<T> {
    Query::try_from_uri(uri).ok().map(|Query(query)| query)
}

impl Desk {
    /// The part of a page that changes by itself; none if there is nothing by that name.
    pub(super) async fn live(&self, view: &View, visitor: &Visitor) -> Result<Option<Markup>, StoreError> {
        let store = self.store();
        match view {
            View::Overview => Ok(Some(overview::live(self, &*self.figures().await?))),
            View::Threads(filter) => {
                let rows = store.threads(filter.query()).await?;
                Ok(Some(threads::live(self, filter, &rows)))
            }
            View::Thread(name) => {
                let detail = store.thread(name).await?;
                Ok(detail.map(|detail| thread::live(self, &detail, visitor)))
            }
            View::EraseThread(id) => {
                let erasable = store.erasable(id).await?;
                Ok(erasable.map(|erasable| erase::thread(&erasable)))
            }
            View::ErasePerson(wanted) => {
                let found = self.threads_of(wanted).await?;
                Ok(Some(erase::person(wanted, &found)))
            }
            View::Erased => {
                let lines = store.audit(erase::MOST_LINES).await?;
                Ok(Some(erase::audit(&lines)))
            }
            View::Dead(filter) => {
                let letters = store.dead(filter.query()).await?;
                Ok(Some(dead::live(self, filter, &letters, visitor)))
            }
            View::Accounts => Ok(Some(accounts::live(self, &*self.figures().await?).await)),
            View::Settings => Ok(Some(settings::live(&self.console.settings))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_known_by_its_address() {
        let view = |address: &str| View::of(&address.parse().unwrap());
        assert_eq!(view("/console"), Some(View::Overview));
        assert_eq!(view("/console/"), Some(View::Overview));
        let Some(View::Threads(filter)) = view("/console/threads?q=47%2011&state=paused&channel=") else {
            panic!("these are threads");
        };
        assert_eq!(filter.query().search.as_deref(), Some("47 11"));
        assert_eq!(filter.query().state.as_deref(), Some("paused"));
        assert_eq!(filter.query().channel, None);
        assert_eq!(view("/console/threads/abc"), Some(View::Thread("abc".to_owned())));
        let erase = Some(View::EraseThread("abc".to_owned()));
        assert_eq!(view("/console/threads/abc/erase?done=unsure"), erase);
        let Some(person @ View::ErasePerson(_)) = view("/console/erase?person=%2B1%20650") else {
            panic!("this is a person");
        };
        assert!(!person.follows() && View::Erased.follows());
        for nothing in [
            "/metrics",
            "/console/nothing",
            "/console/threads/a/b",
            "/console/threads/a/b/erase",
            "/console/threads//erase",
        ] {
            assert_eq!(view(nothing), None, "{nothing}");
        }
    }
}
