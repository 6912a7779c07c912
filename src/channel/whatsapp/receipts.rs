//! Statuses: how what we sent fares.
//!
//! A status is matched to its delivery by the message's id, or by our own id that travelled with it; never by its
//! recipient, which is left out or written otherwise than we did.

use serde_json::Value;

use super::{errors, json};
use crate::domain::message::{Fate, Receipt};
use crate::domain::{AccountKey, Time};

/// What a status tells.
pub(super) enum Status {
    /// A stage that we follow.
    Told(Receipt),
    /// A stage that we do not know.
    Other,
    /// Not built as a status is.
    Malformed,
}

/// Reads one item of `statuses`, which happened at `at`.
pub(super) fn read(status: &Value, account: &AccountKey, at: Time) -> Status {
    let (Some(id), Some(stage)) = (super::parse::message_id(status), json::text(status, "status")) else {
        return Status::Malformed;
    };
    let fate = match stage {
        "sent" => Fate::Sent,
        "delivered" => Fate::Delivered,
        // A voice message is "played" where a text is "read".
        "read" | "played" => Fate::Read,
        "failed" => failure(status),
        _ => return Status::Other,
    };
    Status::Told(Receipt {
        account: account.clone(),
        platform_id: id,
        delivery: json::text(status, "biz_opaque_callback_data").and_then(|ours| ours.parse().ok()),
        fate,
        at,
        billable: status
            .get("pricing")
            .and_then(|pricing| pricing.get("billable")?.as_bool()),
    })
}

/// Why it failed: what the code means, and Meta's words.
fn failure(status: &Value) -> Fate {
    let error = status
        .get("errors")
        .and_then(|errors| errors.get(0))
        .unwrap_or(&Value::Null);
    let code = json::scalar(error, "code").filter(|code| code.len() <= 20 && code.is_ascii());
    let said = errors::words(error);
    let remedy = code.as_ref().and_then(|code| errors::remedy(code.parse().ok()?));
    Fate::Failed {
        code: code.unwrap_or_else(|| "failed".to_owned()),
        reason: remedy.map_or_else(|| said.clone(), |remedy| format!("{remedy} ({said})")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::DeliveryId;

    fn told(status: &Value) -> Receipt {
        let account = AccountKey::new("whatsapp", "1").unwrap();
        match read(status, &account, Time::from_secs(5)) {
            Status::Told(receipt) => receipt,
            Status::Other | Status::Malformed => panic!("{status}"),
        }
    }

    #[test]
    fn every_stage_is_told_with_its_id_and_price() {
        let delivery = DeliveryId::new(crate::domain::ThreadId::new(), 1);
        for (stage, fate) in [
            ("sent", Fate::Sent),
            ("delivered", Fate::Delivered),
            ("read", Fate::Read),
            ("played", Fate::Read),
        ] {
            let receipt = told(
                &json!({"id": "wamid.A/b+c=", "status": stage, "recipient_id": "1650",
                "biz_opaque_callback_data": delivery.to_string(), "pricing": {"billable": true}}),
            );
            assert_eq!(
                (receipt.fate, receipt.platform_id.as_str()),
                (fate, "wamid.A/b+c=")
            );
            assert_eq!((receipt.delivery, receipt.billable), (Some(delivery), Some(true)));
        }
        let foreign = told(&json!({"id": "x", "status": "sent", "biz_opaque_callback_data": "job-42"}));
        assert_eq!((foreign.delivery, foreign.billable), (None, None));
    }

    #[test]
    fn a_failure_carries_metas_code_and_words() {
        let error = json!({"code": 131_047, "title": "Re-engagement message", "message": "Re-engagement message",
            "error_data": {"details": "More than 24 hours have passed."}});
        let failed = told(&json!({"id": "x", "status": "failed", "errors": [error]})).fate;
        let reason =
            "more than 24 hours have passed since the person last wrote: only a template may be sent \
            (Re-engagement message: More than 24 hours have passed.)"
                .to_owned();
        assert_eq!(
            failed,
            Fate::Failed {
                code: "131047".to_owned(),
                reason
            }
        );
        let bare = told(&json!({"id": "x", "status": "failed"})).fate;
        assert_eq!(
            bare,
            Fate::Failed {
                code: "failed".to_owned(),
                reason: "no reason was given".to_owned()
            }
        );
    }

    #[test]
    fn other_stages_and_broken_statuses_are_told_apart() {
        let account = AccountKey::new("whatsapp", "1").unwrap();
        let read = |status: Value| read(&status, &account, Time::from_secs(5));
        assert!(matches!(
            read(json!({"id": "x", "status": "warning"})),
            Status::Other
        ));
        for broken in [
            json!({"status": "sent"}),
            json!({"id": "x"}),
            json!({"id": 7, "status": 7}),
            json!(null),
        ] {
            assert!(matches!(read(broken), Status::Malformed));
        }
    }
}
