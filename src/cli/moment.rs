//! Moments as an operator writes them.

use std::str::FromStr;
use std::time::Duration;

use crate::domain::Time;
use crate::domain::settings::parse_duration;

/// A moment: RFC 3339, or how long ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    At(Time),
    Ago(Duration),
}

impl Moment {
    /// The time that is meant.
    pub(super) fn resolve(self, now: Time) -> Time {
        match self {
            Self::At(time) => time,
            Self::Ago(span) => now.minus(span),
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(span) = parse_duration(text) {
            return Ok(Self::Ago(span));
        }
        let stamp: Result<jiff::Timestamp, _> = text.trim().parse();
        stamp
            .map(|stamp| Self::At(Time::from_millis(stamp.as_millisecond())))
            .map_err(|_| "write a time such as 2026-01-31T08:00:00Z, or how long ago: 2h, 3days".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_how_long_ago() {
        let now = Time::from_millis(1_800_000_000_000);
        for (text, millis) in [
            ("2h", 1_799_992_800_000),
            ("2027-01-15T08:00:00Z", 1_800_000_000_000),
            ("2027-01-15T09:00:00+01:00", 1_800_000_000_000),
        ] {
            let moment: Moment = text.parse().unwrap();
            assert_eq!(moment.resolve(now).millis(), millis, "{text}");
        }
        for wrong in ["", "yesterday", "2027-01-15", "-2h"] {
            assert!(wrong.parse::<Moment>().is_err(), "{wrong}");
        }
    }
}
