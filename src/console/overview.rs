//! The overview: what goes on now and went on today.

use maud::{Markup, html};

use super::chart::{self, Bar};
use super::figures::{self, Figures};
use super::{Desk, words};
use crate::worker::Held;

/// What changes by itself.
pub(super) fn live(desk: &Desk, figures: &Figures) -> Markup {
    let workers = &desk.console.workers;
    html! {
        (problems(&workers.held_agents(), &workers.held_accounts()))
        (tiles(figures, workers.held_agents().len()))
        @if figures.accounts.is_empty() {
            p class="empty" { "Nobody has written yet. As soon as a message arrives, it shows here." }
        } @else {
            (charts(figures))
            (channels(figures))
        }
    }
}

/// What an operator must do something about.
fn problems(agents: &[Held], accounts: &[Held]) -> Markup {
    html! {
        @for held in agents {
            p class="problem" {
                strong { "The agent " (held.name) " is not asked." } " " (held.why)
            }
        }
        @for held in accounts {
            p class="problem" {
                strong { "Nothing is sent for " (held.name) "." } " " (held.why)
            }
        }
    }
}

fn tiles(figures: &Figures, held: usize) -> Markup {
    let took = |percent| figures::percentile(&figures.today, None, percent).map(words::took);
    let dead = figures.sum(None, |row| row.dead);
    let oldest = figures.backlog.oldest.map(|oldest| figures.now.since(oldest));
    let tile = |name: &str, figure: &str, kind: &str, below: &Markup| {
        html! {
            div class={ "tile " (kind) } {
                dt { (name) }
                dd { (figure) }
                dd class="below" { (below) }
            }
        }
    };
    let none = || "–".to_owned();
    html! {
        dl class="tiles" {
            (tile("Answers today", &figures::total(&figures.today, None).to_string(), "", &html! { "since midnight" }))
            (tile("Time to answer", &took(50).unwrap_or_else(none), "", &html! {
                "for half of them; 95 % within " strong { (took(95).unwrap_or_else(none)) }
            }))
            (tile("Waiting", &figures.backlog.waiting.to_string(), if figures.backlog.waiting > 0 { "busy" } else { "" }, &html! {
                @match oldest { Some(age) => { "the oldest for " (words::lasted(age)) }, None => "all is answered" }
            }))
            (tile("Failed", &dead.to_string(), if dead > 0 { "bad" } else { "" }, &html! {
                @if dead > 0 { a href="/console/dead" { "see why" } } @else { "no dead letters" }
            }))
            (tile("Held agents", &held.to_string(), if held > 0 { "bad" } else { "" }, &html! {
                @if held > 0 { "questions are kept" } @else { "every agent is asked" }
            }))
        }
    }
}

fn charts(figures: &Figures) -> Markup {
    let channels = figures.channels();
    let hours = figures::by_hour(&figures.day, &channels, figures.now);
    let total = figures::total(&figures.day, None);
    let bars: Vec<Bar> = hours
        .into_iter()
        .enumerate()
        .map(|(index, (name, parts))| Bar {
            name,
            parts,
            labelled: index % 4 == 1,
        })
        .collect();
    let busiest = bars.iter().max_by_key(|bar| bar.parts.iter().sum::<u64>());
    let busiest = busiest.map(|bar| bar.name.as_str()).unwrap_or_default();
    let hourly = format!("Answers by hour: {total} in the last 24 hours, most of them at {busiest}.");
    let bounds: Vec<Bar> = figures::by_bound(&figures.day)
        .into_iter()
        .enumerate()
        .map(|(index, (bound, count))| Bar {
            name: bound.map_or("more".to_owned(), words::took),
            parts: vec![count],
            labelled: index % 3 == 1,
        })
        .collect();
    let slow = figures::percentile(&figures.day, None, 95).map_or("–".to_owned(), words::took);
    let spread = format!("Times to answer in the last 24 hours: 95 % within {slow}.");
    html! {
        div class="charts" {
            section class="card" {
                h2 { "Answers by hour" }
                (chart::bars(&bars, &hourly))
                ul class="legend" {
                    @for (part, channel) in channels.iter().enumerate() {
                        li { span class={ "key p" (part) } {} (channel) }
                    }
                }
            }
            section class="card" {
                h2 { "Time to answer" }
                (chart::bars(&bounds, &spread))
                p class="quiet hint" { "How many answers took at most so long, in the last 24 hours." }
            }
        }
    }
}

fn channels(figures: &Figures) -> Markup {
    let took = |channel: &str, percent| {
        figures::percentile(&figures.today, Some(channel), percent).map_or("–".to_owned(), words::took)
    };
    html! {
        section class="card" {
            h2 id="by-channel" { "By channel" }
            div class="scroll" tabindex="0" role="region" aria-labelledby="by-channel" {
                table {
                    thead { tr {
                        th scope="col" { "Channel" }
                        th scope="col" class="number" { "Answers today" }
                        th scope="col" class="number" { "Half within" }
                        th scope="col" class="number" { "95 % within" }
                        th scope="col" class="number" { "Waiting" }
                        th scope="col" class="number" { "Failed" }
                        th scope="col" class="number" { "Threads" }
                    } }
                    tbody {
                        @for channel in figures.channels() { tr {
                            th scope="row" { a href={ "/console/threads?channel=" (channel) } { (channel) } }
                            td class="number" { (figures::total(&figures.today, Some(channel))) }
                            td class="number" { (took(channel, 50)) }
                            td class="number" { (took(channel, 95)) }
                            td class="number" { (figures.sum(Some(channel), |row| row.waiting)) }
                            td class="number" { (figures.sum(Some(channel), |row| row.dead)) }
                            td class="number" { (figures.sum(Some(channel), |row| row.threads)) }
                        } }
                    }
                }
            }
        }
    }
}
