use super::*;

fn board(limit: u32) -> Board {
    Board::new(limit, |lane| lane.split('|').next().unwrap_or(""))
}

fn at(millis: i64) -> Time {
    Time::from_millis(millis)
}

fn most(quotas: &[Quota]) -> Vec<(&str, u32)> {
    let mut most: Vec<_> = quotas.iter().map(|quota| (&*quota.lane, quota.most)).collect();
    most.sort_unstable();
    most
}

#[test]
fn lanes_of_a_group_share_its_places_and_take_turns() {
    let board = board(3);
    for lane in ["a|1", "a|2", "b|1"] {
        board.hint(&lane.into(), at(0));
    }
    assert_eq!(board.quotas(at(0)).iter().map(|quota| quota.most).sum::<u32>(), 6);
    // All places are taken: nothing more, whatever is due.
    board.hint(&"a|1".into(), at(0));
    assert!(board.quotas(at(0)).is_empty());
    // One place comes free: it goes to the lane that was served longest ago.
    board.hint(&"a|2".into(), at(0));
    board.done(&"a|1".into());
    let first = board.quotas(at(0));
    board.done(&"a|1".into());
    let second = board.quotas(at(0));
    assert_ne!(first[0].lane, second[0].lane);
}

#[test]
fn what_a_claim_did_not_need_is_given_back() {
    let board = board(5);
    board.hint(&"a|1".into(), at(0));
    let quotas = board.quotas(at(0));
    let next = vec![LaneDue {
        lane: "a|1".into(),
        due_at: Some(at(50)),
    }];
    board.claimed(&quotas, &HashMap::from([("a|1".into(), 2)]), next);
    assert!(board.quotas(at(49)).is_empty());
    assert_eq!(most(&board.quotas(at(50))), [("a|1", 3)]);
}

#[test]
fn a_hint_that_comes_during_a_claim_is_kept() {
    let board = board(5);
    board.hint(&"a|1".into(), at(0));
    let quotas = board.quotas(at(0));
    board.hint(&"a|1".into(), at(1));
    board.claimed(
        &quotas,
        &HashMap::new(),
        vec![LaneDue {
            lane: "a|1".into(),
            due_at: None,
        }],
    );
    assert_eq!(most(&board.quotas(at(1))), [("a|1", 5)]);
}

#[test]
fn a_held_group_is_probed_by_one_and_released_whole() {
    let board = board(8);
    board.hint(&"a|1".into(), at(0));
    assert_eq!(
        board.hold(&"a|1".into(), Reach::Group, "refused".into(), at(0)),
        (at(5000), true)
    );
    // Another call that was under way does not lengthen the wait.
    assert_eq!(
        board.hold(&"a|1".into(), Reach::Group, "refused".into(), at(10)),
        (at(5000), false)
    );
    assert!(board.quotas(at(4999)).is_empty());
    assert_eq!(most(&board.quotas(at(5000))), [("a|1", 1)]);
    assert_eq!(
        board.hold(&"a|1".into(), Reach::Group, "refused".into(), at(5001)),
        (at(15001), false)
    );
    board.done(&"a|1".into());
    assert!(board.unhold(&"a|1".into(), Reach::Group));
    board.hint(&"a|1".into(), at(5002));
    assert_eq!(most(&board.quotas(at(5002))), [("a|1", 8)]);
}

#[test]
fn idle_is_when_nothing_is_under_way_or_due_soon() {
    let board = board(1);
    assert!(board.is_idle(at(100)));
    board.hint(&"a|1".into(), at(50));
    assert!(!board.is_idle(at(100)));
    board.block(&"a|1".into(), Reach::Group, at(500));
    assert!(board.is_idle(at(100)));
    assert!(board.reserve(&"b|1".into(), at(0)));
    assert!(!board.is_idle(at(100)));
}

/// Groups `a` and `b` are a family, and `z` stands for itself; `b` and `z` have the same credentials.
fn circles() -> Board {
    let circles_of = |lane: &str| {
        let (family, access) = match lane.chars().next()? {
            'z' => ("z", "bz"),
            'b' => ("ab", "bz"),
            _ => ("ab", "a"),
        };
        Some(Circles {
            family: family.to_owned(),
            access: access.to_owned(),
        })
    };
    Board::with_circles(
        8,
        |lane| lane.split('|').next().unwrap_or(""),
        Box::new(circles_of),
    )
}

#[test]
fn a_pause_of_a_circle_concerns_all_its_groups_and_no_other() {
    for (reach, lane, free) in [
        (Reach::Family, "a|1", vec!["z|1"]),
        (Reach::Access, "a|1", vec!["b|1", "z|1"]),
        (Reach::Access, "z|1", vec!["a|1"]),
        (Reach::Group, "z|1", vec!["a|1", "b|1"]),
    ] {
        let board = circles();
        board.block(&lane.into(), reach, at(100));
        for lane in ["a|1", "b|1", "z|1"] {
            board.hint(&lane.into(), at(0));
            assert_eq!(
                board.reserve(&lane.into(), at(99)),
                free.contains(&lane),
                "{reach:?} {lane}"
            );
            if free.contains(&lane) {
                board.done(&lane.into());
            }
        }
        let now = board.quotas(at(99));
        let now: Vec<_> = most(&now).into_iter().map(|(lane, _)| lane).collect();
        assert_eq!(now, free, "{reach:?}");
        assert_eq!(board.quotas(at(100)).len(), 3 - free.len());
    }
}

#[test]
fn a_held_circle_is_probed_by_one_of_all_its_groups() {
    let board = circles();
    let (again, news) = board.hold(&"a|1".into(), Reach::Family, "refused".into(), at(0));
    assert_eq!((again, news), (at(5000), true));
    assert!(board.is_held(&"b|1".into()) && !board.is_held(&"z|1".into()));
    for lane in ["a|1", "b|1"] {
        board.hint(&lane.into(), at(0));
    }
    let probes: u32 = board.quotas(at(5000)).iter().map(|quota| quota.most).sum();
    assert_eq!(probes, 1);
    assert!(board.unhold(&"b|1".into(), Reach::Family));
    assert!(board.reserve(&"b|1".into(), at(5001)));
}

/// As long as nothing is known of the family, the credentials stand for it.
#[test]
fn a_circle_that_becomes_known_meanwhile_strands_nobody() {
    let known = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let flag = known.clone();
    let circles_of = move |lane: &str| {
        let learned = flag.load(std::sync::atomic::Ordering::SeqCst);
        let family = if learned { &lane[..1] } else { "token" };
        Some(Circles {
            family: family.to_owned(),
            access: "token".to_owned(),
        })
    };
    let board = Board::with_circles(
        8,
        |lane| lane.split('|').next().unwrap_or(""),
        Box::new(circles_of),
    );
    for lane in ["a|1", "b|1"] {
        assert!(board.reserve(&lane.into(), at(0)));
    }
    board.hold(&"a|1".into(), Reach::Family, "not paid".into(), at(0));
    assert!(board.is_held(&"b|1".into()));
    known.store(true, std::sync::atomic::Ordering::SeqCst);
    for lane in ["a|1", "b|1"] {
        board.done(&lane.into());
        board.hint(&lane.into(), at(0));
    }
    assert_eq!(board.held().len(), 1);
    assert_eq!(board.quotas(at(5000)).len(), 1, "one probe, of any of them");
    // It goes through: everybody is free.
    for reach in [Reach::Group, Reach::Family, Reach::Access] {
        board.unhold(&"b|1".into(), reach);
    }
    assert!(board.held().is_empty() && !board.is_held(&"a|1".into()));
    // Now the family is known, and another one's trouble is another one's.
    board.hold(&"a|1".into(), Reach::Family, "not paid".into(), at(6000));
    assert!(board.is_held(&"a|1".into()) && !board.is_held(&"b|1".into()));
}
