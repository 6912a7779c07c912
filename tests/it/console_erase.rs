//! Erasing on the operator's pages: first one sees what would go, then one says yes, then one sees what has gone.

use serde_json::json;

use crate::console::{ann, console, inside, world};
use crate::console_door::{log_in, post_form, proof};
use crate::harness::postgres::on_postgres;
use crate::harness::{Incoming, NUMBER, Person, World, browse, submit, webhook};

/// A second number of the same operator.
const OTHER_NUMBER: &str = "206540352242922";

/// The id of the only thread.
fn only_thread(world: &World) -> String {
    let list = world.cli(&["threads", "list", "--json"]).exits(0).json();
    assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
    list[0]["id"].as_str().unwrap().to_owned()
}

fn addresses(world: &World) -> Vec<String> {
    let list = world.cli(&["threads", "list", "--json"]).exits(0).json();
    let list = list.as_array().unwrap().iter();
    list.map(|thread| thread["address"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn an_operator_erases_a_thread() {
    let world = world();
    world.text(&ann(), "to be forgotten");
    world.meta.wait_sent("to be forgotten");
    let Some(browser) = inside(&world) else { return };
    browser.click("tbody a");
    browser.shows(".transcript", "to be forgotten");
    browser.click("#erase");
    browser.shows("h1", "Erase a thread");
    browser.shows(".facts", "Messages\n1");
    browser.shows("#live", "delete conversation c1 at LiveChatAI");
    // Without a tick nothing is sent.
    browser.click("#erase");
    let missing = browser.run("return document.querySelector('#sure').validity.valueMissing");
    assert_eq!(missing, json!(true));
    browser.click("#sure");
    // The counts follow what happens; the tick stays.
    browser.shows("#link", "live");
    world.text(&ann(), "one more");
    browser.shows(".facts", "Messages\n2\nParts of answers\n2");
    assert_eq!(
        browser.run("return document.querySelector('#sure').checked"),
        json!(true)
    );
    browser.is_sound();
    browser.click("#erase");
    browser.shows("h1", "Erased");
    browser.shows("tbody", &format!("whatsapp/{NUMBER}/15550001111"));
    browser.shows("main", "Left to do at LiveChatAI");
    browser.shows("main li", "c1");
    browser.is_sound();
    browser.click("main a[href='/console/erased']");
    browser.shows("h1", "What was erased");
    browser.shows("tbody", "thread ");
    if !on_postgres() {
        browser.lacks("tbody", "not told");
    }
    let shown = browser.text("main");
    assert!(!shown.contains("15550001111"), "{shown}");
    browser.is_sound();
    assert_eq!(addresses(&world), Vec::<String>::new());
    let audit = world.cli(&["threads", "audit", "--json"]).exits(0).json();
    assert_eq!(
        (&audit[0]["what"], &audit[0]["messages"]),
        (&json!("thread_erased"), &json!(2)),
        "{audit}"
    );
}

#[test]
fn an_operator_erases_a_person_over_all_numbers() {
    let world = world();
    let ben = Person::phone("15550002222");
    world.text(&ann(), "on the first number");
    world.whatsapp(&webhook(OTHER_NUMBER, &[Incoming::text(&ann(), "on the second")]));
    world.text(&ben, "somebody else");
    for said in ["on the first number", "on the second", "somebody else"] {
        world.meta.wait_sent(said);
    }
    let Some(browser) = inside(&world) else { return };
    browser.click("main a[href='/console/erase']");
    browser.shows("h1", "Erase a person");
    browser.is_sound();
    browser.type_into("#person", "+1 (555) 000-1111\u{e007}");
    browser.shows("#still", "2 threads of 15550001111");
    browser.shows("tbody", &format!("whatsapp/{OTHER_NUMBER}/15550001111"));
    browser.lacks("tbody", "15550002222");
    browser.is_sound();
    browser.click("#sure");
    browser.click("#erase");
    browser.shows("h1", "Erased");
    browser.shows("tbody", &format!("whatsapp/{NUMBER}/15550001111"));
    browser.is_sound();
    assert_eq!(addresses(&world), [format!("whatsapp/{NUMBER}/15550002222")]);
    let audit = world.cli(&["threads", "audit", "--json"]).exits(0).json();
    assert_eq!(audit.as_array().unwrap().len(), 2, "{audit}");
}

#[test]
fn without_a_script_a_thread_is_erased_in_the_same_steps() {
    let world = world();
    world.text(&ann(), "to be forgotten");
    world.meta.wait_sent("to be forgotten");
    let cookie = log_in(&world);
    let path = format!("/threads/{}/erase", only_thread(&world));
    let see = |path: &str| browse(&format!("{}{path}", console(&world)), &cookie);
    let page = see(&path);
    assert_eq!(page.status, 200);
    assert!(
        page.body.contains("name=\"sure\"") && page.body.contains("to go for good"),
        "{}",
        page.body
    );
    let proof = proof(&page);
    let unsure = post_form(&world, &path, &cookie, &format!("proof={proof}"));
    let location = unsure.header("location").to_owned();
    assert_eq!(unsure.status, 303);
    let told = see(location.strip_prefix("/console").unwrap());
    assert!(
        told.body.contains("Nothing is erased: tick the box first."),
        "{}",
        told.body
    );
    assert_eq!(addresses(&world).len(), 1);
    let sure = format!("proof={proof}&sure=yes");
    let done = post_form(&world, &path, &cookie, &sure);
    assert_eq!(done.status, 200);
    assert!(
        done.body.contains("It is erased.") && done.body.contains("<code>c1</code>"),
        "{}",
        done.body
    );
    assert_eq!(addresses(&world), Vec::<String>::new());
    // Sent once more, as by reloading: there is nothing left to erase.
    assert_eq!(post_form(&world, &path, &cookie, &sure).status, 404);
    assert_eq!(see(&path).status, 404);
}

#[test]
fn a_person_is_found_without_a_script_and_nobody_is_told_so() {
    let world = world();
    world.text(&ann(), "hello");
    world.meta.wait_sent("hello");
    let cookie = log_in(&world);
    let see = |path: &str| browse(&format!("{}{path}", console(&world)), &cookie);
    let nobody = see("/erase?person=nobody");
    assert!(
        nobody.body.contains("No thread is named <strong>nobody</strong>"),
        "{}",
        nobody.body
    );
    let form = format!("proof={}&sure=yes", proof(&nobody));
    let erase = |name: &str| post_form(&world, "/erase", &cookie, &format!("{form}&person={name}"));
    let gone = erase("nobody");
    assert_eq!(gone.status, 404);
    assert!(
        gone.body.contains("Nobody is known by that name"),
        "{}",
        gone.body
    );
    assert_eq!(erase("").status, 303);
    assert_eq!(addresses(&world).len(), 1);
    assert_eq!(erase("%2B1+555+000-1111").status, 200);
    assert_eq!(addresses(&world), Vec::<String>::new());
}

#[test]
fn nothing_is_erased_for_a_stranger() {
    let world = world();
    world.text(&ann(), "hello");
    world.meta.wait_sent("hello");
    let cookie = log_in(&world);
    let path = format!("/threads/{}/erase", only_thread(&world));
    let good = format!("proof={}", proof(&browse(&console(&world), &cookie)));
    let person = "/erase";
    for (path, rest) in [
        (path.as_str(), "&sure=yes"),
        (person, "&sure=yes&person=15550001111"),
    ] {
        // Nobody is logged in.
        assert_eq!(post_form(&world, path, "", &format!("{good}{rest}")).status, 303);
        for wrong in ["proof=", "proof=guessed"] {
            let refused = post_form(&world, path, &cookie, &format!("{wrong}{rest}"));
            assert_eq!(refused.status, 403, "{path} {wrong}");
        }
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("cookie", cookie.as_str()),
            ("sec-fetch-site", "cross-site"),
        ];
        let foreign = submit(
            &format!("{}{path}", console(&world)),
            &headers,
            &format!("{good}{rest}"),
        );
        assert_eq!(foreign.status, 403, "{path}");
    }
    // By an address it may be somebody else's by now.
    let address = format!("/threads/whatsapp%2F{NUMBER}%2F15550001111/erase");
    let refused = post_form(&world, &address, &cookie, &format!("{good}&sure=yes"));
    assert_eq!(refused.status, 404);
    assert_eq!(addresses(&world).len(), 1);
    let audit = world.cli(&["threads", "audit", "--json"]).exits(0).json();
    assert_eq!(audit, json!([]));
}
