//! The one place that says which error is which status.
//!
//! Every error body is `{"error":{"code":"…","message":"…"}}`: a short fixed code for machines, and words for whoever
//! reads the platform's log of failed deliveries.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use thiserror::Error;

use crate::channel::Rejection;
use crate::store::StoreError;

/// How soon a platform may deliver again what could not be stored, in seconds.
const STORE_RETRY_AFTER: u64 = 1;

/// Why a request gets no 2xx.
#[derive(Debug, Error)]
pub enum ApiError {
    /// The channel turned it away.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// It could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The body is larger than is read.
    #[error("the body is larger than server.body_limit allows ({limit} bytes)")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// The body stopped coming.
    #[error("the body did not arrive in time")]
    BodyTimeout,
    /// The body broke off.
    #[error("the body broke off before its end")]
    BodyIncomplete,
    /// Too many large bodies are being read.
    #[error("too many large bodies arrive at once; deliver this again")]
    Crowded,
    /// No such route.
    #[error("there is nothing at this path")]
    NotFound,
    /// A route of a channel that is off.
    #[error("the channel {0} is off: its section of the configuration is missing")]
    ChannelOff(&'static str),
    /// A route with other methods.
    #[error("this path does not take this method")]
    MethodNotAllowed,
    /// Work is not possible now; with the reason's code and words.
    #[error("{message}")]
    NotReady {
        /// `store_unavailable`, `agent_refused` or `not_connected`.
        code: &'static str,
        /// Why, and what the operator can do.
        message: Cow<'static, str>,
    },
    /// The operator's token is missing or wrong.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// Not from there.
    #[error("{0}")]
    Forbidden(&'static str),
    /// Too many wrong tokens.
    #[error("too many wrong tokens from this address: wait")]
    TooManyAttempts {
        /// How long, in seconds.
        retry_after: u64,
    },
}

impl ApiError {
    /// The status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Rejected(Rejection::Unauthenticated { .. }) | Self::Unauthorized(_) => {
                StatusCode::UNAUTHORIZED
            }
            Self::Rejected(Rejection::Forbidden { .. }) | Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Rejected(Rejection::Malformed { .. }) | Self::BodyIncomplete => StatusCode::BAD_REQUEST,
            Self::Store(_) | Self::NotReady { .. } | Self::Crowded => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::NotFound | Self::ChannelOff(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooManyAttempts { .. } => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// The short fixed code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Rejected(
                Rejection::Unauthenticated { code, .. }
                | Rejection::Forbidden { code, .. }
                | Rejection::Malformed { code, .. },
            )
            | Self::NotReady { code, .. } => code,
            Self::Store(_) => "store_unavailable",
            Self::TooLarge { .. } => "body_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::BodyIncomplete => "body_incomplete",
            Self::Crowded => "crowded",
            Self::NotFound => "not_found",
            Self::ChannelOff(_) => "channel_off",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Unauthorized(_) => "unauthorized",
            Self::Forbidden(_) => "forbidden",
            Self::TooManyAttempts { .. } => "too_many_attempts",
        }
    }

    /// The label of the webhook's outcome in the metrics.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Rejected(Rejection::Unauthenticated { .. }) => "unauthenticated",
            Self::Rejected(Rejection::Forbidden { .. }) => "forbidden",
            Self::Rejected(Rejection::Malformed { .. }) => "malformed",
            Self::TooLarge { .. } => "too_large",
            other => other.code(),
        }
    }

    /// The words for whoever called: nothing of the machine's inside.
    fn message(&self) -> Cow<'static, str> {
        match self {
            Self::Store(error) => store_words(error).into(),
            Self::Rejected(
                Rejection::Unauthenticated { message, .. }
                | Rejection::Forbidden { message, .. }
                | Rejection::Malformed { message, .. },
            ) => (*message).into(),
            other => other.to_string().into(),
        }
    }

    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Store(_) | Self::NotReady { .. } | Self::Crowded => Some(STORE_RETRY_AFTER),
            Self::TooManyAttempts { retry_after } => Some(*retry_after),
            _ => None,
        }
    }

    /// Whether the connection is of no more use: the rest of the body may still be on its way.
    fn closes(&self) -> bool {
        matches!(
            self,
            Self::TooLarge { .. } | Self::BodyTimeout | Self::BodyIncomplete | Self::Crowded
        )
    }
}

/// What a stranger is told of a store that fails: the log tells the operator more.
pub(super) fn store_words(error: &StoreError) -> &'static str {
    match error {
        StoreError::Busy => "more arrives than can be stored; deliver this again",
        StoreError::Damaged { .. } => {
            "the database is damaged: stop chatbridge, keep the file, and restore the newest backup"
        }
        _ => "this cannot be stored now; deliver it again. The log of chatbridge tells why",
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = serde_json::json!({"error": {"code": self.code(), "message": self.message()}}).to_string();
        let mut response = (self.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if self.closes() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if matches!(self, Self::Unauthorized(_)) {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn rendered(error: ApiError) -> (StatusCode, http::HeaderMap, serde_json::Value) {
        let (parts, body) = error.into_response().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (
            parts.status,
            parts.headers,
            serde_json::from_slice(&body).unwrap(),
        )
    }

    #[tokio::test]
    async fn a_rejection_keeps_its_code_and_words() {
        let error = Rejection::Unauthenticated {
            code: "signature_invalid",
            message: "look at the secret",
        };
        let (status, _, body) = rendered(error.into()).await;
        assert_eq!(status, 401);
        assert_eq!(
            body,
            serde_json::json!({"error": {"code": "signature_invalid", "message": "look at the secret"}})
        );
    }

    #[tokio::test]
    async fn a_failing_store_asks_for_another_delivery_and_tells_no_insides() {
        let error = StoreError::Open {
            path: "/secret/place".into(),
            reason: "denied".into(),
        };
        let (status, headers, body) = rendered(error.into()).await;
        assert_eq!(
            (status.as_u16(), headers[RETRY_AFTER].to_str().unwrap()),
            (503, "1")
        );
        assert_eq!(body["error"]["code"], "store_unavailable");
        assert!(!body.to_string().contains("secret"), "{body}");
    }

    #[tokio::test]
    async fn a_body_that_was_not_read_ends_the_connection() {
        let (status, headers, body) = rendered(ApiError::TooLarge { limit: 10 }).await;
        assert_eq!(
            (status.as_u16(), headers[CONNECTION].to_str().unwrap()),
            (413, "close")
        );
        assert_eq!(body["error"]["code"], "body_too_large");
    }
}
