//! What the overview counts.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, ZonedDateTime};

use crate::domain::Time;
use crate::store::operator::{ANSWER_BOUNDS, AccountRow, Answered};
use crate::store::{Backlog, Store, StoreError};

/// How far back the charts go.
const DAY: Duration = Duration::from_hours(24);

/// Everything that is counted, at one moment.
pub(super) struct Figures {
    /// When.
    pub(super) now: Time,
    /// The answers since midnight, by the clock on this machine's wall.
    pub(super) today: Vec<Answered>,
    /// Those of the last 24 hours.
    pub(super) day: Vec<Answered>,
    /// The accounts.
    pub(super) accounts: Vec<AccountRow>,
    /// What waits.
    pub(super) backlog: Backlog,
}

impl Figures {
    /// Asks the store.
    pub(super) async fn read(store: &dyn Store, now: Time) -> Result<Self, StoreError> {
        let yesterday = i64::try_from(DAY.as_millis()).unwrap_or_default();
        Ok(Self {
            now,
            today: store.answered(midnight(now)).await?,
            day: store
                .answered(Time::from_millis(now.millis() - yesterday))
                .await?,
            accounts: store.accounts().await?,
            backlog: store.backlog().await?,
        })
    }

    /// The names of the channels that there is anything to tell of.
    pub(super) fn channels(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.accounts.iter().map(|row| row.channel.as_str()).collect();
        names.dedup();
        names
    }

    /// The sum over all accounts of a channel, or over all.
    pub(super) fn sum(&self, channel: Option<&str>, of: impl Fn(&AccountRow) -> u64) -> u64 {
        let meant = |row: &&AccountRow| channel.is_none_or(|channel| row.channel == channel);
        self.accounts.iter().filter(meant).map(of).sum()
    }
}

/// The last midnight of this machine's time zone.
fn midnight(now: Time) -> Time {
    let moment = Timestamp::from_millisecond(now.millis()).unwrap_or_default();
    let start = moment.to_zoned_datetime(TimeZone::system()).start_of_day();
    start.map_or(now, |start| Time::from_millis(start.timestamp().as_millisecond()))
}

/// How many answers there are, of one channel or of all.
pub(super) fn total(answered: &[Answered], channel: Option<&str>) -> u64 {
    of(answered, channel).map(|row| row.count).sum()
}

/// The time within which this share of the answers came, in milliseconds, estimated within its bound; none where
/// there are no answers, and the last bound where it lies beyond it.
pub(super) fn percentile(answered: &[Answered], channel: Option<&str>, percent: u64) -> Option<i64> {
    let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
    for row in of(answered, channel) {
        *counts.entry(row.within.unwrap_or(i64::MAX)).or_default() += row.count;
    }
    let all: u64 = counts.values().sum();
    let wanted = (all * percent).div_ceil(100).max(1);
    let mut before = 0;
    for (bound, count) in counts {
        if before + count >= wanted {
            let last = ANSWER_BOUNDS[ANSWER_BOUNDS.len() - 1];
            let lower = ANSWER_BOUNDS.iter().rev().find(|lower| **lower < bound);
            let lower = lower.copied().unwrap_or_default();
            let share = i64::try_from((wanted - before) * 1000 / count).unwrap_or(1000);
            return Some(if bound > last {
                last
            } else {
                lower + (bound - lower) * share / 1000
            });
        }
        before += count;
    }
    None
}

/// The answers of each of the last 24 hours, the latest last: the hour's name and the count of each channel.
pub(super) fn by_hour(answered: &[Answered], channels: &[&str], now: Time) -> Vec<(String, Vec<u64>)> {
    let moment = Timestamp::from_millisecond(now.millis()).unwrap_or_default();
    let this_hour = now.secs().div_euclid(3600);
    (0..24_i64)
        .map(|back| 23 - back)
        .map(|back| {
            let hour = this_hour - back;
            let in_hour = answered
                .iter()
                .filter(|row| row.hour.secs().div_euclid(3600) == hour);
            let count = |channel: &&str| {
                in_hour
                    .clone()
                    .filter(|row| row.channel == **channel)
                    .map(|row| row.count)
                    .sum()
            };
            (hour_name(moment, back), channels.iter().map(count).collect())
        })
        .collect()
}

fn hour_name(moment: Timestamp, back: i64) -> String {
    let zoned: ZonedDateTime = moment.to_zoned_datetime(TimeZone::system());
    let then = zoned.checked_sub(back.hours()).unwrap_or(zoned);
    then.strftime("%H:00").to_string()
}

/// How many answers came within each of the bounds, and beyond the last.
pub(super) fn by_bound(answered: &[Answered]) -> Vec<(Option<i64>, u64)> {
    let bounds = ANSWER_BOUNDS.iter().copied().map(Some).chain([None]);
    let count = |bound| {
        answered
            .iter()
            .filter(|row| row.within == bound)
            .map(|row| row.count)
            .sum()
    };
    bounds.map(|bound| (bound, count(bound))).collect()
}

fn of<'a>(answered: &'a [Answered], channel: Option<&'a str>) -> impl Iterator<Item = &'a Answered> {
    answered
        .iter()
        .filter(move |row| channel.is_none_or(|channel| row.channel == channel))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(channel: &str, hour: i64, within: Option<i64>, count: u64) -> Answered {
        Answered {
            channel: channel.to_owned(),
            hour: Time::from_secs(hour * 3600),
            within,
            count,
        }
    }

    #[test]
    fn a_percentile_is_estimated_within_its_bound() {
        let rows = [answered("a", 0, Some(1000), 50), answered("b", 0, Some(2000), 50)];
        assert_eq!(percentile(&rows, None, 50), Some(1000));
        assert_eq!(percentile(&rows, None, 95), Some(1950));
        assert_eq!(percentile(&rows, Some("a"), 50), Some(750));
        assert_eq!(percentile(&rows, Some("c"), 50), None);
        let slow = [answered("a", 0, None, 1)];
        assert_eq!(percentile(&slow, None, 95), Some(600_000));
    }

    #[test]
    fn hours_are_counted_by_channel_with_the_latest_last() {
        let now = Time::from_secs(100 * 3600 + 60);
        let rows = [
            answered("a", 100, Some(100), 2),
            answered("a", 100, None, 1),
            answered("b", 77, None, 5),
            answered("a", 76, None, 9),
        ];
        let hours = by_hour(&rows, &["a", "b"], now);
        assert_eq!(hours.len(), 24);
        assert_eq!(hours[23].1, [3, 0]);
        assert_eq!(hours[0].1, [0, 5]);
        assert_eq!(hours.iter().flat_map(|(_, counts)| counts).sum::<u64>(), 8);
    }

    #[test]
    fn every_answer_has_its_bound() {
        let rows = [answered("a", 0, Some(500), 2), answered("a", 0, None, 3)];
        let bounds = by_bound(&rows);
        assert_eq!(bounds.len(), ANSWER_BOUNDS.len() + 1);
        assert_eq!(bounds[2], (Some(500), 2));
        assert_eq!(bounds.last(), Some(&(None, 3)));
    }
}
