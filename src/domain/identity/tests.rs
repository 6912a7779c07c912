use super::*;

const NOTHING: Renaming = Renaming::Nothing { leave: Vec::new() };
const NOW: Time = Time::from_millis(100);

fn account() -> AccountKey {
    AccountKey::new("w", "1").unwrap()
}

fn name(id: &str) -> Identifier {
    let strength = match id.as_bytes()[0] {
        b'p' => Strength::Weak,
        b'g' => Strength::Shared,
        _ => Strength::Strong,
    };
    Identifier {
        alias: account().alias(&[id]).unwrap(),
        strength,
    }
}

fn names(ids: &[&str]) -> Vec<Identifier> {
    ids.iter().map(|id| name(id)).collect()
}

fn known(rows: &[(&str, ThreadId, Option<&str>)]) -> HashMap<AliasKey, Known> {
    let entry = |(id, thread, bound): &(&str, ThreadId, Option<&str>)| {
        (
            name(id).alias,
            Known {
                thread: *thread,
                bound: bound.map(|b| name(b).alias),
                written: true,
                since: Time::default(),
                told: Time::default(),
            },
        )
    };
    rows.iter().map(entry).collect()
}

#[test]
fn a_known_user_id_wins_over_a_number_that_leads_elsewhere() {
    let (a, b) = (ThreadId::new(), ThreadId::new());
    let found = known(&[("uA", a, Some("uA")), ("p1", b, Some("uB"))]);
    let expected = Resolution::Join {
        thread: a,
        point: names(&["p1"]),
        bind: None,
        lost: Vec::new(),
    };
    assert_eq!(
        resolve(&names(&["uA", "p1"]), Opens::Thread, &found, NOW),
        expected
    );
}

#[test]
fn a_recycled_number_opens_a_new_thread() {
    let found = known(&[("p1", ThreadId::new(), Some("uA"))]);
    let expected = Resolution::Open {
        point: names(&["uB", "p1"]),
        bind: Some(name("uB").alias),
        lost: Vec::new(),
    };
    assert_eq!(
        resolve(&names(&["uB", "p1"]), Opens::Thread, &found, NOW),
        expected
    );
}

#[test]
fn a_thread_known_by_its_number_learns_the_user_id() {
    let a = ThreadId::new();
    let found = known(&[("p1", a, None)]);
    let expected = Resolution::Join {
        thread: a,
        point: names(&["uA"]),
        bind: Some(name("uA").alias),
        lost: Vec::new(),
    };
    assert_eq!(
        resolve(&names(&["uA", "p1"]), Opens::Thread, &found, NOW),
        expected
    );
}

#[test]
fn a_route_forgets_what_leads_to_somebody_else() {
    let route = serde_json::json!({ "to": "p1", "recipient": "uA" });
    assert_eq!(
        route_without(&route, &name("p1").alias),
        Some(serde_json::json!({ "recipient": "uA" }))
    );
    assert_eq!(route_without(&route, &name("p2").alias), None);
    assert_eq!(route_without(&Route::Null, &name("p1").alias), None);
}

#[test]
fn a_reply_in_an_unknown_thread_opens_nothing() {
    assert_eq!(
        resolve(&names(&["uA"]), Opens::Nothing, &HashMap::new(), NOW),
        Resolution::NotForUs
    );
}

#[test]
fn a_change_of_names_points_the_new_ones_at_the_old_thread_once() {
    let a = ThreadId::new();
    let found = known(&[("uA", a, Some("uA")), ("p1", a, Some("uA"))]);
    let change = rename(&names(&["uA", "p1"]), &names(&["uZ", "p2"]), &found, NOW);
    let point = names(&["uZ", "p2"]);
    assert_eq!(
        change,
        Renaming::Rename {
            thread: a,
            point,
            bind: Binding::To(name("uZ").alias),
            leave: vec![name("p1").alias],
            adopt: None
        }
    );

    let again = known(&[
        ("uA", a, Some("uZ")),
        ("uZ", a, Some("uZ")),
        ("p1", a, Some("uZ")),
    ]);
    assert_eq!(
        rename(&names(&["uA", "p1"]), &names(&["uZ", "p2"]), &again, NOW),
        Renaming::Nothing {
            leave: vec![name("p1").alias]
        }
    );
}

#[test]
fn a_later_change_may_come_first() {
    let (a, early) = (ThreadId::new(), ThreadId::new());
    // uB → uC came while nobody knew uB: both names wait on a thread that nobody wrote on.
    let mut found = known(&[
        ("uA", a, Some("uA")),
        ("uB", early, Some("uC")),
        ("uC", early, Some("uC")),
    ]);
    for entry in found.values_mut().filter(|entry| entry.thread == early) {
        entry.written = false;
    }
    let change = rename(&names(&["uA"]), &names(&["uB"]), &found, NOW);
    let bind = Binding::To(name("uC").alias);
    assert_eq!(
        change,
        Renaming::Rename {
            thread: a,
            point: names(&["uB"]),
            bind,
            leave: Vec::new(),
            adopt: Some(early)
        }
    );
}

#[test]
fn nothing_is_merged_when_the_person_wrote_under_the_new_name_first() {
    let (a, b) = (ThreadId::new(), ThreadId::new());
    let found = known(&[("uA", a, Some("uA")), ("uB", b, Some("uB"))]);
    assert_eq!(rename(&names(&["uA"]), &names(&["uB"]), &found, NOW), NOTHING);
}

#[test]
fn a_change_of_number_without_user_ids_loosens_the_bond() {
    let a = ThreadId::new();
    let found = known(&[("uA", a, Some("uA")), ("p1", a, Some("uA"))]);
    assert_eq!(
        rename(&names(&["p1"]), &names(&["p2"]), &found, NOW),
        Renaming::Rename {
            thread: a,
            point: names(&["p2"]),
            bind: Binding::Loosen(name("p2").alias),
            leave: vec![name("p1").alias],
            adopt: None
        }
    );
    // A thread that has no bond keeps none.
    let found = known(&[("p1", a, None)]);
    let change = rename(&names(&["p1"]), &names(&["p2"]), &found, NOW);
    assert!(
        matches!(
            change,
            Renaming::Rename {
                bind: Binding::Keep,
                ..
            }
        ),
        "{change:?}"
    );
}

#[test]
fn a_change_that_comes_late_says_nothing_of_the_numbers_next_owner() {
    let mut found = known(&[("p1", ThreadId::new(), Some("uB"))]);
    found.get_mut(&name("p1").alias).unwrap().since = Time::from_millis(101);
    let change = rename(&names(&["p1"]), &names(&["p2"]), &found, NOW);
    assert!(matches!(change, Renaming::Keep { .. }), "{change:?}");
}

#[test]
fn a_message_that_comes_late_does_not_take_the_number_back() {
    let (a, b) = (ThreadId::new(), ThreadId::new());
    let mut found = known(&[("uA", a, Some("uA")), ("p1", b, Some("uB"))]);
    found.get_mut(&name("p1").alias).unwrap().since = Time::from_millis(101);
    let expected = Resolution::Join {
        thread: a,
        point: Vec::new(),
        bind: None,
        lost: vec![name("p1").alias],
    };
    assert_eq!(
        resolve(&names(&["uA", "p1"]), Opens::Thread, &found, NOW),
        expected
    );
    let stranger = resolve(&names(&["uC", "p1"]), Opens::Thread, &found, NOW);
    assert!(
        matches!(&stranger, Resolution::Open { point, .. } if *point == names(&["uC"])),
        "{stranger:?}"
    );
}

#[test]
fn a_loosened_bond_lets_in_who_writes_from_the_new_number_only() {
    let a = ThreadId::new();
    let found = known(&[("p1", a, Some("p2")), ("p2", a, Some("p2"))]);
    assert_eq!(
        resolve(&names(&["uN", "p2"]), Opens::Thread, &found, NOW),
        Resolution::Join {
            thread: a,
            point: names(&["uN"]),
            bind: Some(name("uN").alias),
            lost: Vec::new(),
        }
    );
    let other = resolve(&names(&["uB", "p1"]), Opens::Thread, &found, NOW);
    assert!(matches!(other, Resolution::Open { .. }), "{other:?}");
}
