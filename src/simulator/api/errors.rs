//! Errors in Twilio's form, and the responses of injected faults.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::simulator::{InjectedFault, Simulator};

/// An error of the REST API: a code, a message, and a page about it.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    code: u32,
    message: String,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: u32, message: impl Into<String>) -> ApiError {
        ApiError { status, code, message: message.into() }
    }

    pub(super) fn bad_request(code: u32, message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(super) fn unauthorized() -> ApiError {
        ApiError::new(StatusCode::UNAUTHORIZED, 20003, "Authenticate")
    }

    pub(super) fn not_found(what: &str) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, 20404, format!("The requested resource {what} was not found"))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({
            "code": self.code,
            "message": self.message,
            "more_info": format!("https://www.twilio.com/docs/errors/{}", self.code),
            "status": self.status.as_u16(),
        });
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let realm = HeaderValue::from_static("Basic realm=\"Twilio API\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, realm);
        }
        response
    }
}

/// Returns the response of an injected fault, or `None` if the call is answered as usual.
pub(super) async fn faulty_response(simulator: &Simulator, fault: &InjectedFault) -> Option<Response> {
    let answer = match fault {
        InjectedFault::TooManyRequests { retry_after } => {
            let refused = ApiError::new(StatusCode::TOO_MANY_REQUESTS, 20429, "Too Many Requests");
            match retry_after {
                Some(wait) => ([(RETRY_AFTER, wait.as_secs().to_string())], refused).into_response(),
                None => refused.into_response(),
            }
        }
        InjectedFault::Unavailable { retry_after } => {
            let refused = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, 20503, "Service Unavailable");
            ([(RETRY_AFTER, retry_after.as_secs().to_string())], refused).into_response()
        }
        InjectedFault::ServerError { .. } => {
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, 20500, "Internal Server Error").into_response()
        }
        InjectedFault::Refuse { code } => {
            ApiError::bad_request(*code, format!("Simulated error {code}")).into_response()
        }
        InjectedFault::Unauthorized => ApiError::unauthorized().into_response(),
        InjectedFault::Drop { .. } => dropped_connection(),
        InjectedFault::Hang { .. } => {
            simulator.inner.shutdown.cancelled().await;
            dropped_connection()
        }
        InjectedFault::Undelivered { .. } => return None,
    };
    Some(answer)
}

/// Returns a body that fails before its first byte. hyper then closes the connection without sending the response head.
fn dropped_connection() -> Response {
    let broken = std::io::Error::new(std::io::ErrorKind::ConnectionAborted, "cut by an injected fault");
    Body::from_stream(tokio_stream::once(Err::<Bytes, _>(broken))).into_response()
}
