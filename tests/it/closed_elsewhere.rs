//! Closed: no answer and no webhook sends the daemon, or a token, to a place that somebody else chose.

use serde_json::json;

use crate::harness::{Answer, Fault, Incoming, NUMBER, Person, SlackEvent, SlackStub, World, webhook};

/// Gives the command, whose answer is to go to this address.
fn command(world: &World, trigger: &str, text: &str, respond: &str) {
    world.slack_form(
        "/slack/commands",
        &[
            ("team_id", "T1"),
            ("channel_id", "C1"),
            ("user_id", "U1"),
            ("command", "/ask"),
            ("text", text),
            ("is_enterprise_install", "false"),
            ("response_url", respond),
            ("trigger_id", trigger),
        ],
    );
}

#[test]
fn an_answer_goes_to_no_address_but_slacks() {
    let world = World::start();
    let elsewhere = SlackStub::start();
    let (ours, theirs) = (world.slack.url(), elsewhere.url());
    let port = theirs.rsplit(':').next().unwrap().to_owned();
    let own = ours.trim_start_matches("http://");
    let foreign = theirs.trim_start_matches("http://");
    let lures = [
        theirs.clone(),
        format!("http://{own}@{foreign}/x"),
        format!("http://user:pass@{own}/x"),
        format!("http://hooks.slack.com@{foreign}/x"),
        format!("https://hooks.slack.com@{foreign}/x"),
        format!("http://hooks.slack.com:{port}/x"),
        "http://hooks.slack.com/commands/T1/1/x".to_owned(),
        "https://hooks.slack.com:8443/commands/T1/1/x".to_owned(),
        "https://hooks.slack.com.evil.example/x".to_owned(),
        "https://evil-hooks.slack.com/x".to_owned(),
        "//hooks.slack.com/x".to_owned(),
        "file:///etc/passwd".to_owned(),
        "gopher://127.0.0.1:25/x".to_owned(),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://[::1]:9090/metrics".to_owned(),
        format!("{}/metrics", world.daemon().admin()),
        format!("http://localhost:{port}/x"),
        format!("http://0x7f000001:{port}/x"),
        "javascript:alert(1)".to_owned(),
        String::new(),
    ];
    for (n, lure) in lures.iter().enumerate() {
        command(&world, &format!("1.{n}.t"), &format!("lured {n}."), lure);
    }
    command(&world, "2.0.t", "honest", &format!("{ours}/commands/T1/1/a"));
    world.slack.wait_response("honest");
    world.wait_idle();
    assert!(elsewhere.calls().is_empty(), "{:?}", elsewhere.calls());
    assert!(world.agent.asks_with("lured").is_empty());
    let left = world.metrics().count(
        "chatbridge_messages_total",
        &[("channel", "slack"), ("outcome", "response_url_foreign")],
    );
    assert!(left > 15, "{left}");
}

/// Every service is answered by a redirect to somewhere else: nobody follows, so no token and no text gets there.
#[test]
fn no_redirect_is_followed() {
    let world = World::start();
    let elsewhere = SlackStub::start();
    for status in [301, 302, 303, 307, 308] {
        let away = || {
            let answer = Answer {
                status,
                headers: Vec::new(),
                body: Vec::new(),
            };
            Fault::Answer(answer.with("location", &format!("{}/api/chat.postMessage", elsewhere.url())))
        };
        world.slack.fault("chat.postMessage", 1, away());
        world.slack.fault("response_url", 1, away());
        world.meta.fault("messages", 1, away());
        world.slack.fault("auth.test", 1, away());
        world.slack(&SlackEvent::dm("D1", &format!("sent on by {status}")));
        world.text(&Person::phone("15550001111"), &format!("sent on by {status}"));
        command(
            &world,
            &format!("3.{status}.t"),
            &format!("answered by {status}"),
            &format!("{}/commands/T1/1/a", world.slack.url()),
        );
        world.slack.wait("the redirects to be used up", |log| {
            let used = |kind: &str| {
                log.iter().any(|call| {
                    call.kind == kind && call.reply.as_ref().is_some_and(|reply| reply.status == status)
                })
            };
            (used("chat.postMessage") && used("response_url")).then_some(())
        });
        world.meta.wait("the redirect to be used up", |log| {
            log.iter()
                .any(|call| call.reply.as_ref().is_some_and(|reply| reply.status == status))
                .then_some(())
        });
    }
    let answer = Answer {
        status: 307,
        headers: Vec::new(),
        body: Vec::new(),
    };
    world
        .agent
        .fault("ask", 1, Fault::Answer(answer.with("location", &elsewhere.url())));
    world.whatsapp(&webhook(
        NUMBER,
        &[Incoming::text(&Person::phone("15550002222"), "to the agent")],
    ));
    world.agent.wait("the redirect to be used up", |log| {
        log.iter()
            .any(|call| call.reply.as_ref().is_some_and(|reply| reply.status == 307))
            .then_some(())
    });
    assert!(elsewhere.calls().is_empty(), "{:?}", elsewhere.calls());
}

/// What a webhook links to is text: nothing is fetched.
#[test]
fn no_address_in_a_webhook_is_fetched() {
    let world = World::start();
    let elsewhere = SlackStub::start();
    let url = elsewhere.url();
    let files = json!([{"id": "F1", "url_private": url, "url_private_download": url, "thumb_64": url}]);
    let event = SlackEvent::dm("D1", &format!("look at <{url}>"))
        .with("subtype", "file_share")
        .with("files", files);
    world.slack(&event.with("attachments", json!([{"image_url": url, "from_url": url}])));
    let person = Person::phone("15550001111");
    let image = json!({"id": "1", "mime_type": "image/png", "url": url, "link": url, "caption": format!("see {url}")});
    world.whatsapp(&webhook(NUMBER, &[Incoming::kind(&person, "image", image)]));
    world.still_works("afterwards");
    world.wait_idle();
    assert!(elsewhere.calls().is_empty(), "{:?}", elsewhere.calls());
}
