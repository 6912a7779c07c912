use serde_json::json;

use super::*;

fn read(message: &Value) -> Words {
    (of(message["type"].as_str().unwrap()).words)(message)
}

fn asked(text: &str) -> Words {
    Words::Written(text.to_owned())
}

#[test]
fn words_are_read_from_every_kind_that_has_some() {
    let button = json!({"type": "button_reply", "button_reply": {"id": "1", "title": "Yes"}});
    let list = json!({"type": "list_reply", "list_reply": {"id": "1", "title": "Row", "description": "d"}});
    for (message, expected) in [
        (json!({"type": "text", "text": {"body": " Hi "}}), "Hi"),
        (json!({"type": "text", "text": {"body": " \n"}}), ""),
        (json!({"type": "interactive", "interactive": button}), "Yes"),
        (json!({"type": "interactive", "interactive": list}), "Row"),
        (
            json!({"type": "button", "button": {"payload": "p", "text": "Quick"}}),
            "Quick",
        ),
    ] {
        assert_eq!(read(&message), asked(expected), "{message}");
    }
}

#[test]
fn a_caption_is_asked_and_its_file_is_not_read() {
    for kind in ["image", "video", "document"] {
        let message = json!({"type": kind, kind: {"id": "1", "filename": "f", "caption": " What is this? "}});
        assert_eq!(read(&message), Words::BelowFile("What is this?".to_owned()));
    }
}

#[test]
fn content_without_words_is_noticed() {
    let form = json!({"type": "nfm_reply", "nfm_reply": {"name": "flow", "response_json": "{}"}});
    assert_eq!(
        read(&json!({"type": "interactive", "interactive": form})),
        Words::None
    );
    assert_eq!(
        read(&json!({"type": "image", "image": {"id": "1", "caption": " "}})),
        Words::None
    );
    let content = "interactive image video document audio sticker location contacts order unsupported";
    for name in content.split(' ') {
        assert!(of(name).told, "{name}");
    }
    for name in [
        "image",
        "audio",
        "sticker",
        "location",
        "contacts",
        "order",
        "unsupported",
    ] {
        assert_eq!(
            (read(&json!({"type": name})), of(name).reason),
            (Words::None, name)
        );
    }
}

#[test]
fn the_rest_is_left_without_a_word() {
    for name in ["reaction", "request_welcome"] {
        assert_eq!((of(name).told, of(name).reason), (false, name));
    }
    for (name, sort) in [
        ("edit", Sort::Edit),
        ("revoke", Sort::Revoke),
        ("system", Sort::System),
    ] {
        assert_eq!((of(name).told, of(name).sort), (false, sort));
    }
    assert_eq!(
        (of("telepathy").told, of("telepathy").reason),
        (false, "unknown_type")
    );
}

#[test]
fn what_is_not_built_as_its_kind_is_malformed() {
    for message in [
        json!({"type": "text"}),
        json!({"type": "text", "text": "Hi"}),
        json!({"type": "text", "text": {"body": 7}}),
        json!({"type": "button", "button": {"payload": "p"}}),
        json!({"type": "interactive"}),
        json!({"type": "interactive", "interactive": {"button_reply": {"title": []}}}),
    ] {
        assert_eq!(read(&message), Words::Malformed, "{message}");
    }
}
