//! A short exchange on both platforms that shows what the bridge does, and proves it: every message is answered where
//! it was written, and a burst once.

use std::time::Duration;

use super::Demo;
use super::journal::{Place, Said, Speaker};
use super::slack::{CHANNEL, DIRECT, PEOPLE};
use super::transcript::duration;
use super::webhooks::Acknowledged;
use super::webhooks::slack::Message;
use super::webhooks::whatsapp::Person;
use crate::outbound::Failure;

/// What went wrong in the exchange; nothing if it holds nothing.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How many messages people wrote.
    pub messages: usize,
    /// What is missing or too much, in words.
    pub missing: Vec<String>,
}

/// A person on WhatsApp.
pub(super) fn carla() -> Person {
    Person {
        name: "Carla".to_owned(),
        phone: Some("15550100142".to_owned()),
        user_id: Some("US.4810027736150946".to_owned()),
    }
}

/// A person on WhatsApp who keeps the phone number private.
pub(super) fn dana() -> Person {
    Person {
        name: "Dana".to_owned(),
        phone: None,
        user_id: Some("NO.2960418875301147".to_owned()),
    }
}

/// Plays the exchange. An answer may take as long as `patience`.
pub async fn play(demo: &Demo, patience: Duration) -> Verdict {
    let mut play = Play {
        demo,
        patience,
        verdict: Verdict::default(),
        answers: Vec::new(),
    };
    play.slack().await;
    play.whatsapp().await;
    play.close().await
}

struct Play<'a> {
    demo: &'a Demo,
    patience: Duration,
    verdict: Verdict,
    /// The places where answers are due, and how many.
    answers: Vec<(Place, usize)>,
}

impl Play<'_> {
    /// A mention in a channel, a question in its thread without one, and a direct message.
    async fn slack(&mut self) {
        let anna = PEOPLE[0].0;
        let mention = self
            .write_slack(CHANNEL.0, anna, None, "When are you open?")
            .await;
        self.answered(mention.as_ref()).await;
        if let Some(root) = mention.map(|said| said.id) {
            let again = self.write_slack(
                CHANNEL.0,
                anna,
                Some(&root),
                "And can I return a jacket that does not fit?",
            );
            let again = again.await;
            self.answered(again.as_ref()).await;
        }
        let direct = self
            .write_slack(DIRECT, PEOPLE[1].0, None, "Can I pay by invoice?")
            .await;
        self.answered(direct.as_ref()).await;
    }

    /// Two messages at once, for one answer; and a person who keeps the phone number private.
    async fn whatsapp(&mut self) {
        let (carla, dana) = (carla(), dana());
        self.write_whatsapp(&carla, "Hi! Is the Skarv jacket waterproof?")
            .await;
        let burst = self.write_whatsapp(&carla, "And do you ship to Norway?").await;
        self.answered(burst.as_ref()).await;
        let first = self.write_whatsapp(&dana, "What sizes do you have?").await;
        self.answered(first.as_ref()).await;
        let memory = self.write_whatsapp(&dana, "What did I ask before?").await;
        self.answered(memory.as_ref()).await;
    }

    async fn write_slack(
        &mut self,
        channel: &str,
        user: &str,
        thread: Option<&str>,
        text: &str,
    ) -> Option<Said> {
        let message = Message {
            channel,
            user,
            thread,
            text,
        };
        let outcome = self.demo.slack.say(&self.demo.postman, &message).await;
        self.written("Slack", outcome)
    }

    async fn write_whatsapp(&mut self, person: &Person, text: &str) -> Option<Said> {
        let outcome = self.demo.graph.say(&self.demo.postman, person, text).await;
        self.written("WhatsApp", outcome)
    }

    fn written(
        &mut self,
        what: &str,
        outcome: Result<(Option<Said>, Acknowledged), Failure>,
    ) -> Option<Said> {
        self.verdict.messages += 1;
        let number = self.verdict.messages;
        let missing = match outcome {
            Ok((said, told)) if told.status.is_success() => return said,
            Ok((_, told)) => format!(
                "message {number} ({what}) was not taken: the daemon answered {}",
                told.status
            ),
            Err(failure) => format!("message {number} ({what}) was not taken: the daemon {failure}"),
        };
        self.verdict.missing.push(missing);
        None
    }

    /// Waits for the answer to this message. One that was not taken is told already.
    async fn answered(&mut self, said: Option<&Said>) {
        let Some(said) = said else { return };
        match self.answers.iter_mut().find(|(place, _)| *place == said.place) {
            Some((_, due)) => *due += 1,
            None => self.answers.push((said.place.clone(), 1)),
        }
        if self.demo.journal.answer_to(said, self.patience).await.is_none() {
            let Place { platform, label, .. } = &said.place;
            let (number, waited) = (self.verdict.messages, duration(self.patience));
            self.verdict.missing.push(format!(
                "message {number} ({platform}, {label}): no answer within {waited}"
            ));
        }
    }

    /// Looks at all that was posted: nothing twice, and nothing where nobody had asked.
    async fn close(mut self) -> Verdict {
        self.demo.graph.settled(self.patience).await;
        for (Place { platform, label, key }, due) in &self.answers {
            let posted = self.demo.journal.answers(key).len();
            if posted > *due {
                self.verdict
                    .missing
                    .push(format!("{platform}, {label}: {posted} answers instead of {due}"));
            }
        }
        for entry in self.demo.journal.entries() {
            let asked = self.answers.iter().any(|(place, _)| *place == entry.place);
            if entry.speaker == Speaker::Agent && !asked {
                let Place { platform, label, .. } = entry.place;
                self.verdict
                    .missing
                    .push(format!("{platform}, {label}: an answer where nobody asked"));
            }
        }
        self.verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::Stage;

    #[tokio::test]
    async fn an_exchange_without_answers_is_no_success() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let stage = Stage::set_up().await.unwrap();
        let bind = "127.0.0.1:0".parse().unwrap();
        let mut settings = stage.settings(bind, None).unwrap();
        // Nothing listens there.
        "http://127.0.0.1:1".clone_into(&mut settings.agent.base_url);
        let demo = stage.start(settings).await.unwrap();
        let verdict = play(&demo, Duration::from_millis(50)).await;
        assert_eq!(verdict.messages, 7);
        assert_eq!(verdict.missing.len(), 6, "{verdict:?}");
        assert!(
            verdict.missing[0].starts_with("message 1 (Slack, #support, thread "),
            "{verdict:?}"
        );
    }
}
