//! The crash point after the acknowledgement of a webhook: it is passed when the last byte has been handed to the
//! operating system. In a release nothing of it is left.

use axum::response::Response;

/// Whether an acknowledgement is leaving on a connection.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    #[cfg(debug_assertions)]
    channel: std::sync::Mutex<Option<&'static str>>,
}

/// The mark of a response that acknowledges a channel's webhook.
#[cfg(debug_assertions)]
#[derive(Debug, Clone, Copy)]
struct Acknowledges(&'static str);

/// Marks a response as the acknowledgement of a channel's webhook.
pub(super) fn mark(response: &mut Response, channel: &'static str) {
    #[cfg(debug_assertions)]
    response.extensions_mut().insert(Acknowledges(channel));
    let _ = (response, channel);
}

impl Leaving {
    /// A response is about to be written.
    pub(super) fn begins(&self, response: &Response) {
        #[cfg(debug_assertions)]
        if let Some(Acknowledges(channel)) = response.extensions().get::<Acknowledges>()
            && let Ok(mut leaving) = self.channel.lock()
        {
            *leaving = Some(channel);
        }
        let _ = response;
    }

    /// What was written is out.
    pub(super) fn flushed(&self) {
        #[cfg(debug_assertions)]
        if let Ok(Some(channel)) = self.channel.lock().map(|mut leaving| leaving.take()) {
            crate::crash_point::after_at(crate::crash_point::Deed::Acknowledge, channel);
        }
    }
}
