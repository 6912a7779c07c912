//! What was said on the simulated platforms, in order: what the transcript shows and what a waiting person looks at.

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

/// Where something was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// The simulated Slack.
    Slack,
    /// The simulated WhatsApp.
    WhatsApp,
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Slack => "Slack",
            Self::WhatsApp => "WhatsApp",
        })
    }
}

/// Who said something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Speaker {
    /// A person, by name.
    Person(String),
    /// The bridge, for the agent.
    Agent,
}

/// The place of one exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The platform.
    pub platform: Platform,
    /// What the platform calls it: equal for the same thread, and for no other.
    pub key: String,
    /// What a person calls it.
    pub label: String,
}

/// Something that was said.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Where.
    pub place: Place,
    /// Who said it.
    pub speaker: Speaker,
    /// The platform's id of it.
    pub id: String,
    /// The words, as a person sees them.
    pub text: String,
    /// For an answer: how long the person had waited for it since the last thing that they wrote there.
    pub took: Option<Duration>,
    /// When.
    pub when: SystemTime,
    at: Instant,
}

/// A person's message that was written down.
#[derive(Debug, Clone)]
pub struct Said {
    /// Where it was said: an answer belongs there.
    pub place: Place,
    /// The platform's id of it.
    pub id: String,
    /// How many entries the journal had with it.
    position: usize,
}

/// All entries. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Journal(watch::Sender<Vec<Entry>>);

impl Journal {
    /// Writes down what a person said. The same message once more is the same entry.
    pub fn person(&self, name: &str, place: Place, id: &str, text: &str) -> Said {
        let mut position = 0;
        self.0.send_if_modified(|entries| {
            let known = entries
                .iter()
                .position(|entry| entry.id == id && entry.place == place);
            position = known.map_or(entries.len() + 1, |known| known + 1);
            if known.is_none() {
                entries.push(Entry {
                    place: place.clone(),
                    speaker: Speaker::Person(name.to_owned()),
                    id: id.to_owned(),
                    text: text.to_owned(),
                    took: None,
                    when: SystemTime::now(),
                    at: Instant::now(),
                });
            }
            known.is_none()
        });
        Said {
            place,
            id: id.to_owned(),
            position,
        }
    }

    /// Writes down what the bridge posted.
    pub fn answer(&self, place: Place, id: &str, text: &str) {
        let at = Instant::now();
        self.0.send_modify(|entries| {
            let asked = entries
                .iter()
                .rev()
                .find(|entry| entry.place.key == place.key && entry.speaker != Speaker::Agent);
            let took = asked.map(|asked| at.duration_since(asked.at));
            entries.push(Entry {
                place,
                speaker: Speaker::Agent,
                id: id.to_owned(),
                text: text.to_owned(),
                took,
                when: SystemTime::now(),
                at,
            });
        });
    }

    /// Everything so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.0.borrow().clone()
    }

    /// The answers that were posted in a place.
    pub fn answers(&self, key: &str) -> Vec<Entry> {
        let is_answer = |entry: &&Entry| entry.place.key == key && entry.speaker == Speaker::Agent;
        self.0.borrow().iter().filter(is_answer).cloned().collect()
    }

    /// The name of the person who wrote in a place last.
    pub fn writer(&self, key: &str) -> Option<String> {
        let entries = self.0.borrow();
        let mut names = entries.iter().rev().filter(|entry| entry.place.key == key);
        names.find_map(|entry| match &entry.speaker {
            Speaker::Person(name) => Some(name.clone()),
            Speaker::Agent => None,
        })
    }

    /// Waits for an answer in the place of this message that came after it; none if the time is over before.
    pub async fn answer_to(&self, said: &Said, within: Duration) -> Option<Entry> {
        let find = |entries: &Vec<Entry>| {
            let later = entries.iter().skip(said.position);
            let mut answers = later.filter(|entry| entry.speaker == Speaker::Agent);
            answers.find(|entry| entry.place.key == said.place.key).cloned()
        };
        let mut reader = self.0.subscribe();
        let waiting = reader.wait_for(|entries| find(entries).is_some());
        let entries = tokio::time::timeout(within, waiting).await.ok()?.ok()?;
        find(&entries)
    }

    /// A reader that is woken by each new entry.
    pub fn follow(&self) -> watch::Receiver<Vec<Entry>> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(key: &str) -> Place {
        Place {
            platform: Platform::Slack,
            key: key.to_owned(),
            label: "#test".to_owned(),
        }
    }

    #[tokio::test]
    async fn an_answer_belongs_to_the_message_before_it_in_its_place() {
        let journal = Journal::default();
        let first = journal.person("Anna", place("a"), "1", "Hello?");
        journal.answer(place("b"), "2", "Somewhere else");
        assert!(journal.answer_to(&first, Duration::ZERO).await.is_none());
        journal.answer(place("a"), "3", "Hello!");
        let answer = journal.answer_to(&first, Duration::ZERO).await.unwrap();
        assert_eq!((answer.text.as_str(), answer.took.is_some()), ("Hello!", true));
        let second = journal.person("Anna", place("a"), "4", "Still there?");
        assert!(journal.answer_to(&second, Duration::ZERO).await.is_none());
    }

    #[tokio::test]
    async fn who_waits_is_woken() {
        let journal = Journal::default();
        let said = journal.person("Anna", place("a"), "1", "Hello?");
        let (answer, ()) = tokio::join!(journal.answer_to(&said, Duration::from_mins(1)), async {
            journal.answer(place("a"), "2", "Hello!");
        });
        assert_eq!(answer.unwrap().id, "2");
    }

    #[test]
    fn a_message_that_arrives_twice_is_written_down_once() {
        let journal = Journal::default();
        journal.person("Anna", place("a"), "1", "Hello?");
        journal.person("Anna", place("a"), "1", "Hello?");
        assert_eq!(journal.entries().len(), 1);
    }
}
