//! Forms of the admin page: each proves that a page of ours sent it.

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq;

use super::pages::ErrorPage;
use super::session::SignedIn;
use crate::form_origin::is_same_origin;

/// The largest form, in bytes: the longest text that a setting takes, percent-encoded.
const MAX_BYTES: usize = 512 * 1024;

/// The field that holds the session's token.
pub(super) const TOKEN_FIELD: &str = "form_token";

/// The fields of a form that a page of ours sent. If somebody is signed in, it was made for their session.
pub(super) struct Form<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Form<T> {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Form<T>, Response> {
        let (head, body) = request.into_parts();
        if !is_same_origin(&head.headers) {
            return Err(ErrorPage::foreign_form().into_response());
        }
        let body = to_bytes(body, MAX_BYTES).await.map_err(|_| {
            ErrorPage::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "This form is too long",
                "Shorten the texts and send it again.",
            )
            .into_response()
        })?;
        if let Some(signed_in) = head.extensions.get::<SignedIn>() {
            let sent = url::form_urlencoded::parse(&body).find(|(name, _)| name == TOKEN_FIELD).map(|(_, value)| value);
            let is_ours = sent.is_some_and(|sent| bool::from(sent.as_bytes().ct_eq(signed_in.form_token.as_bytes())));
            if !is_ours {
                return Err(ErrorPage::foreign_form().into_response());
            }
        }
        let request = Request::from_parts(head, Body::from(body));
        let fields = axum::extract::Form::from_request(request, &()).await.map_err(|why| {
            let why = format!("{}. Go back, reload the page and try again.", why.body_text());
            ErrorPage::new(StatusCode::UNPROCESSABLE_ENTITY, "This form cannot be read", &why).into_response()
        })?;
        Ok(Form(fields.0))
    }
}
