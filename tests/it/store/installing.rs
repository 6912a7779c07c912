//! Where an app is installed, and what is good once.

use std::sync::Arc;

use chatbridge::domain::Time;
use chatbridge::domain::account::AccountKey;
use chatbridge::store::{Mode, Settings, Store};
use secrecy::{ExposeSecret, SecretString};

use super::Place;

/// Keys, as `openssl rand -base64 32` would make them.
const FIRST: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
const SECOND: &str = "YWJjZGVmZ2hpamFiY2RlZmdoaWphYmNkZWZnaGlqYWI=";

fn account(id: &str) -> AccountKey {
    AccountKey::new("c", id).unwrap()
}

fn at(secs: i64) -> Time {
    Time::from_secs(secs)
}

async fn open(place: &Place, keys: &[&str]) -> Arc<dyn Store> {
    let settings = Settings {
        secret_key: keys.iter().map(|key| SecretString::from(*key)).collect(),
        ..place.settings()
    };
    chatbridge::store::open(&settings, Mode::Serve)
        .await
        .expect("the store opens")
}

/// The details that are kept, by account; a `-` for what nobody can read.
async fn kept(store: &Arc<dyn Store>) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for installed in store.list("c").await.unwrap() {
        let details = installed
            .details
            .map(|details| details.expose_secret().to_owned());
        all.push((
            installed.account.account().to_owned(),
            details.unwrap_or_else(|| "-".to_owned()),
        ));
    }
    all
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect()
}

#[tokio::test]
async fn installations_are_kept_replaced_renewed_and_forgotten() {
    let place = Place::new();
    let store = open(&place, &[FIRST]).await;
    let (one, two) = (account("T1"), account("T2"));
    let since = store.put(&one, &"first".into(), at(100)).await.unwrap();
    assert_eq!(since, at(100));
    store.put(&two, &"other".into(), at(100)).await.unwrap();
    store
        .put(&AccountKey::new("d", "T1").unwrap(), &"elsewhere".into(), at(100))
        .await
        .unwrap();
    assert_eq!(kept(&store).await, pairs(&[("T1", "first"), ("T2", "other")]));
    assert!(store.renew(&one, &"second".into(), since).await.unwrap());
    assert!(!store.renew(&one, &"stale".into(), at(99)).await.unwrap());
    let since = store.put(&one, &"third".into(), at(200)).await.unwrap();
    assert_eq!(since, at(200));
    assert!(!store.renew(&one, &"stale".into(), at(100)).await.unwrap());
    // An end before it was made is another one's.
    assert!(!store.forget(&one, at(150)).await.unwrap());
    assert_eq!(kept(&store).await, pairs(&[("T1", "third"), ("T2", "other")]));
    assert!(store.forget(&one, at(201)).await.unwrap());
    assert!(!store.forget(&one, at(201)).await.unwrap());
    assert!(!store.renew(&one, &"late".into(), at(200)).await.unwrap());
    assert_eq!(kept(&store).await, pairs(&[("T2", "other")]));
    assert!(!store.forget(&account("T9"), at(201)).await.unwrap());
    store.close().await;
    drop(store);
    let store = open(&place, &[FIRST]).await;
    assert_eq!(kept(&store).await, pairs(&[("T2", "other")]));
}

/// The platform tells an end in two pieces, and in whole seconds. What is installed between the two stays.
#[tokio::test]
async fn the_second_news_of_an_end_does_not_end_what_came_after_the_first() {
    let place = Place::new();
    let store = open(&place, &[FIRST]).await;
    let one = account("T1");
    store.put(&one, &"first".into(), at(100)).await.unwrap();
    assert!(store.forget(&one, at(111)).await.unwrap());
    // Within the same second.
    let since = store.put(&one, &"second".into(), at(110)).await.unwrap();
    assert_eq!(since, at(111));
    assert!(!store.forget(&one, at(111)).await.unwrap());
    assert_eq!(kept(&store).await, pairs(&[("T1", "second")]));
    assert!(store.forget(&one, at(112)).await.unwrap());
}

#[tokio::test]
async fn what_is_good_once_is_good_once() {
    let place = Place::new();
    let store = open(&place, &[FIRST]).await;
    assert!(store.spend("a", at(600), at(0)).await.unwrap());
    assert!(!store.spend("a", at(600), at(1)).await.unwrap());
    assert!(store.spend("b", at(600), at(1)).await.unwrap());
    store.close().await;
    drop(store);
    let store = open(&place, &[FIRST]).await;
    assert!(!store.spend("a", at(600), at(600)).await.unwrap());
    // It is remembered no longer than it is worth something.
    assert!(store.spend("a", at(1200), at(601)).await.unwrap());
}

#[tokio::test]
async fn keys_rotate_and_what_no_key_fits_is_told_apart() {
    let place = Place::new();
    let one = account("T1");
    let store = open(&place, &[FIRST]).await;
    store
        .put(&one, &"xoxb-plain-to-see".into(), at(100))
        .await
        .unwrap();
    store.close().await;
    drop(store);
    for file in std::fs::read_dir(place.folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(10).any(|window| window == b"xoxb-plain"));
    }
    // A start with both seals anew with the first; then the second is not needed any more.
    for keys in [&[SECOND, FIRST][..], &[SECOND]] {
        let store = open(&place, keys).await;
        assert_eq!(kept(&store).await, pairs(&[("T1", "xoxb-plain-to-see")]));
        store.close().await;
    }
    let store = open(&place, &[FIRST]).await;
    assert_eq!(kept(&store).await, pairs(&[("T1", "-")]));
    // It can be made anew.
    store.put(&one, &"again".into(), at(200)).await.unwrap();
    assert_eq!(kept(&store).await, pairs(&[("T1", "again")]));
    store.close().await;
}

/// In a file beside a server's database a key would be of no use to the other replicas: it must be set.
#[tokio::test]
async fn a_server_needs_a_key_as_soon_as_there_is_something_to_encrypt() {
    let place = Place::new();
    if place.database.is_none() {
        return;
    }
    let store = open(&place, &[]).await;
    let refused = store
        .put(&account("T1"), &"token".into(), at(100))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("set store.secret_key"), "{refused}");
    store.close().await;
    let store = open(&place, &[FIRST]).await;
    store.put(&account("T1"), &"token".into(), at(100)).await.unwrap();
    store.close().await;
    let refused = chatbridge::store::open(&place.settings(), Mode::Serve).await;
    let refused = refused.err().unwrap().to_string();
    assert!(refused.contains("store.secret_key is not set"), "{refused}");
}

#[tokio::test]
async fn a_bad_key_is_told() {
    let place = Place::new();
    let settings = Settings {
        secret_key: vec!["c2hvcnQ=".into()],
        ..place.settings()
    };
    let opened = chatbridge::store::open(&settings, Mode::Serve).await;
    let error = opened.err().unwrap().to_string();
    assert!(
        error.contains("store.secret_key is not 32 bytes in base64"),
        "{error}"
    );
    assert!(!error.contains("c2hvcnQ"));
}
