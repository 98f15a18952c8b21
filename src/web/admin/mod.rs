//! The admin page: see everything, change everything, without a shell.
//!
//! [`table`] lists every route with the least role that may use it. A route gets a request only from somebody who is signed
//! in and has that role; a route without a role is for everybody. To add a page, add a handler in a file of its own, a
//! template of the same name, and a row. A form is read by [`form::Form`], which refuses forms of other sites. Each change
//! is a POST that ends in a redirect.

mod account;
mod assets;
mod conversations;
mod form;
mod frame;
mod login;
mod pages;
mod session;
mod set_up;
mod times;
mod transport;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{MethodRouter, get, post};

use self::pages::ErrorPage;
use self::session::Demand;
use crate::app::LiveApp;
use crate::model::AdminRole;
use crate::model::AdminRole::Viewer;

/// A route of the admin page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminRoute {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// The path; a part in braces stands for any text.
    pub path: &'static str,
    /// The least role that may use it; `None` for everybody.
    pub least: Option<AdminRole>,
}

struct Row {
    route: AdminRoute,
    handler: MethodRouter<LiveApp>,
}

fn row(path: &'static str, least: Option<AdminRole>, method: &'static str, handler: MethodRouter<LiveApp>) -> Row {
    Row { route: AdminRoute { method, path, least }, handler }
}

fn table() -> Vec<Row> {
    vec![
        row("/admin/assets/{file}", None, "GET", get(assets::serve)),
        row("/admin/login", None, "GET", get(login::show)),
        row("/admin/login", None, "POST", post(login::sign_in)),
        row("/admin/set-up", None, "GET", get(set_up::show)),
        row("/admin/set-up", None, "POST", post(set_up::set_password)),
        row("/admin/logout", Some(Viewer), "POST", post(login::sign_out)),
        row("/admin", Some(Viewer), "GET", get(|| async { Redirect::to("/admin/conversations") })),
        row("/admin/conversations", Some(Viewer), "GET", get(conversations::list)),
        row("/admin/conversations/{id}", Some(Viewer), "GET", get(conversations::show)),
        row("/admin/account", Some(Viewer), "GET", get(account::show)),
        row("/admin/account/end-session", Some(Viewer), "POST", post(account::end_session)),
    ]
}

/// Returns every route of the admin page.
pub fn admin_routes() -> Vec<AdminRoute> {
    table().into_iter().map(|row| row.route).collect()
}

/// Builds the admin page.
pub(super) fn router(live: &LiveApp) -> Router<LiveApp> {
    let mut router = Router::new();
    for Row { route, handler } in table() {
        let handler = match route.least {
            Some(least) => {
                let demand = Demand { live: live.clone(), least };
                handler.layer(middleware::from_fn_with_state(demand, session::demand_role))
            }
            None => handler,
        };
        router = router.route(route.path, handler);
    }
    // A path below it that no route has is a page as well, and tells only those who are signed in that it is not there.
    let missing = get(|| async { ErrorPage::not_found("page") })
        .layer(middleware::from_fn_with_state(Demand { live: live.clone(), least: Viewer }, session::demand_role));
    router.route("/admin/{*path}", missing).layer(middleware::from_fn_with_state(live.clone(), only_if_enabled))
}

/// Answers as if there were no admin page, if the owner has switched it off.
async fn only_if_enabled(State(live): State<LiveApp>, request: Request, next: Next) -> Response {
    if live.current().config.admin.enabled {
        return next.run(request).await;
    }
    (StatusCode::NOT_FOUND, "there is nothing here\n").into_response()
}
