//! What must have happened, on a page or two: nothing here knows how the bridge does it.

use proptest::prelude::*;

use crate::harness::APOLOGY;

/// Threads 0 and 2 are direct messages on Slack, 1 and 3 people on WhatsApp.
pub(super) const THREADS: usize = 4;

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Somebody writes.
    Say(usize),
    /// Somebody writes twice, and the second message arrives first.
    Swap(usize),
    /// Something that was delivered comes again; on Slack under another event id, if true.
    Redeliver(usize, bool),
    /// The last message is changed by its writer (Slack).
    Edit(usize),
    /// The last message is taken back by its writer (Slack).
    Withdraw(usize),
    /// A message arrives that was written more than a day ago.
    Late(usize),
    /// A colleague takes the thread over, and gives it back.
    Pause(usize),
    Resume(usize),
    /// The conversation is forgotten.
    Reset(usize),
    /// The next question or reply of the thread meets with this.
    Trouble(usize, Trouble),
    /// Time passes until all that waits has been dealt with.
    Pass,
    /// The agent refuses everything for more than a day, while somebody waits.
    Expire(usize),
    /// The daemon dies and starts again.
    Crash,
}

/// What a question or a reply may meet with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The agent is overloaded for a moment.
    Overloaded,
    /// The agent refuses the key for a moment.
    Refused,
    /// The agent will never take this question.
    Broken,
    /// The connection to the agent breaks before it has seen the question.
    NotAsked,
    /// It breaks after the agent has answered.
    AnsweredUnseen,
    /// A colleague takes over while the agent thinks.
    TakenOver,
    /// The platform asks for patience.
    Throttled,
    /// The connection to the platform breaks before it has seen the reply.
    NotSent,
    /// It breaks after the platform has taken it.
    SentUnseen,
    /// The daemon dies before the agent has answered.
    CrashAsked,
    /// The daemon dies when the agent has answered.
    CrashAnswered,
    /// The daemon dies when the platform has taken the reply.
    CrashSent,
}

impl Trouble {
    /// All of them.
    pub(super) const ALL: [Self; 12] = [
        Self::Overloaded,
        Self::Refused,
        Self::Broken,
        Self::NotAsked,
        Self::AnsweredUnseen,
        Self::TakenOver,
        Self::Throttled,
        Self::NotSent,
        Self::SentUnseen,
        Self::CrashAsked,
        Self::CrashAnswered,
        Self::CrashSent,
    ];

    pub(super) fn is_crash(self) -> bool {
        matches!(self, Self::CrashAsked | Self::CrashAnswered | Self::CrashSent)
    }
}

/// Any step; what is usual comes more often.
pub(super) fn step() -> impl Strategy<Value = Step> {
    let thread = || 0..THREADS;
    let trouble = prop::sample::select(&Trouble::ALL[..]);
    prop_oneof![
        12 => thread().prop_map(Step::Say),
        2 => thread().prop_map(Step::Swap),
        3 => (any::<usize>(), any::<bool>()).prop_map(|(which, again)| Step::Redeliver(which, again)),
        2 => thread().prop_map(Step::Edit),
        1 => thread().prop_map(Step::Withdraw),
        1 => thread().prop_map(Step::Late),
        1 => thread().prop_map(Step::Pause),
        2 => thread().prop_map(Step::Resume),
        1 => thread().prop_map(Step::Reset),
        8 => (thread(), trouble).prop_map(|(thread, trouble)| Step::Trouble(thread, trouble)),
        6 => Just(Step::Pass),
        1 => thread().prop_map(Step::Expire),
        1 => Just(Step::Crash),
    ]
}

/// A message, and how it must be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) text: String,
    pub(super) state: &'static str,
}

/// Something that the agent or a person must have got, so many times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Got {
    pub(super) text: String,
    pub(super) least: usize,
    pub(super) most: usize,
    /// Of a question: whether it opens a conversation.
    pub(super) opens: bool,
}

/// A thread as it must be.
#[derive(Debug, Default)]
pub(super) struct Thread {
    pub(super) messages: Vec<Message>,
    pub(super) questions: Vec<Got>,
    pub(super) replies: Vec<Got>,
    pub(super) trouble: Option<Trouble>,
    paused: bool,
    converses: bool,
}

/// What must have happened.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) threads: [Thread; THREADS],
}

pub(super) fn is_slack(thread: usize) -> bool {
    thread.is_multiple_of(2)
}

impl Model {
    /// A message was accepted.
    pub(super) fn said(&mut self, thread: usize, text: &str) {
        let thread = &mut self.threads[thread];
        let state = if thread.paused { "handed" } else { "pending" };
        thread.messages.push(Message {
            text: text.to_owned(),
            state,
        });
    }

    /// A message was accepted that nobody waits for any more.
    pub(super) fn said_late(&mut self, thread: usize, text: &str) {
        self.threads[thread].messages.push(Message {
            text: text.to_owned(),
            state: "ignored",
        });
    }

    /// A message was changed: it counts if it has not been asked.
    pub(super) fn edited(&mut self, thread: usize, old: &str, new: &str) {
        if let Some(message) = self.waiting(thread, old) {
            new.clone_into(&mut message.text);
        }
    }

    /// A message was taken back: likewise. What was written is forgotten.
    pub(super) fn withdrawn(&mut self, thread: usize, text: &str) {
        if let Some(message) = self.waiting(thread, text) {
            message.state = "ignored";
            message.text.clear();
        }
    }

    fn waiting(&mut self, thread: usize, text: &str) -> Option<&mut Message> {
        let mut messages = self.threads[thread].messages.iter_mut();
        messages.find(|message| message.text == text && message.state == "pending")
    }

    /// A colleague took over: what waits is theirs.
    pub(super) fn paused(&mut self, thread: usize) {
        let thread = &mut self.threads[thread];
        thread.paused = true;
        thread.end("handed");
    }

    pub(super) fn resumed(&mut self, thread: usize) {
        self.threads[thread].paused = false;
    }

    pub(super) fn reset(&mut self, thread: usize) {
        self.threads[thread].converses = false;
    }

    /// A trouble lies ahead of the thread's next turn; the daemon dies once in a turn at most.
    pub(super) fn troubled(&mut self, thread: usize, trouble: Trouble) {
        if trouble.is_crash() {
            for other in &mut self.threads {
                other.trouble = other.trouble.filter(|trouble| !trouble.is_crash());
            }
        }
        self.threads[thread].trouble = Some(trouble);
    }

    /// The question that the thread's next turn asks, if it has one.
    pub(super) fn question(&self, thread: usize) -> Option<String> {
        let waiting = self.threads[thread]
            .messages
            .iter()
            .filter(|message| message.state == "pending");
        let texts: Vec<&str> = waiting.map(|message| message.text.as_str()).collect();
        (!texts.is_empty()).then(|| texts.join("\n"))
    }

    /// Time is about to pass. An agent that has refused gets one question at a time, as a probe: where one of them hangs,
    /// all others would wait for it, and nothing would be left to observe.
    pub(super) fn about_to_pass(&mut self) {
        let hangs = |thread: &Thread| {
            let hang = |trouble: Trouble| trouble.is_crash() || trouble == Trouble::TakenOver;
            thread.trouble.is_some_and(hang)
        };
        if self.threads.iter().any(hangs) {
            for trouble in self
                .threads
                .iter_mut()
                .filter_map(|thread| thread.trouble.as_mut())
            {
                if *trouble == Trouble::Refused {
                    *trouble = Trouble::Overloaded;
                }
            }
        }
    }

    /// All that waits has been dealt with.
    pub(super) fn passed(&mut self) {
        let asked: Vec<usize> = (0..THREADS)
            .filter(|thread| self.question(*thread).is_some())
            .collect();
        let crash = asked
            .iter()
            .any(|thread| self.threads[*thread].trouble.is_some_and(Trouble::is_crash));
        for thread in asked {
            let question = self.question(thread).unwrap_or_default();
            self.threads[thread].answer(&question, is_slack(thread), crash);
        }
    }

    /// Nobody could answer for so long that it is too late.
    pub(super) fn expired(&mut self, thread: usize) {
        self.threads[thread].end("dead");
    }
}

impl Thread {
    /// One turn: the question goes out and the answer comes in, whatever trouble there is.
    fn answer(&mut self, question: &str, slack: bool, crash: bool) {
        let trouble = self.trouble.take();
        let opens = !self.converses;
        // An answer that nobody saw is found in a conversation that is known; else the question is put again.
        let unseen = matches!(trouble, Some(Trouble::AnsweredUnseen | Trouble::CrashAnswered));
        // A reply that nobody saw taken is found on Slack; on WhatsApp nothing can tell.
        let taken = matches!(trouble, Some(Trouble::SentUnseen | Trouble::CrashSent));
        let (asked, sent) = (1 + usize::from(unseen && opens), 1 + usize::from(taken && !slack));
        // A crash of the daemon may meet any other thread in the same place.
        let chance = usize::from(crash);
        let got = |text: String, least, most| Got {
            text,
            least,
            most,
            opens,
        };
        if trouble == Some(Trouble::Broken) {
            self.end("dead");
            self.replies
                .push(got(APOLOGY.to_owned(), 1, 1 + chance * usize::from(!slack)));
            return;
        }
        self.questions
            .push(got(question.to_owned(), asked, asked + chance));
        self.converses = true;
        if trouble == Some(Trouble::TakenOver) {
            self.paused = true;
            self.end("handed");
            return;
        }
        self.end("answered");
        let most = sent + chance * usize::from(!slack);
        self.replies.push(got(format!("echo: {question}"), sent, most));
    }

    fn end(&mut self, state: &'static str) {
        for message in self
            .messages
            .iter_mut()
            .filter(|message| message.state == "pending")
        {
            message.state = state;
        }
    }
}
