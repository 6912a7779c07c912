//! Forgetting: on request, and by age.
//!
//! What is erased is gone from every table; only the digests stay by which a redelivered event is recognised, and a
//! line in the audit without any name. SQLite keeps deleted content in unused pages and in its log until they are
//! written anew: [`PrivacyStore::clear`] sees to that.

use async_trait::async_trait;
use serde::Serialize;

use super::operator::ThreadRow;
use super::{StoreError, sql};
use crate::domain::Time;

/// Behind every id.
pub(super) const LAST: &str = "~";

/// The statements that remove old texts, and whether they concern dead letters.
pub(super) const EXPIRIES: [(&str, bool); 4] = [
    (sql::EXPIRE_DEAD_MESSAGES, true),
    (sql::EXPIRE_MESSAGES, false),
    (sql::EXPIRE_DEAD_DELIVERIES, true),
    (sql::EXPIRE_DELIVERIES, false),
];

/// What is to be erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Erasure {
    /// A thread, by its id or an address: its names, messages, answers, ratings and work.
    Thread(String),
    /// What other threads hold of a person by this name: ratings, and words of the bridge that name them. The person's
    /// own threads are erased one by one.
    Person(String),
}

/// What was erased.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Erased {
    /// The thread's internal id; none for what other threads held of a person.
    pub id: Option<String>,
    /// The thread's address.
    pub address: Option<String>,
    /// The agent's id of the conversation, which the agent still has.
    pub conversation_id: Option<String>,
    /// How many messages.
    pub messages: u64,
    /// How many parts of answers and notices.
    pub deliveries: u64,
    /// How many names.
    pub names: u64,
    /// How many ratings.
    pub ratings: u64,
}

impl Erased {
    /// Whether there was nothing to erase.
    pub fn is_nothing(&self) -> bool {
        self.id.is_none() && self.messages + self.deliveries + self.names + self.ratings == 0
    }

    /// How the audit calls it.
    pub(super) fn what(&self) -> &'static str {
        if self.id.is_some() {
            "thread_erased"
        } else {
            "person_erased"
        }
    }

    /// Its numbers as they are stored.
    pub(super) fn counts(&self) -> [i64; 4] {
        [self.messages, self.deliveries, self.names, self.ratings]
            .map(|count| i64::try_from(count).unwrap_or(i64::MAX))
    }
}

/// What has become of the traces of erased rows in unused pages and in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Traces {
    /// There are none.
    None,
    /// Somebody reads the database or writes to it all the time: they are still there, and it is tried again.
    Left,
    /// They are the database server's affair.
    Server,
}

/// A line of the audit. The names are those of `threads audit --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditLine {
    /// Its number.
    pub seq: i64,
    /// When, RFC 3339.
    pub at: String,
    /// `thread_erased` or `person_erased`.
    pub what: String,
    /// The internal id that the thread had.
    pub thread: Option<String>,
    /// How many messages were erased.
    pub messages: i64,
    /// How many parts.
    pub deliveries: i64,
    /// How many names.
    pub names: i64,
    /// How many ratings.
    pub ratings: i64,
    /// When the last traces in the database's files had gone, RFC 3339; none yet, or it is the server's affair.
    pub cleared_at: Option<String>,
}

/// What has lost its text because of its age.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expired {
    /// Messages and parts that lost their text.
    pub texts: u64,
    /// How many of them were dead letters, and are none any more.
    pub letters: u64,
    /// Where to go on; none at the end.
    pub next: Option<String>,
}

impl Expired {
    /// Adds what a statement removed.
    pub(super) fn add(&mut self, texts: u64, letters: bool) {
        self.texts += texts;
        if letters {
            self.letters += texts;
        }
    }
}

/// What forgets. Each method but [`clear`](Self::clear) is one transaction.
#[async_trait]
pub trait PrivacyStore: Send + Sync {
    /// The threads of a person, over all accounts: those that have this as the last part of one of their names, such as
    /// a phone number or a user id.
    async fn threads_of(&self, person: &str) -> Result<Vec<ThreadRow>, StoreError>;

    /// What erasing a thread would remove if it happened now, but for words of the bridge about it elsewhere. None if no
    /// thread is known by that id or address.
    async fn erasable(&self, thread: &str) -> Result<Option<Erased>, StoreError>;

    /// Erases. None if no thread is known by that name. Whoever works on the thread at the moment finds its claim
    /// void: nothing more is sent.
    async fn erase(&self, what: Erasure, now: Time) -> Result<Option<Erased>, StoreError>;

    /// Removes what is left of erased rows from unused pages and from the log, if there is anything to remove. It takes
    /// seconds for each gigabyte, and writes wait meanwhile.
    async fn clear(&self, now: Time) -> Result<Traces, StoreError>;

    /// The audit, the latest first.
    async fn audit(&self, limit: u32) -> Result<Vec<AuditLine>, StoreError>;

    /// Looks through some hundred threads behind `from` and removes the text of what ended before `before`. Dead letters
    /// become `expired`: nothing is left to try again.
    async fn expire(&self, before: Time, from: Option<String>) -> Result<Expired, StoreError>;
}

/// A person's name as addresses have it: a phone number may be written as people do.
pub fn plain_name(name: &str) -> String {
    let name = name.trim();
    match name.strip_prefix('+') {
        Some(number) if number.chars().all(|c| c.is_ascii_digit() || " -().".contains(c)) => {
            number.chars().filter(char::is_ascii_digit).collect()
        }
        _ => name.to_owned(),
    }
}

/// Whether a text names this, and not only something longer that begins or ends the same.
pub(super) fn mentions(text: &str, name: &str) -> bool {
    let goes_on = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    !name.is_empty()
        && text.match_indices(name).any(|(at, found)| {
            !goes_on(text[..at].chars().next_back()) && !goes_on(text[at + found.len()..].chars().next())
        })
}

/// Whether an alias is a name of this person's: its last part, or that of a thread which once had the name.
pub(super) fn names(alias: &str, person: &str) -> bool {
    let own = alias.rsplit_once("/former-").map_or(alias, |(before, _)| before);
    own.rsplit_once('/').is_some_and(|(_, name)| name == person)
}

/// The patterns that [`names`] is to look through, for `LIKE … ESCAPE '\'`.
pub(super) fn patterns(person: &str) -> [String; 2] {
    let mut name = String::with_capacity(person.len());
    for c in person.chars() {
        if matches!(c, '%' | '_' | '\\') {
            name.push('\\');
        }
        name.push(c);
    }
    [format!("%/{name}"), format!("%/{name}/former-%")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_has_the_last_part_of_a_name() {
        for alias in ["c/A/555", "c/B/555", "c/A/555/former-0badcafe"] {
            assert!(names(alias, "555"), "{alias}");
        }
        for alias in ["c/555/A", "c/A/1555", "c/A/555/7", "555", "c/A/7/former-555"] {
            assert!(!names(alias, "555"), "{alias}");
        }
        assert_eq!(patterns("a_b%"), ["%/a\\_b\\%", "%/a\\_b\\%/former-%"]);
    }

    #[test]
    fn a_phone_number_may_be_written_as_people_do() {
        assert_eq!(plain_name("+1 (650) 555-1234"), "16505551234");
        assert_eq!(plain_name(" U0123ABCD "), "U0123ABCD");
        for name in ["16505551234", "US.13491208655302741918", "+x1"] {
            assert_eq!(plain_name(name), name);
        }
    }

    #[test]
    fn a_mention_is_a_whole_word() {
        assert!(mentions("<@U1> asks, see c/A/t1", "U1") && mentions("see c/A/t1", "c/A/t1"));
        assert!(!mentions("<@U12> asks", "U1") && !mentions("see c/A/t12", "c/A/t1") && !mentions("x", ""));
    }
}
