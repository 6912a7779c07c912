//! The accounts: where the app is installed, which numbers it has, and how each fares.

use std::collections::BTreeMap;
use std::time::Duration;

use maud::{Markup, html};

use super::figures::Figures;
use super::{Desk, words};
use crate::channel::Channel;
use crate::domain::Time;
use crate::domain::installation::Installed;
use crate::store::operator::AccountRow;
use crate::worker::{Held, Paused};

/// An account: where people have written, where the app is installed, or both.
struct Line {
    name: String,
    /// When the app was installed by somebody; none if the configuration names the account.
    installed: Option<Time>,
    /// What is counted, once somebody has written.
    counted: Option<AccountRow>,
}

/// What changes by itself.
pub(super) async fn live(desk: &Desk, figures: &Figures) -> Markup {
    let mut groups = Vec::new();
    for channel in desk.channels() {
        let installed = desk.store().list(channel.name()).await;
        let installed = installed.unwrap_or_else(|error| {
            tracing::warn!(channel = channel.name(), %error, "the console cannot list the installations");
            Vec::new()
        });
        groups.push((channel.as_ref(), lines(channel.name(), &installed, figures)));
    }
    page(desk, &groups, figures)
}

fn lines(channel: &str, installed: &[Installed], figures: &Figures) -> Vec<Line> {
    let mut lines: BTreeMap<String, Line> = BTreeMap::new();
    let line = |name: &str| Line {
        name: name.to_owned(),
        installed: None,
        counted: None,
    };
    for row in figures.accounts.iter().filter(|row| row.channel == channel) {
        let entry = lines.entry(row.account.clone());
        entry.or_insert_with(|| line(&row.account)).counted = Some(row.clone());
    }
    for place in installed {
        let name = place.account.account();
        let entry = lines.entry(name.to_owned());
        entry.or_insert_with(|| line(name)).installed = Some(place.since);
    }
    lines.into_values().collect()
}

fn page(desk: &Desk, groups: &[(&dyn Channel, Vec<Line>)], figures: &Figures) -> Markup {
    let workers = &desk.console.workers;
    let (held, paused) = (workers.held_accounts(), workers.paused_accounts());
    html! {
        @for trouble in held.iter().filter(|held| !names_a_line(&held.name, groups)) {
            p class="problem" { strong { "Nothing is sent for " (trouble.name) "." } " " (trouble.why) }
        }
        @if groups.is_empty() {
            p class="empty" { "No channel is on: their sections of the configuration are missing." }
        }
        @for (channel, lines) in groups {
            section class="card" {
                h2 id={ "c-" (channel.name()) } { (channel.name()) }
                p class="quiet" { (window(*channel)) }
                @if lines.is_empty() {
                    p class="empty" { "Nobody has written here yet." }
                } @else {
                    (table(channel.name(), lines, &held, &paused, figures.now))
                }
            }
        }
    }
}

fn table(channel: &str, lines: &[Line], held: &[Held], paused: &[Paused], now: Time) -> Markup {
    html! {
        div class="scroll" tabindex="0" role="region" aria-labelledby={ "c-" (channel) } {
            table {
                thead { tr {
                    th scope="col" { "Account" }
                    th scope="col" { "Health" }
                    th scope="col" { "Installed" }
                    th scope="col" class="number" { "Threads" }
                    th scope="col" class="number" { "Waiting" }
                    th scope="col" class="number" { "Failed" }
                    th scope="col" { "Last message" }
                } }
                tbody {
                    @for line in lines { tr {
                        th scope="row" { (line.name) }
                        td { (health(&format!("{channel}/{}", line.name), held, paused, now)) }
                        td {
                            @match line.installed {
                                Some(at) => (words::ago(&at.to_string(), now)),
                                None => span class="quiet" { "by the configuration" },
                            }
                        }
                        @let count = |of: fn(&AccountRow) -> u64| line.counted.as_ref().map_or(0, of);
                        td class="number" { (count(|row| row.threads)) }
                        td class="number" { (count(|row| row.waiting)) }
                        td class="number" { (count(|row| row.dead)) }
                        td {
                            @match &line.counted {
                                Some(row) => (words::ago(&row.last_at.to_string(), now)),
                                None => span class="quiet" { "none yet" },
                            }
                        }
                    } }
                }
            }
        }
    }
}

fn health(name: &str, held: &[Held], paused: &[Paused], now: Time) -> Markup {
    if let Some(held) = held.iter().find(|held| held.name == name) {
        return html! { (words::mark("bad", "held")) " " (held.why) };
    }
    if let Some(paused) = paused.iter().find(|paused| paused.name == name) {
        let left = paused.until.since(now).max(Duration::from_secs(1));
        return html! { (words::mark("busy", "limited")) " the platform asked for a pause of " (words::lasted(left)) " more" };
    }
    words::mark("good", "works")
}

/// Whether what is held is one of the accounts that are listed; else it is several that share something.
fn names_a_line(name: &str, groups: &[(&dyn Channel, Vec<Line>)]) -> bool {
    let mut lines = groups
        .iter()
        .flat_map(|(channel, lines)| lines.iter().map(|line| (channel.name(), &line.name)));
    lines.any(|(channel, line)| format!("{channel}/{line}") == name)
}

fn window(channel: &dyn Channel) -> String {
    match channel.reply_window() {
        Some(window) => format!(
            "People can be answered for {} after their last message.",
            words::lasted(window)
        ),
        None => "People can be answered at any time.".to_owned(),
    }
}
