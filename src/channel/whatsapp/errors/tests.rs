use http::HeaderMap;
use serde_json::json;

use super::*;

fn answer(status: u16, body: &Value) -> Answer {
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: serde_json::to_vec(body).unwrap(),
    }
}

fn in_a_row(pauses: u32) -> Pauses {
    Pauses {
        person: pauses,
        number: pauses,
    }
}

fn coded(status: u16, code: i64, pauses: u32) -> SendDisposition {
    let body = json!({"error": {"message": "m", "code": code, "error_data": {"details": "d"}}});
    refusal(&answer(status, &body), in_a_row(pauses)).disposition
}

fn pause(disposition: SendDisposition, expected: Scope) -> Duration {
    match disposition {
        SendDisposition::Pause { scope, after } if scope == expected => after,
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_code_stands_twice_in_the_table() {
    for (index, row) in TABLE.iter().enumerate() {
        assert!(
            !TABLE[..index]
                .iter()
                .any(|other| other.codes.contains(row.codes.start())),
            "{row:?}"
        );
    }
}

#[test]
fn what_the_operator_must_mend_is_held_whatever_the_status() {
    for status in [200, 400, 401, 500] {
        for code in [368, 131_031, 131_042] {
            assert_eq!(coded(status, code, 0), SendDisposition::HoldFamily, "{code}");
        }
        for code in [0, 190, 3, 10, 200, 230, 299] {
            assert_eq!(coded(status, code, 0), SendDisposition::HoldAccess, "{code}");
        }
        for code in [131_005, 131_048, 131_064, 131_045, 133_010, 33, 131_037, 133_016] {
            assert_eq!(coded(status, code, 0), SendDisposition::Hold, "{code}");
        }
        // A country where the account may not write concerns the people there only.
        assert_eq!(
            pause(coded(status, 130_497, 0), Scope::Thread),
            Duration::from_mins(1)
        );
    }
}

#[test]
fn what_will_never_be_sent_is_dead() {
    let codes = [
        131_047, 131_026, 130_403, 131_021, 131_050, 131_030, 131_049, 130_472, 131_062, 100, 131_008,
        131_009, 131_051, 131_052, 131_053,
    ];
    for code in codes {
        assert_eq!(coded(400, code, 3), SendDisposition::Dead, "{code}");
        assert_eq!(coded(500, code, 3), SendDisposition::Dead, "{code}");
    }
}

#[test]
fn a_passing_error_is_ambiguous_only_with_a_server_error() {
    for code in [1, 2, 131_000, 131_016] {
        assert_eq!(coded(500, code, 1), SendDisposition::Unknown);
        assert_eq!(coded(400, code, 1), SendDisposition::Retry { after: None });
    }
    let a_minute = Some(Duration::from_mins(1));
    assert_eq!(coded(503, 131_057, 1), SendDisposition::Retry { after: a_minute });
}

#[test]
fn each_throttle_waits_as_its_limit_asks() {
    for (pauses, seconds) in [(0, 1), (1, 4), (2, 16), (3, 64), (4, 256), (99, 4096)] {
        let after = pause(coded(400, 131_056, pauses), Scope::Thread);
        assert_eq!(after, Duration::from_secs(seconds));
    }
    for (pauses, least) in [(0, 1.0), (1, 4.0), (2, 16.0)] {
        let after = pause(coded(429, 130_429, pauses), Scope::Account).as_secs_f64();
        assert!((least..least * 1.25).contains(&after), "{after}");
    }
    assert_eq!(
        pause(coded(429, 130_429, 9), Scope::Account),
        Duration::from_mins(1)
    );
    for (code, scope) in [(4, Scope::Access), (80_007, Scope::Family)] {
        let after = pause(coded(400, code, 0), scope).as_secs_f64();
        assert!((180.0..226.0).contains(&after), "{after}");
    }
}

#[test]
fn a_pause_is_never_shorter_than_asked() {
    let mut throttled = answer(429, &json!({"error": {"code": 130_429}}));
    throttled.headers.insert("retry-after", "120".parse().unwrap());
    assert_eq!(
        pause(refusal(&throttled, Pauses::default()).disposition, Scope::Account),
        Duration::from_mins(2)
    );
    throttled.body.clear();
    assert_eq!(
        pause(refusal(&throttled, Pauses::default()).disposition, Scope::Account),
        Duration::from_mins(2)
    );
}

#[test]
fn an_unlisted_code_is_judged_by_its_status() {
    assert_eq!(coded(500, 999_999, 1), SendDisposition::Unknown);
    assert_eq!(coded(401, 999_999, 1), SendDisposition::Hold);
    assert_eq!(coded(400, 999_999, 1), SendDisposition::Dead);
    pause(coded(429, 999_999, 0), Scope::Account);
    let passing = json!({"error": {"code": 999_999, "is_transient": true}});
    assert_eq!(
        refusal(&answer(400, &passing), Pauses::default()).disposition,
        SendDisposition::Retry { after: None }
    );
}

#[test]
fn without_a_code_the_status_must_do() {
    for (status, expected) in [
        (500, SendDisposition::Unknown),
        (503, SendDisposition::Unknown),
        (200, SendDisposition::Unknown),
        (408, SendDisposition::Unknown),
        (301, SendDisposition::Hold),
        (401, SendDisposition::Hold),
        (404, SendDisposition::Hold),
    ] {
        let refused = refusal(&answer(status, &json!("<html>")), Pauses::default());
        assert_eq!(
            (refused.disposition, refused.code),
            (expected, format!("http_{status}"))
        );
    }
    pause(
        refusal(&answer(429, &json!(null)), Pauses::default()).disposition,
        Scope::Account,
    );
}

#[test]
fn the_operator_reads_the_remedy_and_metas_details_but_no_number_and_no_token() {
    let told = |code: i64, details: &str| {
        let error = json!({"code": code, "message": "m", "error_data": {"details": details}});
        refusal(&answer(400, &json!({"error": error})), Pauses::default()).message
    };
    let message = told(131_030, "Recipient +1 (16505551234) is not allowed, see page 24.");
    assert!(message.contains("add them under API Setup") && message.contains("not allowed, see page 24."));
    assert!(!message.contains("1650555"), "{message}");
    let token = "EAAGm0PX4ZCpsBAKZCabcdefghijklmnop";
    assert!(!told(10, &format!("Malformed access token {token}.")).contains("EAAG"));
    assert!(!told(190, "Malformed access token abcdefgh").contains("abcdefgh"));
}
