//! How the neighbours misbehave, once each.

use serde_json::json;

use super::Play;
use super::model::{Trouble, is_slack};
use crate::harness::{Answer, Call, Fault};

impl Play {
    /// Lets the neighbours misbehave once, at the question or reply with this name in it.
    pub(super) fn arm(&self, thread: usize, name: &str, trouble: Trouble) {
        let send = if is_slack(thread) {
            "chat.postMessage"
        } else {
            "messages"
        };
        let throttled = if is_slack(thread) {
            Answer::json(200, &json!({"ok": false, "error": "ratelimited"})).with("retry-after", "1")
        } else {
            Answer::json(
                429,
                &json!({"error": {"code": 130_429, "message": "Rate limit hit"}}),
            )
        };
        let refusal = |status, code: &str| {
            Fault::json(status, json!({"status": "error", "message": "no", "code": code}))
        };
        let (kind, fault) = match trouble {
            Trouble::Overloaded => ("ask", refusal(503, "OVERLOADED")),
            Trouble::Refused => ("ask", refusal(401, "UNAUTHORIZED")),
            Trouble::Broken => ("ask", refusal(422, "VALIDATION")),
            Trouble::NotAsked => ("ask", Fault::Close),
            Trouble::AnsweredUnseen => ("ask", Fault::ActThenClose),
            Trouble::CrashAsked => ("ask", Fault::Hang),
            Trouble::CrashAnswered => ("ask", Fault::ActThenHang),
            Trouble::Throttled => (send, Fault::Answer(throttled)),
            Trouble::NotSent => (send, Fault::Close),
            Trouble::SentUnseen => (send, Fault::ActThenClose),
            Trouble::CrashSent => (send, Fault::ActThenHang),
            Trouble::TakenOver => return,
        };
        // What is never taken is not taken after a crash either.
        let times = if trouble == Trouble::Broken { usize::MAX } else { 1 };
        self.fault(thread, name, (kind, times), fault);
    }

    pub(super) fn fault(
        &self,
        thread: usize,
        name: &str,
        (kind, times): (&'static str, usize),
        fault: Fault,
    ) {
        let (world, name) = (&self.bridge.world, name.to_owned());
        let matches = move |call: &Call| {
            call.kind == kind && call.body.windows(name.len()).any(|part| part == name.as_bytes())
        };
        match kind {
            "ask" => world.agent.fault_when(times, fault, matches),
            _ if is_slack(thread) => world.slack.fault_when(times, fault, matches),
            _ => world.meta.fault_when(times, fault, matches),
        }
    }
}
