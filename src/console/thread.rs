//! One thread: what was said, how each part of it fared, and what can be done.

use maud::{Markup, html};

use super::page::proof;
use super::{Desk, threads, words};
use crate::http::sessions::Visitor;
use crate::store::operator::{HistoryItem, ThreadDetail};

/// What changes by itself.
pub(super) fn live(desk: &Desk, detail: &ThreadDetail, visitor: &Visitor) -> Markup {
    let thread = &detail.thread;
    let now = desk.now();
    html! {
        section class="card" {
            h2 class="address" { (thread.address) }
            dl class="facts" {
                div { dt { "State" } dd { (threads::state(&thread.state)) } }
                div { dt { "Channel" } dd { (thread.channel) " · " (thread.account) } }
                div { dt { "Conversation" } dd { (thread.conversation_id.as_deref().unwrap_or("none yet")) } }
                div { dt { "Last" } dd { (words::ago(&thread.last_at, now)) } }
                @if detail.aliases.iter().any(|alias| *alias != thread.address) {
                    div { dt { "Known as" } dd { (detail.aliases.join(", ")) } }
                }
            }
            (acts(&thread.id, &thread.state, visitor))
        }
        h2 { "Transcript" }
        @if detail.history.is_empty() {
            p class="empty" { "Nothing was said here yet." }
        }
        ol class="transcript" {
            @for item in &detail.history { (line(item)) }
        }
    }
}

fn acts(id: &str, state: &str, visitor: &Visitor) -> Markup {
    let act = |name: &str, words: &str, hint: &str| {
        html! {
            form method="post" action={ "/console/threads/" (id) "/" (name) } {
                (proof(visitor))
                button id=(name) aria-describedby={ (name) "-hint" } { (words) }
                p class="hint" id={ (name) "-hint" } { (hint) }
            }
        }
    };
    html! {
        div class="acts" {
            @if state == "paused" {
                (act("resume", "Resume", "The bot answers here again."))
            } @else {
                (act("pause", "Pause", "The bot is silent here: a person answers."))
            }
            (act("reset", "Reset", "The agent forgets: the next question opens a new conversation."))
            div {
                a id="erase" class="button danger" href={ "/console/threads/" (id) "/erase" } aria-describedby="erase-hint" { "Erase …" }
                p class="hint" id="erase-hint" { "For good. First you see what would go." }
            }
        }
    }
}

fn line(item: &HistoryItem) -> Markup {
    let (who, side) = match item.kind.as_str() {
        "message" => ("Person", "theirs"),
        "answer" => ("Agent", "ours"),
        "notice" => ("Bridge", "ours note"),
        _ => ("Person", "theirs note"),
    };
    let (kind, state) = fared(item);
    html! {
        li class=(side) {
            p class="who" { strong { (who) } " " (words::wall(&item.at)) }
            @if item.kind == "feedback" {
                p class="text" { "found the answer " (item.state.replace('_', " ")) }
            } @else {
                p class="text" { (item.text) }
                p class="fared" {
                    (words::mark(kind, state)) (ticks(item))
                    @if let Some(reason) = &item.reason { span class="reason" { (reason) } }
                }
            }
        }
    }
}

/// How something fared, in a word.
fn fared(item: &HistoryItem) -> (&'static str, &'static str) {
    match (item.kind.as_str(), item.state.as_str()) {
        ("message", "pending") => ("busy", "waits for the agent"),
        ("message", "answered") => ("good", "answered"),
        ("message", "ignored") => ("", "not asked"),
        ("message", "handed") => ("", "left to a person"),
        (_, "pending") => ("busy", "waits to be sent"),
        (_, "sending") => ("busy", "is being sent"),
        (_, "unknown") => ("busy", "may have been sent"),
        (_, "sent") => ("good", "sent"),
        (_, "withdrawn") => ("", "withdrawn"),
        (_, "dead") => ("bad", "failed"),
        _ => ("", "recorded"),
    }
}

/// How far the platform says that it came.
fn ticks(item: &HistoryItem) -> Markup {
    let (marks, kind, words) = match item.stage.as_deref() {
        Some("sent") => ("✓", "", "taken by the platform"),
        Some("delivered") => ("✓✓", "", "delivered"),
        Some("read") => ("✓✓", "read", "read"),
        _ => return html! {},
    };
    html! {
        span class={ "ticks " (kind) } { span aria-hidden="true" { (marks) } " " (words) }
    }
}
