//! How the steps of erasing look.

use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};

use super::{Wanted, YES};
use crate::console::page::{self, proof};
use crate::console::words;
use crate::http::sessions::Visitor;
use crate::store::privacy::{AuditLine, Erased};

/// What would go with a thread.
pub(in crate::console) fn thread(erased: &Erased) -> Markup {
    let address = erased.address.as_deref().unwrap_or_default();
    let name = address.split("/former-").next().unwrap_or_default();
    let name = name.rsplit('/').next().unwrap_or_default();
    html! {
        section class="card" {
            h2 class="address" { (address) }
            dl class="facts" {
                div { dt { "Messages" } dd { (erased.messages) } }
                div { dt { "Parts of answers" } dd { (erased.deliveries) } }
                div { dt { "Names" } dd { (erased.names) } }
                div { dt { "Ratings" } dd { (erased.ratings) } }
            }
            ul class="plain" {
                li { "All of this leaves the database for good, and the bridge's words about it elsewhere." }
                li { "What waits here for an answer gets none any more. A pause of the thread goes with it." }
                @if let Some(conversation) = &erased.conversation_id {
                    li { "The agent keeps its side: delete conversation " code { (conversation) } " at LiveChatAI as well." }
                }
                li { "Backups that were made before still have it." }
            }
        }
        p class="quiet" {
            "This is about one thread. " a id="all" href=(of_person(name)) { "All threads of " (name) }
        }
    }
}

/// The box and the button below what would go.
pub(in crate::console) fn confirm(
    action: &str,
    person: Option<&str>,
    keep: &str,
    visitor: &Visitor,
) -> Markup {
    html! {
        form id="confirm" class="card confirm" method="post" action=(action) {
            (proof(visitor))
            @if let Some(person) = person { input type="hidden" name="person" value=(person); }
            label for="sure" {
                input type="checkbox" id="sure" name="sure" value=(YES) required;
                "This is to go for good. It cannot be taken back."
            }
            div class="acts" {
                button id="erase" class="danger" { "Erase for good" }
                a class="button" href=(keep) { "Keep it" }
            }
        }
    }
}

/// The form that asks whose threads are meant.
pub(in crate::console) fn search(wanted: &Wanted) -> Markup {
    html! {
        form class="filter" method="get" action="/console/erase" role="search" {
            div {
                label for="person" { "Person" }
                input type="search" id="person" name="person" value=(wanted.person)
                    placeholder="phone number, user id, id of a direct message";
            }
            button class="main" { "Look" }
        }
    }
}

/// The second step for a person, once one is named.
pub(in crate::console) fn confirm_person(wanted: &Wanted, visitor: &Visitor) -> Markup {
    html! {
        @if let Some(name) = wanted.name() {
            (confirm("/console/erase", Some(&name), "/console/threads", visitor))
        }
    }
}

/// What would go with a person's threads.
pub(in crate::console) fn person(wanted: &Wanted, found: &[Erased]) -> Markup {
    let Some(name) = wanted.name() else {
        return html! {
            p class="empty" {
                "Whoever is named here is found over all accounts, by the last part of an address. Then you see what would go."
            }
        };
    };
    html! {
        @if found.is_empty() {
            p class="empty" {
                "No thread is named " strong { (name) } ". What other threads hold of such a person, ratings and words in an "
                "operators' room, can be erased all the same."
            }
        } @else {
            p { (words::counted(number(found.len()), "thread", "threads")) " of " strong { (name) } ", with all that was said:" }
            (table(found))
            p class="quiet" {
                "Ratings by this person, and words about them in an operators' room, go too. What waits for an answer gets none any "
                "more. Backups that were made before still have all of it."
            }
        }
    }
}

/// Threads with what is, or was, on them.
fn table(threads: &[Erased]) -> Markup {
    html! {
        div class="card scroll" tabindex="0" role="region" aria-label="Threads" {
            table {
                thead { tr {
                    th scope="col" { "Address" }
                    th scope="col" class="number" { "Messages" }
                    th scope="col" class="number" { "Parts" }
                    th scope="col" class="number" { "Names" }
                    th scope="col" class="number" { "Ratings" }
                    th scope="col" { "Conversation at the agent" }
                } }
                tbody {
                    @for thread in threads { tr {
                        th scope="row" { (thread.address.as_deref().unwrap_or("on other threads")) }
                        td class="number" { (thread.messages) }
                        td class="number" { (thread.deliveries) }
                        td class="number" { (thread.names) }
                        td class="number" { (thread.ratings) }
                        td { (thread.conversation_id.as_deref().unwrap_or("none")) }
                    } }
                }
            }
        }
    }
}

/// The audit.
pub(in crate::console) fn audit(lines: &[AuditLine]) -> Markup {
    html! {
        @if lines.is_empty() {
            p class="empty" { "Nothing was erased yet." }
        } @else {
            div class="card scroll" tabindex="0" role="region" aria-label="Erasures" {
                table {
                    thead { tr {
                        th scope="col" { "When" }
                        th scope="col" { "What" }
                        th scope="col" class="number" { "Messages" }
                        th scope="col" class="number" { "Parts" }
                        th scope="col" class="number" { "Names" }
                        th scope="col" class="number" { "Ratings" }
                        th scope="col" { "Files clear" }
                    } }
                    tbody { @for line in lines { (audited(line)) } }
                }
            }
            p class="hint" {
                "Until the files are clear, unused parts of the database can hold traces; they are removed by themselves. On "
                "PostgreSQL no time is shown: its own VACUUM sees to them."
            }
        }
    }
}

fn audited(line: &AuditLine) -> Markup {
    html! {
        tr {
            th scope="row" { (words::wall(&line.at)) }
            td {
                @if let Some(id) = &line.thread { "thread " code { (id) } } @else { "what other threads held of a person" }
            }
            td class="number" { (line.messages) }
            td class="number" { (line.deliveries) }
            td class="number" { (line.names) }
            td class="number" { (line.ratings) }
            td { @if let Some(at) = &line.cleared_at { (words::wall(at)) } @else { span class="quiet" { "not told" } } }
        }
    }
}

/// The last step: what has gone, and what is left to do elsewhere.
pub(super) fn done(erased: &[Erased], all: bool, visitor: &Visitor) -> Response {
    let conversations: Vec<&str> = erased
        .iter()
        .filter_map(|erased| erased.conversation_id.as_deref())
        .collect();
    let body = html! {
        h1 { "Erased" }
        @if all {
            p class="notice" role="status" { "It is erased." }
        } @else {
            p class="problem" role="alert" {
                "The store stopped answering in between. What stands here has gone, the rest has not: erase once more."
            }
        }
        (table(erased))
        @if !conversations.is_empty() {
            section class="card" {
                h2 { "Left to do at LiveChatAI" }
                p { "The agent keeps its side. Delete there:" }
                ul class="plain" { @for id in conversations { li { code { (id) } } } }
            }
        }
        p class="quiet" {
            "The last traces leave the database's files in the background. "
            a href="/console/erased" { "What was erased" } " tells when they have gone. "
            a href="/console/threads" { "To the threads" }
        }
    };
    let status = if all {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    page::frame(status, "Erased", Some((visitor, "/console/threads")), &body)
}

/// The page about a person.
pub(super) fn of_person(name: &str) -> String {
    format!("/console/erase?person={}", words::encoded(name))
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
