//! The threads: searched and filtered, the latest first.

use maud::{Markup, html};
use serde::Deserialize;

use super::{Desk, words};
use crate::store::operator::{ThreadQuery, ThreadRow};

/// So many are shown at first, and so many more each time, up to the last number.
const PAGE: u32 = 50;
const MOST: u32 = 1000;

/// What is looked for. Empty fields are none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Filter {
    q: String,
    channel: String,
    state: String,
    limit: Option<u32>,
}

impl Filter {
    fn limit(&self) -> u32 {
        self.limit.unwrap_or(PAGE).clamp(1, MOST)
    }

    /// One more than is shown, to know whether there are more.
    pub(super) fn query(&self) -> ThreadQuery {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        ThreadQuery {
            channel: given(&self.channel),
            state: given(&self.state),
            search: given(&self.q),
            limit: self.limit() + 1,
        }
    }
}

/// The form of the filter.
pub(super) fn form(desk: &Desk, filter: &Filter) -> Markup {
    let option = |value: &str, words: &str, chosen: &str| {
        html! { option value=(value) selected[value == chosen] { (words) } }
    };
    html! {
        form class="filter" method="get" action="/console/threads" role="search" {
            div {
                label for="q" { "Search" }
                input type="search" id="q" name="q" value=(filter.q) placeholder="address, number, user, conversation";
            }
            div {
                label for="channel" { "Channel" }
                select id="channel" name="channel" {
                    (option("", "all", &filter.channel))
                    @for channel in desk.channels() { (option(channel.name(), channel.name(), &filter.channel)) }
                }
            }
            div {
                label for="state" { "State" }
                select id="state" name="state" {
                    (option("", "all", &filter.state))
                    (option("open", "open", &filter.state))
                    (option("paused", "paused", &filter.state))
                }
            }
            button class="main" { "Show" }
        }
    }
}

/// What changes by itself.
pub(super) fn live(desk: &Desk, filter: &Filter, rows: &[ThreadRow]) -> Markup {
    let now = desk.now();
    let shown = usize::try_from(filter.limit())
        .unwrap_or(usize::MAX)
        .min(rows.len());
    html! {
        @if rows.is_empty() {
            p class="empty" { "There are no such threads." }
        } @else {
            div class="card scroll" tabindex="0" role="region" aria-label="Threads" {
                table {
                    thead { tr {
                        th scope="col" { "Address" }
                        th scope="col" { "State" }
                        th scope="col" { "Conversation" }
                        th scope="col" { "Last" }
                    } }
                    tbody {
                        @for row in &rows[..shown] { tr {
                            th scope="row" { a id={ "t-" (row.id) } href={ "/console/threads/" (row.id) } { (row.address) } }
                            td { (state(&row.state)) }
                            td class="quiet" { (row.conversation_id.as_deref().unwrap_or("none yet")) }
                            td { (words::ago(&row.last_at, now)) }
                        } }
                    }
                }
            }
            @if rows.len() > shown && filter.limit() < MOST {
                form method="get" action="/console/threads" class="more" {
                    input type="hidden" name="q" value=(filter.q);
                    input type="hidden" name="channel" value=(filter.channel);
                    input type="hidden" name="state" value=(filter.state);
                    input type="hidden" name="limit" value=(filter.limit() + PAGE);
                    button id="more" { "Show more" }
                }
            }
        }
    }
}

/// Where else one can go from here.
pub(super) fn further() -> Markup {
    html! {
        p class="quiet" {
            a href="/console/erase" { "Erase a person …" } " · " a href="/console/erased" { "What was erased" }
        }
    }
}

/// A thread's state.
pub(super) fn state(state: &str) -> Markup {
    match state {
        "open" => words::mark("good", "open"),
        other => words::mark("busy", other),
    }
}
