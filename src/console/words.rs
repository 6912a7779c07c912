//! How times, counts and states read.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::domain::Time;

/// A moment: how long ago, and on demand exactly.
pub(super) fn ago(at: &str, now: Time) -> Markup {
    let Ok(moment) = at.parse::<Timestamp>() else {
        return html! { (at) };
    };
    let then = Time::from_millis(moment.as_millisecond());
    html! {
        time datetime=(at) title=(exact(moment)) { (since(now.since(then))) }
    }
}

/// A moment by the clock on the wall.
pub(super) fn wall(at: &str) -> Markup {
    let Ok(moment) = at.parse::<Timestamp>() else {
        return html! { (at) };
    };
    html! { time datetime=(at) { (exact(moment)) } }
}

fn exact(moment: Timestamp) -> String {
    moment
        .to_zoned_datetime(TimeZone::system())
        .strftime("%-d %b %Y, %H:%M:%S")
        .to_string()
}

/// How long ago something was.
pub(super) fn since(span: Duration) -> String {
    match span.as_secs() {
        0..60 => "just now".to_owned(),
        seconds => format!("{} ago", rough(seconds)),
    }
}

/// A span in its largest unit.
fn rough(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => counted(seconds / 86_400, "day", "days"),
    }
}

/// How long something has lasted.
pub(super) fn lasted(span: Duration) -> String {
    rough(span.as_secs())
}

/// A time to answer: `840 ms`, `1.2 s`, `3 min`.
pub(super) fn took(millis: i64) -> String {
    match millis {
        ..1000 => format!("{} ms", millis.max(1)),
        1000..60_000 => {
            let tenths = millis / 100;
            format!("{}.{} s", tenths / 10, tenths % 10)
        }
        _ => format!("{} min", millis / 60_000),
    }
}

/// `1 thread`, `2 threads`.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A text as it stands in an address: everything is encoded that is no plain letter, digit or slash.
pub(super) fn encoded(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut address, byte| {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte) {
            address.push(char::from(byte));
        } else {
            let _ = write!(address, "%{byte:02X}");
        }
        address
    })
}

/// A small mark with the state of something.
pub(super) fn mark(kind: &str, words: &str) -> Markup {
    html! { span class={ "mark " (kind) } { (words) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        assert_eq!(since(Duration::from_secs(5)), "just now");
        assert_eq!(since(Duration::from_secs(150)), "2 min ago");
        assert_eq!(since(Duration::from_hours(24)), "1 day ago");
        for (millis, words) in [
            (0, "1 ms"),
            (999, "999 ms"),
            (1250, "1.2 s"),
            (59_990, "59.9 s"),
            (200_000, "3 min"),
        ] {
            assert_eq!(took(millis), words);
        }
    }

    #[test]
    fn what_stands_in_an_address_is_encoded() {
        assert_eq!(encoded("+1 650/a&b=ü"), "%2B1%20650/a%26b%3D%C3%BC");
    }

    #[test]
    fn what_is_no_time_is_shown_as_text() {
        let shown = ago("<b>", Time::from_secs(0)).into_string();
        assert_eq!(shown, "&lt;b&gt;");
    }
}
