//! The configuration, as it was read when the daemon started.

use maud::{Markup, html};

use super::SettingLine;

/// The whole of it, a section at a time.
pub(super) fn live(settings: &[SettingLine]) -> Markup {
    html! {
        p class="quiet" { "As it was read at the start. Secrets are not shown. A change counts from the next start on." }
        @for lines in settings.chunk_by(|one, other| section(one) == section(other)) {
            @let name = lines.first().map(section).unwrap_or_default();
            section class="card" {
                h2 id={ "s-" (name) } { (name) }
                div class="scroll" tabindex="0" role="region" aria-labelledby={ "s-" (name) } {
                    table class="settings" {
                        thead { tr {
                            th scope="col" { "Key" }
                            th scope="col" { "Value" }
                            th scope="col" { "From" }
                        } }
                        tbody { @for line in lines { (row(line)) } }
                    }
                }
            }
        }
    }
}

fn section(line: &SettingLine) -> &str {
    line.key.split('.').next().unwrap_or_default()
}

fn row(line: &SettingLine) -> Markup {
    html! {
        tr {
            th scope="row" { code { (line.key) } p class="hint" { (line.doc) } }
            td {
                @match &line.value {
                    Some(value) => code { (value) },
                    None if line.hidden => span class="quiet" { "set, not shown" },
                    None => span class="quiet" { "not set" },
                }
            }
            td class="quiet" { (line.origin) }
        }
    }
}
