//! Where and to whom the operator lets the bot answer.

use super::*;
use crate::channel::slack::Connect;

fn verdict(change: impl FnOnce(&mut Settings), body: &Value) -> &'static str {
    outcome(&slack(change), body).map_or_else(|reason| reason, |_| "taken")
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

#[test]
fn channels_may_be_allowed_and_denied() {
    let in_channel = mention(&json!({}));
    let direct = message(&json!({"channel": "D1", "channel_type": "im"}));
    assert_eq!(
        verdict(|settings| settings.allow_channels = ids(&["C1"]), &in_channel),
        "taken"
    );
    assert_eq!(
        verdict(|settings| settings.allow_channels = ids(&["C2"]), &in_channel),
        "channel_denied"
    );
    assert_eq!(
        verdict(|settings| settings.allow_channels = ids(&["C2"]), &direct),
        "taken"
    );
    assert_eq!(
        verdict(|settings| settings.deny_channels = ids(&["C1"]), &in_channel),
        "channel_denied"
    );
    assert_eq!(
        verdict(|settings| settings.deny_channels = ids(&["D1"]), &direct),
        "channel_denied"
    );
    let both = |settings: &mut Settings| {
        settings.allow_channels = ids(&["C1"]);
        settings.deny_channels = ids(&["C1"]);
    };
    assert_eq!(verdict(both, &in_channel), "channel_denied");
}

#[test]
fn people_may_be_allowed_and_denied() {
    let direct = message(&json!({"channel": "D1", "channel_type": "im"}));
    assert_eq!(
        verdict(|settings| settings.allow_users = ids(&["U1"]), &direct),
        "taken"
    );
    assert_eq!(
        verdict(|settings| settings.allow_users = ids(&["U2"]), &direct),
        "user_denied"
    );
    assert_eq!(
        verdict(|settings| settings.deny_users = ids(&["U1"]), &direct),
        "user_denied"
    );
}

/// A mention by somebody of these teams, in a channel that is shared or not.
fn from(shared: bool, fields: &Value) -> Value {
    let mut body = mention(fields);
    body["is_ext_shared_channel"] = json!(shared);
    body
}

#[test]
fn other_organisations_are_answered_as_the_operator_says() {
    let own = from(false, &json!({}));
    let own_in_shared = from(true, &json!({}));
    let guest = from(true, &json!({"team": "T9"}));
    let by_source = from(false, &json!({"user_team": "T1", "source_team": "T9"}));
    let nameless = from(true, &json!({"team": null}));
    for (connect, verdicts) in [
        (Connect::Allow, ["taken"; 5]),
        (
            Connect::Deny,
            [
                "taken",
                "connect_denied",
                "connect_denied",
                "connect_denied",
                "connect_denied",
            ],
        ),
        (
            Connect::Only(ids(&["T9"])),
            ["taken", "taken", "taken", "taken", "connect_denied"],
        ),
        (
            Connect::Only(ids(&["T8"])),
            [
                "taken",
                "taken",
                "connect_denied",
                "connect_denied",
                "connect_denied",
            ],
        ),
    ] {
        let bodies = [&own, &own_in_shared, &guest, &by_source, &nameless];
        let found = bodies.map(|body| verdict(|settings| settings.connect = connect.clone(), body));
        assert_eq!(found, verdicts, "{connect:?}");
    }
}

#[test]
fn where_an_organisation_installed_the_app_the_channel_tells_who_is_foreign() {
    let grid = |shared: bool, team: &str| {
        let mut body = from(shared, &json!({"team": team}));
        body["authorizations"][0]["enterprise_id"] = json!("E1");
        body["authorizations"][0]["is_enterprise_install"] = json!(true);
        body
    };
    assert_eq!(
        verdict(|settings| settings.connect = Connect::Deny, &grid(false, "T7")),
        "taken"
    );
    assert_eq!(
        verdict(|settings| settings.connect = Connect::Deny, &grid(true, "T7")),
        "connect_denied"
    );
    let only = |settings: &mut Settings| settings.connect = Connect::Only(ids(&["T9"]));
    assert_eq!(verdict(only, &grid(true, "T9")), "taken");
    assert_eq!(verdict(only, &grid(true, "T8")), "connect_denied");
}

#[tokio::test]
async fn without_a_token_nothing_is_installed() {
    for token in [None, Some(SecretString::from(" "))] {
        let slack = slack(|settings| settings.bot_token = token.clone());
        // Until it is known where the app is installed, nothing is turned away.
        assert!(outcome(&slack, &mention(&json!({}))).is_ok());
        assert_eq!(slack.installations.load().await, Ok(0));
        assert_eq!(
            outcome(&slack, &mention(&json!({}))).unwrap_err(),
            "not_installed"
        );
    }
}
