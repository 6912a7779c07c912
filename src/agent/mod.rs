//! The agent that answers, behind one trait.

pub mod livechatai;

use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

/// One question.
#[derive(Debug, Clone)]
pub struct Question {
    /// Which agent is asked.
    pub agent_id: String,
    /// Where the question comes from, in the agent's words: each channel names its own.
    pub integration_type: &'static str,
    /// The conversation to go on with; none opens one.
    pub conversation_id: Option<String>,
    /// What is asked.
    pub text: String,
    /// The country of who asks (ISO 3166-1 alpha-2), if known.
    pub country: Option<String>,
    /// The agent's id of its latest answer in the conversation: what a look-up finds lies behind it.
    pub after: Option<String>,
}

/// The agent's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The conversation, to go on with.
    pub conversation_id: String,
    /// The answer, in plain text; never empty.
    pub text: String,
    /// Addresses that the agent names as its sources.
    pub links: Vec<String>,
    /// The agent's id of this answer, if it gives one.
    pub answer_id: Option<String>,
}

/// An agent.
#[async_trait]
pub trait Agent: Send + Sync + 'static {
    /// Asks, and waits for the answer.
    async fn ask(&self, question: &Question) -> Result<Answer, AgentError>;

    /// Looks whether the question was asked already by an attempt whose answer got lost, and is answered: the last
    /// thing said in its conversation. None if it is not there, not answered, or cannot be looked up.
    async fn look_up(&self, question: &Question) -> Result<Option<Answer>, AgentError>;
}

/// Why there is no answer. The disposition says what to do about it.
#[derive(Debug, Clone, Error)]
#[error("{code}: {message}")]
pub struct AgentError {
    /// A short fixed code, for lists and metrics.
    pub code: &'static str,
    /// What happened, for the operator; never what was asked.
    pub message: String,
    /// What to do.
    pub disposition: Disposition,
}

/// What to do about an [`AgentError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// Ask again, at the earliest after this time; the question was certainly not answered.
    Retry {
        /// What the agent asked for.
        after: Option<Duration>,
    },
    /// The question may have been answered: look before asking again.
    Ambiguous,
    /// The conversation is unknown: ask without it.
    ForgetConversation,
    /// The operator must act (a key is refused, an agent is missing): hold all questions to this agent and keep them.
    Hold,
    /// This question will never be answered.
    Fail,
}
