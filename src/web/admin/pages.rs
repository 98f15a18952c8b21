//! Pages: how they are rendered, and those for errors.

use askama::Template;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use axum::response::{Html, IntoResponse, Response};

use super::assets::asset_path;
use crate::model::AdminRole;
use crate::store::StoreError;

/// Everything comes from this host, and nothing is inline.
const CONTENT_SECURITY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// Renders a page.
pub(super) fn render(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => (status, [(CONTENT_SECURITY_POLICY, CONTENT_SECURITY)], Html(html)).into_response(),
        Err(error) => ErrorPage::internal(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()).into_response(),
    }
}

/// A page that says what went wrong and what to do.
#[derive(Template)]
#[template(path = "admin/error.html")]
pub(super) struct ErrorPage {
    status: u16,
    title: String,
    text: String,
    /// Stands in the log, too.
    id: Option<String>,
}

impl ErrorPage {
    pub(super) fn new(status: StatusCode, title: &str, text: &str) -> ErrorPage {
        ErrorPage { status: status.as_u16(), title: title.to_owned(), text: text.to_owned(), id: None }
    }

    /// An error that only the log explains.
    pub(super) fn internal(status: StatusCode, why: &str) -> ErrorPage {
        let id = format!("{:08x}", fastrand::u32(..));
        tracing::error!(error = id, why, "a page of the admin page failed");
        let text = "mynah could not make this page. Try again; if that does not help, look into the log.";
        ErrorPage { id: Some(id), ..ErrorPage::new(status, "Something went wrong", text) }
    }

    pub(super) fn of_store(error: &StoreError) -> ErrorPage {
        ErrorPage::internal(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())
    }

    pub(super) fn not_found(what: &str) -> ErrorPage {
        let text = "It may have been deleted, or the address is not complete.";
        ErrorPage::new(StatusCode::NOT_FOUND, &format!("There is no {what} here"), text)
    }

    pub(super) fn forbidden(least: AdminRole) -> ErrorPage {
        let text = format!("This needs the role {}. Ask an owner to do it, or to change your role.", least.as_str());
        ErrorPage::new(StatusCode::FORBIDDEN, "Your account may not do this", &text)
    }

    pub(super) fn signed_out() -> ErrorPage {
        let text = "Nothing was changed. Sign in again, then repeat what you did.";
        ErrorPage::new(StatusCode::FORBIDDEN, "You are signed out", text)
    }

    pub(super) fn foreign_form() -> ErrorPage {
        let text = "Nothing was changed. Open the page here, and send the form from there.";
        ErrorPage::new(StatusCode::FORBIDDEN, "This form was not sent from a page of mynah", text)
    }

    pub(super) fn asset(&self, name: &str) -> String {
        asset_path(name)
    }
}

impl IntoResponse for ErrorPage {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        match self.render() {
            Ok(html) => (status, [(CONTENT_SECURITY_POLICY, CONTENT_SECURITY)], Html(html)).into_response(),
            // Plain text needs no template.
            Err(_) => (status, format!("{}\n{}\n", self.title, self.text)).into_response(),
        }
    }
}
