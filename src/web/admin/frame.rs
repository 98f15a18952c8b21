//! What the pages share for somebody who is signed in: the frame around them.

use super::assets::asset_path;
use super::session::SignedIn;
use crate::model::AdminRole;

/// A place in the side bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Conversations,
    Account,
}

impl Place {
    pub(super) const ALL: [Place; 2] = [Place::Conversations, Place::Account];

    pub(super) fn path(self) -> &'static str {
        match self {
            Place::Conversations => "/admin/conversations",
            Place::Account => "/admin/account",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Place::Conversations => "Conversations",
            Place::Account => "Account",
        }
    }
}

/// The frame of a page for somebody who is signed in.
pub(super) struct Frame {
    pub(super) title: String,
    pub(super) place: Place,
    pub(super) account: String,
    pub(super) role: AdminRole,
    pub(super) form_token: String,
    /// What the last form did.
    pub(super) notice: Option<&'static str>,
}

impl Frame {
    pub(super) fn new(signed_in: &SignedIn, place: Place, title: impl Into<String>) -> Frame {
        Frame {
            title: title.into(),
            place,
            account: signed_in.session.account.clone(),
            role: signed_in.session.role,
            form_token: signed_in.form_token.clone(),
            notice: None,
        }
    }

    pub(super) fn asset(&self, name: &str) -> String {
        asset_path(name)
    }

    pub(super) fn places(&self) -> [Place; 2] {
        Place::ALL
    }
}
