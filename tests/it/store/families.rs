//! Which accounts belong together.

use super::*;

#[tokio::test]
async fn the_latest_family_of_an_account_counts_and_outlives_a_restart() {
    let bench = Bench::new().await;
    let number = |id: &str| AccountKey::new("w", id).unwrap();
    for (id, family) in [("1", "A"), ("2", "A"), ("1", "B")] {
        bench.store.keep_family(&number(id), family).await.unwrap();
    }
    let elsewhere = AccountKey::new("wx", "1").unwrap();
    bench.store.keep_family(&elsewhere, "C").await.unwrap();
    let bench = bench.reopen().await;
    let known = bench.store.families("w").await.unwrap();
    assert_eq!(
        known,
        [(number("1"), "B".to_owned()), (number("2"), "A".to_owned())]
    );
    assert_eq!(bench.store.families("none").await.unwrap(), []);
}
