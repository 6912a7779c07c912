//! Acts that name a part: whose part they may name.

use chatbridge::domain::DeliveryId;
use chatbridge::domain::act::{Deed, Whereabouts};

use super::people::{act, answered};
use super::*;

#[tokio::test]
async fn an_act_on_what_nobody_sent_does_nothing() {
    let bench = Bench::new().await;
    let part = answered(&bench, "t1").await;
    let nowhere = DeliveryId::new(part.thread, 99);
    let call = act(
        "a1",
        Whereabouts::Delivery(nowhere),
        Deed::CallPerson,
        Some("said"),
        at(5),
    );
    assert_eq!(bench.accept(vec![call]).await, [Accepted::Unknown]);
    // Another channel's button proves nothing here.
    let mut foreign = act(
        "a2",
        Whereabouts::Delivery(part),
        Deed::CallPerson,
        Some("said"),
        at(5),
    );
    if let Arrival::Act(act) = &mut foreign.arrival {
        act.account = AccountKey::new("other", "A1").unwrap();
    }
    assert_eq!(bench.accept(vec![foreign.clone()]).await, [Accepted::Unknown]);
    // Neither does one of another account of the channel, unless it was pressed in the very room.
    let shown = bench
        .store
        .thread(&part.thread.to_string())
        .await
        .unwrap()
        .unwrap();
    let room = shown.thread.address.split('/').nth(2).unwrap().to_owned();
    let mut pressed_in = async |room: Option<&str>| {
        if let Arrival::Act(act) = &mut foreign.arrival {
            act.account = AccountKey::new(account().channel(), "A2").unwrap();
            act.room = room.map(str::to_owned);
        }
        bench.accept(vec![foreign.clone()]).await
    };
    assert_eq!(pressed_in(None).await, [Accepted::Unknown]);
    assert_eq!(pressed_in(Some("elsewhere")).await, [Accepted::Unknown]);
    assert!(bench.claim_sends(at(6)).await.is_empty());
    assert_eq!(pressed_in(Some(&room)).await, [Accepted::Done("person_called")]);
}
