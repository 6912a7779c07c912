//! The dead letters: what could not be answered or delivered, and why.

use maud::{Markup, html};
use serde::Deserialize;

use super::page::proof;
use super::{Desk, words};
use crate::http::sessions::Visitor;
use crate::store::operator::{DeadLetter, DeadQuery};

/// So many are shown at most.
const MOST: u32 = 200;

/// What is looked for. Empty is all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Filter {
    kind: String,
}

impl Filter {
    pub(super) fn query(&self) -> DeadQuery {
        DeadQuery {
            kind: Some(self.kind.clone()).filter(|kind| !kind.is_empty()),
            limit: MOST,
            ..DeadQuery::default()
        }
    }
}

/// The form of the filter.
pub(super) fn form(filter: &Filter) -> Markup {
    let kinds = [
        ("", "all"),
        ("message", "never answered"),
        ("delivery", "never delivered"),
    ];
    html! {
        form class="filter" method="get" action="/console/dead" {
            div {
                label for="kind" { "Kind" }
                select id="kind" name="kind" {
                    @for (value, words) in kinds { option value=(value) selected[value == filter.kind] { (words) } }
                }
            }
            button class="main" { "Show" }
        }
    }
}

/// What changes by itself.
pub(super) fn live(desk: &Desk, filter: &Filter, letters: &[DeadLetter], visitor: &Visitor) -> Markup {
    html! {
        @if letters.is_empty() {
            p class="empty" {
                @if filter.kind.is_empty() { "There are no dead letters: everything was answered, or still will be." }
                @else { "There are no such dead letters." }
            }
        } @else {
            @if filter.kind.is_empty() {
                form class="all" method="post" action="/console/dead/all/replay" {
                    (proof(visitor))
                    button id="replay-all" { "Replay all" }
                    span class="hint" { "When the cause is gone: each is tried again, in order." }
                }
            }
            ol class="letters" {
                @for letter in letters { (card(desk, letter, visitor)) }
            }
            @if letters.len() == usize::try_from(MOST).unwrap_or(usize::MAX) {
                p class="hint" { "These are the oldest " (MOST) "." }
            }
        }
    }
}

fn card(desk: &Desk, letter: &DeadLetter, visitor: &Visitor) -> Markup {
    let what = if letter.kind == "message" {
        "A message was never answered"
    } else {
        "A part of an answer was never delivered"
    };
    let act = |name: &str| format!("/console/dead/{}/{name}", letter.id);
    html! {
        li class="card" {
            h2 { (what) }
            p class="why" { (sentence(&letter.reason)) }
            p class="quiet" {
                a id={ "t-" (letter.id) } href={ "/console/threads/" (letter.thread) } { (letter.address) }
                " · given up " (words::ago(&letter.at, desk.now()))
                " after " (words::counted(u64::try_from(letter.attempts).unwrap_or(0), "attempt", "attempts"))
                " · " code { (letter.code) }
            }
            div class="acts" {
                form method="post" action=(act("replay")) {
                    (proof(visitor))
                    button id={ "replay-" (letter.id) } aria-label={ "Replay: " (letter.address) } { "Replay" }
                }
                details id={ "purge-" (letter.id) } {
                    summary { "Purge …" }
                    form method="post" action=(act("purge")) {
                        (proof(visitor))
                        p { "It is forgotten for good and never tried again." }
                        button class="danger" aria-label={ "Purge for good: " (letter.address) } { "Purge for good" }
                    }
                }
            }
        }
    }
}

/// A reason as a sentence of its own.
fn sentence(reason: &str) -> String {
    let mut letters = reason.trim_end_matches('.').chars();
    letters.next().map_or_else(String::new, |first| {
        format!("{}{}.", first.to_uppercase(), letters.as_str())
    })
}
